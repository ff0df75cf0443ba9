package posture

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/microsoft/graph"
)

// Format is the version of the snapshot's JSON form. Format 1, which had
// neither named locations nor group memberships, is refused: what it lacks
// cannot be made up.
const Format = 2

// Snapshot is what a reader saw of a tenant's rules at one moment.
type Snapshot struct {
	Format     int       `json:"format"`
	TakenAt    time.Time `json:"taken_at"`
	TenantID   string    `json:"tenant_id"`
	TenantName string    `json:"tenant_name"`
	Domains    []string  `json:"domains"`
	// Licences are the tenant's; nil where they could not be read.
	Licences         []graph.SubscribedSKU `json:"licences"`
	SecurityDefaults *bool                 `json:"security_defaults"` // nil where it could not be read
	// Policies, locations, strengths and contexts stand here as Graph gave them,
	// with members that nobody here knows. Nil where they could not be read;
	// named locations also where no policy names one.
	Policies  []graph.Policy    `json:"conditional_access_policies"`
	Locations []json.RawMessage `json:"named_locations"`
	Strengths []json.RawMessage `json:"authentication_strengths"`
	Contexts  []json.RawMessage `json:"authentication_contexts"`
	Accounts  []Account         `json:"accounts"`
	Apps      []App             `json:"apps"`
	Unread    []Unread          `json:"unread"`

	passing  bool      // some part was refused for a reason that passes
	compiled *compiled // the policies made ready; shared by copies
}

// Account is what the rules look at of one user.
type Account struct {
	ID   string `json:"id"`
	UPN  string `json:"upn"`
	Name string `json:"name"`
	Type string `json:"type"` // Member or Guest
	// GuestType is Graph's: internalGuest, b2bCollaborationGuest or
	// b2bCollaborationMember; "" for the tenant's own members.
	GuestType string `json:"guest_type"`
	// HomeDomain is the domain of an invited user's own name. Which tenant that
	// is the directory does not say.
	HomeDomain string   `json:"home_domain"`
	Enabled    *bool    `json:"enabled"` // nil where it could not be read
	Synced     bool     `json:"synced"`
	JobTitle   string   `json:"job_title"`
	Plans      []string `json:"service_plans"` // enabled service plans, by service name
	// Groups are direct and nested memberships; nil where they could not be read.
	Groups []Group `json:"groups"`
	// Roles are the active directory roles; nil where they could not be read.
	Roles      []Role `json:"roles"`
	PerUserMFA string `json:"per_user_mfa"` // disabled, enabled, enforced; "" where it could not be read
	// Methods are the kinds of registered methods but the password; nil where
	// they could not be read.
	Methods []string `json:"methods"`
	// DefaultMethod is the chosen second factor (push, oath, sms …), "" where
	// none was chosen. Nil where it could not be read.
	DefaultMethod *string `json:"default_method"`
	// SystemPreferred: Microsoft chooses the strongest method instead.
	SystemPreferred *bool `json:"system_preferred"`
	// Capable: a registered method may be used under the tenant's policy. Nil
	// where the registration report, which needs Entra ID P1, could not be read.
	Capable *bool `json:"mfa_capable"`
}

// Group is a group that an account belongs to.
type Group struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Role is an active directory role.
type Role struct {
	ID   string `json:"id"` // template id; of a custom role its own id
	Name string `json:"name"`
	// Scope is "/" for the whole tenant, else the administrative unit or object.
	Scope string `json:"scope"`
	// Custom: the role is none of Microsoft's.
	Custom bool `json:"custom"`
}

// Counts reports whether the role counts for Conditional Access and Security
// Defaults: only built-in roles held for the whole tenant do
// (conditional-access-evaluation §2.1).
func (r Role) Counts() bool { return r.Scope == "/" && !r.Custom }

// App is a workload identity as the rules see it.
type App struct {
	ID          string `json:"id"` // of the service principal
	ClientID    string `json:"client_id"`
	Name        string `json:"name"`
	Type        string `json:"type"`         // Application, ManagedIdentity, …
	OwnerTenant string `json:"owner_tenant"` // where it is registered; "" where Graph does not say
	Enabled     *bool  `json:"enabled"`
}

// Unread is a part of the posture that could not be read.
type Unread struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// Parts of a snapshot, as [Unread] names them. Parts of an account or app are
// followed by a blank and its name.
const (
	PartTenant           = "tenant"
	PartLicences         = "licences"
	PartSecurityDefaults = "security_defaults"
	PartPolicies         = "conditional_access_policies"
	PartLocations        = "named_locations"
	PartStrengths        = "authentication_strengths"
	PartContexts         = "authentication_contexts"
	PartAssignments      = "role_assignments"
	PartAccount          = "account"
	PartMemberships      = "memberships"
	PartPerUserMFA       = "per_user_mfa"
	PartMethods          = "methods"
	PartPreferences      = "sign_in_preferences"
	PartCapable          = "mfa_capable"
	PartApp              = "app"
)

// Account finds an account of the snapshot by user principal name or id.
func (s *Snapshot) Account(name string) (Account, bool) {
	i := slices.IndexFunc(s.Accounts, func(a Account) bool { return strings.EqualFold(a.UPN, name) || strings.EqualFold(a.ID, name) })
	if i < 0 {
		return Account{}, false
	}
	return s.Accounts[i], true
}

// App finds an app of the snapshot by client id or object id.
func (s *Snapshot) App(id string) (App, bool) {
	i := slices.IndexFunc(s.Apps, func(a App) bool { return strings.EqualFold(a.ClientID, id) || strings.EqualFold(a.ID, id) })
	if i < 0 {
		return App{}, false
	}
	return s.Apps[i], true
}

// Reason gives why a part of an account or app ("" for the tenant's own parts)
// could not be read.
func (s *Snapshot) Reason(part, name string) string {
	if name != "" {
		part += " " + name
	}
	for _, u := range s.Unread {
		if strings.EqualFold(u.Part, part) {
			return u.Reason
		}
	}
	return ""
}

// Premium reports whether the tenant has Entra ID P1, without which Conditional
// Access, the sign-in log and the registration report do not exist. Nil: not
// read. It decides by service plan, as dozens of products carry it
// (graph-mfa-posture §9).
func (s *Snapshot) Premium() *bool {
	if s.Licences == nil {
		return nil
	}
	const p1 = "41781fb2-bc02-4b7c-bd55-b576c07bb09d"
	premium := slices.ContainsFunc(s.Licences, func(sku graph.SubscribedSKU) bool {
		return (sku.CapabilityStatus == "Enabled" || sku.CapabilityStatus == "Warning") &&
			slices.ContainsFunc(sku.ServicePlans, func(p graph.ServicePlan) bool { return p.ServicePlanID == p1 && p.ProvisioningStatus == "Success" })
	})
	return &premium
}

// Registered reports whether a second factor is registered: any method but the
// password and e-mail, which serves only password reset. Nil: not read.
func (a Account) Registered() *bool {
	if a.Methods == nil {
		return nil
	}
	registered := slices.ContainsFunc(a.Methods, func(kind string) bool { return kind != "email" })
	return &registered
}

// directorySync is the role of the accounts that synchronise a directory.
const directorySync = "d29b2b05-8046-44ba-8758-1e26182fcf32"

// Synchronises reports whether the account is one that synchronises a
// directory, which Security Defaults leave alone.
func (a Account) Synchronises() bool {
	return slices.ContainsFunc(a.Roles, func(r Role) bool { return strings.EqualFold(r.ID, directorySync) })
}

// maxSnapshot is the largest snapshot file that is read, in bytes.
const maxSnapshot = 64 << 20

// Read reads a snapshot file.
func Read(r io.Reader) (*Snapshot, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSnapshot+1))
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	if len(data) > maxSnapshot {
		return nil, fmt.Errorf("reading the snapshot: it is larger than %d MB", maxSnapshot>>20)
	}
	// The version first: another one has other members.
	var head struct {
		Format  int       `json:"format"`
		TakenAt time.Time `json:"taken_at"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	if head.Format != Format {
		return nil, fmt.Errorf("reading the snapshot: format is %d, this version reads %d; take a new one with 'gatehouse posture snapshot'", head.Format, Format)
	}
	if head.TakenAt.IsZero() {
		return nil, fmt.Errorf("reading the snapshot: taken_at is missing, so its age is not known; take a new one with 'gatehouse posture snapshot'")
	}
	s := Snapshot{compiled: &compiled{}}
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	return &s, nil
}
