package graphsim

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// patchPrincipal: PATCH /servicePrincipals/{id}.
func patchPrincipal(r *request, p *directory.Principal) (*answer, error) {
	var enabled, required *bool
	var keys *[]sentKey
	var signing *string
	if _, err := r.decode(map[string]any{"accountEnabled": &enabled, "appRoleAssignmentRequired": &required, "keyCredentials": &keys, "preferredTokenSigningKeyThumbprint": &signing}); err != nil {
		return nil, err
	}
	if err := r.owned(p.ClientID, p.CreatedBy, p.Owners); err != nil {
		return nil, err
	}
	certificates := p.Certificates
	if keys != nil {
		var err error
		if certificates, err = r.replaceKeys(*keys, certificates); err != nil {
			return nil, err
		}
	}
	r.updates(core("Update service principal", appManagement), item{servicePrincipalType, p})
	p.Certificates = certificates
	if enabled != nil {
		p.Enabled = *enabled
	}
	if required != nil {
		p.AssignmentRequired = *required
	}
	if signing != nil {
		p.SigningKey = clip(*signing)
	}
	return noContent(), nil
}

// createPrincipal: POST /servicePrincipals brings an app into the tenant.
func createPrincipal(r *request) (*answer, error) {
	var client string
	if _, err := r.decode(map[string]any{"appId": &client}); err != nil {
		return nil, err
	}
	client = strings.ToLower(client)
	app := r.tenant.App(client)
	switch {
	case !isGUID(client):
		return nil, badBody("appId must be the client id of an app, a GUID.")
	case app == nil || !app.MultiTenant && r.tenant.Owner(client) != r.tenant.ID:
		return nil, refuse(http.StatusBadRequest, "Request_BadRequest", "No app that this tenant could use has the client id '%s'.", client)
	case r.tenant.Principal(client) != nil:
		return nil, conflict("The tenant has a service principal of this app already.")
	}
	p := &directory.Principal{ID: directory.RandomID(), ClientID: client, Enabled: true, Created: r.now, CreatedBy: r.claims.AppID}
	if r.server.cfg.Deterministic {
		p.ID = directory.NameID("principal", r.tenant.ID, client)
	}
	r.tenant.AddPrincipal(p)
	r.adds(core("Add service principal", appManagement), item{servicePrincipalType, p})
	return r.created("servicePrincipals", item{servicePrincipalType, p})
}

// addPassword makes a secret on a service principal or a registration.
func (r *request) addPassword(list *[]*directory.Secret) (*answer, error) {
	var wanted struct {
		Name       *string    `json:"displayName"`
		Start      *time.Time `json:"startDateTime"`
		End        *time.Time `json:"endDateTime"`
		Identifier any        `json:"customKeyIdentifier"`
	}
	if len(r.body) > 0 {
		if _, err := r.decode(map[string]any{"passwordCredential": &wanted}); err != nil {
			return nil, err
		}
	}
	// Two years, unless the caller says otherwise ("addPassword").
	start, end, name := r.now, r.now.AddDate(2, 0, 0), ""
	if wanted.Start != nil {
		start = wanted.Start.UTC()
	}
	if wanted.End != nil {
		end = wanted.End.UTC()
	}
	if wanted.Name != nil {
		name = *wanted.Name
	}
	switch {
	case !end.After(start):
		return nil, badBody("endDateTime must lie after startDateTime.")
	case len(name) > 120:
		return nil, badBody("displayName may have 120 characters at most.")
	}
	word := rand.Text() + rand.Text()
	value := word[:5] + "~" + word[5:39] // the shape of Entra's own
	secret := r.server.cfg.Store.NewSecret(directory.RandomID(), name, value, start, end)
	secret.Usable = r.usable()
	*list = append(slices.Clone(*list), secret)
	return ok(extend(passwordCredential(secret, value), "@odata.context", r.context("microsoft.graph.passwordCredential"))), nil
}

func (r *request) removePassword(list *[]*directory.Secret) (*answer, error) {
	var key string
	if _, err := r.decode(map[string]any{"keyId": &key}); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(*list, func(s *directory.Secret) bool { return strings.EqualFold(s.KeyID, key) })
	if i < 0 {
		return nil, badBody("No password credential has the keyId '%s'.", clip(key))
	}
	*list = slices.Delete(slices.Clone(*list), i, i+1)
	return noContent(), nil
}

// principalSecrets is a handler on the secrets of a service principal.
func principalSecrets(fn func(*request, *[]*directory.Secret) (*answer, error)) func(*request, *directory.Principal) (*answer, error) {
	return func(r *request, p *directory.Principal) (*answer, error) {
		if err := r.owned(p.ClientID, p.CreatedBy, p.Owners); err != nil {
			return nil, err
		}
		r.updates(core(credentials("service principal", r.segments), appManagement), item{servicePrincipalType, p})
		return fn(r, &p.Secrets)
	}
}

// appSecrets is a handler on the secrets of a registration.
func appSecrets(fn func(*request, *[]*directory.Secret) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		a, err := r.appByKey(r.vars[0])
		if err != nil {
			return nil, err
		}
		if err := r.owned(a.ClientID, "", a.Owners); err != nil {
			return nil, err
		}
		if a.Public {
			return nil, badBody("A public client has no credentials.")
		}
		r.updates(core("Update application – Certificates and secrets management ", appManagement), item{applicationType, a})
		return fn(r, &a.Secrets)
	}
}

// credentials names a change of a service principal's secrets.
func credentials(of string, segments []string) string {
	if strings.EqualFold(segments[len(segments)-1], "removePassword") {
		return "Remove " + of + " credentials"
	}
	return "Add " + of + " credentials"
}

func assignmentName(verb string, h roleHolding) string {
	switch {
	case h.kind != "ServicePrincipal":
		return verb + " app role assignment grant to " + strings.ToLower(h.kind)
	case verb == "Add":
		return "Add app role assignment to service principal"
	}
	return "Remove app role assignment from service principal"
}

func userOrApp(h roleHolding) string {
	switch h.kind {
	case "User":
		return userManagement
	case "Group":
		return groupManagement
	}
	return appManagement
}

// usable is when the token endpoint knows a credential that is made now.
func (r *request) usable() time.Time {
	if r.server.cfg.PropagationDelay <= 0 {
		return time.Time{}
	}
	return r.now.Add(r.server.cfg.PropagationDelay)
}

// createGrant: POST /oauth2PermissionGrants.
func createGrant(r *request) (*answer, error) {
	var client, kind, resource, scope string
	var principal *string
	var start, expiry any
	if _, err := r.decode(map[string]any{"clientId": &client, "consentType": &kind, "principalId": &principal, "resourceId": &resource, "scope": &scope, "startTime": &start, "expiryTime": &expiry}); err != nil {
		return nil, err
	}
	clientPrincipal, err := r.principalByKey(client)
	if err != nil {
		return nil, badBody("clientId must be the object id of a service principal.")
	}
	resourcePrincipal, err := r.principalByKey(resource)
	if err != nil {
		return nil, badBody("resourceId must be the object id of a service principal.")
	}
	g := &directory.Grant{ID: opaque("grant", r.tenant.ID, client, resource, kind), Client: clientPrincipal.ID, Resource: resourcePrincipal.ID, Scopes: strings.Fields(scope)}
	switch {
	case kind == "AllPrincipals" && principal == nil:
	case kind == "Principal" && principal != nil && r.tenant.User(*principal) != nil:
		g.User = r.tenant.User(*principal).ID
		g.ID = opaque("grant", r.tenant.ID, client, resource, g.User)
	default:
		return nil, badBody("consentType must be AllPrincipals without principalId, or Principal with the id of a user.")
	}
	if slices.ContainsFunc(r.tenant.Grants, func(o *directory.Grant) bool {
		return o.Client == g.Client && o.Resource == g.Resource && o.User == g.User
	}) {
		return nil, conflict("The client has a grant on this resource already; change its scope.")
	}
	r.tenant.Grants = append(slices.Clone(r.tenant.Grants), g)
	r.adds(core("Add delegated permission grant", appManagement), item{grantType, g})
	return r.created("oauth2PermissionGrants", item{grantType, g})
}

func patchGrant(r *request) (*answer, error) {
	g, err := r.grantByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	var scope *string
	if _, err := r.decode(map[string]any{"scope": &scope}); err != nil {
		return nil, err
	}
	if scope == nil {
		return nil, badBody("scope must be a string of scopes with blanks between.")
	}
	r.updates(core("Update delegated permission grant", appManagement), item{grantType, g})
	g.Scopes = strings.Fields(*scope)
	return noContent(), nil
}

func deleteGrant(r *request) (*answer, error) {
	g, err := r.grantByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	r.deletes(core("Remove delegated permission grant", appManagement), item{grantType, g})
	r.tenant.Grants = slices.DeleteFunc(slices.Clone(r.tenant.Grants), func(o *directory.Grant) bool { return o == g })
	return noContent(), nil
}

// createAssignment: POST …/appRoleAssignedTo and …/appRoleAssignments. The
// path's object is one of the two ends.
func createAssignment(r *request) (*answer, error) {
	var principal, resource, role string
	if _, err := r.decode(map[string]any{"principalId": &principal, "resourceId": &resource, "appRoleId": &role}); err != nil {
		return nil, err
	}
	it, found := r.object(principal)
	if !found {
		return nil, badBody("principalId names no user, group or service principal.")
	}
	target, err := r.principalByKey(resource)
	if err != nil {
		return nil, badBody("resourceId must be the object id of a service principal.")
	}
	var here string
	if p, err := r.principalByKey(r.vars[0]); err == nil {
		here = p.ID
	} else if it, found := r.object(r.vars[0]); found {
		here = r.idOf(it)
	} else if u := r.tenant.User(r.vars[0]); u != nil {
		here = u.ID
	} else {
		return nil, notFound(r.vars[0])
	}
	if end := strings.ToLower(r.segments[2]); end == "approleassignedto" && here != target.ID || end == "approleassignments" && here != r.idOf(it) {
		return nil, badBody("The path's object and the body's do not agree.")
	}
	h := roleHolding{role: strings.ToLower(role), principal: r.idOf(it), resource: target.ID, created: r.now}
	kinds := map[*entity]string{userType: "User", groupType: "Group", servicePrincipalType: "ServicePrincipal"}
	h.kind = kinds[it.typ]
	if slices.ContainsFunc(r.holdings(), func(o roleHolding) bool {
		return o.role == h.role && o.principal == h.principal && o.resource == h.resource
	}) {
		return nil, conflict("The principal has this app role already.")
	}
	_, known := r.resourceOf(target.ClientID).Role(h.role)
	switch {
	case h.role == noRole && h.kind != "ServicePrincipal":
		h.id, h.created = opaque("assigned", r.tenant.ID, target.ID, h.principal), target.Created
		target.Assigned = append(slices.Clone(target.Assigned), h.principal)
	case !isGUID(h.role) || !known && h.role != noRole:
		return nil, badBody("The resource has no app role with the id '%s'.", clip(role))
	case known && h.kind != "ServicePrincipal":
		return nil, badBody("This app role is for applications only.")
	default:
		h.id = opaque("app role", r.tenant.ID, h.principal, h.resource, h.role)
		r.tenant.AppRoles = append(slices.Clone(r.tenant.AppRoles),
			&directory.AppRoleAssignment{ID: h.id, Principal: h.principal, PrincipalType: h.kind, Resource: h.resource, Role: h.role, Created: h.created})
	}
	r.adds(core(assignmentName("Add", h), userOrApp(h)), item{appRoleAssignmentType, h})
	return r.created("appRoleAssignments", item{appRoleAssignmentType, h})
}

func deleteAssignment(r *request) (*answer, error) {
	here := ""
	if p, err := r.principalByKey(r.vars[0]); err == nil {
		here = p.ID
	} else if it, found := r.object(r.vars[0]); found {
		here = r.idOf(it)
	} else if u := r.tenant.User(r.vars[0]); u != nil {
		here = u.ID
	}
	i := slices.IndexFunc(r.holdings(), func(h roleHolding) bool {
		return h.id == r.vars[1] && here != "" && (h.principal == here || h.resource == here)
	})
	if i < 0 {
		return nil, notFound(r.vars[1])
	}
	h := r.holdings()[i]
	r.deletes(core(assignmentName("Remove", h), userOrApp(h)), item{appRoleAssignmentType, h})
	r.tenant.AppRoles = slices.DeleteFunc(slices.Clone(r.tenant.AppRoles), func(a *directory.AppRoleAssignment) bool { return a.ID == h.id })
	if p := r.tenant.Principal(h.resource); h.role == noRole && p != nil {
		p.Assigned = slices.DeleteFunc(slices.Clone(p.Assigned), func(id string) bool { return id == h.principal })
	}
	return noContent(), nil
}
