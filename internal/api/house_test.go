package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/live"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

const goodPassword = "correct horse battery staple"

// house is the face on the ground alone, with a clock that a test moves:
// nothing but operators and events.
type house struct {
	*testing.T
	*face
	handler http.Handler

	mu  sync.Mutex
	now time.Time
}

func eachHouse(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, newHouse(t, db)) })
}

func newHouse(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	h := &house{T: t, now: time.Now()}
	log := audit.New(audit.Config{DB: db})
	var columns []secrets.Column
	columns = append(append(columns, Columns...), operator.Columns...)
	keys, err := secrets.OpenKeyring(audit.AsSystem(t.Context(), "test"), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: log, Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	operators, err := operator.New(operator.Config{DB: db, Keyring: keys, Audit: log, Origin: "https://gatehouse.example", Now: h.time})
	if err != nil {
		t.Fatal(err)
	}
	h.face = &face{beat: time.Millisecond, Config: Config{
		DB: db, Audit: log, Keys: keys, Operators: operators, Live: live.New(live.Config{DB: db}), Now: h.time,
		Open: operator.NewLimiter(operator.LimiterConfig{Every: time.Hour, Burst: 1000}), PublicURL: "https://gatehouse.example", Log: slog.New(slog.DiscardHandler),
	}}
	h.handler = h.face.handler()
	return h
}

func (h *house) time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// answer is what came of a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) problem(t *testing.T) (p client.Problem) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" || p.Status != a.status {
		t.Errorf("%d %s is no problem: %v", a.status, a.body, err)
	}
	return p
}

// ask makes a request from an address of its own.
func (h *house) ask(from, token, method, path, body string, headers ...string) answer {
	return askOf(h.T, h.handler, from, token, method, path, body, headers...)
}

func askOf(t *testing.T, handler http.Handler, from, token, method, path, body string, headers ...string) answer {
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = from + ":1"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// get decodes a good answer.
func get[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// person signs in with what the API gave.
type person struct{ token, secret, email string }

// setUp uses a link.
func (h *house) setUp(from, link, email string) person {
	h.Helper()
	begun := get[client.Session](h.T, h.ask(from, "", "POST", "/api/v1/setup", encoded(h.T, client.SetUpRequest{Link: link, Email: email, Name: "Ada Person", Password: goodPassword})))
	g := get[client.Generator](h.T, h.ask(from, begun.Token, "POST", "/api/v1/session/generator", ""))
	done := get[client.Session](h.T, h.ask(from, begun.Token, "POST", "/api/v1/session/generator/confirm", encoded(h.T, client.GeneratorRequest{Code: h.code(g.Secret)})))
	return person{done.Token, g.Secret, done.Operator.Email}
}

func (h *house) code(secret string) string {
	h.Helper()
	code, err := totp.GenerateCode(secret, h.time())
	if err != nil {
		h.Fatal(err)
	}
	return code
}

// administrator is the first one.
func (h *house) administrator() person {
	h.Helper()
	token, err := h.Operators.FirstLink(audit.AsSystem(h.Context(), "test"))
	if err != nil {
		h.Fatal(err)
	}
	return h.setUp("192.0.2.1", token.Reveal(), "ada@contoso.example")
}

// publish announces a change in a tenant.
func (h *house) publish(tenant string, data any) {
	h.Helper()
	if err := h.DB.Change(h.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return h.Live.Publish(ctx, tx, "tenant/"+tenant, tenant, data)
	}); err != nil {
		h.Fatal(err)
	}
}
