package login_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
)

// Each thing that an id token has to be is demanded by itself: tokens that are right
// but for one are refused for that one. No service gives such out, so that the keys are
// the test's own.
func TestVerifyID(t *testing.T) {
	t.Parallel()
	const tenant, app = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "11111111-2222-3333-4444-555555555555"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	stranger, err2 := rsa.GenerateKey(rand.Reader, 2048)
	keys, err3 := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	c := login.New(login.Config{Cloud: cloud, Transport: wire(func(r *http.Request) (int, string, string) {
		if strings.HasSuffix(r.URL.Path, "/keys") {
			return 200, "application/json", string(keys)
		}
		return 200, "application/json", metadata
	})})
	now := time.Now()
	right := map[string]any{
		"iss": "https://login.test/" + tenant + "/v2.0", "tid": tenant, "aud": app, "azp": app, "nonce": "n", "oid": "22222222-3333-4444-8555-666666666666", "sub": "s",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	verify := func(by *rsa.PrivateKey, change map[string]any) error {
		t.Helper()
		claims := maps.Clone(right)
		maps.Copy(claims, change)
		payload, err := json.Marshal(claims)
		signer, err2 := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: by}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k"))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		compact, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.VerifyID(t.Context(), secrets.New(compact), login.Expected{TenantID: tenant, ClientID: app, Nonce: "n", Now: now})
		return err
	}
	if err := verify(key, nil); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]struct {
		by     *rsa.PrivateKey
		change map[string]any
		reason string
	}{
		"signed by another":    {by: stranger, reason: "signature"},
		"another issuer":       {change: map[string]any{"iss": "https://login.elsewhere.test/" + tenant + "/v2.0"}, reason: "issuer"},
		"the common issuer":    {change: map[string]any{"iss": "https://login.test/{tenantid}/v2.0"}, reason: "issuer"},
		"another tenant":       {change: map[string]any{"tid": "99999999-4b5a-6978-8796-a5b4c3d2e1f0"}, reason: "tenant"},
		"no tenant":            {change: map[string]any{"tid": nil}, reason: "tenant"},
		"another audience":     {change: map[string]any{"aud": "99999999-2222-3333-4444-555555555555"}, reason: "audience"},
		"two audiences":        {change: map[string]any{"aud": []string{app, "99999999-2222-3333-4444-555555555555"}}, reason: "audience"},
		"given to another app": {change: map[string]any{"azp": "99999999-2222-3333-4444-555555555555"}, reason: "audience"},
		"another nonce":        {change: map[string]any{"nonce": "m"}, reason: "nonce"},
		"no nonce":             {change: map[string]any{"nonce": nil}, reason: "nonce"},
		"expired":              {change: map[string]any{"exp": now.Add(-time.Hour).Unix()}, reason: "expired"},
		"of the future":        {change: map[string]any{"iat": now.Add(time.Hour).Unix()}, reason: "not_yet"},
		"of nobody":            {change: map[string]any{"oid": nil}, reason: "malformed"},
	} {
		by := key
		if m.by != nil {
			by = m.by
		}
		var is *login.IdentityError
		if err := verify(by, m.change); !errors.As(err, &is) || is.Reason != m.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
}
