package graphsim

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// exposedScope and exposedRole are what a registration offers as an API:
// permissionScope and appRole of the metadata. The lab keeps id, name and who
// may consent.
type exposedScope struct {
	ID      string `json:"id"`
	Value   string `json:"value"`
	Type    string `json:"type"`
	Enabled *bool  `json:"isEnabled"`
}

type exposedRole struct {
	ID      string   `json:"id"`
	Value   string   `json:"value"`
	Members []string `json:"allowedMemberTypes"`
	Enabled *bool    `json:"isEnabled"`
}

// apiBody is the member api of an application.
type apiBody struct {
	Version       *int            `json:"requestedAccessTokenVersion"`
	Known         *[]string       `json:"knownClientApplications"`
	Scopes        *[]exposedScope `json:"oauth2PermissionScopes"`
	Preauthorised *[]struct {
		App    string   `json:"appId"`
		Scopes []string `json:"delegatedPermissionIds"`
	} `json:"preAuthorizedApplications"`
}

// apiOf gives the registration as an API, an empty one if it is none.
func apiOf(a *directory.App) *directory.API {
	if a.API != nil {
		return a.API
	}
	return &directory.API{}
}

// expose puts what was sent into a copy of the registration's API.
func (in *registration) expose(a *directory.App) error {
	if in.identifiers == nil && in.api == nil && in.roles == nil {
		return nil
	}
	next := *apiOf(a)
	if in.identifiers != nil {
		for _, uri := range *in.identifiers {
			if u, err := url.Parse(uri); err != nil || u.Scheme == "" || len(uri) > 256 || strings.HasSuffix(uri, "/") || len(*in.identifiers) > 50 {
				return badBody("identifierUris holds '%s', which is no address such as api://name.", clip(uri))
			}
		}
		next.URIs = *in.identifiers
	}
	if in.roles != nil {
		next.Roles = nil
		for _, role := range *in.roles {
			p, err := exposedPermission("appRoles", role.ID, role.Value, next.Roles)
			if err != nil {
				return err
			}
			next.Roles = append(next.Roles, p)
		}
	}
	if err := in.exposeScopes(&next); err != nil {
		return err
	}
	a.API = &next
	if len(next.URIs)+len(next.Scopes)+len(next.Roles)+len(next.KnownClients)+len(next.Preauthorised) == 0 && next.Version == 0 {
		a.API = nil
	}
	return nil
}

func (in *registration) exposeScopes(next *directory.API) error {
	if in.api == nil {
		return nil
	}
	if in.api.Version != nil {
		if *in.api.Version != 1 && *in.api.Version != 2 {
			return badBody("api/requestedAccessTokenVersion must be 1 or 2.")
		}
		next.Version = *in.api.Version
	}
	if in.api.Known != nil {
		next.KnownClients = *in.api.Known
	}
	if in.api.Scopes != nil {
		next.Scopes = nil
		for _, scope := range *in.api.Scopes {
			p, err := exposedPermission("api/oauth2PermissionScopes", scope.ID, scope.Value, next.Scopes)
			if err != nil {
				return err
			}
			p.Admin = scope.Type == "Admin"
			next.Scopes = append(next.Scopes, p)
		}
	}
	if in.api.Preauthorised == nil {
		return nil
	}
	next.Preauthorised = map[string][]string{}
	for _, client := range *in.api.Preauthorised {
		for _, id := range client.Scopes {
			i := slices.IndexFunc(next.Scopes, func(p directory.Permission) bool { return strings.EqualFold(p.ID, id) })
			if i < 0 || !isGUID(client.App) {
				return badBody("api/preAuthorizedApplications names '%s', which the application does not expose.", clip(id))
			}
			app := strings.ToLower(client.App)
			next.Preauthorised[app] = append(next.Preauthorised[app], next.Scopes[i].Value)
		}
	}
	return nil
}

func exposedPermission(path, id, value string, before []directory.Permission) (directory.Permission, error) {
	const most = 1200
	switch {
	case !isGUID(id):
		return directory.Permission{}, badBody("%s/id must be a GUID.", path)
	case value == "" || len(value) > 120 || strings.ContainsAny(value, " /"):
		return directory.Permission{}, badBody("%s/value must have 1 to 120 characters without blank and slash.", path)
	case len(before) >= most || slices.ContainsFunc(before, func(p directory.Permission) bool { return strings.EqualFold(p.ID, id) || p.Value == value }):
		return directory.Permission{}, badBody("%s names '%s' twice, or has more than %d entries.", path, clip(value), most)
	}
	return directory.Permission{ID: strings.ToLower(id), Value: value}, nil
}

// apiMember: resource type apiApplication.
func apiMember(_ *request, a *directory.App) any {
	api := apiOf(a)
	known, pre := texts(api.KnownClients...), []any{}
	for _, client := range slices.Sorted(maps.Keys(api.Preauthorised)) {
		ids := texts()
		for _, value := range api.Preauthorised[client] {
			for _, p := range api.Scopes {
				if p.Value == value {
					ids = append(ids, p.ID)
				}
			}
		}
		pre = append(pre, object("appId", client, "delegatedPermissionIds", ids))
	}
	var version any
	if api.Version > 0 {
		version = api.Version
	}
	return object("acceptMappedClaims", nil, "knownClientApplications", known, "requestedAccessTokenVersion", version, "oauth2PermissionScopes", shownScopes(api.Scopes), "preAuthorizedApplications", pre)
}

func shownRoles(list []directory.Permission) []any {
	out := []any{}
	for _, role := range list {
		out = append(out, object("id", role.ID, "value", role.Value, "displayName", role.Value, "description", "Lets an app use "+role.Value+".",
			"allowedMemberTypes", texts("Application"), "isEnabled", true, "origin", "Application"))
	}
	return out
}

func shownScopes(list []directory.Permission) []any {
	out := []any{}
	for _, scope := range list {
		kind := "User"
		if scope.Admin {
			kind = "Admin"
		}
		words := "Lets the app use " + scope.Value + " for the signed-in user."
		out = append(out, object("id", scope.ID, "value", scope.Value, "type", kind, "isEnabled", true, "origin", "Application",
			"adminConsentDisplayName", scope.Value, "adminConsentDescription", words, "userConsentDisplayName", scope.Value, "userConsentDescription", words))
	}
	return out
}

// resourceOf is the API behind a client id, an empty one if it is none.
func (r *request) resourceOf(clientID string) *directory.Resource {
	if api := r.tenant.Resource(clientID); api != nil {
		return api
	}
	return &directory.Resource{}
}
