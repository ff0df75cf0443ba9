package tenant

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// SwitchName names what a tenant consents to.
type SwitchName string

// The switches.
const (
	Diagnose SwitchName = "diagnose"
	Connect  SwitchName = "connect"
	Verify   SwitchName = "verify"
	Repair   SwitchName = "repair"
)

// SwitchState is how far a consent has come.
type SwitchState string

// The states of a switch.
const (
	Off     SwitchState = "off"
	Pending SwitchState = "pending" // begun here, not yet consented to there
	On      SwitchState = "on"
	Broken  SwitchState = "broken" // consented to, and does not work (any more)
)

// Permission is one permission in plain words.
type Permission struct {
	Name  string // as Microsoft names it
	Words string // what it lets Gatehouse do
}

// Switch is one consent of a tenant with all that an administrator should know
// before giving it.
type Switch struct {
	Name        SwitchName
	State       SwitchState
	ConsentedBy string
	ConsentedAt *time.Time
	Reason      string // why it is broken

	Purpose     string
	Permissions []Permission
	WhoConsents string
	Stays       string // what stays in the tenant
	Remove      string // how to take it back
	// Available: this release can be switched to it.
	Available bool
}

// adminRoles may consent to application permissions of Microsoft Graph
// (permissions-by-service §1): Cloud Application Administrators may not.
const adminRoles = "A Global Administrator or Privileged Role Administrator of the tenant itself; a partner's delegated administrator cannot."

// catalogue says what each switch is. Each permission is the least with which
// its call can be made (graph-mfa-posture §1–9).
var catalogue = []Switch{
	{
		Name: Diagnose, Available: true,
		Purpose: "Read which of the tenant's rules ask for MFA or refuse a sign-in, so that a refusal can be explained by the rule behind it. Nothing is changed.",
		Permissions: []Permission{
			{"Policy.Read.All", "read Conditional Access policies, named locations, Security Defaults and per-user MFA"},
			{"User.Read.All", "read the state and licences of the accounts that software uses"},
			{"GroupMember.Read.All", "read which groups these accounts belong to"},
			{"RoleManagement.Read.Directory", "read which directory roles these accounts hold"},
			{"UserAuthenticationMethod.Read.All", "read which kinds of second factors are registered"},
			{"AuditLog.Read.All", "find a refused sign-in in the sign-in log"},
			{"Application.Read.All", "read an app's state and when its credentials end"},
			{"Organization.Read.All", "read the tenant's name, domains and licences"},
		},
		WhoConsents: adminRoles,
		Stays:       "An app registration with a certificate's public half, and the consented read permissions. The key stays in Gatehouse.",
		Remove:      "Remove the reader here, then delete its app registration in the Microsoft Entra admin centre (Entra ID > App registrations).",
	},
	{
		Name: Connect, Available: true,
		Purpose: "Let software reach services of the tenant through connections: for people who signed in, through an app registration that is shared by many tenants (delegated), or through an app of the tenant's own (app).",
		Permissions: []Permission{
			{"delegated: as the app registration's manifest says", "only what the person who signed in may do themselves; offline_access lets the connection live on between sign-ins"},
			{"application: as the services of each connection need", "listed with each connection; for SharePoint sites one by one Sites.Selected, for Business Central API.ReadWrite.All"},
		},
		WhoConsents: "For delegated permissions a Global Administrator, Cloud Application Administrator or Application Administrator of the tenant itself, on behalf of the organization; a partner's delegated administrator cannot. For application permissions of Microsoft Graph a Global Administrator or Privileged Role Administrator.",
		Stays:       "Delegated: an enterprise application of the shared registration, with the consented permissions; the refresh tokens of those who signed in are sealed in Gatehouse. App: an app registration for each connection, with the permissions of its services and a certificate's public half.",
		Remove:      "Delegated: delete the app under Enterprise applications in the Microsoft Entra admin centre, which ends every sign-in through it, and remove the connections here. App: remove the connection here, then delete its app registration.",
	},
	{
		Name:        Verify,
		Purpose:     "Ask a person of the tenant to show, with the tenant's own MFA, that they are who they say.",
		Permissions: []Permission{{"openid, profile", "let a person sign in and see who did"}, {"UserAuthenticationMethod.Read.All", "look which methods a person has before asking"}},
		WhoConsents: adminRoles + " The tenant needs Entra ID P1.",
		Stays:       "An app registration with the consented permissions.",
		Remove:      "Switch it off here, then delete the app registration in the Microsoft Entra admin centre.",
	},
	{
		Name:        Repair,
		Purpose:     "Apply a remedy in the tenant, with an administrator's own sign-in at that moment. No token is kept.",
		Permissions: []Permission{{"as the plan's steps need", "shown with each plan, delegated to the administrator who signs in, and only then"}},
		WhoConsents: "The administrator who applies the plan, with the role that its steps need.",
		Stays:       "The app and the consented delegated permissions, unless the last step of the plan removes them.",
		Remove:      "Let the plan's last step remove the consent, or delete the app under Enterprise applications in the Microsoft Entra admin centre.",
	},
}

// required are the permissions without which a reader cannot do its work.
func required() []string {
	var names []string
	for _, p := range catalogue[0].Permissions {
		names = append(names, p.Name)
	}
	return names
}

// Reads says what the switch [Diagnose] is: what the reader's app registration
// has to hold, and who consents.
func Reads() Switch { return catalogue[0] }

// Erase takes a person's names out of the switches that they set. It is an
// [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	if _, err := tx.NewUpdate().Model((*switchRow)(nil)).Set("consented_by = ''").Where("consented_by IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from switches: %w", err)
	}
	return nil
}

// PermissionDomains lets a reader read how long the passwords of a domain last. It
// does not have to have it.
const PermissionDomains = "Domain.Read.All"
