package consent

import (
	"regexp"
	"strings"
)

// Kind is what came of a sign-in or consent, or who it was that tried.
type Kind string

// The kinds.
const (
	Approved        Kind = "approved"
	Declined        Kind = "declined"         // somebody said no
	NotAdmin        Kind = "not_admin"        // without a role that may approve
	PartnerAdmin    Kind = "partner_admin"    // a partner's delegated administrator (90099)
	NoMapping       Kind = "no_mapping"       // a partner's person in no group that is mapped to a role
	Guest           Kind = "guest"            // a guest of the tenant
	Outsider        Kind = "outsider"         // unknown to the tenant: guest, partner or another tenant's (50020, 50177)
	ProviderBlocked Kind = "provider_blocked" // a Conditional Access policy stops people of service providers
	WrongTenant     Kind = "wrong_tenant"
	AdminAsUser     Kind = "admin_as_user" // the administrator signed in in place of the person
	Blocked         Kind = "blocked"       // by a rule of the tenant
	ServiceMissing  Kind = "service_missing"
	AppWrong        Kind = "app_wrong" // the registration is not as it should be
	Incomplete      Kind = "incomplete"
	Failed          Kind = "failed" // for another reason
)

// Kinds are all kinds.
var Kinds = []Kind{Approved, Declined, NotAdmin, PartnerAdmin, NoMapping, Guest, Outsider, ProviderBlocked, WrongTenant, AdminAsUser, Blocked, ServiceMissing, AppWrong, Incomplete, Failed}

// Explanation says what happened, why, and who can do what.
type Explanation struct {
	Kind  Kind
	Title string
	Words string
	Who   string   // who has to act
	Steps []string // what they do
}

// rolesThatWork names who may approve, where the permissions are not at hand.
const rolesThatWork = "a Global Administrator or Privileged Role Administrator of the tenant itself; for delegated permissions a Cloud Application Administrator or Application Administrator as well"

const asOwn = "Have " + rolesThatWork + " open the page."

// explanations are by kind. Sources: entra-sign-in §9, §9.4; codes as in the table
// of sign-in codes.
var explanations = map[Kind]Explanation{
	Approved: {Title: "Approved", Words: "Microsoft reports no error. Whether everything was granted is read back from the tenant.", Who: "nobody"},
	Declined: {Title: "Consent was declined", Words: "Somebody chose Cancel on Microsoft's page (AADSTS65004). Nothing was granted.", Who: adminWords, Steps: []string{"If that was a mistake, open the page again and accept.", "If something that is asked is not acceptable, tell whoever sent you the link."}},
	NotAdmin: {Title: "This account may not approve", Words: "Microsoft asks for an administrator's approval, and the account that signed in has no role that may give it (AADSTS90094, 90095 or 90093).", Who: adminWords, Steps: []string{"Sign in with an account that has the role: " + rolesThatWork + ".", "A role that has to be activated first (Privileged Identity Management) has to be active."}},
	PartnerAdmin: {Title: "A partner's administrator cannot consent here", Words: "The account belongs to a partner with delegated administration (GDAP). Microsoft does not let it consent for the tenant on this page, whatever its role (AADSTS90099).", Who: adminWords, Steps: []string{
		asOwn, "Or the partner consents through Partner Center: Gatehouse does it for many customers at once under Consents > Onboard customers."}},
	NoMapping: {Title: "The partner's account has no role in this tenant", Words: "The account belongs to a partner, and is in no security group that the partner's delegated administration (GDAP) maps to a role here. To the tenant it is unknown (AADSTS50020 or 50177). There is no guest account of it.", Who: "the partner's administrator", Steps: []string{
		"Partner Center > Customers > the customer > Admin relationships: assign a security group that the person is in to a role.", "It takes some minutes until that works.", asOwn}},
	Guest: {Title: "A guest cannot do this", Words: "The account is a guest of the tenant (an invited user of another one). With GDAP, an old guest account of a partner's person comes before the partner's rights.", Who: adminWords, Steps: []string{
		asOwn, "If the guest account is a partner's leftover, delete it under Entra ID > Users, so that the partner's rights apply."}},
	Outsider: {Title: "This account does not belong to the tenant", Words: "To the tenant the account is unknown (AADSTS50020 or 50177). Either it belongs to another tenant; or to a partner whose group is not mapped to a role here; or it is an old guest account.", Who: adminWords, Steps: []string{
		"Open the page in a private window and sign in with an account of the tenant itself.", asOwn}},
	ProviderBlocked: {Title: "The tenant's rules stop people of service providers", Words: "A Conditional Access policy of the tenant applies to users of service providers, which a partner's people are, and refuses them (AADSTS53003). Its exclusion of guests does not cover them: they are a type of their own.", Who: adminWords, Steps: []string{
		asOwn, "If the partner is to have access: in the policy, under Users > Exclude > Guest or external users, choose Service provider users of the partner's tenant only."}},
	WrongTenant: {Title: "This was another tenant", Words: "Consent was given in another tenant than the one that this page is for. Here nothing has changed; there, the app was added.", Who: adminWords, Steps: []string{
		"Open the page in a private window and sign in with an account of the right tenant.", "In the other tenant delete the app under Enterprise applications, if it is not wanted there."}},
	AdminAsUser: {Title: "An administrator signed in in place of the person", Words: "The sign-in was for the connection of one person, and another one signed in. A connection always acts as the person it was made for: the administrator's own sign-in is not kept, and nothing was changed.", Who: "the person whom the connection is for", Steps: []string{
		"The administrator uses the page for consent, which keeps no sign-in.", "Then the person signs in with their own account, in their own browser or a private window."}},
	Blocked:        {Title: "A rule of the tenant stopped the sign-in", Words: "Conditional Access or another rule refused the administrator's sign-in itself, before any consent (AADSTS53000 to 53011).", Who: adminWords, Steps: []string{"Use a device, network or account that the rule allows. The tenant's sign-in log names the policy."}},
	ServiceMissing: {Title: "The tenant does not have one of the services", Words: "One of the APIs has no service principal in the tenant: it was never subscribed to or enabled (AADSTS650052).", Who: adminWords, Steps: []string{"Look whether the licence is there, enable the service, then open the page again."}},
	AppWrong:       {Title: "The app registration is not set up for this", Words: "Microsoft does not find the app, or does not know the address to come back to (AADSTS700016, 50011, 500113 or 650056). Consent may have been given all the same.", Who: "the app's owner", Steps: []string{"Register the address that this page names as a redirect address of the app, of the type Web.", "Check the client id, and that the app is multi-tenant."}},
	Incomplete:     {Title: "Microsoft's answer was not whole", Words: "It holds neither an error nor an approval.", Who: adminWords, Steps: []string{"Open the page again."}},
	Failed:         {Title: "Microsoft did not take the consent", Words: "It gave an error that says nothing about consent itself.", Who: adminWords, Steps: []string{"Try again in a few minutes; if it stays, use the admin centre."}},
}

const (
	adminWords = "the tenant's administrator"
	actorAdmin = "tenant_admin"
)

// Explain says what a kind means, and who can do what.
func Explain(k Kind) Explanation {
	e, known := explanations[k]
	if !known {
		e = explanations[Failed]
	}
	e.Kind = k
	return e
}

var codePattern = regexp.MustCompile(`AADSTS(\d{4,7})`)

// kindsByCode are codes of the sign-in service.
var kindsByCode = map[string]Kind{
	"65004": Declined, "90094": NotAdmin, "90095": NotAdmin, "90093": NotAdmin, "90099": PartnerAdmin, "50020": Outsider, "50177": Outsider, "90072": Outsider, "50178": Outsider, "51004": Outsider,
	"650052": ServiceMissing, "500011": ServiceMissing, "700016": AppWrong, "50011": AppWrong, "500113": AppWrong, "650056": AppWrong, "650057": AppWrong, "900144": AppWrong, "901001": AppWrong, "7000112": AppWrong, "7000229": AppWrong, "70011": AppWrong,
	"530034": Blocked, "53000": Blocked, "53001": Blocked, "53002": Blocked, "53003": Blocked, "53004": Blocked, "53011": Blocked, "530031": Blocked, "530032": Blocked, "530033": Blocked, "530035": Blocked,
}

// mostRead bounds what is read of an answer.
const mostRead = 4000

// kindOf reads an error with which Microsoft sends a browser back. The text comes
// through the browser: only the code in it counts.
func kindOf(oauth, description string) (Kind, string) {
	if m := codePattern.FindStringSubmatch(description[:min(len(description), mostRead)]); m != nil {
		if k, known := kindsByCode[m[1]]; known {
			return k, "AADSTS" + m[1]
		}
		return Failed, "AADSTS" + m[1]
	}
	switch strings.ToLower(oauth) {
	case "access_denied", "permission_denied", "consent_required":
		return Declined, ""
	}
	return Failed, ""
}
