package validation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
)

// grants holds what is granted to the app in the tenant against what its
// registration asks for, where there is no token that would tell: a refusal for
// want of consent stays after an administrator consented if the service itself
// does not exist in the tenant, or one permission was left out (story 20).
func (r *run) grants(ctx context.Context) {
	r.probe(ProbePermissions, func(p *Probe) {
		switch {
		case r.Person.Needs == nil:
			p.set(Skipped, "there is no token")
			return
		case r.reader == nil:
			p.set(NotKnown, "there is no token that would tell, and %s", r.noReader())
			return
		}
		held, err := r.granted(ctx)
		p.set(Passed, "everything that the app registration asks for is granted")
		if err != nil { // whether the services are there can be seen even so
			p.set(NotKnown, "what is granted was not read: %v", err)
		}
		standings, missing := []standing{}, []string{}
		for _, resource := range r.asked() {
			s := standing{Resource: resourceName(resource)}
			for _, need := range r.Person.Needs {
				if strings.EqualFold(need.Resource, resource) {
					s.Needed = append(s.Needed, need.Name)
				}
			}
			s.Held = held[strings.ToLower(resource)]
			if s.Absent = r.absent(ctx, resource); s.Absent != "" {
				missing = append(missing, s.Absent)
			} else if lacking := without(s.Needed, s.Held); err == nil && len(lacking) > 0 {
				missing = append(missing, s.Resource+" lacks "+strings.Join(lacking, ", "))
			}
			standings = append(standings, s)
		}
		p.Evidence["granted"] = standings
		if len(missing) > 0 {
			p.set(Warning, "%s", strings.Join(missing, "; "))
		}
	})
}

// standing is how an app stands to one resource in the tenant, as evidence.
type standing struct {
	Resource string   `json:"resource"`
	Needed   []string `json:"needed"`
	Held     []string `json:"held"`
	Absent   string   `json:"absent,omitempty"` // the resource is not in the tenant, and why
}

func without(needed, held []string) []string {
	return slices.DeleteFunc(slices.Clone(needed), func(name string) bool {
		return slices.ContainsFunc(held, func(have string) bool { return strings.EqualFold(have, name) })
	})
}

// asked are the resources that the registration asks for, each once.
func (r *run) asked() []string {
	var out []string
	for _, need := range r.Person.Needs {
		if !slices.ContainsFunc(out, func(have string) bool { return strings.EqualFold(have, need.Resource) }) {
			out = append(out, need.Resource)
		}
	}
	return out
}

// granted reads the delegated permissions that count for the person, by the appId
// of the resource in lower case.
func (r *run) granted(ctx context.Context) (map[string][]string, error) {
	out := map[string][]string{}
	var app graph.ServicePrincipal
	err := r.reader.Get(ctx, principalPath(r.ClientID)+"?$select=id,appId,displayName", &app)
	var e *microsoft.Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		return out, nil // nobody has consented to anything: it has no service principal
	}
	if err != nil {
		return nil, err
	}
	grants, err := graph.List[permissionGrant](ctx, r.reader, "/v1.0/servicePrincipals/"+graph.PathKey(app.ID)+"/oauth2PermissionGrants")
	if err != nil {
		return nil, err
	}
	appIDs := map[string]string{}
	for _, g := range grants {
		if g.ConsentType != "AllPrincipals" && !strings.EqualFold(g.PrincipalID, r.Person.ObjectID) {
			continue
		}
		if appIDs[g.ResourceID] == "" {
			var sp graph.ServicePrincipal
			if err := r.reader.Get(ctx, "/v1.0/servicePrincipals/"+graph.PathKey(g.ResourceID)+"?$select=id,appId", &sp); err != nil {
				return nil, err
			}
			appIDs[g.ResourceID] = strings.ToLower(sp.AppID)
		}
		id := appIDs[g.ResourceID]
		out[id] = append(out[id], strings.Fields(g.Scope)...)
	}
	return out, nil
}

// permissionGrant is an oAuth2PermissionGrant.
type permissionGrant struct {
	ConsentType string `json:"consentType"`
	PrincipalID string `json:"principalId"`
	ResourceID  string `json:"resourceId"`
	Scope       string `json:"scope"`
}

// products are what has to be licensed for a service to exist in a tenant.
var products = map[string]string{"business_central": "Dynamics 365 Business Central", "sharepoint": "SharePoint Online", "exchange": "Exchange Online"}

// absent says that a resource is not in the tenant, and what that means; "" if it
// is there, or that is not known.
func (r *run) absent(ctx context.Context, resource string) string {
	var sp graph.ServicePrincipal
	err := r.reader.Get(ctx, principalPath(resource)+"?$select=id,appId,displayName,accountEnabled", &sp)
	var e *microsoft.Error
	name := resourceName(resource)
	switch {
	case errors.As(err, &e) && e.Status == http.StatusNotFound:
		why := "the tenant has no service principal of " + name + ", so no consent to it can count"
		if product := products[posture.ServiceName(strings.ToLower(resource))]; product != "" {
			why += fmt.Sprintf(": it appears with the first licence of %s", product)
		}
		return why
	case err == nil && sp.AccountEnabled != nil && !*sp.AccountEnabled:
		return "the service principal of " + name + " is disabled in the tenant"
	}
	return ""
}

// resourceName is the name of a resource for people.
func resourceName(appID string) string {
	if name := words(posture.ServiceName(strings.ToLower(appID))); name != "" {
		return name
	}
	return appID
}

// manifest says which of the permissions that the registration asks for a token
// does not carry.
func (r *run) manifest(p *Probe, service string, held []string) {
	if r.Person == nil || r.Person.Needs == nil {
		return
	}
	missing, asked := []string{}, []string{}
	for _, need := range r.Person.Needs {
		if !strings.EqualFold(need.Resource, posture.Services[service]) {
			continue
		}
		asked = append(asked, need.Name)
		// These three are of the sign-in, and stand in no token's list.
		if slices.Contains([]string{"offline_access", "openid", "profile", "email"}, need.Name) || slices.ContainsFunc(held, func(have string) bool { return strings.EqualFold(have, need.Name) }) {
			continue
		}
		name := need.Name
		if need.Why != "" {
			name += " (" + need.Why + ")"
		}
		missing = append(missing, name)
	}
	p.Evidence["asked_by_registration"], p.Evidence["missing_from_registration"] = asked, missing
	if len(missing) > 0 {
		p.worse(Warning, "the token does not carry %s, which the app registration asks for: consent was given before, or to less", strings.Join(missing, ", "))
	}
}
