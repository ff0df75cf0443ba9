package posture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
)

// Want says whom a snapshot is to hold beside the tenant's own rules.
type Want struct {
	Accounts []string // user principal names or ids
	Apps     []string // client ids
	// Report is the registration report where somebody has read it already, or
	// decided not to; nil lets it be asked for each account.
	Report *Report
}

// tenantPart is what a snapshot holds of the tenant itself. It is never changed
// once it is read.
type tenantPart struct {
	snapshot    Snapshot
	assignments []graph.RoleAssignment // nil where they could not be read
}

// Load reads a snapshot: one list a kind, and six calls for each account. Parts
// that are refused are unread; only an unreachable Graph or a refused token is
// an error. The client should have a pace.Governor.
func Load(ctx context.Context, client *graph.Client, now time.Time, want Want) (*Snapshot, error) {
	t, err := loadTenant(ctx, client, now)
	if err != nil {
		return nil, err
	}
	return t.with(ctx, client, want)
}

// with adds accounts and apps to a copy of the tenant's part.
func (t *tenantPart) with(ctx context.Context, client *graph.Client, want Want) (*Snapshot, error) {
	s := t.snapshot
	s.Accounts, s.Apps, s.Unread = []Account{}, []App{}, slices.Clone(t.snapshot.Unread)
	for _, name := range want.Accounts {
		s.readAccount(ctx, client, name, t.assignments, want.Report)
	}
	for _, id := range want.Apps {
		s.readApp(ctx, client, id)
	}
	return &s, context.Cause(ctx)
}

// loadTenant reads the tenant's own part. Conditional Access, which Graph lets
// read only slowly, is read beside the rest.
func loadTenant(ctx context.Context, client *graph.Client, now time.Time) (*tenantPart, error) {
	t := &tenantPart{snapshot: Snapshot{Format: Format, TakenAt: now.UTC(), Domains: []string{}, Unread: []Unread{}, compiled: &compiled{}}}
	s := &t.snapshot
	organizations, err := graph.List[graph.Organization](ctx, client, "/v1.0/organization")
	if err != nil && fatal(err) {
		return nil, err
	}
	if !s.unread(PartTenant, err) && len(organizations) > 0 {
		s.TenantID, s.TenantName = organizations[0].ID, organizations[0].DisplayName
		for _, d := range organizations[0].VerifiedDomains {
			s.Domains = append(s.Domains, d.Name)
		}
	}
	var policies Snapshot
	var reading sync.WaitGroup
	reading.Go(func() { policies.readPolicies(ctx, client) })
	skus, err := graph.List[graph.SubscribedSKU](ctx, client, "/v1.0/subscribedSkus")
	if !s.unread(PartLicences, err) {
		s.Licences = append([]graph.SubscribedSKU{}, skus...)
	}
	s.readSecurityDefaults(ctx, client)
	s.Strengths = s.list(ctx, client, PartStrengths, "/v1.0/policies/authenticationStrengthPolicies")
	s.Contexts = s.list(ctx, client, PartContexts, "/v1.0/identity/conditionalAccess/authenticationContextClassReferences")
	assignments, err := graph.List[graph.RoleAssignment](ctx, client, "/v1.0/roleManagement/directory/roleAssignments?$expand=roleDefinition")
	if !s.unread(PartAssignments, err) {
		t.assignments = append([]graph.RoleAssignment{}, assignments...)
	}
	reading.Wait()
	s.Policies, s.Locations, s.Unread = policies.Policies, policies.Locations, append(s.Unread, policies.Unread...)
	s.passing = s.passing || policies.passing
	return t, context.Cause(ctx)
}

// fatal tells an error after which no other call can succeed.
func fatal(err error) bool {
	var e *microsoft.Error
	return !errors.As(err, &e) || e.Status == 0 || e.Status == 401 || e.Service == microsoft.ServiceLogin
}

func (s *Snapshot) unread(part string, err error) bool {
	if err == nil {
		return false
	}
	var e *microsoft.Error
	s.passing = s.passing || !errors.As(err, &e) || e.Status == 0 || e.Status == 429 || e.Status >= 500
	s.Unread = append(s.Unread, Unread{part, err.Error()})
	return true
}

// list reads a collection as Graph gives it; nil where it cannot be read.
func (s *Snapshot) list(ctx context.Context, client *graph.Client, part, path string) []json.RawMessage {
	values, err := graph.List[json.RawMessage](ctx, client, path)
	if s.unread(part, err) {
		return nil
	}
	return append([]json.RawMessage{}, values...)
}

// readPolicies reads policies and, where one of them looks at the place of a
// sign-in, the named locations.
func (s *Snapshot) readPolicies(ctx context.Context, client *graph.Client) {
	policies, err := graph.List[graph.Policy](ctx, client, "/v1.0/identity/conditionalAccess/policies")
	if s.unread(PartPolicies, err) {
		return
	}
	s.Policies = append([]graph.Policy{}, policies...)
	if slices.ContainsFunc(s.Policies, namesLocations) {
		s.Locations = s.list(ctx, client, PartLocations, "/v1.0/identity/conditionalAccess/namedLocations")
	}
}

// namesLocations reports whether a policy has a condition on locations, going
// by the text alone: too many is better than too few.
func namesLocations(p graph.Policy) bool {
	var members struct {
		Conditions struct {
			Locations json.RawMessage `json:"locations"`
		} `json:"conditions"`
	}
	if json.Unmarshal(p.Raw, &members) != nil {
		return true
	}
	value := bytes.TrimSpace(members.Conditions.Locations)
	return len(value) > 0 && string(value) != "null"
}

func (s *Snapshot) readSecurityDefaults(ctx context.Context, client *graph.Client) {
	var defaults graph.SecurityDefaults
	err := client.Get(ctx, "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", &defaults)
	if err == nil && defaults.IsEnabled == nil {
		err = errors.New("the answer has no isEnabled")
	}
	s.unread(PartSecurityDefaults, err)
	s.SecurityDefaults = defaults.IsEnabled
}

func (s *Snapshot) readAccount(ctx context.Context, client *graph.Client, name string, assignments []graph.RoleAssignment, report *Report) {
	var u graph.User
	if s.unread(PartAccount+" "+name, client.Get(ctx, "/v1.0/users/"+graph.PathKey(name)+"?$select="+graph.ExternalSelect, &u)) {
		return
	}
	a := newAccount(u)
	path := "users/" + graph.PathKey(u.ID)
	objects, err := graph.List[graph.DirectoryObject](ctx, client, "/v1.0/"+path+"/transitiveMemberOf")
	if !s.unread(PartMemberships+" "+name, err) {
		a.memberships(objects, assignments)
	}
	var requirements graph.Requirements
	if !s.unread(PartPerUserMFA+" "+name, client.Get(ctx, "/beta/"+path+"/authentication/requirements", &requirements)) {
		a.PerUserMFA = requirements.PerUserMFAState
	}
	methods, err := graph.List[graph.AuthenticationMethod](ctx, client, "/v1.0/"+path+"/authentication/methods")
	if !s.unread(PartMethods+" "+name, err) {
		a.Methods = []string{}
		for _, m := range methods {
			if kind := methodKind(m.Type); kind != "password" {
				a.Methods = append(a.Methods, kind)
			}
		}
	}
	var preferences graph.Preferences
	if !s.unread(PartPreferences+" "+name, client.Get(ctx, "/beta/"+path+"/authentication/signInPreferences", &preferences)) {
		a.DefaultMethod, a.SystemPreferred = &preferences.Method, preferences.SystemPreferred
	}
	s.readCapable(ctx, client, name, &a, report)
	s.Accounts = append(s.Accounts, a)
}

// readCapable asks the registration report, which exists only with a licence.
func (s *Snapshot) readCapable(ctx context.Context, client *graph.Client, name string, a *Account, report *Report) {
	if premium := s.Premium(); premium != nil && !*premium {
		s.Unread = append(s.Unread, Unread{PartCapable + " " + name, "the registration report needs Entra ID P1, which the tenant does not have"})
		return
	}
	if report != nil {
		if a.Capable = report.of(a.ID); a.Capable == nil {
			s.Unread = append(s.Unread, Unread{PartCapable + " " + name, report.Without})
		}
		return
	}
	var details graph.RegistrationDetails
	if !s.unread(PartCapable+" "+name, client.Get(ctx, "/v1.0/reports/authenticationMethods/userRegistrationDetails/"+graph.PathKey(a.ID), &details)) {
		a.Capable = &details.IsMFACapable
	}
}

func newAccount(u graph.User) Account {
	a := Account{ID: u.ID, UPN: u.UserPrincipalName, Name: u.DisplayName, Type: "Member", Enabled: u.AccountEnabled, Plans: []string{}}
	if u.UserType != nil {
		a.Type = *u.UserType
	}
	if u.JobTitle != nil {
		a.JobTitle = *u.JobTitle
	}
	a.Synced = u.OnPremisesSyncEnabled != nil && *u.OnPremisesSyncEnabled
	for _, plan := range u.AssignedPlans {
		if plan.CapabilityStatus == "Enabled" && !slices.Contains(a.Plans, plan.Service) {
			a.Plans = append(a.Plans, plan.Service)
		}
	}
	guest := strings.EqualFold(a.Type, "Guest")
	name, _, invited := strings.Cut(a.UPN, "#EXT#")
	invited = invited || u.ExternalUserState != nil && *u.ExternalUserState != "" || u.CreationType != nil && *u.CreationType == "Invitation"
	switch {
	case invited && guest:
		a.GuestType = "b2bCollaborationGuest"
	case invited:
		a.GuestType = "b2bCollaborationMember"
	case guest:
		a.GuestType = "internalGuest"
	}
	if i := strings.LastIndexByte(name, '_'); invited && i >= 0 && name != a.UPN {
		a.HomeDomain = name[i+1:] // dana_fabrikam.example#EXT#@contoso.onmicrosoft.com
	}
	return a
}

// memberships sorts what the account belongs to into groups and roles. Role
// assignments tell the scope; a role that none of them explains is taken to
// hold for the whole tenant, as the directory's list of memberships leaves out
// those of administrative units.
func (a *Account) memberships(objects []graph.DirectoryObject, assignments []graph.RoleAssignment) {
	a.Groups, a.Roles = []Group{}, []Role{}
	principals := []string{a.ID}
	var listed []Role
	for _, o := range objects {
		name := ""
		if o.DisplayName != nil {
			name = *o.DisplayName
		}
		switch {
		case o.Type == graph.TypeGroup:
			a.Groups = append(a.Groups, Group{o.ID, name})
			principals = append(principals, o.ID)
		case o.Type == graph.TypeDirectoryRole && o.RoleTemplateID != nil:
			listed = append(listed, Role{ID: *o.RoleTemplateID, Name: name, Scope: "/"})
		}
	}
	for _, given := range assignments {
		if !slices.ContainsFunc(principals, func(id string) bool { return strings.EqualFold(id, given.PrincipalID) }) {
			continue
		}
		role := Role{ID: given.RoleDefinitionID, Scope: scopeOf(given)}
		if d := given.RoleDefinition; d != nil {
			role.Name, role.Custom = d.DisplayName, d.IsBuiltIn != nil && !*d.IsBuiltIn
		}
		if !slices.Contains(a.Roles, role) {
			a.Roles = append(a.Roles, role)
		}
	}
	for _, role := range listed {
		if !slices.ContainsFunc(a.Roles, func(have Role) bool { return strings.EqualFold(have.ID, role.ID) }) {
			a.Roles = append(a.Roles, role)
		}
	}
}

func scopeOf(a graph.RoleAssignment) string {
	switch {
	case a.AppScopeID != nil && *a.AppScopeID != "" && *a.AppScopeID != "/":
		return *a.AppScopeID
	case a.DirectoryScopeID != nil:
		return *a.DirectoryScopeID
	}
	return ""
}

// methodKind shortens "#microsoft.graph.fido2AuthenticationMethod" to "fido2".
func methodKind(odataType string) string {
	kind := odataType[strings.LastIndexByte(odataType, '.')+1:]
	return strings.TrimSuffix(kind, "AuthenticationMethod")
}

func (s *Snapshot) readApp(ctx context.Context, client *graph.Client, id string) {
	var sp graph.ServicePrincipal
	if s.unread(PartApp+" "+id, client.Get(ctx, "/v1.0/servicePrincipals(appId='"+graph.PathKey(id)+"')", &sp)) {
		return
	}
	a := App{ID: sp.ID, ClientID: sp.AppID, Name: sp.DisplayName, Type: sp.ServicePrincipalType, Enabled: sp.AccountEnabled}
	if sp.AppOwnerOrganizationID != nil {
		a.OwnerTenant = *sp.AppOwnerOrganizationID
	}
	s.Apps = append(s.Apps, a)
}
