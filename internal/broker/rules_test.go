package broker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/lab"
)

// Whoever wants to know whether a connection works is not told by the last token, which
// is good for some minutes more.
func TestProve(t *testing.T) {
	t.Parallel()
	h := one(t, "quietquay", nil)
	if _, err := h.Prove(t.Context(), h.id, "graph", ""); err != nil {
		t.Error(err)
	}
	h.advance(2 * time.Second)
	h.patch(`{"revoke_sessions":true}`)
	if _, err := h.Fresh(t.Context(), h.id, "https://graph.microsoft.com"); err != nil {
		t.Errorf("the last token is not given out: %v", err)
	}
	h.token()
	_, err := h.Prove(t.Context(), h.id, "graph", "")
	var r *broker.Refused
	if !errors.As(err, &r) || r.State != broker.NeedsSignIn || r.Err == nil || r.Err.Code != "AADSTS50173" || r.Diagnosis == nil {
		t.Errorf("%v", err)
	}
	h.signIn()
	if _, err := h.Prove(t.Context(), h.id, "graph", ""); err != nil {
		t.Error(err)
	}
}

// A sign-in to one client id is not taken to another one: the service is not asked, and
// the person has to sign in.
func TestFormerClient(t *testing.T) {
	t.Parallel()
	other := login.App{ClientID: "99999999-2222-4333-8444-555555555555", Secret: secrets.New("of the other one")}
	replaced := false
	h := one(t, "quietquay", func(c *broker.Config) {
		of := c.App
		c.App = func(ctx context.Context, id string) (login.App, error) {
			if replaced {
				return other, nil
			}
			return of(ctx, id)
		}
	})
	h.token()
	replaced = true
	h.advance(3 * hour)
	h.wire.since()
	if r := h.refused(broker.NeedsSignIn); r.Err != nil || !strings.Contains(r.Reason, h.app.ClientID) {
		t.Errorf("%+v", r)
	}
	if n := h.wire.since(); n != 0 {
		t.Errorf("the service was asked %d times with the other app's credential", n)
	}
	replaced = false
	h.token()
}

// A caller who leaves while the service is asked changes nothing: what it says is
// stored, the refresh token that takes the old one's place among it.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	h := one(t, "quietquay", nil)
	must(t, h.lab.SetSettings(lab.Settings{SingleUse: true}))
	before := h.token().Access.Reveal()
	h.advance(3 * hour)
	leaving, leave := context.WithCancel(h.caller(audit.ConnectionUse))
	h.wire.before(leave)
	_, _ = h.Token(leaving, h.id, "graph", "")
	h.wire.before(nil)
	n := h.renewals()
	if after := h.token(); after.Access.Reveal() == before || h.renewals() != n || n != 1 {
		t.Errorf("%d refreshes, then %d", n, h.renewals())
	}
	h.advance(3 * hour)
	h.token()
}

// While a process waits for a slow answer it keeps others from asking, however short
// its claim.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	short := func(c *broker.Config) { c.Claim = 200 * time.Millisecond }
	h := one(t, "quietquay", short)
	must(t, h.lab.SetSettings(lab.Settings{SingleUse: true}))
	other, err := stand(t.Context(), h.db, h.keyFile, h.cloud, h.app, h.lab.Now, short)
	must(t, err)
	if _, err := h.lab.AddFault(lab.Fault{Service: "login", Grant: "refresh_token", Kind: "latency", Delay: "900ms"}); err != nil {
		t.Fatal(err)
	}
	h.advance(3 * hour)
	given := make(chan string, 2)
	for _, g := range []*ground{h.ground, other} {
		go func() {
			token, err := g.Token(h.caller(audit.ConnectionUse), h.id, "graph", "")
			if err != nil {
				given <- err.Error()
				return
			}
			given <- token.Access.Reveal()
		}()
	}
	if a, b := <-given, <-given; a != b || strings.Count(a, ".") != 2 || h.renewals() != 1 {
		t.Errorf("%d refreshes; the same token: %v", h.renewals(), a == b)
	}
}

// A service account's token: its password is sent once for as long as the token lasts.
// One that was refused is parked, whoever asks, and so is one of which nobody knows
// what became of it.
func TestServiceAccount(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		user := h.at.User("svc-report")
		account := func(name, password string) connection.Connection {
			c, err := h.connections.Create(boss(t.Context()), connection.CreateRequest{TenantID: h.tenant.ID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: name, Username: user.UPN, Services: []string{connection.Graph}}, Credential: connection.CredentialRequest{Password: secrets.New(password)}})
			must(t, err)
			return c
		}
		sent := func() (n int) {
			for _, e := range h.lab.Journal() {
				if e.GrantType == "password" {
					n++
				}
			}
			return n
		}
		ask := func(id string) error {
			token, err := h.Token(h.caller(audit.ConnectionUse), id, "graph", "")
			if err == nil {
				h.good(token)
			}
			return err
		}
		right := account("Right", *user.Password)
		for range 3 {
			must(t, ask(right.ID))
		}
		if n := sent(); n != 1 {
			t.Errorf("the password was sent %d times", n)
		}
		h.advance(3 * hour)
		must(t, ask(right.ID))

		wrong, before := account("Wrong", "surely not this one 17"), sent()
		for range 3 {
			h.advance(2 * hour)
			var r *broker.Refused
			if err := ask(wrong.ID); !errors.As(err, &r) || r.State != broker.Parked {
				t.Errorf("a wrong password: %v", err)
			}
			must(t, h.TryAgain(boss(t.Context()), wrong.ID))
		}
		if now, err := h.connections.Get(boss(t.Context()), wrong.ID); err != nil || !now.Parked || now.ParkedReason == "" || sent()-before != 1 {
			t.Errorf("parked %v, %q, sent %d times, %v", now.Parked, now.ParkedReason, sent()-before, err)
		}

		// Stopped between the try and its outcome.
		lost := account("Lost", *user.Password)
		must(t, ask(lost.ID))
		must(t, h.exec("UPDATE grants SET tried = 'sent' WHERE connection_id = ?", lost.ID))
		h.advance(3 * hour)
		before = sent()
		var r *broker.Refused
		if err := ask(lost.ID); !errors.As(err, &r) || r.State != broker.Parked || sent() != before {
			t.Errorf("a try that nobody knows the outcome of: %v, sent %d times", err, sent()-before)
		}
	})
}

// What a sign-in earned is given to nobody but who asks for a token: no state, refusal,
// notice, line of the log or live event holds it, and the database has it sealed. The
// refresh token is given to nobody at all.
func TestTokensStay(t *testing.T) {
	t.Parallel()
	file := dbtest.SQLite(t)
	h := open(t, dbtest.Open(t, file), "quietquay", nil)
	g := h.earn()
	must(t, h.keep(g))
	hidden := []string{g.Refresh.Reveal(), g.Access.Access.Reveal()}
	h.advance(3 * hour)
	var renewed string // the refresh token that takes the first one's place
	h.wire.RoundTripper = reading{h.wire.RoundTripper, func(body []byte) {
		var answer struct {
			Refresh string `json:"refresh_token"`
		}
		if json.Unmarshal(body, &answer) == nil && answer.Refresh != "" {
			renewed = answer.Refresh
		}
	}}
	hidden = append(hidden, h.token().Access.Reveal(), renewed)
	h.advance(2 * time.Second)
	h.patch(`{"revoke_sessions":true}`)
	h.advance(3 * hour)
	r := h.refused(broker.NeedsSignIn)
	must(t, h.audit.Flush(boss(t.Context())))
	log, err := h.audit.List(boss(t.Context()), audit.Filter{ObjectID: h.id})
	must(t, err)
	var events []struct{ Data string }
	must(t, h.db.Read().NewRaw("SELECT data FROM live_events").Scan(t.Context(), &events))
	said, err := json.Marshal([]any{h.state(), r, log, h.news, events})
	must(t, err)
	text := string(said) + fmt.Sprintf("%+v %+v %v %s", h.state(), r, r, g.Refresh)
	if !strings.Contains(text, "token.refused") || !strings.Contains(text, "needs_sign_in") {
		t.Fatal(text)
	}
	var stored []byte
	for _, name := range []string{file, file + "-wal"} {
		data, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		stored = append(stored, data...)
	}
	if !strings.Contains(string(stored), "token.refused") {
		t.Fatal("the database was not read")
	}
	for i, secret := range hidden {
		if len(secret) < 20 {
			t.Fatalf("secret %d is %q", i, secret)
		}
		if strings.Contains(text, secret) || strings.Contains(string(stored), secret) {
			t.Errorf("secret %d is told (%v) or stored open", i, strings.Contains(text, secret))
		}
	}
}

// reading is a way to the lab on which answers are looked at.
type reading struct {
	http.RoundTripper
	look func([]byte)
}

func (r reading) RoundTrip(q *http.Request) (*http.Response, error) {
	answer, err := r.RoundTripper.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	r.look(body)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, err
}

// Of many processes that find the token ended at once, whoever comes to ask after
// another has is content with what that one got.
func TestLosersReadAgain(t *testing.T) {
	t.Parallel()
	h := one(t, "quietquay", nil)
	must(t, h.lab.SetSettings(lab.Settings{SingleUse: true}))
	all := []*ground{h.ground}
	for range 7 {
		g, err := stand(t.Context(), h.db, h.keyFile, h.cloud, h.app, h.lab.Now, nil)
		must(t, err)
		all = append(all, g)
	}
	for round := range 12 {
		h.advance(3 * hour)
		before := h.renewals()
		begin, ended := make(chan struct{}), make(chan error, len(all))
		for _, g := range all {
			go func() {
				<-begin
				_, err := g.Token(h.caller(audit.ConnectionUse), h.id, "graph", "")
				ended <- err
			}()
		}
		close(begin)
		for range all {
			must(t, <-ended)
		}
		if n := h.renewals() - before; n != 1 {
			t.Fatalf("round %d: %d refreshes", round, n)
		}
	}
}

// Another credential of a connection ends what was got with the one before, as another
// version of its settings does.
func TestNewCredential(t *testing.T) {
	t.Parallel()
	h := one(t, "quietquay", nil)
	credential := connection.CredentialRequest{Secret: h.app.Secret}
	c, err := h.connections.Create(boss(t.Context()), connection.CreateRequest{TenantID: h.tenant.ID, Kind: connection.App, Profile: connection.Profile{Name: "Reports as an app", ClientID: h.app.ClientID, Services: []string{connection.Graph}}, Credential: credential})
	must(t, err)
	asked := func(want int, when string) {
		t.Helper()
		h.wire.since()
		for range 2 {
			_, err := h.Token(h.caller(audit.ConnectionUse), c.ID, "graph", "")
			must(t, err)
			h.Unremembered()
		}
		if n := h.wire.since(); n != want {
			t.Errorf("%s: asked %d times, not %d", when, n, want)
		}
	}
	asked(1, "at first")
	_, err = h.connections.SetCredential(boss(t.Context()), c.ID, credential)
	must(t, err)
	asked(1, "with another credential")
	now, err := h.connections.Get(boss(t.Context()), c.ID)
	must(t, err)
	_, err = h.connections.Update(boss(t.Context()), c.ID, connection.UpdateRequest{Version: now.Version, Profile: connection.Profile{Name: "Reports as an app", ClientID: h.app.ClientID, Services: []string{connection.Graph, connection.BusinessCentral}}})
	must(t, err)
	asked(1, "with other settings")
}
