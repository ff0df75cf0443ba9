package consent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/microsoft/partner"
	"gatehouse/internal/tenant"
)

// principal is an app, or an API, as it exists in the tenant.
type principal struct {
	ID       string `json:"id"`
	AppID    string `json:"appId"`
	Name     string `json:"displayName"`
	Enabled  *bool  `json:"accountEnabled"`
	Assigned *bool  `json:"appRoleAssignmentRequired"`
	Verified *struct {
		Name string `json:"displayName"`
		ID   string `json:"verifiedPublisherId"`
	} `json:"verifiedPublisher"`
	Roles []struct {
		ID    string `json:"id"`
		Value string `json:"value"`
	} `json:"appRoles"`
	Scopes []struct {
		Value string `json:"value"`
		Type  string `json:"type"` // User or Admin: who may consent
	} `json:"oauth2PermissionScopes"`
}

const principalSelect = "id,appId,displayName,accountEnabled,appRoleAssignmentRequired,verifiedPublisher"

const apiSelect = "id,appId,displayName,appRoles,oauth2PermissionScopes"

// grant is a delegated permission that was granted to an app.
type grant struct {
	ConsentType string `json:"consentType"` // AllPrincipals or Principal
	ResourceID  string `json:"resourceId"`
	Scope       string `json:"scope"`
}

// findings are what was read of a consent.
type findings struct {
	manifest Manifest
	held     []Permission
	// covered says which part of the manifest was read: kind and API.
	covered  map[[2]string]bool
	kinds    map[string]bool // of which all was read, whatever the API
	problems []Problem
	policy   *UserPolicy
	from     []string
	reason   string // why something was not read
}

func part(p Permission) [2]string { return [2]string{p.Kind, strings.ToLower(p.Resource)} }

// whole reports whether every part of the manifest was read.
func (f *findings) whole() bool {
	return !slices.ContainsFunc(f.manifest.Permissions, func(p Permission) bool { return !f.covered[part(p)] })
}

// missing are the permissions of the manifest that were looked for and not found.
func (f *findings) missing() (out []Permission) {
	for _, p := range f.manifest.Permissions {
		if f.covered[part(p)] && !slices.ContainsFunc(f.held, p.same) {
			out = append(out, p)
		}
	}
	return out
}

// state is what the findings say, without what is known from before.
func (f *findings) state() State {
	missing := len(f.missing())
	found := 0
	for _, p := range f.manifest.Permissions {
		if slices.ContainsFunc(f.held, p.same) {
			found++
		}
	}
	switch {
	case len(f.manifest.Permissions) == 0:
		return Unknown
	case missing > 0 && found > 0:
		return Partly
	case missing > 0:
		return Missing
	case f.whole():
		return Granted
	default:
		return Unknown
	}
}

// look reads how a consent stands: from the directory through the reader, and what
// that does not show from tokens.
func (s *Service) look(ctx context.Context, tenantID string, app Registration, m Manifest) (*findings, error) {
	f := &findings{manifest: m, covered: map[[2]string]bool{}, kinds: map[string]bool{}}
	at, err := s.Tenants.Directory(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	reading, err := s.Tenants.Reading(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	if reading == nil {
		f.reason = "the tenant has no reader that works, so that its directory cannot be read"
	} else if err := s.readDirectory(ctx, f, at, reading, app); err != nil {
		f.reason = "reading the directory: " + err.Error()
	}
	if !f.whole() {
		s.readTokens(ctx, f, tenantID, app)
	}
	return f, nil
}

// readDirectory reads what the tenant's directory says. An error leaves what was
// read by then.
func (s *Service) readDirectory(ctx context.Context, f *findings, at tenant.Directory, reading *tenant.Reading, app Registration) error {
	client, err := s.Tenants.Graph(ctx, at.DirectoryID, reading)
	if err != nil {
		return err
	}
	own, err := principalOf(ctx, client, app.ClientID, principalSelect)
	if err != nil {
		return err
	}
	apis, err := s.readAPIs(ctx, f, client)
	if err != nil {
		return err
	}
	if apis[partner.ResourceID] == nil {
		f.manifest.Permissions = withoutPartner(f.manifest.Permissions)
	}
	if own == nil {
		f.cover(Application)
		f.cover(Delegated)
		f.problems = append(f.problems, Problem{Kind: "app_missing", Actor: actorAdmin, Text: "The app has no service principal in the tenant: nobody has consented to it yet.", Steps: []string{"Consent through the page: that makes it."}})
	} else {
		f.ofApp(own)
		if err := f.readRoles(ctx, client, own, apis); err != nil {
			return err
		}
		if err := f.readScopes(ctx, client, own, apis); err != nil {
			return err
		}
	}
	f.from = append(f.from, FromDirectory)
	f.policy, err = readPolicy(ctx, client, own, apis, f.manifest, app)
	return err
}

// ofApp notes what is set about the app itself.
func (f *findings) ofApp(own *principal) {
	if own.Enabled != nil && !*own.Enabled {
		f.problems = append(f.problems, Problem{Kind: "app_disabled", Actor: actorAdmin, Text: "The app is disabled in the tenant: nobody can sign in to it, whatever was consented to (AADSTS7000112).", Steps: []string{"Enterprise applications > " + own.Name + " > Properties: set Enabled for users to sign in to Yes."}})
	}
	if own.Assigned != nil && *own.Assigned {
		f.problems = append(f.problems, Problem{Kind: "assignment_required", Actor: actorAdmin, Text: "The app requires assignment: only people who are assigned to it can sign in (AADSTS50105), and users can never consent for themselves.", Steps: []string{"Enterprise applications > " + own.Name + " > Users and groups: assign the people who use it; or set Assignment required to No."}})
	}
}

// principalOf finds an app in the tenant by its app id; nil if it has none.
func principalOf(ctx context.Context, client *graph.Client, appID, fields string) (*principal, error) {
	if !tenant.GUID(appID) {
		return nil, fmt.Errorf("reading a service principal: %.60q is no app id", appID)
	}
	found, err := graph.List[principal](ctx, client, "/v1.0/servicePrincipals?$filter=appId%20eq%20'"+strings.ToLower(appID)+"'&$select="+fields)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// readAPIs finds the APIs of the manifest in the tenant, by app id. One that is not
// there cannot be granted (AADSTS650052): the licence behind it is looked for.
func (s *Service) readAPIs(ctx context.Context, f *findings, client *graph.Client) (map[string]*principal, error) {
	apis := map[string]*principal{}
	var licences []graph.SubscribedSKU
	read := false
	for _, p := range f.manifest.Permissions {
		id := strings.ToLower(p.Resource)
		if _, done := apis[id]; done {
			continue
		}
		api, err := principalOf(ctx, client, id, apiSelect)
		if err != nil {
			return nil, err
		}
		apis[id] = api
		if api == nil && id == partner.ResourceID {
			continue // the tenant is no partner's, which is no fault
		}
		if api == nil && !read {
			if licences, err = graph.List[graph.SubscribedSKU](ctx, client, "/v1.0/subscribedSkus"); err != nil {
				licences = nil
			}
			read = true
		}
		if api == nil {
			f.problems = append(f.problems, missingService(p, licences))
		}
	}
	return apis, nil
}

// withoutPartner leaves out what an app asks of Partner Center: it concerns tenants of
// partners, which have its service principal, and no others.
func withoutPartner(all []Permission) []Permission {
	return slices.DeleteFunc(slices.Clone(all), func(p Permission) bool { return strings.EqualFold(p.Resource, partner.ResourceID) })
}

// asks is what a manifest asks of the tenant of a row. What concerns Partner Center is
// left out where a reading found that the tenant is no partner's.
func (r *row) asks(m Manifest) Manifest {
	ofPartner := func(p Permission) bool { return strings.EqualFold(p.Resource, partner.ResourceID) }
	if r.ReadAt != nil && !slices.ContainsFunc(r.Held, ofPartner) && !slices.ContainsFunc(r.Missing, ofPartner) {
		m.Permissions = withoutPartner(m.Permissions)
	}
	return m
}

// plans are the beginnings of the service plans that bring an API to a tenant
// (Product names and service plan identifiers for licensing).
var plans = map[string]struct{ name, plan, product string }{
	businessCentralID: {"Business Central", "DYN365_BUSCENTRAL", "Dynamics 365 Business Central (Essentials, Premium or Team Members)"},
	sharePointID:      {"SharePoint", "SHAREPOINT", "SharePoint Online, or a Microsoft 365 plan with it"},
	exchangeID:        {"Exchange Online", "EXCHANGE", "Exchange Online, or a Microsoft 365 plan with it"},
}

// missingService says of an API that is not in the tenant which licence is missing,
// as far as that can be told.
func missingService(p Permission, licences []graph.SubscribedSKU) Problem {
	name := p.ResourceName
	if name == "" {
		name = p.Resource
	}
	out := Problem{Kind: "service_missing", Actor: actorAdmin, Text: fmt.Sprintf("%s has no service principal in the tenant (app id %s), so that its permissions cannot be granted (AADSTS650052): the tenant has not subscribed to it or never enabled it.", name, p.Resource)}
	create := "Enable the service for the tenant; where it is licensed and its service principal is missing all the same, an administrator makes it: New-MgServicePrincipal -AppId " + p.Resource + "."
	known, ok := plans[strings.ToLower(p.Resource)]
	if !ok || licences == nil {
		out.Steps = []string{"Look under Billing > Licences whether the tenant has a licence for " + name + ".", create}
		return out
	}
	for _, l := range licences {
		for _, plan := range l.ServicePlans {
			if strings.HasPrefix(plan.ServicePlanName, known.plan) && (l.CapabilityStatus == "Enabled" || l.CapabilityStatus == "Warning") {
				out.Text += " A licence with it is there (" + l.SKUPartNumber + ")."
				out.Steps = []string{create}
				return out
			}
		}
	}
	out.Kind = "licence_missing"
	out.Text += " None of the tenant's licences contains " + known.name + "."
	out.Steps = []string{"Get a licence: " + known.product + ".", create, "Then consent again."}
	return out
}

// readRoles reads the application permissions that the app holds.
func (f *findings) readRoles(ctx context.Context, client *graph.Client, own *principal, apis map[string]*principal) error {
	assigned, err := graph.List[graph.AppRoleAssignment](ctx, client, "/v1.0/servicePrincipals/"+graph.PathKey(own.ID)+"/appRoleAssignments")
	if err != nil {
		return err
	}
	for _, a := range assigned {
		id, api, err := byObject(ctx, client, apis, a.ResourceID)
		if err != nil {
			return err
		}
		p := Permission{Resource: id, ResourceName: clip(a.ResourceDisplayName), Name: a.AppRoleID, Kind: Application}
		for _, role := range api.Roles {
			if role.ID == a.AppRoleID {
				p.Name = clip(role.Value)
			}
		}
		f.hold(p)
	}
	f.cover(Application)
	return nil
}

// readScopes reads the delegated permissions that were granted for everybody. The
// reader may not be allowed to: then they stay unread, and the reason says so.
func (f *findings) readScopes(ctx context.Context, client *graph.Client, own *principal, apis map[string]*principal) error {
	grants, err := graph.List[grant](ctx, client, "/v1.0/servicePrincipals/"+graph.PathKey(own.ID)+"/oauth2PermissionGrants")
	if refused, ok := errors.AsType[*microsoft.Error](err); ok && refused.Status == http.StatusForbidden {
		f.reason = "the reader may not read delegated grants: it reads them with " + tenant.PermissionGrants
		return nil
	}
	if err != nil {
		return err
	}
	for _, g := range grants {
		if g.ConsentType != "AllPrincipals" {
			continue
		}
		id, api, err := byObject(ctx, client, apis, g.ResourceID)
		if err != nil {
			return err
		}
		for _, scope := range strings.Fields(g.Scope) {
			f.hold(Permission{Resource: id, ResourceName: clip(api.Name), Name: clip(scope), Kind: Delegated})
		}
	}
	f.cover(Delegated)
	return nil
}

// cover notes that a kind of permissions was read, of all APIs.
func (f *findings) cover(kind string) {
	f.kinds[kind] = true
	for _, p := range f.manifest.Permissions {
		if p.Kind == kind {
			f.covered[part(p)] = true
		}
	}
}

// mostHeld bounds how many permissions of an app are kept.
const mostHeld = 2000

func (f *findings) hold(p Permission) {
	if len(f.held) < mostHeld && !slices.ContainsFunc(f.held, p.same) {
		f.held = append(f.held, p)
	}
}

// byObject finds an API by its object in the tenant. One that the manifest does not
// name, for which the app holds permissions all the same, is read.
func byObject(ctx context.Context, client *graph.Client, apis map[string]*principal, objectID string) (string, *principal, error) {
	for id, api := range apis {
		if api != nil && api.ID == objectID {
			return id, api, nil
		}
	}
	var api principal
	if err := client.Get(ctx, "/v1.0/servicePrincipals/"+graph.PathKey(objectID)+"?$select="+apiSelect, &api); err != nil {
		return "", nil, err
	}
	id := strings.ToLower(api.AppID)
	apis[id] = &api
	return id, &api, nil
}

// readTokens reads what the directory did not show from fresh tokens: the scp of a
// person's, the roles of the app's own.
func (s *Service) readTokens(ctx context.Context, f *findings, tenantID string, app Registration) {
	if s.FreshToken == nil {
		return
	}
	asked := map[string]bool{}
	for _, p := range f.manifest.Permissions {
		id := strings.ToLower(p.Resource)
		if f.covered[part(p)] || asked[id] {
			continue
		}
		asked[id] = true
		token, err := s.FreshToken(ctx, tenantID, app.ID, id)
		switch {
		case errors.Is(err, ErrNoToken):
			f.reason = join(f.reason, err.Error())
		case err != nil:
			f.refusal(id, err)
		default:
			f.ofToken(id, token.Claims)
		}
	}
}

// ofToken takes over what a token says. An app's own token shows its application
// permissions, a person's the delegated ones.
func (f *findings) ofToken(resource string, c login.Claims) {
	kind, names := Application, c.Roles
	if c.Scopes != "" {
		kind, names = Delegated, strings.Fields(c.Scopes)
	}
	if !c.Readable() {
		f.reason = join(f.reason, "the token cannot be read")
		return
	}
	for _, p := range f.manifest.Permissions {
		if p.Kind == kind && strings.EqualFold(p.Resource, resource) {
			f.covered[part(p)] = true
			// A token names an API's own permissions; openid and its like are seen in
			// none.
			if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, p.Name) }) || slices.Contains(openID, p.Name) {
				f.hold(p)
			}
		}
	}
	if !slices.Contains(f.from, FromToken) {
		f.from = append(f.from, FromToken)
	}
}

// consentCodes are the refusals of a token that mean that consent, or the app, is
// missing (data of entra-sign-in §9.3).
var consentCodes = []string{"AADSTS65001", "AADSTS90094", "AADSTS90095", "AADSTS90008", "AADSTS90099", "AADSTS650052", "AADSTS700016", "AADSTS7000229", "AADSTS650057", "AADSTS500011"}

// refusal takes over why no token was given.
func (f *findings) refusal(resource string, err error) {
	refused, ok := errors.AsType[*microsoft.Error](err)
	if !ok || !slices.Contains(consentCodes, refused.Code) {
		f.reason = join(f.reason, "no token was given: "+err.Error())
		return
	}
	for _, p := range f.manifest.Permissions {
		if strings.EqualFold(p.Resource, resource) {
			f.covered[part(p)] = true
		}
	}
	if refused.Code == "AADSTS650052" {
		for _, p := range f.manifest.Permissions {
			if strings.EqualFold(p.Resource, resource) {
				f.problems = append(f.problems, missingService(p, nil))
				break
			}
		}
	}
	if !slices.Contains(f.from, FromToken) {
		f.from = append(f.from, FromToken)
	}
}

func join(a, b string) string {
	switch {
	case a == "":
		return b
	case strings.Contains(a, b):
		return a
	}
	return a + "; " + b
}

// clip bounds a text of Microsoft's.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
}
