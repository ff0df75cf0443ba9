package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/microsoft/sharepoint"
)

// codeContext is the code of a site's demand for an authentication context.
const codeContext = "authentication_context_required"

// challengeable asks for a token whose bearer can handle claims challenges.
const challengeable = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`

// siteOf reads a SharePoint site. Where the site asks for an authentication
// context of its own, a delegated sign-in may already hold it: the challenge is
// passed on once, and says which context and policy it is if that does not help.
func (r *run) siteOf(ctx context.Context, p *Probe, name, path string, token login.Token) (sharepoint.Web, error) {
	site, err := sharepoint.New(r.client(token), name).Web(ctx, path)
	var e *microsoft.Error
	if r.Person != nil && errors.As(err, &e) && e.Status == http.StatusForbidden && len(microsoft.Contexts(e.Claims)) == 0 {
		// Only who says that they can handle a challenge is told of one (entra-sign-in §10).
		_, resource := r.Cloud.SharePointHost(name)
		if able, refused := r.askFor(ctx, resource, challengeable); refused == nil {
			site, err = sharepoint.New(r.client(able), name).Web(ctx, path)
		}
	}
	if err == nil || !errors.As(err, &e) || len(microsoft.Contexts(e.Claims)) == 0 {
		return site, err
	}
	wanted := microsoft.Contexts(e.Claims)
	policies := r.policiesOf(wanted)
	p.Evidence["authentication_context"], p.Evidence["authentication_context_policies"] = wanted, policies
	if r.Person != nil {
		_, resource := r.Cloud.SharePointHost(name)
		stepped, refused := r.askFor(ctx, resource, e.Claims)
		if refused == nil {
			if site, err = sharepoint.New(r.client(stepped), name).Web(ctx, path); err == nil {
				p.Evidence["authentication_context_met"] = true
				return site, nil
			}
		} else {
			p.Evidence["step_up"] = refused.Error()
		}
	}
	return site, r.needsContext(e, wanted, policies)
}

// needsContext is a site's demand, told with the policy behind it.
func (r *run) needsContext(e *microsoft.Error, wanted []string, policies []diagnosis.Rule) error {
	said := *e
	said.Code, said.Err = codeContext, e
	said.Message = "the site needs the authentication context " + strings.Join(wanted, ", ")
	switch {
	case len(policies) == 1:
		r.rule = &policies[0]
		said.Message += fmt.Sprintf(" = the Conditional Access policy %q", *policies[0].Name)
	case len(policies) > 1:
		names := make([]string, len(policies))
		for i, rule := range policies {
			names[i] = fmt.Sprintf("%q", *rule.Name)
		}
		said.Message += " = the Conditional Access policies " + strings.Join(names, ", ")
	default:
		r.rule = &diagnosis.Rule{Kind: diagnosis.ConditionalAccess}
		said.Message += "; which policy guards it is not known: " + r.unknownPolicies()
	}
	return &said
}

func (r *run) unknownPolicies() string {
	if r.snapshot == nil {
		return r.noReader()
	}
	return "none of the policies that were read does"
}

// policiesOf are the enabled policies that guard one of some authentication
// contexts.
func (r *run) policiesOf(contexts []string) []diagnosis.Rule {
	out := []diagnosis.Rule{}
	if r.snapshot == nil {
		return out
	}
	for _, policy := range r.snapshot.Policies {
		var read struct {
			Conditions struct {
				Applications struct {
					Contexts []string `json:"includeAuthenticationContextClassReferences"`
				} `json:"applications"`
			} `json:"conditions"`
		}
		if policy.State != "enabled" || json.Unmarshal(policy.Raw, &read) != nil {
			continue
		}
		if slices.ContainsFunc(read.Conditions.Applications.Contexts, func(c string) bool { return slices.Contains(contexts, c) }) {
			id, name := policy.ID, policy.DisplayName
			out = append(out, diagnosis.Rule{Kind: diagnosis.ConditionalAccess, ID: &id, Name: &name})
		}
	}
	return out
}
