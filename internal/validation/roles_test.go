package validation_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// An account's role that is not known is blank with the reason, and each reason is
// told apart; where it is known, none is given.
func TestRolesUnread(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	// refuse forbids one call, as a tenant's rules may.
	refuse := func(part string) func(*validation.Request) {
		return func(r *validation.Request) {
			r.Cloud = hostile(t, forward(t, l, func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, part) {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}`))
				return true
			}))
		}
	}
	for _, c := range []struct {
		name, tenant, user string
		change             func(*validation.Request)
		want               string // the beginning of the reason; "" for none
	}{
		{"with a reader", "defaultshield", "svc-connection", func(*validation.Request) {}, ""},
		{"the reader fails", "defaultshield", "svc-connection", func(r *validation.Request) {
			r.Reader.Credential = validation.Credential{Secret: secrets.New("not the secret")}
		}, "the reader could not read the tenant, and the account's own sign-in was refused"},
		{"an app password", "profilepark", "svc-avepoint", func(r *validation.Request) { r.Reader, r.AppPassword = nil, true }, "there is no reader, and the profile's app password opens no sign-in"},
		{"held by the consumer", "openharbour", "svc-backup", func(r *validation.Request) {
			r.Reader, r.Elsewhere, r.Credential = nil, true, validation.Credential{}
		}, "there is no reader, and the credential is with the consumer alone"},
		{"MFA", "defaultshield", "svc-connection", func(r *validation.Request) { r.Reader = nil }, "there is no reader, and a rule that demands MFA keeps the account from a token of its own"},
		{"a wrong password", "openharbour", "svc-backup", func(r *validation.Request) {
			r.Reader, r.Password = nil, secrets.New("not the password")
		}, "there is no reader, and the account got no token of its own"},
		{"its own token", "openharbour", "svc-backup", func(r *validation.Request) { r.Reader = nil }, ""},
		{"its own token may not", "openharbour", "svc-backup", func(r *validation.Request) { refuse("/v1.0/me")(r); r.Reader = nil }, "the account's own token may not read them: "},
		{"the reader may not", "openharbour", "svc-backup", refuse("/transitiveMemberOf"), "Insufficient privileges"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := account(t, l, c.tenant, c.user, "")
			c.change(&r)
			p := probe(t, check(t, r), validation.ProbeAccount)
			got, _ := p.Evidence["roles_unread"].(string)
			if c.want == "" {
				if roles, known := p.Evidence["roles"].([]string); !known || roles == nil || got != "" {
					t.Errorf("roles %v, unread %q", p.Evidence["roles"], got)
				}
				return
			}
			if !strings.Contains(got, c.want) || p.Evidence["roles"] != nil {
				t.Errorf("roles %v, unread %q, want %q", p.Evidence["roles"], got, c.want)
			}
		})
	}
}
