package directory

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// apis are the registrations of a tenants file that are APIs themselves, by
// name. They are found first, because others ask for their permissions.
type apis map[string]*Resource

func findAPIs(tenants []node) apis {
	out := apis{}
	for _, t := range tenants {
		members, _ := t.value.(map[string]any)
		list, _ := members["apps"].([]any)
		for _, item := range list {
			a, _ := item.(map[string]any)
			name, _ := a["name"].(string)
			r := &Resource{Name: name, Scopes: exposed(node{"", a["scopes"], &Faults{}}), Roles: exposed(node{"", a["app_roles"], &Faults{}})}
			if name != "" && len(r.Scopes)+len(r.Roles) > 0 && ResourceByAlias(name) == nil {
				out[name] = r
			}
		}
	}
	return out
}

// names are Microsoft's aliases and the file's own APIs.
func (a apis) names() []string {
	var own []string
	for name := range a {
		own = append(own, name)
	}
	slices.Sort(own)
	return append(aliases(), own...)
}

func (a apis) find(name string) *Resource {
	if r := ResourceByAlias(name); r != nil {
		return r
	}
	return a[name]
}

// exposed reads scopes or app roles: names, or objects with name and admin.
func exposed(n node) []Permission {
	var out []Permission
	for _, item := range n.list() {
		p := Permission{}
		if text, ok := item.value.(string); ok {
			p.Value = text
		} else {
			get := item.object("name", "admin")
			p.Value, p.Admin = get("name").required(), get("admin").flag(false)
		}
		if p.Value == "" || strings.ContainsAny(p.Value, " /") || len(p.Value) > 120 {
			item.fault("is %q, must be a name of 1 to 120 characters without blank and slash", clip(p.Value))
			continue
		}
		out = append(out, p)
	}
	return out
}

// readAPI reads what the app offers as a resource of its own.
func (a *AppSpec) readAPI(get func(string) node) {
	api := &API{URIs: get("identifier_uris").strings(), Scopes: exposed(get("scopes")), Roles: exposed(get("app_roles")),
		Version: get("token_version").integer(1, 1, 2), KnownClients: get("known_clients").strings()}
	for _, uri := range get("identifier_uris").list() {
		if u, err := url.Parse(uri.str()); err != nil || u.Scheme == "" || strings.HasSuffix(uri.str(), "/") {
			uri.fault("is %q, must be an address such as api://name, without a slash at its end", clip(uri.str()))
		}
	}
	for _, item := range get("preauthorized").list() {
		member := item.object("app", "scopes")
		if api.Preauthorised == nil {
			api.Preauthorised = map[string][]string{}
		}
		for _, scope := range member("scopes").list() {
			if _, ok := findPermission(api.Scopes, scope.required()); !ok {
				scope.fault("is %q, which the app does not expose", clip(scope.str()))
			}
		}
		api.Preauthorised[member("app").required()] = member("scopes").strings()
	}
	if len(api.URIs)+len(api.Scopes)+len(api.Roles) > 0 {
		a.API = api
	} else if len(api.KnownClients)+len(api.Preauthorised) > 0 || get("token_version").value != nil {
		get("scopes").fault("is missing: known_clients, preauthorized and token_version are for apps that are APIs themselves")
	}
}

// spaRedirects adds redirect URIs of the platform for single-page apps.
func (a *AppSpec) spaRedirects(uris []string) {
	for _, uri := range uris {
		if a.RedirectKinds == nil {
			a.RedirectKinds = map[string]string{}
		}
		a.RedirectURIs = append(a.RedirectURIs, uri)
		a.RedirectKinds[uri] = SPARedirect
	}
}

// federatedCredentials reads the list of them.
func federatedCredentials(n node) []*FederatedCredential {
	const most = 20
	var out []*FederatedCredential
	for i, item := range n.list() {
		get := item.object("name", "issuer", "subject", "audience", "description")
		c := &FederatedCredential{Name: or(get("name").str(), "credential-"+strconv.Itoa(i)), Issuer: httpsURL(get("issuer")), Subject: get("subject").required(),
			Audiences: []string{or(get("audience").str(), TokenExchangeAudience)}, Description: get("description").str()}
		out = append(out, c)
	}
	if len(out) > most {
		n.fault("has %d entries, %d are the most", len(out), most)
	}
	return out
}

// TokenExchangeAudience is the audience that federated credentials expect if
// nothing else is said.
const TokenExchangeAudience = "api://AzureADTokenExchange"

func optionalURL(n node) string {
	if n.value == nil {
		return ""
	}
	return httpsURL(n)
}

// complete fills in what an AD FS of that host would have.
func (f *Federation) complete() {
	u, err := url.Parse(f.MetadataURL)
	if err != nil {
		return
	}
	f.PassiveURL = or(f.PassiveURL, "https://"+u.Host+"/adfs/ls/")
	f.Issuer = or(f.Issuer, "http://"+u.Host+"/adfs/services/trust")
}

// finishAPI gives ids to what a registration exposes.
func (b builder) finishAPI(t *Tenant, a *App) {
	for i, c := range a.Federated {
		kept := *c
		kept.ID = b.gen.id(t.ID, a.Name, "federated credential", strconv.Itoa(i))
		a.Federated[i] = &kept
	}
	if a.API == nil {
		return
	}
	api := *a.API
	if len(api.URIs) == 0 {
		api.URIs = []string{"api://" + a.ClientID}
	}
	identify := func(kind string, list []Permission) []Permission {
		list = slices.Clone(list)
		for i := range list {
			list[i].ID = b.gen.id(t.ID, a.Name, kind, list[i].Value)
		}
		return list
	}
	api.Scopes, api.Roles = identify("scope", api.Scopes), identify("app role", api.Roles)
	a.API = &api
}

// connectAPIs puts client ids where a file names apps.
func (b builder) connectAPIs(t *Tenant, spec *TenantSpec, named map[string]string) {
	for _, a := range spec.Apps {
		if a.From != "" {
			continue
		}
		registered := t.App(named[strings.ToLower(a.Name)])
		registered.Delegated, registered.Application = byClient(registered.Delegated, named), byClient(registered.Application, named)
		if api := registered.API; api != nil {
			var known []string
			for _, name := range api.KnownClients {
				known = append(known, named[strings.ToLower(name)])
			}
			api.KnownClients, api.Preauthorised = known, byClient(api.Preauthorised, named)
		}
	}
}

// checkAPIs reports where an app names an app that its tenant does not have.
func checkAPIs(a *AppSpec, names map[string]bool, fault func(member, name string)) {
	check := func(member string, keyed map[string][]string) {
		for _, name := range slices.Sorted(maps.Keys(keyed)) {
			if ResourceByAlias(name) == nil && !names[strings.ToLower(name)] {
				fault(member, name)
			}
		}
	}
	check("delegated_permissions", a.Delegated)
	check("application_permissions", a.Application)
	check("granted", a.Granted)
	if a.API == nil {
		return
	}
	check("preauthorized", a.API.Preauthorised)
	for _, name := range a.API.KnownClients {
		if !names[strings.ToLower(name)] {
			fault("known_clients", name)
		}
	}
}

// byClient puts client ids where the keys are names of apps.
func byClient(in map[string][]string, named map[string]string) map[string][]string {
	if in == nil {
		return nil
	}
	out := make(map[string][]string, len(in))
	for name, values := range in {
		if id := named[strings.ToLower(name)]; id != "" && ResourceByAlias(name) == nil {
			name = id
		}
		out[name] = values
	}
	return out
}

func clientOf(name string, named map[string]string) string {
	if r := ResourceByAlias(name); r != nil {
		return r.ClientID
	}
	return named[strings.ToLower(name)]
}
