// Package posture knows which of a tenant's rules ask for MFA: it takes a
// [Snapshot] of them from Graph and says what each means for one sign-in. The
// four enforcers are told apart: Security Defaults, per-user MFA, mandatory
// MFA and Conditional Access (entra-sign-in §11).
//
// What could not be read is in the snapshot as unread, with the reason; it is
// never taken for "no".
package posture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
)

// Format is the version of the snapshot's JSON form.
const Format = 1

// Snapshot is what a reader saw of a tenant's MFA rules at one moment.
type Snapshot struct {
	Format     int       `json:"format"`
	TakenAt    time.Time `json:"taken_at"`
	TenantID   string    `json:"tenant_id"`
	TenantName string    `json:"tenant_name"`
	Domains    []string  `json:"domains"`
	// Premium: the tenant has Entra ID P1. Nil where it could not be read.
	Premium          *bool          `json:"entra_id_p1"`
	SecurityDefaults *bool          `json:"security_defaults"`
	Policies         []graph.Policy `json:"conditional_access"` // nil where they could not be read
	Accounts         []Account      `json:"accounts"`
	Unread           []Unread       `json:"unread"`
}

// Account is what the rules look at of one user.
type Account struct {
	ID         string   `json:"id"`
	UPN        string   `json:"upn"`
	Name       string   `json:"name"`
	Type       string   `json:"type"`    // Member or Guest
	Enabled    *bool    `json:"enabled"` // nil where it could not be read
	Synced     bool     `json:"synced"`
	JobTitle   string   `json:"job_title"`
	Plans      []string `json:"service_plans"` // enabled service plans, by service name
	Roles      []Role   `json:"roles"`         // directory roles; nil where they could not be read
	PerUserMFA string   `json:"per_user_mfa"`  // disabled, enabled, enforced; "" where it could not be read
	Methods    []string `json:"methods"`       // kinds of methods but the password; nil where they could not be read
}

// Role is a directory role.
type Role struct {
	ID   string `json:"id"` // template id
	Name string `json:"name"`
}

// Unread is a part of the posture that could not be read.
type Unread struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// Parts of a snapshot, as [Unread] names them.
const (
	PartTenant           = "tenant"
	PartLicences         = "licences"
	PartSecurityDefaults = "security_defaults"
	PartPolicies         = "conditional_access"
	PartAccount          = "account"
	PartRoles            = "roles"
	PartPerUserMFA       = "per_user_mfa"
	PartMethods          = "methods"
)

// Load reads a snapshot with the accounts named. It asks Graph one call a
// kind, and four for each account. Parts that are refused are unread; only an
// unreachable Graph or a refused token is an error.
func Load(ctx context.Context, client *graph.Client, now time.Time, accounts ...string) (*Snapshot, error) {
	s := &Snapshot{Format: Format, TakenAt: now.UTC(), Domains: []string{}, Accounts: []Account{}, Unread: []Unread{}}
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
	skus, err := graph.List[graph.SubscribedSKU](ctx, client, "/v1.0/subscribedSkus")
	if !s.unread(PartLicences, err) {
		premium := slices.ContainsFunc(skus, hasP1)
		s.Premium = &premium
	}
	var defaults graph.SecurityDefaults
	err = client.Get(ctx, "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", &defaults)
	if err == nil && defaults.IsEnabled == nil {
		err = errors.New("the answer has no isEnabled")
	}
	s.unread(PartSecurityDefaults, err)
	s.SecurityDefaults = defaults.IsEnabled
	policies, err := graph.List[graph.Policy](ctx, client, "/v1.0/identity/conditionalAccess/policies")
	if !s.unread(PartPolicies, err) {
		s.Policies = append([]graph.Policy{}, policies...)
	}
	for _, name := range accounts {
		s.account(ctx, client, name)
	}
	return s, ctx.Err()
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
	s.Unread = append(s.Unread, Unread{part, err.Error()})
	return true
}

// hasP1 decides by service plan, as dozens of products carry it
// (graph-mfa-posture §9).
func hasP1(sku graph.SubscribedSKU) bool {
	const p1 = "41781fb2-bc02-4b7c-bd55-b576c07bb09d"
	return (sku.CapabilityStatus == "Enabled" || sku.CapabilityStatus == "Warning") &&
		slices.ContainsFunc(sku.ServicePlans, func(p graph.ServicePlan) bool { return p.ServicePlanID == p1 && p.ProvisioningStatus == "Success" })
}

func (s *Snapshot) account(ctx context.Context, client *graph.Client, name string) {
	key := graph.PathKey(name)
	var u graph.User
	if s.unread(PartAccount+" "+name, client.Get(ctx, "/v1.0/users/"+key+"?$select="+graph.UserSelect, &u)) {
		return
	}
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
	objects, err := graph.List[graph.DirectoryObject](ctx, client, "/v1.0/users/"+u.ID+"/transitiveMemberOf")
	if !s.unread(PartRoles+" "+name, err) {
		a.Roles = []Role{}
		for _, o := range objects {
			if o.Type == graph.TypeDirectoryRole && o.RoleTemplateID != nil {
				role := Role{ID: *o.RoleTemplateID}
				if o.DisplayName != nil {
					role.Name = *o.DisplayName
				}
				a.Roles = append(a.Roles, role)
			}
		}
	}
	var requirements graph.Requirements
	if !s.unread(PartPerUserMFA+" "+name, client.Get(ctx, "/beta/users/"+u.ID+"/authentication/requirements", &requirements)) {
		a.PerUserMFA = requirements.PerUserMFAState
	}
	methods, err := graph.List[graph.AuthenticationMethod](ctx, client, "/v1.0/users/"+u.ID+"/authentication/methods")
	if !s.unread(PartMethods+" "+name, err) {
		a.Methods = []string{}
		for _, m := range methods {
			if kind := methodKind(m.Type); kind != "password" {
				a.Methods = append(a.Methods, kind)
			}
		}
	}
	s.Accounts = append(s.Accounts, a)
}

// methodKind shortens "#microsoft.graph.fido2AuthenticationMethod" to "fido2".
func methodKind(odataType string) string {
	kind := odataType[strings.LastIndexByte(odataType, '.')+1:]
	return strings.TrimSuffix(kind, "AuthenticationMethod")
}

// Account finds an account of the snapshot by user principal name or id.
func (s *Snapshot) Account(name string) (Account, bool) {
	for _, a := range s.Accounts {
		if strings.EqualFold(a.UPN, name) || strings.EqualFold(a.ID, name) {
			return a, true
		}
	}
	return Account{}, false
}

// Reason gives why a part of an account ("" for the tenant's own parts) could
// not be read.
func (s *Snapshot) Reason(part, account string) string {
	if account != "" {
		part += " " + account
	}
	for _, u := range s.Unread {
		if strings.EqualFold(u.Part, part) {
			return u.Reason
		}
	}
	return ""
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
	var s Snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	if s.Format != Format || s.TakenAt.IsZero() {
		return nil, fmt.Errorf("reading the snapshot: format is %d, this version reads %d; take a new one with 'gatehouse posture snapshot'", s.Format, Format)
	}
	return &s, nil
}
