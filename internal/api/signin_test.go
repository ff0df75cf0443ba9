package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/operator"
)

func (h *house) signIn(from, email, password string) answer {
	return h.ask(from, "", "POST", "/api/v1/session", encoded(h.T, client.SignInRequest{Email: email, Password: password}))
}

// times does something a number of times at once, each from an address of its
// own, and gives the answers.
func times(n int, do func(from string) answer) []answer {
	all := make([]answer, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = do(fmt.Sprintf("198.51.100.%d", i+1)) })
	}
	wg.Wait()
	return all
}

// Ten wrong passwords lock an account, from wherever they come. The answer is
// the same whether the account is locked, the password wrong or nobody called
// so; and the lock ends.
func TestLockOut(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		var refused []answer
		refused = append(refused, times(10, func(from string) answer { return h.signIn(from, ada.email, "wrong") })...)
		locked := h.signIn("203.0.113.1", ada.email, goodPassword)
		refused = append(refused, locked, h.signIn("203.0.113.2", "nobody@contoso.example", goodPassword))
		for i, a := range refused {
			if a.status != http.StatusUnauthorized || a.body != locked.body || a.problem(t).Type != client.ProblemSignIn {
				t.Errorf("%d: %d %s, want just %s", i, a.status, a.body, locked.body)
			}
		}
		if me := get[client.Session](t, h.ask("203.0.113.3", ada.token, "GET", "/api/v1/session", "")); me.Stage != client.StageSignedIn {
			t.Errorf("whoever is in already is thrown out: %+v", me)
		}
		if me := get[client.List[client.Operator]](t, h.ask("203.0.113.3", ada.token, "GET", "/api/v1/operators", "")).Items[0]; me.LockedUntil == nil {
			t.Error("an administrator does not see the lock")
		}
		h.pass(15*time.Minute + time.Second)
		if s := get[client.Session](t, h.signIn("203.0.113.1", ada.email, goodPassword)); s.Stage != client.StagePassword {
			t.Errorf("after the lock: %+v", s)
		}
	})
}

// Wrong codes lock the account as well, though the password was right each
// time, and the right code does not help then.
func TestLockOutByCode(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		h.pass(time.Minute) // the generator shows another code
		half := get[client.Session](t, h.signIn("203.0.113.1", ada.email, goodPassword))
		give := func(from, code string) answer {
			return h.ask(from, half.Token, "POST", "/api/v1/session/code", encoded(t, client.CodeRequest{Code: code}))
		}
		for _, a := range times(10, func(from string) answer { return give(from, "000000x") }) {
			if a.status != http.StatusUnauthorized || a.problem(t).Type != client.ProblemSignIn {
				t.Errorf("a wrong code: %d %s", a.status, a.body)
			}
		}
		if a := give("203.0.113.1", h.code(ada.secret)); a.status != http.StatusUnauthorized {
			t.Errorf("locked, and the right code: %d %s", a.status, a.body)
		}
		if a := h.signIn("203.0.113.1", ada.email, goodPassword); a.status != http.StatusUnauthorized {
			t.Errorf("locked, and the right password: %d %s", a.status, a.body)
		}
	})
}

// What needs no session is limited by address: every such route, and every
// other without a session or with a bad one.
func TestOpenRoutesAreLimited(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		const burst = 4
		h.Open = operator.NewLimiter(operator.LimiterConfig{Every: time.Hour, Burst: burst, Now: h.time})
		handler := h.face.handler()
		tries := []struct{ method, path, token, body string }{
			{"GET", "/api/docs", "", ""}, {"GET", "/api/docs.css", "", ""}, {"GET", "/api/openapi.json", "", ""}, {"GET", "/api/nowhere", "", ""}, {"PUT", "/api/v1/tenants", "", ""},
			{"GET", "/api/v1/tenants", "bad", ""},
		}
		for _, r := range h.routes {
			tries = append(tries, struct{ method, path, token, body string }{r.method, prefix + strings.NewReplacer("{id}", "1", "{tenant}", "1").Replace(r.path), "", `{"email":"a@b.example","password":"x","link":"x"}`})
		}
		for i, try := range tries {
			from := fmt.Sprintf("198.18.%d.1", i)
			for n := range burst + 1 {
				if n == 0 && try.path == "/api/v1/session" {
					// A refused sign-in takes its time; one is enough.
					for range burst {
						if err := h.Open.Take(from); err != nil {
							t.Fatal(err)
						}
					}
					continue
				}
				a := askOf(t, handler, from, try.token, try.method, try.path, try.body)
				if limited := a.status == http.StatusTooManyRequests; limited != (n == burst || try.path == "/api/v1/session") {
					t.Errorf("%s %s, time %d: %d %s", try.method, try.path, n+1, a.status, a.body)
				} else if limited {
					p := a.problem(t)
					if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 || p.RetryAfter != seconds || p.Type != client.ProblemLimited {
						t.Errorf("%s %s: Retry-After %q, %s", try.method, try.path, a.header.Get("Retry-After"), a.body)
					}
				}
			}
			if a := askOf(t, handler, fmt.Sprintf("198.19.%d.1", i), "", "GET", "/api/docs.css", ""); a.status != http.StatusOK {
				t.Errorf("another address is limited: %d", a.status)
			}
		}
	})
}

// Signing in and using links have a tighter limit of their own, which holds
// whatever the account.
func TestWaysInAreLimited(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		for path, body := range map[string]string{"/api/v1/session": `{"email":"%d@contoso.example","password":"x"}`, "/api/v1/setup": `{"link":"%d","password":"x"}`} {
			from := fmt.Sprintf("203.0.113.%d", len(path))
			n := 0
			limited := 0
			for _, a := range times(25, func(own string) answer {
				return h.ask(from, "", "POST", path, fmt.Sprintf(body, len(own)))
			}) {
				n++
				switch a.status {
				case http.StatusTooManyRequests:
					limited++
					if p := a.problem(t); p.Type != client.ProblemLimited || p.RetryAfter < 1 {
						t.Errorf("%s: %s", path, a.body)
					}
				case http.StatusUnauthorized:
				default:
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
			}
			if limited != 5 {
				t.Errorf("%s: %d of %d were limited, want 5", path, limited, n)
			}
		}
	})
}

// A session in the making opens nothing but its next step.
func TestHalfSession(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		half := get[client.Session](t, h.signIn("203.0.113.1", ada.email, goodPassword))
		for _, r := range h.routes {
			if r.access.open || r.access.entering {
				continue
			}
			a := h.ask("203.0.113.1", half.Token, r.method, prefix+strings.NewReplacer("{id}", "1", "{tenant}", "1").Replace(r.path), "")
			if a.status != http.StatusUnauthorized || a.problem(t).Type != client.ProblemNotSignedIn || a.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: %d %s", r.id, a.status, a.body)
			}
		}
		h.pass(time.Minute)
		whole := get[client.Session](t, h.ask("203.0.113.1", half.Token, "POST", "/api/v1/session/code", encoded(t, client.CodeRequest{Code: h.code(ada.secret)})))
		for token, want := range map[string]int{half.Token: http.StatusUnauthorized, whole.Token: http.StatusOK, strings.ToUpper(whole.Token): http.StatusUnauthorized} {
			if a := h.ask("203.0.113.1", token, "GET", "/api/v1/operators", ""); a.status != want {
				t.Errorf("%d %s, want %d", a.status, a.body, want)
			}
		}
		if a := h.ask("203.0.113.1", "", "GET", "/api/v1/operators", "", "Authorization", "bearer "+whole.Token); a.status != http.StatusOK {
			t.Errorf("the scheme in small letters: %d %s", a.status, a.body)
		}
	})
}

// What names a person is refused field by field.
func TestPersonFaults(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		a := h.ask("203.0.113.1", ada.token, "POST", "/api/v1/operators", encoded(t, client.InviteRequest{Email: "no address", Name: "two\nlines"}))
		p := a.problem(t)
		if a.status != http.StatusUnprocessableEntity || p.Type != client.ProblemInvalid || len(p.Faults) != 2 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		for _, f := range p.Faults {
			if f.Field != "email" && f.Field != "name" || f.Problem == "" || f.Way == "" {
				t.Errorf("%+v", f)
			}
		}
	})
}
