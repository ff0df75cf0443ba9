package sts

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// grantBehalf is the on-behalf-of grant: a web API exchanges the access token
// that it was called with for one to an API further on.
const grantBehalf = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// assertionTenant reads the tenant out of an assertion that was not checked
// yet, to find where to check it.
func (s *Server) assertionTenant(compact string) string {
	var claims struct {
		Tenant string `json:"tid"`
	}
	if parts := strings.Split(compact, "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims) // what cannot be read names no tenant
	}
	if claims.Tenant == "" {
		return common // resolves to no tenant, the refusal names it
	}
	return claims.Tenant
}

// onBehalf is the on-behalf-of grant (identity platform, "OAuth 2.0
// On-Behalf-Of flow").
func (s *Server) onBehalf(q *request) (map[string]any, *refusal) {
	q.behalf = true
	switch use := q.form.Get("requested_token_use"); {
	case use == "":
		return nil, missingParameter("requested_token_use")
	case use != "on_behalf_of":
		return nil, refuse("invalid_request", 90023, "The value '%s' of the parameter 'requested_token_use' is not supported.", clip(use))
	case q.form.Get("assertion") == "":
		return nil, missingParameter("assertion")
	}
	if refused := s.resolveScopes(q, false); refused != nil {
		return nil, refused
	}
	entry := &directory.SignIn{Protocol: "none"}
	result, refused := s.behalfGates(q, entry)
	s.logSignIn(q, entry, refused)
	return result, refused
}

func (s *Server) behalfGates(q *request, entry *directory.SignIn) (map[string]any, *refusal) {
	claims, behind, refused := s.userAssertion(q)
	if refused != nil {
		return nil, refused
	}
	var grant *userGrant
	s.cfg.Store.Update(q.tenant, func(t *directory.Tenant) {
		if refused = s.checkResource(q, t); refused != nil {
			return
		}
		var sub *subject
		if sub, refused = findSubject(t, behind.UPN, q.now); refused != nil {
			return
		}
		entry.UserID, entry.UserName, entry.UPN, entry.HomeTenant = sub.user.ID, sub.user.Name, sub.user.UPN, sub.home.ID
		if refused = sub.stillGood(directory.Remnant{Password: slices.Contains(behind.AMR, "pwd"), Confidential: true, Issued: time.Unix(claims.IssuedAt, 0)}); refused == nil {
			grant, refused = s.authorise(q, t, sub, entry, behind.proof())
		}
	})
	if refused != nil {
		return nil, refused
	}
	grant.acrs = joined(behind.ACRs, grant.acrs)
	return s.userTokens(q, grant)
}

// userAssertion checks the token that the middle tier was called with: issued
// here, in time, for a user, and for this app.
func (s *Server) userAssertion(q *request) (*token.Claims, *provenance, *refusal) {
	claims, err := s.cfg.Tokens.Verify(q.form.Get("assertion"), q.now)
	switch {
	case errors.Is(err, token.ErrMalformed):
		return nil, nil, refuse("invalid_request", 50027, "The assertion is not a JWT that this service signs.")
	case errors.Is(err, token.ErrSignature):
		return nil, nil, refuse("invalid_grant", 50013, "The assertion failed validation: its signature does not match any key of this service.")
	case errors.Is(err, token.ErrLifetime):
		return nil, nil, refuse("invalid_grant", 500133, "The assertion is not within its valid time range: it is %s now.", q.now.UTC().Format(time.RFC3339))
	case err != nil:
		return nil, nil, unavailable(err)
	case claims.IDType == "":
		return nil, nil, refuse("invalid_request", 240002, "An id token cannot be the assertion of this grant; use the access token that the API was called with.")
	case claims.IDType != "user":
		return nil, nil, refuse("unauthorized_client", 7000114, "The application '%s' is not allowed to make application on-behalf-of calls: the assertion is an app's own token.", q.app.ClientID)
	case claims.TenantID != q.tenant:
		return nil, nil, refuse("invalid_grant", 50013, "The assertion failed validation: it was issued by another tenant than '%s'.", q.tenant)
	case !q.audienceOf(claims.Audience):
		return nil, nil, refuse("invalid_grant", 500131, "The audience '%s' of the assertion is not the client '%s' that presents it, nor one of its identifier URIs.", clip(claims.Audience), q.app.ClientID)
	}
	behind := &provenance{}
	note, err := base64.RawURLEncoding.DecodeString(claims.Note)
	if err == nil {
		err = json.Unmarshal(note, behind)
	}
	if err != nil || behind.UPN == "" {
		return nil, nil, refuse("invalid_grant", 50013, "The assertion failed validation: it was not issued for an API of a tenant's own.")
	}
	return claims, behind, nil
}

// audienceOf reports whether an audience is the asking app.
func (q *request) audienceOf(audience string) bool {
	if strings.EqualFold(audience, q.app.ClientID) {
		return true
	}
	return q.app.API != nil && slices.ContainsFunc(q.app.API.URIs, func(uri string) bool { return strings.EqualFold(strings.TrimRight(uri, "/"), audience) })
}

// stillGood looks at the account behind something that was issued before.
func (sub *subject) stillGood(a directory.Remnant) *refusal {
	if !sub.user.Enabled {
		return refuse("invalid_grant", 50057, "The user account is disabled.")
	}
	if since, revoked := sub.user.Revoked(a); revoked {
		return refuse("invalid_grant", 50173, "The grant has been revoked: it was issued on %s and the user's tokens are valid from %s on.",
			a.Issued.UTC().Format(time.RFC3339), since.UTC().Format(time.RFC3339)).sub("bad_token")
	}
	return nil
}

// grantedScopes are the delegated scopes that the client holds on the resource
// for the user. For a token for itself an app needs no more than the consent
// to sign the user in.
func (q *request) grantedScopes(t *directory.Tenant, sub *subject) ([]string, *refusal) {
	scopes := t.ScopesOf(q.client.ClientID, q.resource.ClientID, sub.user.ID)
	if q.resource.App == nil || len(scopes) > 0 {
		return scopes, nil
	}
	if q.itself() {
		if len(t.ScopesOf(q.client.ClientID, directory.GraphID, sub.user.ID)) == 0 {
			return nil, refuse("invalid_grant", 90008, "Neither the user nor an administrator has consented to use the application '%s': it needs at least the permission to sign in and read the profile.", q.app.ClientID).sub("consent_required")
		}
		for _, scope := range q.resource.Scopes {
			scopes = append(scopes, scope.Value)
		}
		return append(scopes, "openid"), nil
	}
	if listed := q.app.Delegated[q.resource.Alias]; q.isDefault && len(listed) == 0 && !sub.gdap {
		return nil, refuse("invalid_resource", 650057, "The client '%s' asks for the resource '%s', which its registration does not list among the permissions it needs.", q.app.ClientID, q.resource.ClientID)
	}
	return scopes, nil
}

// checkAssignment: apps that require assignment, be it the client or an API of
// a tenant's own, let assigned people in only.
func (q *request) checkAssignment(t *directory.Tenant, sub *subject) *refusal {
	principals := []*directory.Principal{&q.client}
	if p := t.Principal(q.resource.ClientID); q.resource.App != nil && p != nil {
		principals = append(principals, p)
	}
	for _, p := range principals {
		if !p.AssignmentRequired || assigned(t, p, sub.user.ID) {
			continue
		}
		name := p.ClientID
		if a := t.App(p.ClientID); a != nil {
			name = a.Name
		}
		return refuse("invalid_grant", 50105, "The user '%s' is not assigned to a role for the application '%s' (%s), which requires assignment.", sub.user.UPN, p.ClientID, name)
	}
	return nil
}
