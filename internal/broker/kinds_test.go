package broker_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/validation"
)

const account = "svc-report@quietquay.onmicrosoft.com"

// connect makes a connection of another kind, which is the house's from then on.
func (h *house) connect(name string, kind connection.Kind, c connection.CredentialRequest) {
	h.t.Helper()
	p := connection.Profile{Name: name, Services: []string{connection.Graph}}
	if kind == connection.ServiceAccount {
		p.Username = account
	} else {
		p.ClientID = h.app.ClientID
	}
	made, err := h.connections.Create(boss(h.t.Context()), connection.CreateRequest{TenantID: h.tenant.ID, Kind: kind, Profile: p, Credential: c})
	must(h.t, err)
	h.id = made.ID
	h.wire.since()
}

// certificate is that of the app in the lab, with its key.
func (h *house) certificate() secrets.Value {
	h.t.Helper()
	data, err := os.ReadFile(*h.at.App("Quay reports").CertificateFile)
	must(h.t, err)
	return secrets.New(string(data))
}

// Connections that are no person's give tokens as a person's do: asked for once,
// shared by all processes, fetched anew before they end. Nothing to go on with is
// kept: each is asked for with the credential.
func TestKinds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		other, err := stand(t.Context(), h.db, h.keyFile, h.cloud, h.app, h.lab.Now, func(c *broker.Config) { c.Transport = h.wire })
		must(t, err)
		for name, of := range map[string]struct {
			kind       connection.Kind
			credential connection.CredentialRequest
			grant      string
		}{
			"secret":      {connection.App, connection.CredentialRequest{Secret: h.app.Secret}, "client_credentials"},
			"certificate": {connection.App, connection.CredentialRequest{CertificatePEM: h.certificate()}, "client_credentials"},
			"password":    {connection.ServiceAccount, connection.CredentialRequest{Password: secrets.New(*h.at.User("svc-report").Password)}, "password"},
		} {
			h.connect(name, of.kind, of.credential)
			first := h.token()
			if c := first.Claims; of.kind == connection.App && (c.UPN != "" || c.AppID != h.app.ClientID) || of.kind == connection.ServiceAccount && c.UPN != account {
				t.Errorf("%s: the token is of %+v", name, c)
			}
			elsewhere, err := other.Token(h.caller(audit.ConnectionUse), h.id, "graph", "")
			if again := h.token(); err != nil || again.Access.Reveal() != first.Access.Reveal() || elsewhere.Access.Reveal() != first.Access.Reveal() || h.wire.since() != 1 {
				t.Errorf("%s: each is given a token of their own: %v", name, err)
			}
			journal := h.lab.Journal()
			if last := journal[len(journal)-1]; last.GrantType != of.grant {
				t.Errorf("%s: asked with %q", name, last.GrantType)
			}
			var refresh int
			must(t, h.db.Read().NewRaw("SELECT length(refresh) FROM grants WHERE connection_id = ?", h.id).Scan(t.Context(), &refresh))
			if s := h.state(); refresh != 0 || s.State != broker.Ready || s.Person != "" || s.SignedInAt != nil || len(s.Forecasts) != 0 {
				t.Errorf("%s: %d bytes are kept to go on with: %+v", name, refresh, s)
			}
			// Most of its life over, it is still given, and another one fetched.
			h.lab.Advance(first.Expires.Sub(h.lab.Now()) * 9 / 10)
			if h.token().Access.Reveal() != first.Access.Reveal() {
				t.Errorf("%s: the caller waited although the token is still good", name)
			}
			for h.token().Access.Reveal() == first.Access.Reveal() {
				runtime.Gosched() // the refresh is under way
			}
			if n := h.wire.since(); n != 1 {
				t.Errorf("%s: asked %d times ahead of the end", name, n)
			}
			// It has ended: the caller waits for another one.
			h.lab.Advance(3 * hour)
			if h.token(); h.wire.since() != 1 {
				t.Errorf("%s: asked more than once", name)
			}
		}
	})
}

// An app's wrong credential is refused with its state and diagnosis, the service left
// alone, and the right one tried at once.
func TestAppRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.connect("app", connection.App, connection.CredentialRequest{Secret: secrets.New("not-the-secret")})
		for range 5 {
			r := h.refused(broker.Parked)
			if r.Err == nil || r.Err.Code != "AADSTS7000215" || r.Diagnosis == nil || r.Diagnosis.Category != "app_credential_invalid" || len(r.Diagnosis.Remedies) == 0 || r.RetryAfter < 50*time.Second || r.Link != "/connections/"+h.id {
				t.Fatalf("%+v %+v", r, r.Diagnosis)
			}
		}
		if n := h.wire.since(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		if s := h.state(); s.State != broker.Parked || s.Diagnosis == nil || s.Reason == "" || s.RetryAfter == 0 || len(h.news) == 0 || h.news[len(h.news)-1].What != "stopped" {
			t.Errorf("%+v %+v", s, h.news)
		}
		_, err := h.connections.SetCredential(boss(t.Context()), h.id, connection.CredentialRequest{Secret: h.app.Secret})
		must(t, err)
		h.token()
		if s := h.state(); s.State != broker.Ready || s.Diagnosis != nil || h.news[len(h.news)-1].What != "works" {
			t.Errorf("%+v", s)
		}
	})
}

// A service account's password that was refused, or of which nobody knows what became
// of it, is never sent again; one that a rule stops is, after a while.
func TestAccountRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		right := secrets.New(*h.at.User("svc-report").Password)
		h.connect("account", connection.ServiceAccount, connection.CredentialRequest{Password: secrets.New("not-the-password")})
		r := h.refused(broker.Parked)
		if r.Err == nil || r.Err.Code != "AADSTS50126" || r.Diagnosis == nil || r.Diagnosis.Category != "bad_credentials" || len(r.Diagnosis.Remedies) == 0 {
			t.Errorf("%+v %+v", r, r.Diagnosis)
		}
		for range 5 {
			h.lab.Advance(day)
			if r := h.refused(broker.Parked); r.Diagnosis == nil || r.Diagnosis.Category != "bad_credentials" || !strings.Contains(r.Reason, "not tried any more") {
				t.Errorf("%+v", r)
			}
		}
		must(t, h.TryAgain(boss(t.Context()), h.id))
		_ = h.refused(broker.Parked)
		if n := h.wire.since(); n != 1 {
			t.Errorf("a refused password was sent %d times", n)
		}
		_, err := h.connections.SetCredential(boss(t.Context()), h.id, connection.CredentialRequest{Password: right})
		must(t, err)
		h.token()

		// A rule stops it: the password is right, and is sent again when the wait is over.
		h.lab.Advance(3 * hour)
		h.patchUser(account, `{"per_user_mfa":"enforced"}`)
		h.wire.since()
		for range 5 {
			if r := h.refused(broker.Parked); r.Err == nil || r.Err.Code != "AADSTS50079" && r.Err.Code != "AADSTS50076" || r.Diagnosis == nil || !strings.HasPrefix(r.Diagnosis.Category, "mfa_") {
				t.Fatalf("%+v %+v", r, r.Diagnosis)
			}
		}
		if n := h.wire.since(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		h.patchUser(account, `{"per_user_mfa":"disabled"}`)
		h.lab.Advance(2 * time.Minute)
		h.token()

		// Gatehouse was stopped between sending it and the answer.
		must(t, h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.NewRaw("UPDATE grants SET tried = 'sent' WHERE connection_id = ?", h.id).Exec(ctx)
			return err
		}))
		h.lab.Advance(3 * hour)
		h.wire.since()
		for range 2 {
			if r := h.refused(broker.Parked); !strings.Contains(r.Reason, "stopped while it tried the password") {
				t.Error(r.Reason)
			}
		}
		if n := h.wire.since(); n != 0 {
			t.Errorf("a password of which nobody knows what became was sent again")
		}
		var tried string
		must(t, h.db.Read().NewRaw("SELECT tried FROM grants WHERE connection_id = ?", h.id).Scan(t.Context(), &tried))
		if tried != validation.TryUnanswered {
			t.Error(tried)
		}
	})
}

// Software that can answer claims challenges is given tokens that say so, kept apart
// from those of software that cannot, whatever the kind of the connection.
func TestCAE(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		other, err := stand(t.Context(), h.db, h.keyFile, h.cloud, h.app, h.lab.Now, func(c *broker.Config) { c.Transport = h.wire })
		must(t, err)
		ask := func(s *broker.Service, a broker.Ask) login.Token {
			t.Helper()
			a.Resource = "graph"
			given, err := s.Give(h.caller(audit.ConnectionUse), h.id, a)
			must(t, err)
			return given.Token
		}
		check := func(kind string) {
			plain := ask(h.Service, broker.Ask{})
			h.wire.since()
			able := ask(h.Service, broker.Ask{CAE: true})
			if capabilities(t, plain) != "" || capabilities(t, able) != "cp1" || h.wire.since() != 1 {
				t.Errorf("%s: xms_cc is %q and %q", kind, capabilities(t, plain), capabilities(t, able))
			}
			for _, s := range []*broker.Service{h.Service, other.Service} {
				if ask(s, broker.Ask{CAE: true}).Access.Reveal() != able.Access.Reveal() || ask(s, broker.Ask{}).Access.Reveal() != plain.Access.Reveal() {
					t.Errorf("%s: the two are not kept apart", kind)
				}
			}
			// Who asks for the capability by itself means the same.
			if _, err := h.Token(h.caller(audit.ConnectionUse), h.id, "graph", `{"access_token":{"xms_cc":{"values":["CP1"]}}}`); err != nil || ask(h.Service, broker.Ask{}).Access.Reveal() != plain.Access.Reveal() {
				t.Errorf("%s: who cannot answer challenges is given the token of who can: %v", kind, err)
			}
			// A challenge is answered with a token that can be challenged again.
			h.wire.since()
			const since = `{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}`
			answer := ask(h.Service, broker.Ask{CAE: true, Claims: since})
			if sent := h.wire.claims(); h.wire.since() != 1 || sent != `{"access_token":{"nbf":{"essential":true,"value":"1604106651"},"xms_cc":{"values":["cp1"]}}}` {
				t.Errorf("%s: asked with %q", kind, sent)
			}
			if capabilities(t, answer) != "cp1" || answer.Access.Reveal() == able.Access.Reveal() || ask(h.Service, broker.Ask{CAE: true}).Access.Reveal() != answer.Access.Reveal() {
				t.Errorf("%s: the answer to a challenge says %q", kind, capabilities(t, answer))
			}
			// As is that of who cannot.
			if ask(h.Service, broker.Ask{Claims: since}); h.wire.claims() != since {
				t.Errorf("%s: asked with %q", kind, h.wire.claims())
			}
		}
		check("delegated")
		h.connect("app", connection.App, connection.CredentialRequest{Secret: h.app.Secret})
		check("app")
		h.connect("account", connection.ServiceAccount, connection.CredentialRequest{Password: secrets.New(*h.at.User("svc-report").Password)})
		check("service account")
	})
}

// capabilities are those that a token tells of its client.
func capabilities(t *testing.T, token login.Token) string {
	t.Helper()
	var c struct {
		Capabilities []string `json:"xms_cc"`
	}
	payload(t, token, &c)
	return strings.Join(c.Capabilities, " ")
}

// A site demands an authentication context of whoever can be asked for it: the
// challenge goes to the broker, from there to the sign-in service, and its answer
// opens the site. Where only the person can answer, that is said.
func TestChallengeOfASite(t *testing.T) {
	t.Parallel()
	h := one(t, "quietquay", nil)
	made, err := h.connections.Create(boss(t.Context()), connection.CreateRequest{TenantID: h.tenant.ID, Kind: connection.Delegated, Profile: connection.Profile{Name: "Projects", RegistrationID: "r1", Services: []string{connection.SharePoint}}})
	must(t, err)
	h.id = made.ID
	h.signIn()
	ask := func(a broker.Ask) (login.Token, error) {
		a.Resource = "https://quietquay.sharepoint.com"
		given, err := h.Give(h.caller(audit.ConnectionUse), h.id, a)
		return given.Token, err
	}
	open := func(a broker.Ask) (status int, challenge string) {
		t.Helper()
		token, err := ask(a)
		must(t, err)
		return h.site("/sites/projects", token)
	}
	if status, challenge := open(broker.Ask{}); status != http.StatusForbidden || challenge != "" {
		t.Errorf("who cannot be asked: %d %s", status, challenge)
	}
	status, challenge := open(broker.Ask{CAE: true})
	if status != http.StatusUnauthorized || !strings.Contains(challenge, `"acrs"`) {
		t.Fatalf("who can be asked: %d %s", status, challenge)
	}
	_, err = ask(broker.Ask{CAE: true, Claims: challenge})
	var r *broker.Refused
	if !errors.As(err, &r) || r.State != broker.NeedsMFA || r.Diagnosis == nil {
		t.Fatalf("without a second factor: %v", err)
	}
	if status, _ := open(broker.Ask{CAE: true}); status != http.StatusUnauthorized || h.state().State != broker.Ready {
		t.Errorf("one site's challenge stops all: %d", status)
	}
	h.patch(`{"per_user_mfa":"enforced"}`) // so that the person shows one
	h.signIn()
	for _, a := range []broker.Ask{{}, {CAE: true}} {
		if status, _ := open(a); status == http.StatusOK {
			t.Errorf("the site opens without the context: %+v", a)
		}
	}
	if status, challenge := open(broker.Ask{CAE: true, Claims: challenge}); status != http.StatusOK {
		t.Errorf("with the answer: %d %s", status, challenge)
	}
	if status, _ := open(broker.Ask{}); status != http.StatusForbidden {
		t.Errorf("who cannot be asked has the answer of who can: %d", status)
	}
}
