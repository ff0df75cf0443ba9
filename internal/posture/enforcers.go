package posture

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/diagnosis"
)

// Names of the rules as administrators see them.
var ruleNames = map[diagnosis.RuleKind]string{
	diagnosis.SecurityDefaults:  "Security Defaults",
	diagnosis.PerUserMFA:        "Per-user MFA",
	diagnosis.MandatoryMFA:      "Mandatory MFA for Azure and the admin portals",
	diagnosis.ConditionalAccess: "Conditional Access",
	diagnosis.Federation:        "Federated domain",
}

// Rule gives a rule of a kind with its usual name.
func Rule(kind diagnosis.RuleKind) diagnosis.Rule {
	rule := diagnosis.Rule{Kind: kind}
	if name, ok := ruleNames[kind]; ok {
		rule.Name = &name
	}
	return rule
}

// mandatoryApps are the apps whose user sign-ins Microsoft itself demands MFA
// for, with their names. Source: "Planning for mandatory multifactor
// authentication", table of applications.
var mandatoryApps = map[string]string{
	"c44b4083-3bb0-49c1-b47d-974e53cbdf3c": "the Azure portal and the Entra and Intune admin centres",
	"04b07795-8ddb-461a-bbee-02f9e1bf7b46": "Azure CLI",
	"1950a258-227b-4e31-a9cf-717495945fc2": "Azure PowerShell",
	"0c1307d4-29d6-4389-a11c-5cbe7f65d7fa": "the Azure mobile app",
}

// MandatoryApp reports whether mandatory MFA covers an app.
func MandatoryApp(clientID string) bool { return mandatoryApps[strings.ToLower(clientID)] != "" }

// mandatoryApp names what of a sign-in mandatory MFA covers: the app, or the
// admin portal that the token is for.
func mandatoryApp(in SignIn) (string, bool) {
	for _, id := range []string{in.ClientID, in.Resource} {
		if name, ok := mandatoryApps[strings.ToLower(id)]; ok {
			return name, true
		}
	}
	return "", false
}

// defaultsRoles are the roles whose holders Security Defaults ask for MFA at
// every sign-in. Source: "Security defaults in Microsoft Entra ID".
var defaultsRoles = []string{
	"62e90394-69f5-4237-9190-012177145e10", "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", "c4e39bd9-1100-46d3-8c65-fb160da0071f",
	"b0f54661-2d74-4c50-afa3-1ec803f12efe", "158c047a-c907-4556-b7ef-446551a6b5f7", "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",
	"29232cdf-9323-42fd-ade2-1d097af3e4de", "729827e3-9c14-49f7-bb1b-9608f156bbb8", "966707d0-3269-4727-9be2-8c3a10f19b9d",
	"7be44c8a-adaf-4e2a-84d6-ab2649e08a13", "e8611ab8-c189-46e8-94e1-60213ab1f814", "194ae4cb-b126-40b2-bd5b-6091b380977d",
	"f28a1f50-f6e7-4571-818b-6a12f2af6b6c", "69091246-20e8-4a56-aa4d-066075b2a7a8", "fe930be7-5e62-47db-91af-98c3a49a38b1",
	"0526716b-113d-4c15-b2c8-68e3c22b9f80", "45d8d3c5-c802-45c6-b32a-1d70b5e1e86e",
}

// The codes of the sign-in service that the enforcers answer with
// (conditional-access-evaluation §9).
const (
	codeMFA           = 50076
	codeRegistration  = 50079
	codeDefaultsBlock = 530035
)

// demandCode is the code of a demand for MFA: of its registration where no
// method is registered. 0 where that is not known.
func (a Account) demandCode() int {
	switch registered := a.Registered(); {
	case registered == nil:
		return 0
	case *registered:
		return codeMFA
	}
	return codeRegistration
}

var mfaOnly = []string{"mfa"}

// demand makes the finding one that asks for MFA, which no sign-in has that
// has given it already.
func (f *Finding) demand(a Account, in SignIn, format string, args ...any) {
	f.Effect, f.Controls, f.Code, f.Why = Demands, mfaOnly, a.demandCode(), fmt.Sprintf(format, args...)
	if in.MFA {
		f.Effect, f.Code, f.Why = DoesNot, 0, f.Why+", which was given"
	}
}

func (s *Snapshot) securityDefaults(a Account, in SignIn) Finding {
	f := Finding{Rule: Rule(diagnosis.SecurityDefaults), Effect: DoesNot}
	registered := a.Registered()
	privileged := slices.IndexFunc(a.Roles, func(r Role) bool { return slices.Contains(defaultsRoles, strings.ToLower(r.ID)) && r.Counts() })
	app, azure := mandatoryApp(in)
	if strings.EqualFold(in.Resource, azureManagement) {
		app, azure = "Azure's management interface", true
	}
	switch {
	case s.SecurityDefaults == nil:
		f.Effect, f.Why = NotKnown, "whether Security Defaults are on could not be read: "+s.Reason(PartSecurityDefaults, "")
	case !*s.SecurityDefaults:
		f.Why = "Security Defaults are off"
	case a.Synchronises():
		f.Why = "Security Defaults are on, but leave the account that synchronises the directory alone"
	case in.flow().legacy():
		f.Effect, f.Code, f.Controls = Blocks, codeDefaultsBlock, []string{"block"}
		f.Why = "Security Defaults are on and refuse legacy protocols, app passwords included"
	case privileged >= 0:
		f.demand(a, in, "Security Defaults are on, and the account holds the role %s: MFA is asked for at every sign-in", a.Roles[privileged].Name)
	case azure:
		f.demand(a, in, "Security Defaults are on and ask everybody who uses %s for MFA", app)
	case registered != nil && !*registered:
		f.demand(a, in, "Security Defaults are on, and the account has no second factor registered: registration is required")
	case a.Roles == nil || registered == nil:
		f.Effect, f.Why = NotKnown, "Security Defaults are on, but the account's roles or methods could not be read"
	case in.MFA:
		f.Why = "Security Defaults are on, and a second factor was given"
	default:
		f.Effect, f.Why = MayDemand, "Security Defaults are on: this account holds no administrator role, so MFA is asked for only when Microsoft sees a reason"
	}
	return f
}

// perUser: enforced accounts need an app password in legacy protocols, enabled
// ones only once they have registered (conditional-access-evaluation §7).
func (s *Snapshot) perUser(a Account, in SignIn) Finding {
	f := Finding{Rule: Rule(diagnosis.PerUserMFA), Effect: DoesNot}
	registered := a.Registered()
	enforced := a.PerUserMFA == "enforced" || a.PerUserMFA == "enabled" && registered != nil && *registered
	switch {
	case a.PerUserMFA == "":
		f.Effect, f.Why = NotKnown, "the per-user MFA state could not be read: "+s.Reason(PartPerUserMFA, a.UPN)
	case a.PerUserMFA == "disabled":
		f.Why = "per-user MFA is disabled for the account"
	case in.flow() == FlowAppPassword:
		f.Why = "per-user MFA is " + a.PerUserMFA + " for the account; an app password goes past it in legacy protocols"
	case in.flow().legacy() && enforced:
		f.Effect, f.Controls = Blocks, mfaOnly
		f.Why = "per-user MFA is " + a.PerUserMFA + " for the account: legacy protocols refuse its password and take only an app password"
	case in.flow().legacy():
		f.Effect, f.Why = DoesNot, "per-user MFA is enabled for the account; until somebody registers a second factor, legacy protocols take its password"
	default:
		f.demand(a, in, "per-user MFA is %s for the account", a.PerUserMFA)
	}
	return f
}

func mandatory(a Account, in SignIn) Finding {
	f := Finding{Rule: Rule(diagnosis.MandatoryMFA), Effect: DoesNot}
	if app, ok := mandatoryApp(in); ok && !in.flow().legacy() {
		f.demand(a, in, "Microsoft demands MFA of every person who signs in with %s; no tenant setting removes that", app)
	} else {
		f.Why = "the app is not one that Microsoft's mandatory MFA covers"
	}
	return f
}
