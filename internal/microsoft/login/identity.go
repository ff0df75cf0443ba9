package login

import (
	"context"
	"crypto"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/secrets"
)

// Identity is who signed in, as a checked id token says.
type Identity struct {
	TenantID string
	ObjectID string // in that tenant
	Subject  string
	Username string // for people to read; it identifies nobody
	Name     string
	IssuedAt time.Time // when they authenticated (entra-sign-in §10)
	Guest    bool      // the token says so; a guest's token need not
	Provider string    // who authenticated them where it was another tenant or service; "" for this tenant
}

// Expected is what an id token has to be.
type Expected struct {
	TenantID string // directory id
	ClientID string
	Nonce    string // "" only where none could be sent: a device code
	Now      time.Time
}

// IdentityError says what is wrong with an id token. Reason is one of malformed,
// signature, issuer, tenant, audience, nonce, expired, not_yet.
type IdentityError struct {
	Reason string
	What   string
}

// Error says it.
func (e *IdentityError) Error() string { return "checking the id token: " + e.What }

func wrongIdentity(reason, format string, args ...any) error {
	return &IdentityError{Reason: reason, What: fmt.Sprintf(format, args...)}
}

// skew is how far the service's clock may differ from ours.
const skew = 5 * time.Minute

// VerifyID checks an id token (OpenID Connect Core §3.1.3.7): the signature with
// the tenant's keys, the exact issuer, tenant, audience, nonce and time. What is
// wrong with it is an [IdentityError]; that the keys could not be read, a
// [gatehouse/internal/microsoft.Error].
func (c *Client) VerifyID(ctx context.Context, raw secrets.Value, want Expected) (Identity, error) {
	tenant, err := c.Tenant(ctx, want.TenantID)
	if err != nil {
		return Identity{}, err
	}
	var set jose.JSONWebKeySet
	if err := c.exchange("reading the sign-in service's keys").get(ctx, c.cloud.Login+"/"+url.PathEscape(want.TenantID)+"/discovery/v2.0/keys", &set); err != nil {
		return Identity{}, err
	}
	keys := &oidc.StaticKeySet{}
	for _, k := range set.Keys {
		if k.IsPublic() && k.Valid() {
			keys.PublicKeys = append(keys.PublicKeys, crypto.PublicKey(k.Key))
		}
	}
	if strings.Count(raw.Reveal(), ".") != 2 {
		return Identity{}, wrongIdentity("malformed", "it cannot be read")
	}
	verifier := oidc.NewVerifier(tenant.Issuer, keys, &oidc.Config{SkipIssuerCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: []string{"RS256", "PS256"}})
	token, err := verifier.Verify(ctx, raw.Reveal())
	if err != nil {
		return Identity{}, wrongIdentity("signature", "it is not signed with a key of the tenant")
	}
	var payload json.RawMessage
	var claim struct {
		TenantID string  `json:"tid"`
		ObjectID string  `json:"oid"`
		Username string  `json:"preferred_username"`
		Name     string  `json:"name"`
		Provider string  `json:"idp"`
		Account  float64 `json:"acct"`
		Party    string  `json:"azp"`
	}
	if token.Claims(&payload) != nil || json.Unmarshal(payload, &claim) != nil {
		return Identity{}, wrongIdentity("malformed", "it cannot be read")
	}
	switch {
	case token.Issuer != tenant.Issuer:
		return Identity{}, wrongIdentity("issuer", "it is of %.200q, not of %s", token.Issuer, tenant.Issuer)
	case !strings.EqualFold(claim.TenantID, want.TenantID):
		return Identity{}, wrongIdentity("tenant", "it is of the tenant %.60q, not of %s", claim.TenantID, want.TenantID)
	case len(token.Audience) != 1 || token.Audience[0] != want.ClientID || claim.Party != "" && claim.Party != want.ClientID:
		return Identity{}, wrongIdentity("audience", "it is for %.200q, not for %s", token.Audience, want.ClientID)
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(want.Nonce)) != 1:
		return Identity{}, wrongIdentity("nonce", "it is of another sign-in")
	case !want.Now.Before(token.Expiry.Add(skew)):
		return Identity{}, wrongIdentity("expired", "it was good until %s", token.Expiry.UTC())
	case want.Now.Add(skew).Before(token.IssuedAt):
		return Identity{}, wrongIdentity("not_yet", "it is of %s", token.IssuedAt.UTC())
	case claim.ObjectID == "" || token.Subject == "":
		return Identity{}, wrongIdentity("malformed", "it does not say who signed in")
	}
	return Identity{
		TenantID: strings.ToLower(claim.TenantID), ObjectID: strings.ToLower(claim.ObjectID), Subject: token.Subject, Username: claim.Username, Name: claim.Name,
		IssuedAt: token.IssuedAt.UTC(), Guest: claim.Account == 1, Provider: claim.Provider,
	}, nil
}
