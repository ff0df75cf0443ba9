package pcsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// consenting are the roles in the customer's tenant of which the caller needs
// one (entra-sign-in §9.4; GDAP frequently asked questions): Global, Privileged
// Role, Cloud Application and Application Administrator.
var consenting = []string{"62e90394-69f5-4237-9190-012177145e10", "e8611ab8-c189-46e8-94e1-60213ab1f814", "158c047a-c907-4556-b7ef-446551a6b5f7", "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"}

// most is how many APIs one consent may name.
const most = 50

// grant is what an app shall be allowed on one API.
type grant struct {
	EnterpriseApplicationID string `json:"enterpriseApplicationId"`
	Scope                   string `json:"scope"` // values with commas or blanks between
}

// consent grants delegated permissions to an app in a customer's tenant, for
// everybody there. Its service principal is made if it is missing.
func (r *request) consent(customer string) (int, map[string]any, *fault) {
	var body struct {
		ApplicationID     string  `json:"applicationId"`
		DisplayName       string  `json:"displayName"`
		ApplicationGrants []grant `json:"applicationGrants"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(r.writer, r.http.Body, maxBody)).Decode(&body); err != nil {
		return 0, nil, refuse(http.StatusBadRequest, 400, "The body is no application consent.")
	}
	if body.ApplicationID == "" || len(body.ApplicationGrants) == 0 || len(body.ApplicationGrants) > most {
		return 0, nil, refuse(http.StatusBadRequest, 400, "applicationId and applicationGrants must be given.")
	}
	if refused := r.mayConsent(customer); refused != nil {
		return 0, nil, refused
	}
	if !strings.EqualFold(body.ApplicationID, r.claims.AppID) { // GDAP frequently asked questions
		return 0, nil, refuse(http.StatusBadRequest, 400, "applicationId must be the application that the access token was issued to.")
	}
	now := r.server.cfg.Store.Now()
	var refused *fault
	r.server.cfg.Store.Update(customer, func(t *directory.Tenant) {
		refused = give(t, body.ApplicationID, body.ApplicationGrants, now)
	})
	if refused != nil {
		return 0, nil, refused
	}
	grants := []any{}
	for _, g := range body.ApplicationGrants {
		grants = append(grants, map[string]any{"enterpriseApplicationId": g.EnterpriseApplicationID, "scope": g.Scope})
	}
	return http.StatusCreated, map[string]any{"applicationId": body.ApplicationID, "displayName": body.DisplayName, "applicationGrants": grants}, nil
}

// give writes the grants, all or none.
func give(t *directory.Tenant, client string, grants []grant, now time.Time) *fault {
	app := t.App(client)
	if app == nil || !app.MultiTenant && t.Owner(client) != t.ID {
		return refuse(http.StatusBadRequest, 400, "No multi-tenant application has the id "+clip(client)+".")
	}
	type granted struct {
		resource *directory.Principal
		scopes   []string
	}
	var list []granted
	for _, g := range grants {
		resource, principal := t.Resource(g.EnterpriseApplicationID), t.Principal(g.EnterpriseApplicationID)
		if resource == nil || principal == nil {
			return refuse(http.StatusBadRequest, 400, "The customer has no enterprise application "+clip(g.EnterpriseApplicationID)+".")
		}
		one := granted{resource: principal}
		for _, value := range strings.FieldsFunc(g.Scope, func(c rune) bool { return c == ',' || c == ' ' }) {
			scope, ok := resource.Scope(value)
			if !ok {
				return refuse(http.StatusBadRequest, 400, resource.Name+" has no permission "+clip(value)+".")
			}
			one.scopes = append(one.scopes, scope.Value)
		}
		if len(one.scopes) == 0 {
			return refuse(http.StatusBadRequest, 400, "A grant names no scope.")
		}
		list = append(list, one)
	}
	if p := t.Principal(client); p != nil {
		for _, one := range list {
			if slices.ContainsFunc(t.Grants, func(g *directory.Grant) bool {
				return g.Client == p.ID && g.Resource == one.resource.ID && g.User == ""
			}) {
				return refuse(http.StatusConflict, 409, "Permission entry already exists.")
			}
		}
	}
	p := t.Install(client, now)
	for _, one := range list {
		t.GrantScopes(p.ID, one.resource.ID, "", one.scopes)
	}
	return nil
}

// withdraw takes back what was granted for everybody.
func (r *request) withdraw(customer, client string) (int, map[string]any, *fault) {
	if refused := r.mayConsent(customer); refused != nil {
		return 0, nil, refused
	}
	found := false
	r.server.cfg.Store.Update(customer, func(t *directory.Tenant) {
		p := t.Principal(client)
		if p == nil {
			return
		}
		kept := []*directory.Grant{} // readers may hold the old list
		for _, g := range t.Grants {
			if g.Client == p.ID && g.User == "" {
				found = true
				continue
			}
			kept = append(kept, g)
		}
		t.Grants = kept
	})
	if !found {
		return 0, nil, refuse(http.StatusNotFound, 404, "The customer has not consented to the application.")
	}
	return http.StatusNoContent, nil, nil
}

// mayConsent reports whether the caller may consent for a customer: an admin
// agent of a partner whose relationship goes on, with one of the roles there.
func (r *request) mayConsent(customer string) *fault {
	if refused := r.agent(); refused != nil {
		return refused
	}
	var groups []string
	r.server.cfg.Store.View(r.partner, func(t *directory.Tenant) { groups = t.GroupsOf(r.claims.ObjectID) })
	now := r.server.cfg.Store.Now()
	related, allowed := false, false
	r.server.cfg.Store.View(customer, func(t *directory.Tenant) {
		p, ok := partnership(t, r.partner, now)
		related = ok && strings.EqualFold(t.ID, customer) // by id, not by domain
		for group, roles := range p.Access {
			if slices.Contains(groups, group) && slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(consenting, role) }) {
				allowed = true
			}
		}
	})
	switch {
	case !related:
		return noCustomer()
	case !allowed:
		return refuse(http.StatusForbidden, 403, "The delegated administration does not give the user a role in the customer's tenant that may consent.")
	}
	return nil
}

// clip keeps a caller's text from filling an answer.
func clip(s string) string {
	const longest = 120
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}
