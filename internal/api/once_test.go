package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/audit"
)

const key = idempotencyHeader

func (h *house) invite(p person, email string, headers ...string) answer {
	return h.ask("203.0.113.1", p.token, "POST", "/api/v1/operators", encoded(h.T, client.InviteRequest{Email: email, Name: "Eve"}), headers...)
}

func (h *house) people(p person) int {
	return len(get[client.List[client.Operator]](h.T, h.ask("203.0.113.1", p.token, "GET", "/api/v1/operators", "")).Items)
}

// The key belongs to one operator and one request, and its answer to a day.
func TestKeyBelongs(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		first := h.invite(ada, "eve@contoso.example", key, "one")
		if again := h.invite(ada, "eve@contoso.example", key, "one"); again.status != http.StatusOK || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Content-Type") != first.header.Get("Content-Type") {
			t.Errorf("again: %d %s %v, want %s %v", again.status, again.body, again.header, first.body, first.header)
		}
		for what, a := range map[string]answer{
			"another body": h.invite(ada, "mallory@contoso.example", key, "one"),
			"another path": h.ask("203.0.113.1", ada.token, "POST", "/api/v1/keys/rotate", "", key, "one"),
		} {
			if a.status != http.StatusUnprocessableEntity || a.problem(t).Type != client.ProblemRepeated {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		}
		if n := h.people(ada); n != 2 {
			t.Errorf("%d operators, want 2", n)
		}
		// A refusal is an answer as well: the same request has the same one.
		taken := h.invite(ada, "eve@contoso.example", key, "two")
		if again := h.invite(ada, "eve@contoso.example", key, "two"); taken.status != http.StatusConflict || again.body != taken.body || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%d %s, then %s", taken.status, taken.body, again.body)
		}
		if a := h.invite(ada, "long@contoso.example", key, strings.Repeat("k", maxKey+1)); a.status != http.StatusBadRequest || a.problem(t).Type != client.ProblemBadRequest {
			t.Errorf("a key of 201 characters: %d %s", a.status, a.body)
		}

		// Another's key of the same name is another key.
		link := get[client.Invitation](t, h.ask("203.0.113.1", ada.token, "POST", "/api/v1/operators", encoded(t, client.InviteRequest{Email: "bob@contoso.example", Name: "Bob", Roles: map[string]string{client.AllTenants: "administrator"}}))).Link
		bob := h.setUp("203.0.113.1", link, "")
		if a := h.invite(bob, "carol@contoso.example", key, "one"); a.status != http.StatusOK || a.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("Bob's key: %d %s", a.status, a.body)
		}

		h.pass(keepAnswers - time.Minute)
		ada.token = h.again(ada)
		sweep := func() {
			if err := Sweep(t.Context(), h.DB, h.time()); err != nil {
				t.Fatal(err)
			}
		}
		sweep()
		if a := h.invite(ada, "eve@contoso.example", key, "one"); a.body != first.body {
			t.Errorf("within the day: %d %s", a.status, a.body)
		}
		h.pass(2 * time.Minute)
		sweep()
		if a := h.invite(ada, "eve@contoso.example", key, "one"); a.status != http.StatusConflict || a.problem(t).Type != client.ProblemConflict {
			t.Errorf("after the day: %d %s", a.status, a.body)
		}
	})
}

// again signs in anew: a session does not last a day.
func (h *house) again(p person) string {
	h.Helper()
	half := get[client.Session](h.T, h.signIn("203.0.113.1", p.email, goodPassword))
	return get[client.Session](h.T, h.ask("203.0.113.1", half.Token, "POST", "/api/v1/session/code", encoded(h.T, client.CodeRequest{Code: h.code(p.secret)}))).Token
}

// Many at once with one key: one does it, the others are told to wait or have
// its answer.
func TestKeyAtOnce(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		done := map[string]int{}
		for _, a := range times(20, func(string) answer { return h.invite(ada, "eve@contoso.example", key, "one") }) {
			switch {
			case a.status == http.StatusOK:
				done[a.body]++
			case a.status != http.StatusConflict || a.problem(t).Type != client.ProblemRepeated:
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		if len(done) != 1 || h.people(ada) != 2 {
			t.Errorf("%d different answers, %d operators", len(done), h.people(ada))
		}
	})
}

// A server that is cut off in between does not do it again after its restart,
// whether it had come to the end or not: the caller has to look. Where nothing
// was done for good, it is done then.
func TestKeyCutOff(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		var done atomic.Int32
		end := func(http.ResponseWriter) {}
		handler := h.authenticate(h.once(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			done.Add(1)
			end(w)
		})))
		ask := func(with string) answer {
			return askOf(t, handler, "203.0.113.1", ada.token, "POST", "/api/v1/operators", "{}", key, with)
		}
		for name, test := range map[string]struct {
			end   func(http.ResponseWriter)
			times int32
			want  int
		}{
			"cut off before":           {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 1, http.StatusConflict},
			"cut off after the answer": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK); panic(http.ErrAbortHandler) }, 1, http.StatusConflict},
			"internal":                 {func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, 2, http.StatusInternalServerError},
			"too many":                 {func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }, 2, http.StatusTooManyRequests},
			"Microsoft was away":       {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, 2, http.StatusBadGateway},
			"done":                     {func(w http.ResponseWriter) { fmt.Fprint(w, "{}") }, 1, http.StatusOK},
		} {
			done.Store(0)
			end = test.end
			func() {
				defer func() { _ = recover() }() // the server is gone
				ask(name)
			}()
			a := ask(name) // by the same key, as after a restart: all that is known is in the database
			if a.status != test.want || done.Load() != test.times {
				t.Errorf("%s: %d %s, done %d times, want %d", name, a.status, a.body, done.Load(), test.times)
			}
			if a.status == http.StatusConflict && a.problem(t).Type != client.ProblemRepeated {
				t.Errorf("%s: %s", name, a.body)
			}
		}
	})
}

// Who has gone before the answer finds it when they ask again.
func TestKeyOfWhoLeft(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		ctx, leave := context.WithCancel(t.Context())
		handler := h.authenticate(h.once(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			leave()
			fmt.Fprint(w, `"done"`)
		})))
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/operators", strings.NewReader("{}"))
		r.RemoteAddr = "203.0.113.1:1"
		r.Header.Set("Authorization", "Bearer "+ada.token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(key, "left")
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if a := askOf(t, handler, "203.0.113.1", ada.token, "POST", "/api/v1/operators", "{}", key, "left"); a.body != `"done"` || a.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// Answers are kept sealed, also while the keys are being replaced.
func TestKeySealed(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		first := h.invite(ada, "eve@contoso.example", key, "one")
		link := get[client.Invitation](t, first).Link
		if err := h.Keys.BeginRotation(audit.AsSystem(t.Context(), "test")); err != nil {
			t.Fatal(err)
		}
		if again := h.invite(ada, "eve@contoso.example", key, "one"); again.body != first.body {
			t.Errorf("%d %s", again.status, again.body)
		}
		var answers []string
		if err := h.DB.Read().NewRaw("SELECT answer FROM idempotency").Scan(t.Context(), &answers); err != nil || len(answers) != 1 || answers[0] == "" {
			t.Fatalf("%d answers %v", len(answers), err)
		}
		if strings.Contains(answers[0], link[len(link)-20:]) {
			t.Error("a link lies open in the database")
		}
	})
}
