package sts

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// outside is what an assertion of another issuer says, before it is checked.
type outside struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	NotBefore float64  `json:"nbf"`
	Expires   float64  `json:"exp"`
	IDType    string   `json:"idtyp"`
}

// federatedAssertion reads a client assertion that names an address as its
// issuer: the app itself signs with its client id. It returns nil for others.
func federatedAssertion(compact string) *outside {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	claims := &outside{}
	if err != nil || json.Unmarshal(payload, claims) != nil || !strings.Contains(claims.Issuer, "://") {
		return nil
	}
	return claims
}

// checkFederated matches the assertion with the federated identity credentials
// of the app: issuer, then subject, then audience, character by character
// (entra-sign-in §5.3). Signature and time come after.
func (s *Server) checkFederated(q *request, compact string, claims *outside) *refusal {
	left := slices.DeleteFunc(slices.Clone(q.app.Federated), func(c *directory.FederatedCredential) bool { return q.now.Before(c.Usable) })
	for _, step := range []struct {
		code  int
		what  string
		value string
		match func(*directory.FederatedCredential) bool
	}{
		{700211, "issuer", claims.Issuer, func(c *directory.FederatedCredential) bool { return c.Issuer == claims.Issuer }},
		{700213, "subject", claims.Subject, func(c *directory.FederatedCredential) bool { return c.Subject == claims.Subject }},
		{700212, "audience", strings.Join(claims.Audience, " "), func(c *directory.FederatedCredential) bool {
			return slices.ContainsFunc(claims.Audience, func(a string) bool { return slices.Contains(c.Audiences, a) })
		}},
	} {
		left = slices.DeleteFunc(left, func(c *directory.FederatedCredential) bool { return !step.match(c) })
		if len(left) == 0 {
			return unauthorised(step.code, "No federated identity credential of the application '%s' matches the %s '%s' of the assertion.", q.app.ClientID, step.what, clip(step.value))
		}
	}
	return s.checkOutside(q, compact, claims)
}

// checkOutside checks signature and time of an assertion whose names match.
func (s *Server) checkOutside(q *request, compact string, claims *outside) *refusal {
	if s.issues(q, claims.Issuer) {
		return s.checkOwnToken(q, compact, claims)
	}
	if s.cfg.Federation == nil {
		return unauthorised(50166, "The keys of the issuer '%s' cannot be fetched.", clip(claims.Issuer))
	}
	key, err := s.cfg.Federation.WorkloadKey()
	if err != nil {
		return unavailable(err)
	}
	jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return refuse("invalid_request", 50027, "The client assertion is not a JWT signed with RS256.")
	}
	if _, err := jws.Verify(key); err != nil {
		return unauthorised(700027, "The signature of the client assertion does not match the keys of its issuer '%s'.", clip(claims.Issuer))
	}
	return claims.inTime(q)
}

// inTime checks the times of the assertion.
func (c *outside) inTime(q *request) *refusal {
	const skew = 5 * time.Minute
	now := float64(q.now.Unix())
	if c.Expires == 0 || now > c.Expires+skew.Seconds() || now < c.NotBefore-skew.Seconds() {
		return unauthorised(700024, "The client assertion is not within its valid time range: it is %s now, the assertion is valid from %s to %s.",
			q.now.UTC().Format(time.RFC3339), stamp(c.NotBefore), stamp(c.Expires))
	}
	return nil
}

// issues reports whether an issuer is this service itself, for some tenant.
func (s *Server) issues(q *request, issuer string) bool {
	return strings.HasPrefix(issuer, q.host+"/") || strings.HasPrefix(issuer, "https://sts.windows.net/") ||
		slices.ContainsFunc(s.cfg.Clouds, func(c Cloud) bool { return strings.HasPrefix(issuer, "https://"+c.Login[0]+"/") })
}

// checkOwnToken checks a token of this service that stands in for a secret, as
// a managed identity's does: only apps' tokens may.
func (s *Server) checkOwnToken(q *request, compact string, claims *outside) *refusal {
	checked, err := s.cfg.Tokens.Verify(compact, q.now)
	switch {
	case errors.Is(err, token.ErrLifetime):
		return claims.inTime(q)
	case errors.Is(err, token.ErrMalformed):
		return refuse("invalid_request", 50027, "The client assertion is not a JWT that this service signs.")
	case errors.Is(err, token.ErrSignature):
		return unauthorised(700027, "The signature of the client assertion does not match the keys of its issuer '%s'.", clip(claims.Issuer))
	case err != nil:
		return unavailable(err)
	case checked.IDType != "app":
		return unauthorised(700229, "Only an app's own token can be a federated credential of this issuer; the assertion is a user's.")
	}
	return nil
}
