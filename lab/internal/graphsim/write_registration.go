package graphsim

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// Kinds of redirect URIs, as a registration groups them.
const (
	webKind    = directory.WebRedirect
	spaKind    = directory.SPARedirect
	publicKind = directory.PublicRedirect
)

// redirects gives a registration's redirect URIs of one kind.
func redirects(a *directory.App, kind string) []any {
	out := texts()
	for _, uri := range a.RedirectURIs {
		if a.RedirectKind(uri) == kind {
			out = append(out, uri)
		}
	}
	return out
}

// registration is what callers may write of an application.
type registration struct {
	name, audience   *string
	public           *bool
	web, spa, client *redirectBody
	access           *[]struct {
		Resource string `json:"resourceAppId"`
		Access   []struct {
			ID   string `json:"id"`
			Type string `json:"type"`
		} `json:"resourceAccess"`
	}
	keys        *[]sentKey
	identifiers *[]string
	api         *apiBody
	roles       *[]exposedRole
}

// redirectBody is one of the members that hold redirect URIs.
type redirectBody struct {
	RedirectURIs *[]string `json:"redirectUris"`
	Implicit     *struct {
		IDTokens *bool `json:"enableIdTokenIssuance"`
	} `json:"implicitGrantSettings"`
}

// readRegistration decodes the body. Members that the lab has no use for are
// taken where tools send them as a matter of course.
func (r *request) readRegistration() (*registration, error) {
	in := &registration{}
	var tags, info, claims, notes any
	_, err := r.decode(map[string]any{"displayName": &in.name, "signInAudience": &in.audience, "isFallbackPublicClient": &in.public, "web": &in.web, "spa": &in.spa,
		"publicClient": &in.client, "requiredResourceAccess": &in.access, "keyCredentials": &in.keys,
		"tags": &tags, "identifierUris": &in.identifiers, "api": &in.api, "appRoles": &in.roles, "info": &info, "optionalClaims": &claims, "notes": &notes, "description": &notes})
	return in, err
}

// apply puts what was sent into the registration.
func (in *registration) apply(r *request, a *directory.App) error {
	if in.name != nil {
		if *in.name == "" || len(*in.name) > 120 {
			return badBody("displayName must have 1 to 120 characters.")
		}
		a.Name = *in.name
	}
	if in.audience != nil {
		if !slices.Contains([]string{"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"}, *in.audience) {
			return badBody("signInAudience is '%s', which is no audience.", clip(*in.audience))
		}
		a.MultiTenant = *in.audience != "AzureADMyOrg"
	}
	kinds := map[string][]any{webKind: redirects(a, webKind), spaKind: redirects(a, spaKind), publicKind: redirects(a, publicKind)}
	if in.public != nil {
		a.Public = *in.public
	}
	if in.web != nil && in.web.Implicit != nil && in.web.Implicit.IDTokens != nil {
		a.IDTokens = *in.web.Implicit.IDTokens
	}
	for kind, sent := range map[string]*redirectBody{webKind: in.web, spaKind: in.spa, publicKind: in.client} {
		if sent == nil || sent.RedirectURIs == nil {
			continue
		}
		kinds[kind] = texts(*sent.RedirectURIs...)
		for _, uri := range *sent.RedirectURIs {
			if u, err := url.Parse(uri); err != nil || u.Scheme == "" || len(uri) > 256 || u.Fragment != "" || len(*sent.RedirectURIs) > 256 {
				return badBody("%s/redirectUris holds '%s', which is no address that can be returned to.", kind, clip(uri))
			}
		}
	}
	a.RedirectURIs, a.RedirectKinds = nil, map[string]string{}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, uri := range kinds[kind] {
			a.RedirectURIs = append(a.RedirectURIs, uri.(string))
			a.RedirectKinds[uri.(string)] = kind
		}
	}
	if err := in.expose(a); err != nil {
		return err
	}
	if err := in.permissions(r, a); err != nil {
		return err
	}
	return in.certificates(r, a)
}

func (in *registration) permissions(r *request, a *directory.App) error {
	if in.access == nil {
		return nil
	}
	delegated, application := map[string][]string{}, map[string][]string{}
	for _, wanted := range *in.access {
		api := r.tenant.Resource(strings.ToLower(wanted.Resource))
		if !isGUID(wanted.Resource) || api == nil {
			return badBody("requiredResourceAccess names the API '%s', which the lab does not have.", clip(wanted.Resource))
		}
		for _, p := range wanted.Access {
			role, isRole := api.Role(strings.ToLower(p.ID))
			scope, isScope := api.Scope(strings.ToLower(p.ID))
			switch {
			case p.Type == "Role" && isRole && isGUID(p.ID):
				application[api.Alias] = append(application[api.Alias], role.Value)
			case p.Type == "Scope" && isScope && isGUID(p.ID):
				delegated[api.Alias] = append(delegated[api.Alias], scope.Value)
			default:
				return badBody("requiredResourceAccess names '%s' as %s, which is no permission of %s.", clip(p.ID), clip(p.Type), api.Name)
			}
		}
	}
	a.Delegated, a.Application = delegated, application
	return nil
}

// certificates replaces the key credentials; those that are sent back without
// their key stay.
func (in *registration) certificates(r *request, a *directory.App) error {
	if in.keys == nil {
		return nil
	}
	list, err := r.replaceKeys(*in.keys, a.Certificates)
	if err != nil {
		return err
	}
	if a.Public && len(list) > 0 {
		return badBody("A public client has no credentials.")
	}
	a.Certificates = list
	return nil
}

// parseCertificate reads DER, or the base64 text of it that some tools encode
// once more.
func parseCertificate(data []byte) (*x509.Certificate, error) {
	if inner, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data))); err == nil && len(inner) > 0 {
		data = inner
	}
	return x509.ParseCertificate(data)
}

// createApp: POST /applications.
func createApp(r *request) (*answer, error) {
	in, err := r.readRegistration()
	if err != nil {
		return nil, err
	}
	if in.name == nil {
		return nil, badBody("displayName is missing.")
	}
	const most = 10_000
	if len(r.tenant.Apps) >= most {
		return nil, refuse(http.StatusBadRequest, "Directory_QuotaExceeded", "The tenant has %d registrations, which is the most.", most)
	}
	number := itoa(len(r.tenant.Apps))
	a := &directory.App{ID: r.newID("application", number), ClientID: r.newID("client", number), Purpose: "service", Created: r.now}
	if err := in.apply(r, a); err != nil {
		return nil, err
	}
	if r.app() && r.tenant.Principal(r.claims.ObjectID) != nil || !r.app() && r.tenant.User(r.claims.ObjectID) != nil {
		a.Owners = []string{r.claims.ObjectID} // who makes a registration owns it
	}
	r.tenant.AddApp(a)
	r.adds(core("Add application", appManagement), item{applicationType, a})
	return r.created("applications", item{applicationType, a})
}

// ofApp is a handler that changes one registration.
func ofApp(fn func(*request, *directory.App) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		a, err := r.appByKey(r.vars[0])
		if err != nil {
			return nil, err
		}
		if err := r.owned(a.ClientID, "", a.Owners); err != nil {
			return nil, err
		}
		return fn(r, a)
	}
}

func patchApp(r *request, a *directory.App) (*answer, error) {
	in, err := r.readRegistration()
	if err != nil {
		return nil, err
	}
	changed := *a
	if err := in.apply(r, &changed); err != nil {
		return nil, err
	}
	r.updates(core("Update application", appManagement), item{applicationType, a})
	*a = changed
	return noContent(), nil
}

// deleteApp takes the tenant's own service principal along.
func deleteApp(r *request, a *directory.App) (*answer, error) {
	r.deletes(core("Delete application", appManagement), item{applicationType, a})
	if p := r.tenant.Principal(a.ClientID); p != nil {
		r.deletes(core("Remove service principal", appManagement), item{servicePrincipalType, p})
		r.dropRoles(p.ID, p.Roles)
		r.tenant.RemovePrincipal(p)
	}
	r.tenant.RemoveApp(a)
	return noContent(), nil
}

// deletePrincipal: DELETE /servicePrincipals/{id}.
func deletePrincipal(r *request, p *directory.Principal) (*answer, error) {
	if err := r.owned(p.ClientID, p.CreatedBy, p.Owners); err != nil {
		return nil, err
	}
	if directory.ResourceByID(p.ClientID) != nil {
		return nil, refuse(http.StatusForbidden, "Authorization_RequestDenied", "Microsoft's own APIs stay in the tenant.")
	}
	r.deletes(core("Remove service principal", appManagement), item{servicePrincipalType, p})
	r.dropRoles(p.ID, p.Roles)
	r.tenant.RemovePrincipal(p)
	return noContent(), nil
}

// bound reads links to objects: name@odata.bind.
func (r *request) bound(raw json.RawMessage) ([]item, error) {
	var links []string
	if err := json.Unmarshal(raw, &links); err != nil || len(links) > 20 {
		return nil, badBody("Links to objects come as a list of 20 at most.")
	}
	var out []item
	for _, link := range links {
		parts := keyed(link[strings.LastIndexByte(link, '/')+1:])
		it, found := r.object(parts[len(parts)-1])
		if !found {
			return nil, notFound(link)
		}
		out = append(out, it)
	}
	return out, nil
}
