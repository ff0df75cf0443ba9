package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/config"
	"gatehouse/internal/server"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

// reply is an answer that was read to its end.
type reply struct {
	Status     string
	StatusCode int
	Header     http.Header
	Body       []byte
}

func get(t testing.TB, c *http.Client, method, url string, body io.Reader, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.Status, response.StatusCode, response.Header, data}
}

// What every answer carries, and what is refused before any face is asked.
func TestOutermost(t *testing.T) {
	e := testenv.Start(t)
	c := e.HTTP()
	for _, path := range []string{"/", "/api/docs", "/api/nowhere", "/healthz", "/api/v1/session"} {
		h := get(t, c, http.MethodGet, e.URL+path, nil).Header
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": "camera=()", "X-Request-Id": "",
		} {
			if !strings.HasPrefix(h.Get(name), want) || h.Get(name) == "" {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: the policy is loose: %s", path, csp)
		}
		if h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: other programs on localhost are told to use TLS", path)
		}
	}
	for name, test := range map[string]struct {
		response reply
		want     int
	}{
		"health":                {get(t, c, http.MethodGet, e.URL+"/healthz", nil), http.StatusOK},
		"readiness":             {get(t, c, http.MethodGet, e.URL+"/readyz", nil), http.StatusOK},
		"another site's form":   {get(t, c, http.MethodPost, e.URL+"/api/v1/session", strings.NewReader("{}"), "Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		"another origin":        {get(t, c, http.MethodPost, e.URL+"/api/v1/session", strings.NewReader("{}"), "Origin", "https://evil.example"), http.StatusForbidden},
		"another name for us":   {get(t, c, http.MethodGet, e.URL+"/api/docs", nil, "Host", "evil.example"), http.StatusMisdirectedRequest},
		"a body too large":      {get(t, c, http.MethodPost, e.URL+"/api/v1/session", bytes.NewReader(make([]byte, 300<<10)), "Content-Type", "application/json"), http.StatusRequestEntityTooLarge},
		"a cookie as a session": {get(t, c, http.MethodGet, e.URL+"/api/v1/session", nil, "Cookie", "session="+e.Token()), http.StatusUnauthorized},
		"no such address":       {get(t, c, http.MethodGet, e.URL+"/api/v1/nowhere", nil), http.StatusNotFound},
		"no such method":        {get(t, c, http.MethodPut, e.URL+"/api/v1/tenants", nil), http.StatusMethodNotAllowed},
	} {
		if test.response.StatusCode != test.want {
			t.Errorf("%s: %s", name, test.response.Status)
		}
	}
}

// What no face has to care for: bodies have a bound, numbers of requests are ours,
// a public host is used with TLS only, and a panic answers one request and tells
// its cause in the log alone.
func TestBeforeEveryFace(t *testing.T) {
	var log bytes.Buffer
	face := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		panic(fmt.Sprintf("%s read %d bytes: %v", r.Header.Get("X-Request-Id"), n, err))
	})
	h := server.Outermost("https://gatehouse.contoso.example", slog.New(slog.NewTextHandler(&log, nil)), face)
	r := httptest.NewRequest(http.MethodPost, "/x", io.LimitReader(zeros{}, 41<<20))
	r.Header.Set("X-Request-Id", "chosen by the caller")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	id := w.Header().Get("X-Request-Id")
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "bytes") || !strings.Contains(w.Body.String(), id) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if text := log.String(); !strings.Contains(text, id+" read 41943040 bytes: http: request body too large") || !strings.Contains(text, "request="+id) || strings.Contains(text, "chosen") {
		t.Errorf("the log says %s", text)
	}
	if got := w.Header().Get("Strict-Transport-Security"); got == "" {
		t.Error("browsers are not told to use nothing but TLS")
	}
}

type zeros struct{}

// Read gives zeros.
func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// Headers are bounded. Over HTTP/2 the client already knows the bound.
func TestLargeHeaders(t *testing.T) {
	e := testenv.Bare(t)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.Roots, MinVersion: tls.VersionTLS12}}}
	defer c.CloseIdleConnections()
	if r := get(t, c, http.MethodGet, e.URL+"/api/docs", nil, "X-Large", strings.Repeat("x", 64<<10)); r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s", r.Status)
	}
}

// Secrets and what opens an account are in no log.
func TestLogWithoutSecrets(t *testing.T) {
	e := testenv.Start(t)
	c := e.HTTP()
	link := e.SetUpLink()
	get(t, c, http.MethodGet, link, nil)
	get(t, c, http.MethodGet, e.URL+"/signin/link/planted-link-token", nil)
	get(t, c, http.MethodGet, e.URL+"/signin/callback?code=planted-code&state=planted-state", nil)
	get(t, c, http.MethodGet, e.URL+"/api/v1/session", nil, "Authorization", "Bearer "+e.Token())
	feed, err := e.NewCalendarFeed(t.Context(), client.FeedRequest{Name: "Outlook"})
	if err != nil {
		t.Fatal(err)
	}
	if r := get(t, c, http.MethodGet, feed.Address, nil); r.StatusCode != http.StatusOK {
		t.Errorf("the calendar: %s", r.Status)
	}
	calendar := strings.TrimSuffix(feed.Address[strings.LastIndex(feed.Address, "/")+1:], ".ics")
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{"a link to sign in": "planted-link-token", "a code": "planted-code", "a state": "planted-state", "the link": link[strings.LastIndex(link, "/")+1:], "the token": e.Token(), "the calendar": calendar, "the password": testenv.Password} {
		if strings.Contains(e.Log(), secret) {
			t.Errorf("the log shows %s", what)
		}
	}
	if !strings.Contains(e.Log(), "/setup/…") || !strings.Contains(e.Log(), "/calendar/…") {
		t.Error("the log does not tell the request at all")
	}
}

// Whoever guesses is held up by address, on every open route.
func TestLimits(t *testing.T) {
	e := testenv.Start(t)
	for name, try := range map[string]func(t *testing.T, c *http.Client) int{
		"sign-in": func(t *testing.T, c *http.Client) int {
			return get(t, c, http.MethodPost, e.URL+"/api/v1/session", strings.NewReader(`{"email":"a@b.example","password":"x"}`), "Content-Type", "application/json").StatusCode
		},
		"set-up": func(t *testing.T, c *http.Client) int {
			return get(t, c, http.MethodPost, e.URL+"/api/v1/setup", strings.NewReader(`{"link":"x","password":"x"}`), "Content-Type", "application/json").StatusCode
		},
		"no session": func(t *testing.T, c *http.Client) int {
			return get(t, c, http.MethodGet, e.URL+"/api/v1/tenants", nil).StatusCode
		},
		"a bad token": func(t *testing.T, c *http.Client) int {
			return get(t, c, http.MethodGet, e.URL+"/api/v1/tenants", nil, "Authorization", "Bearer x").StatusCode
		},
		"health": func(t *testing.T, c *http.Client) int {
			return get(t, c, http.MethodGet, e.URL+"/healthz", nil).StatusCode
		},
		"the document": func(t *testing.T, c *http.Client) int {
			return get(t, c, http.MethodGet, e.URL+"/api/openapi.json", nil).StatusCode
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, limited := e.HTTP(), false // an address of its own
			for range 200 {
				if limited = try(t, c) == http.StatusTooManyRequests; limited {
					break
				}
			}
			if !limited {
				t.Error("as often as one likes")
			}
			if _, err := e.Session(t.Context()); err != nil { // others are not limited
				t.Error(err)
			}
		})
	}
}

// Behind a proxy: plain HTTP, only from the proxies that are named, for whom
// they ask; what the caller itself claims does not count.
func TestBehindProxy(t *testing.T) {
	for name, test := range map[string]struct {
		proxies string
		want    int
	}{"the proxy": {"127.0.0.0/8", http.StatusUnauthorized}, "somebody else": {"192.0.2.1/32", http.StatusForbidden}} {
		t.Run(name, func(t *testing.T) {
			e := testenv.Bare(t, testenv.Options{Change: func(c *server.Config) {
				c.TLS = config.TLS{Mode: config.TLSProxy}
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(test.proxies)}
			}})
			plain := strings.Replace(e.URL, "https:", "http:", 1)
			response := get(t, http.DefaultClient, http.MethodGet, plain+"/api/v1/tenants", nil, "X-Forwarded-For", "203.0.113.9, 198.51.100.7, 127.0.0.2")
			if response.StatusCode != test.want {
				t.Errorf("%s", response.Status)
			}
			if test.want == http.StatusUnauthorized && !strings.Contains(e.Log(), "198.51.100.7:0") {
				t.Errorf("the address is not the one that the proxy added: %s", e.Log())
			}
		})
	}
}

// Events reach who may see their tenant, go on after the last one seen, and end
// with the server.
func TestEvents(t *testing.T) {
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		mine, err := e.AddTenant(ctx, client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Mine"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := e.AddTenant(ctx, client.TenantRequest{Tenant: "ledgerlane.onmicrosoft.com", Name: "Other"})
		if err != nil {
			t.Fatal(err)
		}
		watcher := e.Member("watcher@contoso.example", map[string]string{mine.ID: "viewer"})
		events := make(chan client.Event, 100)
		listen := func(ctx context.Context, after string) <-chan error {
			ended := make(chan error, 1)
			go func() {
				ended <- watcher.Events(ctx, after, nil, func(e client.Event) error { events <- e; return nil })
			}()
			return ended
		}
		rename := func(id, name string) {
			if _, err := e.ChangeTenant(ctx, id, client.TenantChange{Name: &name}); err != nil {
				t.Fatal(err)
			}
		}
		// The stream has begun when something arrives.
		first, stop := context.WithCancel(ctx)
		ended := listen(first, "")
		var last client.Event
		for i := 0; last.ID == ""; i++ {
			rename(other.ID, "Other "+string(rune('a'+i%26)))
			rename(mine.ID, "Mine "+string(rune('a'+i%26)))
			select {
			case last = <-events:
			case <-time.After(50 * time.Millisecond):
			}
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the stream ended with %v", err)
		}
		for len(events) > 0 {
			last = <-events
		}
		rename(other.ID, "Other, unseen")
		rename(mine.ID, "Missed")
		ended = listen(ctx, last.ID)
		missed := <-events
		if missed.TenantID != mine.ID || missed.ID == last.ID || !bytes.Contains(missed.Data, []byte(mine.ID)) {
			t.Errorf("after %+v came %+v", last, missed)
		}
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the stream did not end in order: %v", err)
		}
		close(events)
		for e := range events {
			if e.TenantID != mine.ID {
				t.Errorf("another's event: %+v", e)
			}
		}
	})
}

// A repeated POST is done once, and has the first answer, secrets included, which
// lie sealed in the database.
func TestIdempotency(t *testing.T) {
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		c := e.HTTP()
		post := func(key, body string) (int, string, string) {
			r := get(t, c, http.MethodPost, e.URL+"/api/v1/operators", strings.NewReader(body), "Authorization", "Bearer "+e.Token(), "Content-Type", "application/json", "Idempotency-Key", key)
			return r.StatusCode, string(r.Body), r.Header.Get("Idempotency-Replayed")
		}
		const eve = `{"email":"eve@contoso.example","name":"Eve"}`
		status, first, replayed := post("one", eve)
		if status != http.StatusOK || replayed != "" || !strings.Contains(first, "/setup/") {
			t.Fatalf("%d %s %s", status, first, replayed)
		}
		if status, again, replayed := post("one", eve); status != http.StatusOK || again != first || replayed != "true" {
			t.Errorf("repeated: %d %s %s", status, again, replayed)
		}
		if status, body, _ := post("one", `{"email":"mallory@contoso.example","name":"Mallory"}`); status != http.StatusUnprocessableEntity || !strings.Contains(body, client.ProblemRepeated) {
			t.Errorf("another request with the same key: %d %s", status, body)
		}
		if status, body, _ := post("two", eve); status != http.StatusConflict || !strings.Contains(body, client.ProblemConflict) {
			t.Errorf("without the key it is done again: %d %s", status, body)
		}
		operators, err := e.Operators(t.Context())
		if err != nil || len(operators) != 2 {
			t.Errorf("%d operators %v", len(operators), err)
		}
		db := dbtest.Open(t, e.Database)
		var answers [][]byte
		if err := db.Read().NewRaw("SELECT answer FROM idempotency").Scan(t.Context(), &answers); err != nil || len(answers) == 0 {
			t.Fatalf("%d answers %v", len(answers), err)
		}
		for _, a := range answers {
			if bytes.Contains(a, []byte("setup")) {
				t.Error("an answer lies open in the database")
			}
		}
	})
}
