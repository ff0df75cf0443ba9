package posture

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/diagnosis"
)

// Effect is what an enforcer does to a sign-in.
type Effect string

// The effects, strongest first.
const (
	Demands   Effect = "demands"    // MFA or registration is asked for at every sign-in
	MayDemand Effect = "may_demand" // asked for when Microsoft judges it necessary
	DoesNot   Effect = "does_not"   // lets the sign-in through
	NotKnown  Effect = "unknown"    // a part that decides could not be read
)

// Finding is what one enforcer means for a sign-in, with the reason.
type Finding struct {
	Rule   diagnosis.Rule `json:"rule"`
	Effect Effect         `json:"effect"`
	Why    string         `json:"why"`
}

// SignIn is the sign-in that the enforcers are asked about: a user with a
// password, through an app.
type SignIn struct {
	ClientID string
}

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

// Enforcers says what each of the four enforcers means for a sign-in of an
// account, in the order in which they would have to be dealt with: the one that
// covers the whole tenant, the account's own, Microsoft's own, and Conditional
// Access.
func (s *Snapshot) Enforcers(a Account, in SignIn) []Finding {
	return []Finding{s.securityDefaults(a, in), s.perUser(a), mandatory(in), s.conditionalAccess()}
}

func (s *Snapshot) securityDefaults(a Account, in SignIn) Finding {
	f := Finding{Rule: Rule(diagnosis.SecurityDefaults)}
	registered := a.Registered()
	privileged := slices.IndexFunc(a.Roles, func(r Role) bool { return slices.Contains(defaultsRoles, strings.ToLower(r.ID)) })
	app, azure := mandatoryApps[in.ClientID]
	switch {
	case s.SecurityDefaults == nil:
		f.Effect, f.Why = NotKnown, "whether Security Defaults are on could not be read: "+s.Reason(PartSecurityDefaults, "")
	case !*s.SecurityDefaults:
		f.Effect, f.Why = DoesNot, "Security Defaults are off"
	case privileged >= 0:
		f.Effect, f.Why = Demands, fmt.Sprintf("Security Defaults are on, and the account holds the role %s: MFA is asked for at every sign-in", a.Roles[privileged].Name)
	case azure:
		f.Effect, f.Why = Demands, fmt.Sprintf("Security Defaults are on and ask everybody who uses %s for MFA", app)
	case registered != nil && !*registered:
		f.Effect, f.Why = Demands, "Security Defaults are on, and the account has no second factor registered: registration is required"
	case a.Roles == nil || registered == nil:
		f.Effect, f.Why = NotKnown, "Security Defaults are on, but the account's roles or methods could not be read"
	default:
		f.Effect, f.Why = MayDemand, "Security Defaults are on: this account holds no administrator role, so MFA is asked for only when Microsoft sees a reason"
	}
	return f
}

func (s *Snapshot) perUser(a Account) Finding {
	f := Finding{Rule: Rule(diagnosis.PerUserMFA)}
	switch a.PerUserMFA {
	case "":
		f.Effect, f.Why = NotKnown, "the per-user MFA state could not be read: "+s.Reason(PartPerUserMFA, a.UPN)
	case "disabled":
		f.Effect, f.Why = DoesNot, "per-user MFA is disabled for the account"
	default:
		f.Effect, f.Why = Demands, "per-user MFA is "+a.PerUserMFA+" for the account"
	}
	return f
}

func mandatory(in SignIn) Finding {
	f := Finding{Rule: Rule(diagnosis.MandatoryMFA)}
	if app, ok := mandatoryApps[in.ClientID]; ok {
		f.Effect, f.Why = Demands, fmt.Sprintf("Microsoft demands MFA of every person who signs in with %s; no tenant setting removes that", app)
	} else {
		f.Effect, f.Why = DoesNot, "the app is not one that Microsoft's mandatory MFA covers"
	}
	return f
}

func (s *Snapshot) conditionalAccess() Finding {
	f := Finding{Rule: Rule(diagnosis.ConditionalAccess)}
	enabled := 0
	for _, p := range s.Policies {
		if p.State == "enabled" {
			enabled++
		}
	}
	switch {
	case s.Policies == nil:
		f.Effect, f.Why = NotKnown, "the Conditional Access policies could not be read: "+s.Reason(PartPolicies, "")
	case enabled == 0:
		f.Effect, f.Why = DoesNot, "no Conditional Access policy is enabled"
	default:
		f.Effect, f.Why = NotKnown, fmt.Sprintf("%d Conditional Access policies are enabled; this version does not evaluate them", enabled)
	}
	return f
}

// MandatoryApp reports whether mandatory MFA covers an app.
func MandatoryApp(clientID string) bool { return mandatoryApps[clientID] != "" }
