package sts

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/lab/internal/directory"
)

// authenticateClient finds the app and checks its credential, if it has one
// (entra-sign-in §5). It fills in app, client and credential.
func (s *Server) authenticateClient(q *request, kind string) *refusal {
	id, secret := q.form.Get("client_id"), q.form.Get("client_secret")
	if user, password, ok := q.http.BasicAuth(); ok {
		// RFC 6749 §2.3.1: both parts are form-encoded inside the header.
		id, secret = unescape(user), unescape(password)
	}
	if id == "" {
		return missingParameter("client_id")
	}
	id = strings.ToLower(id)
	var refused *refusal
	s.cfg.Store.View(q.tenant, func(t *directory.Tenant) { refused = q.findClient(t, id, kind) })
	if refused != nil {
		return refused
	}
	assertion := q.form.Get("client_assertion")
	q.credential = "0"
	if browser, refused := s.singlePage(q, kind, secret+assertion != ""); browser || refused != nil {
		return refused
	}
	switch {
	case q.app.Public && (secret != "" || assertion != ""):
		return refuse("invalid_client", 700025, "The client is public, so neither a client secret nor an assertion may be presented.").with(http.StatusUnauthorized)
	case q.app.Public && (kind == "client_credentials" || kind == grantBehalf):
		return refuse("invalid_client", 7000218, "The request body must contain 'client_assertion' or 'client_secret': a public client can neither sign in for itself nor act for its callers.").with(http.StatusUnauthorized)
	case q.app.Public:
		return nil
	case assertion != "":
		q.credential = "2"
		return s.checkAssertion(q, assertion)
	case secret != "":
		q.credential = "1"
		return s.checkSecret(q, secret)
	}
	return refuse("invalid_client", 7000218, "The request body must contain the parameter 'client_assertion' or 'client_secret'.").with(http.StatusUnauthorized)
}

func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

// findClient looks the app up in the tenant. A multi-tenant app that nobody
// here consented to has no principal, which the client-credentials grant names
// by a code of its own.
func (q *request) findClient(t *directory.Tenant, id, kind string) *refusal {
	app, principal := t.App(id), t.Principal(id)
	switch {
	case app == nil:
		return unknownApp(clip(id), t.Name)
	case principal == nil && app.MultiTenant && kind == "client_credentials":
		return refuse("invalid_client", 7000229, "The client application '%s' is missing a service principal in the tenant '%s'.", id, t.ID).with(http.StatusUnauthorized)
	case principal == nil:
		return unknownApp(id, t.Name)
	case !principal.Enabled:
		return refuse("unauthorized_client", 7000112, "The application '%s' (%s) is disabled.", id, app.Name)
	}
	q.app, q.client = *app, *principal
	return nil
}

func (s *Server) checkSecret(q *request, value string) *refusal {
	secrets := append(append([]*directory.Secret{}, q.app.Secrets...), q.client.Secrets...)
	// A new one takes a while to reach the token endpoint.
	secrets = slices.DeleteFunc(secrets, func(secret *directory.Secret) bool { return q.now.Before(secret.Usable) })
	secret := s.cfg.Store.CheckSecret(secrets, value)
	if secret != nil {
		q.keyID = secret.KeyID
	}
	switch {
	case secret == nil || q.now.Before(secret.Start):
		return refuse("invalid_client", 7000215, "The client secret provided is not valid for app '%s'. The value is needed, not the id of the secret.", q.app.ClientID).with(http.StatusUnauthorized)
	case !q.now.Before(secret.End):
		return refuse("invalid_client", 7000222, "The client secret keys provided for app '%s' have expired (%s).", q.app.ClientID, secret.End.UTC().Format(time.RFC3339)).with(http.StatusUnauthorized)
	}
	return nil
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// checkAssertion checks a certificate assertion (entra-sign-in §5.2): PS256 or
// RS256, certificate named by x5t#S256 or x5t in either base64 alphabet.
func (s *Server) checkAssertion(q *request, assertion string) *refusal {
	if kind := q.form.Get("client_assertion_type"); kind != assertionType {
		return refuse("invalid_request", 900144, "The parameter 'client_assertion_type' must be '%s'.", assertionType)
	}
	if claims := federatedAssertion(assertion); claims != nil {
		return s.checkFederated(q, assertion, claims)
	}
	jws, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.PS256, jose.RS256})
	if err != nil || len(jws.Signatures) != 1 {
		return refuse("invalid_request", 50027, "The client assertion is not a JWT signed with PS256 or RS256.")
	}
	header := jws.Signatures[0].Protected
	if _, modern := header.ExtraHeaders["x5t#S256"]; s.cfg.Strict && (!modern || header.Algorithm != string(jose.PS256)) {
		return unauthorised(700027, "The client assertion is in the older form; sign it with PS256 and name the certificate by x5t#S256.")
	}
	certificate := q.certificate(header)
	if certificate == nil {
		return unauthorised(700027, "The certificate named in the client assertion is not registered on the application '%s'.", q.app.ClientID)
	}
	q.keyID = certificate.KeyID
	payload, err := jws.Verify(certificate.Certificate.PublicKey)
	if err != nil {
		return unauthorised(700027, "The signature of the client assertion does not match the certificate with thumbprint %X.", certificate.SHA1)
	}
	var claims struct {
		Audience  audience `json:"aud"`
		Issuer    string   `json:"iss"`
		Subject   string   `json:"sub"`
		NotBefore float64  `json:"nbf"`
		Expires   float64  `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return refuse("invalid_request", 50027, "The claims of the client assertion cannot be read.")
	}
	const skew = 5 * time.Minute
	now := float64(q.now.Unix())
	switch {
	case claims.Issuer != claims.Subject:
		return unauthorised(50048, "The subject of the client assertion differs from its issuer.")
	case !strings.EqualFold(claims.Subject, q.app.ClientID):
		return unauthorised(700021, "The client assertion's issuer is not the application that asks.")
	case !claims.Audience.ok(q):
		return unauthorised(700023, "The audience of the client assertion is not this token endpoint.")
	case claims.Expires == 0 || now > claims.Expires+skew.Seconds() || now < claims.NotBefore-skew.Seconds():
		return unauthorised(700024, "The client assertion is not within its valid time range: it is %s now, the assertion is valid from %s to %s.",
			q.now.UTC().Format(time.RFC3339), stamp(claims.NotBefore), stamp(claims.Expires))
	case q.now.After(certificate.Certificate.NotAfter) || q.now.Before(certificate.Certificate.NotBefore):
		return unauthorised(1000502, "The certificate with thumbprint %X is not within its validity period, which ends %s.",
			certificate.SHA1, certificate.Certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

func stamp(seconds float64) string {
	return time.Unix(int64(max(min(seconds, 1<<36), -1<<36)), 0).UTC().Format(time.RFC3339)
}

// certificate finds the registered certificate that a JOSE header names.
func (q *request) certificate(header jose.Header) *directory.Certificate {
	named := func(key string) string {
		value, _ := header.ExtraHeaders[jose.HeaderKey(key)].(string)
		raw, _ := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(value, "=")))
		return string(raw)
	}
	sha256, sha1 := named("x5t#S256"), named("x5t")
	for _, c := range append(slices.Clone(q.app.Certificates), q.client.Certificates...) {
		if q.now.Before(c.Usable) || c.Usage != "" {
			continue
		}
		if sha256 != "" && sha256 == string(c.SHA256[:]) || sha256 == "" && sha1 == string(c.SHA1[:]) {
			return c
		}
	}
	return nil
}

// audience is the aud claim, which may be one string or a list.
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// ok reports whether an audience is a token endpoint (v1.0 or v2.0) or the
// issuer of the tenant, under the name that the request used.
func (a audience) ok(q *request) bool {
	segment, _, _ := strings.Cut(strings.TrimPrefix(q.http.URL.Path, "/"), "/")
	for _, tenant := range []string{q.tenant, segment} {
		for _, suffix := range []string{"/oauth2/v2.0/token", "/oauth2/token", "/v2.0"} {
			for _, aud := range a {
				if strings.EqualFold(aud, q.host+"/"+tenant+suffix) {
					return true
				}
			}
		}
	}
	return false
}
