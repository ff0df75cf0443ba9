package sso

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"

	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
)

// Person is who signed in.
type Person struct {
	Directory string // the tenant's id at Entra, else the issuer
	Subject   string // the object id at Entra, else the subject
	Username  string // for people to read; it identifies nobody
	Name      string

	groups   []string
	elsewise bool // the issuer has left the groups out
	told     bool // the id token had a list of groups
	access   secrets.Value
	provider *Provider
}

// spy keeps why a key set did not verify: go-oidc gives only the text on.
type spy struct {
	oidc.KeySet
	err error
}

func (s *spy) VerifySignature(ctx context.Context, jwt string) (payload []byte, err error) {
	payload, s.err = s.KeySet.VerifySignature(ctx, jwt)
	return payload, s.err
}

// algorithm reads the header of a token, which nobody has vouched for yet.
func algorithm(raw string) (string, bool) {
	first, _, _ := strings.Cut(raw, ".")
	data, err := base64.RawURLEncoding.DecodeString(first)
	var header struct {
		Algorithm string `json:"alg"`
	}
	if err != nil || json.Unmarshal(data, &header) != nil {
		return "", false
	}
	return header.Algorithm, true
}

// verify checks an id token (OpenID Connect Core §3.1.3.7).
func (p *Provider) verify(ctx context.Context, m *metadata, raw string, f Flow, access secrets.Value) (*Person, error) {
	alg, ok := algorithm(raw)
	switch {
	case !ok:
		return nil, refuse(Malformed, nil, "the answer of the token endpoint has no id token")
	case !slices.Contains(asymmetric, alg):
		return nil, refuse(Algorithm, nil, "the id token is signed with %.20q", alg)
	}
	keys := &spy{KeySet: m.keys}
	// What follows the signature is checked below: with our clock, and the issuer
	// against the tenant.
	verifier := oidc.NewVerifier(m.Issuer, keys, &oidc.Config{SkipIssuerCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: asymmetric})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		if _, unreachable := errors.AsType[*url.Error](keys.err); unreachable {
			return nil, refuse(Unreachable, keys.err, "reading the issuer's keys")
		}
		if keys.err == nil {
			return nil, refuse(Malformed, err, "the id token cannot be read")
		}
		return nil, refuse(Signature, err, "the id token is not signed with a key of %s", p.Issuer)
	}
	var payload json.RawMessage
	if err := token.Claims(&payload); err != nil {
		return nil, refuse(Malformed, err, "the id token cannot be read")
	}
	c, err := readClaims(payload)
	if err != nil {
		return nil, refuse(Malformed, err, "the id token cannot be read")
	}
	if err := p.check(m, c, f); err != nil {
		return nil, err
	}
	if c.AccessHash != "" && token.VerifyAccessToken(access.Reveal()) != nil {
		return nil, refuse(Signature, nil, "the access token is not the one that came with the id token")
	}
	return p.person(c, access), nil
}

// check holds the claims against what was asked for.
func (p *Provider) check(m *metadata, c claims, f Flow) error {
	now := p.Now()
	if err := p.ours(m, c.Issuer, c.TenantID); err != nil {
		return err
	}
	switch {
	case !slices.Contains(c.Audience, p.ClientID):
		return refuse(Audience, nil, "the id token is for %.200q", c.Audience)
	case c.Party != nil && *c.Party != p.ClientID, c.Party == nil && len(c.Audience) > 1:
		return refuse(Audience, nil, "the id token is for several, and was not asked for by %s", p.ClientID)
	case !now.Before(c.Expires.time().Add(Skew)):
		return refuse(Expired, nil, "the id token was good until %s", c.Expires.time())
	case c.NotBefore != nil && now.Add(Skew).Before(c.NotBefore.time()), now.Add(Skew).Before(c.IssuedAt.time()):
		return refuse(NotYet, nil, "the id token is of %s", c.IssuedAt.time())
	case f.Nonce == "" || subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(f.Nonce)) != 1:
		return refuse(Nonce, nil, "the id token is of another sign-in")
	case p.entra && (c.ObjectID == "" || c.TenantID == ""):
		return refuse(Malformed, nil, "the id token has no oid or tid")
	}
	return nil
}

// ours demands that an issuer is the configured one. At Entra it has the tenant
// in it, which has to be the token's own and one of those that may sign in; for
// the answer of the authorize endpoint, tenant is "" and read out of the issuer.
func (p *Provider) ours(m *metadata, issuer, tenant string) error {
	if !p.entra {
		if issuer != m.Issuer {
			return refuse(Issuer, nil, "the id token is of %.200q", issuer)
		}
		return nil
	}
	before, after, shared := strings.Cut(m.Issuer, tenantMark)
	if tenant == "" && shared {
		tenant = strings.TrimSuffix(strings.TrimPrefix(issuer, before), after)
	}
	if issuer != strings.Replace(m.Issuer, tenantMark, tenant, 1) {
		return refuse(Issuer, nil, "the id token is of %.200q for the tenant %.60q", issuer, tenant)
	}
	if shared && tenant == "" || tenant != "" && !slices.Contains(p.Tenants, strings.ToLower(tenant)) {
		return refuse(Tenant, nil, "the tenant %.60q may not sign in", tenant)
	}
	return nil
}

func (p *Provider) person(c claims, access secrets.Value) *Person {
	who := &Person{Directory: p.Issuer, Subject: c.Subject, Username: c.Username, Name: c.Name, elsewise: c.overage(), access: access, provider: p}
	if p.entra {
		who.Directory, who.Subject = strings.ToLower(c.TenantID), strings.ToLower(c.ObjectID)
	}
	if who.Username == "" || !strings.Contains(who.Username, "@") && c.Email != "" {
		who.Username = c.Email
	}
	if c.Groups != nil {
		who.groups, who.told = *c.Groups, true
	}
	return who
}

// GroupsFrom says where [Person.Groups] comes from: the id token, Graph, or
// nowhere.
func (w *Person) GroupsFrom() string {
	switch {
	case w.told && !w.elsewise:
		return "id token"
	case w.provider.entra:
		return "graph"
	}
	return "none"
}

// Groups are the ids of all groups that the person is in, directly or through
// others. Where Entra has left them out of the token, because there are too many
// or because the app registration does not ask for them, Graph is asked with the
// person's own token. Groups that cannot be read in full are a [Groups] refusal,
// never a part of them.
func (w *Person) Groups(ctx context.Context) ([]string, error) {
	if w.told && !w.elsewise {
		return w.groups, nil
	}
	if !w.provider.entra {
		if w.elsewise {
			return nil, &Refusal{Reason: Groups, Detail: "the issuer leaves the groups out of the id token", Who: *w}
		}
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(pace.Interactive(ctx), 2*fetchTime)
	defer cancel()
	client, err := graph.New(graph.Config{Cloud: w.provider.Cloud, Pace: w.provider.Pace, Tenant: w.Directory, Token: func(context.Context) (secrets.Value, error) { return w.access, nil }})
	if err != nil {
		return nil, err
	}
	// The least permission that shows them is User.Read, which every app has; of
	// groups it shows the ids.
	found, err := graph.List[struct {
		ID string `json:"id"`
	}](ctx, client, "/v1.0/me/transitiveMemberOf?$select=id&$top=999")
	if err != nil {
		return nil, &Refusal{Reason: Groups, Detail: "Graph does not tell the groups", Who: *w, Err: err}
	}
	ids := make([]string, 0, len(found))
	for _, g := range found {
		ids = append(ids, g.ID)
	}
	return ids, nil
}
