package interop

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
	"github.com/coreos/go-oidc/v3/oidc"

	"gatehouse/lab"
)

// idToken signs a user in and gives the id token.
func idToken(t *testing.T, w way, client *http.Client, tenant lab.ReadyTenant, user lab.ReadyUser) string {
	t.Helper()
	app, err := public.New(commandLineTools, public.WithAuthority(w.authority+"/"+tenant.ID), public.WithHTTPClient(client), public.WithInstanceDiscovery(w.discovery))
	if err != nil {
		t.Fatal(err)
	}
	result, err := msalPassword(t.Context(), app, graphUserRead, user.UPN, *user.Password)
	if err != nil {
		t.Fatal(err)
	}
	return result.IDToken.RawToken
}

// go-oidc finds the lab's keys through the metadata of the tenant's authority
// and verifies an id token with them; it refuses what it has to refuse.
func TestIDTokenVerifies(t *testing.T) {
	l := lab.Start(t)
	tenant, other := l.Tenant("openharbour"), l.Tenant("profilepark")
	user := tenant.User("svc-backup")
	for _, w := range ways(l) {
		t.Run(w.name, func(t *testing.T) {
			client := l.Client()
			ctx := oidc.ClientContext(t.Context(), client)
			raw := idToken(t, w, client, tenant, user)
			verifier := newVerifier(ctx, t, w, tenant, commandLineTools)

			verified, err := verifier.Verify(ctx, raw)
			if err != nil {
				t.Fatal(err)
			}
			var claims struct {
				Tenant   string `json:"tid"`
				Object   string `json:"oid"`
				Username string `json:"preferred_username"`
				Version  string `json:"ver"`
			}
			if err := verified.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			if claims.Tenant != tenant.ID || claims.Object != user.ID || claims.Username != user.UPN || claims.Version != "2.0" {
				t.Errorf("claims %+v", claims)
			}

			if _, err := newVerifier(ctx, t, w, tenant, "another client").Verify(ctx, raw); err == nil {
				t.Error("accepted by another audience")
			}
			if _, err := newVerifier(ctx, t, w, other, commandLineTools).Verify(ctx, raw); err == nil {
				t.Error("accepted as an issue of another tenant")
			}
			// A claim is changed, the signature kept.
			foreign := strings.Split(idToken(t, w, client, other, other.User("svc-common")), ".")
			parts := strings.Split(raw, ".")
			if _, err := verifier.Verify(ctx, parts[0]+"."+parts[1]+"."+foreign[2]); err == nil {
				t.Error("accepted with the signature of another token")
			}
		})
	}
}

func newVerifier(ctx context.Context, t *testing.T, w way, tenant lab.ReadyTenant, client string) *oidc.IDTokenVerifier {
	t.Helper()
	provider, err := oidc.NewProvider(ctx, w.authority+"/"+tenant.ID+"/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	return provider.Verifier(&oidc.Config{ClientID: client})
}
