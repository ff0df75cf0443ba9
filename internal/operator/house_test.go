package operator_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

const goodPassword = "correct horse battery staple"

var here = operator.Visit{Address: "192.0.2.7", UserAgent: "Browser 1"}

// house is a service on a database with a clock that a test moves.
type house struct {
	*operator.Service
	t   *testing.T
	db  *sqldb.DB
	log *audit.Log

	mu    sync.Mutex
	at    time.Time
	codes map[string]string // secrets of code generators by e-mail address
}

func newHouse(t *testing.T, db *sqldb.DB, options ...func(*operator.Config)) *house {
	t.Helper()
	h := &house{t: t, db: db, at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), codes: map[string]string{}}
	h.log = audit.New(audit.Config{DB: db, Now: h.now})
	keyring, err := secrets.OpenKeyring(t.Context(), secrets.Config{
		DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: h.log, Columns: operator.Columns, Now: h.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := operator.Config{DB: db, Keyring: keyring, Audit: h.log, Origin: "https://gatehouse.contoso.example", Now: h.now}
	for _, o := range options {
		o(&c)
	}
	h.Service, err = operator.New(c)
	if err != nil {
		t.Fatal(err)
	}
	h.AnswerIn(0)
	return h
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

func (h *house) system() context.Context { return audit.AsSystem(h.t.Context(), "test") }

// must gives a value and ends the test if there is an error.
func must[T any](h *house, v T, err error) T {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// setUp makes the first administrator, up to the second factor.
func (h *house) setUp(email string) operator.Issued {
	h.t.Helper()
	token, err := h.FirstLink(h.system())
	if err != nil || token.Empty() {
		h.t.Fatalf("no first link: %v", err)
	}
	return h.use(token, email)
}

func (h *house) use(token secrets.Value, email string) operator.Issued {
	h.t.Helper()
	h.pass(10 * time.Second)
	issued, err := h.Setup(h.t.Context(), operator.SetupRequest{Token: token, Email: email, Name: "Ada Person", Password: secrets.New(goodPassword)}, here)
	return must(h, issued, err)
}

// enrol adds a code generator.
func (h *house) enrol(email string, session *operator.Session) operator.Issued {
	h.t.Helper()
	e, err := h.BeginTOTPEnrolment(h.t.Context(), session)
	h.codes[email] = must(h, e, err).Secret.Reveal()
	issued, err := h.FinishTOTPEnrolment(h.t.Context(), session, "phone", h.code(email), here)
	return must(h, issued, err)
}

// code is the next code of an operator's generator, half a minute later.
func (h *house) code(email string) string {
	h.t.Helper()
	h.pass(30 * time.Second)
	code, err := totp.GenerateCode(h.codes[email], h.now())
	return must(h, code, err)
}

// administrator makes the first administrator, Ada, signed in.
func (h *house) administrator() operator.Issued {
	h.t.Helper()
	return h.enrol("ada@contoso.example", h.setUp("ada@contoso.example").Session)
}

// member makes another operator, signed in.
func (h *house) member(email string, roles map[string]audit.Role) operator.Issued {
	h.t.Helper()
	_, token, err := h.Invite(h.system(), email, "Eve Person", roles)
	return h.enrol(email, h.use(must(h, token, err), "").Session)
}

// password gives the password, rightly.
func (h *house) password(email string) operator.Issued {
	h.t.Helper()
	h.pass(10 * time.Second)
	issued, err := h.SignIn(h.t.Context(), email, secrets.New(goodPassword), here)
	return must(h, issued, err)
}

func (h *house) signIn(email string) operator.Issued {
	h.t.Helper()
	issued, err := h.TOTP(h.t.Context(), h.password(email).Session, h.code(email), here)
	return must(h, issued, err)
}

// as is a context in which the session's operator acts.
func (h *house) as(issued operator.Issued) context.Context {
	h.t.Helper()
	ctx, _, err := h.Authenticate(h.t.Context(), issued.Token, here)
	return must(h, ctx, err)
}

func (h *house) find(email string) *operator.Operator {
	h.t.Helper()
	all, err := h.List(h.system())
	for _, o := range must(h, all, err) {
		if o.Email == email {
			return o
		}
	}
	h.t.Fatalf("there is no operator %s", email)
	return nil
}

func (h *house) execute(query string, args ...any) {
	h.t.Helper()
	if err := h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}); err != nil {
		h.t.Fatalf("%s: %v", query, err)
	}
}

// actions are the actions of the audit log with their outcomes, oldest first.
func (h *house) actions() (all []string) {
	h.t.Helper()
	records, err := h.log.List(h.system(), audit.Filter{})
	for _, r := range must(h, records, err) {
		all = append([]string{r.Action + " " + string(r.Outcome)}, all...)
	}
	return all
}
