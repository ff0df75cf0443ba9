package operator_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// The first link works once, for a day, until there is an administrator who can
// sign in.
func TestFirstLink(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ctx := t.Context()
		try := func(token secrets.Value) error {
			h.pass(10 * time.Second)
			_, err := h.Setup(ctx, operator.SetupRequest{Token: token, Email: "ada@contoso.example", Name: "Ada", Password: secrets.New(goodPassword)}, here)
			return err
		}
		var refused *audit.Refused
		if _, err := h.FirstLink(ctx); !errors.As(err, &refused) {
			t.Errorf("nobody was given a link: %v", err)
		}
		first := mustLink(h)
		second := mustLink(h)
		if err := try(first); !errors.Is(err, operator.ErrLink) {
			t.Errorf("a link that was replaced: %v", err)
		}
		for _, wrong := range []secrets.Value{{}, secrets.New("x"), secrets.New(second.Reveal() + "x")} {
			if err := try(wrong); !errors.Is(err, operator.ErrLink) {
				t.Errorf("a wrong link: %v", err)
			}
		}
		h.pass(24 * time.Hour)
		if err := try(second); !errors.Is(err, operator.ErrLink) {
			t.Errorf("an old link: %v", err)
		}
		third := mustLink(h)
		if o, err := h.Link(ctx, third, here); o != nil || err != nil {
			t.Errorf("the first link is for %+v, %v", o, err)
		}
		var weak *operator.Weak
		if _, err := h.Setup(ctx, operator.SetupRequest{Token: third, Email: "ada@contoso.example", Name: "Ada", Password: secrets.New("password1234")}, here); !errors.As(err, &weak) {
			t.Errorf("a weak password: %v", err)
		}
		if _, err := h.Setup(ctx, operator.SetupRequest{Token: third, Email: "no address", Name: "Ada", Password: secrets.New(goodPassword)}, here); fields(err) != "email" {
			t.Errorf("what is no address was taken: %v", err)
		}
		if err := try(third); err != nil {
			t.Fatal(err)
		}
		if err := try(third); !errors.Is(err, operator.ErrLink) {
			t.Errorf("a link was used twice: %v", err)
		}
		if _, err := h.Link(ctx, third, here); !errors.Is(err, operator.ErrLink) {
			t.Errorf("a used link opens its page: %v", err)
		}
		// The browser was lost before a second factor was enrolled.
		if _, err := h.SignIn(ctx, "ada@contoso.example", secrets.New(goodPassword), here); !errors.Is(err, operator.ErrNoFactor) {
			t.Errorf("signed in with the password alone: %v", err)
		}
		issued := h.setUp("ada@contoso.example")
		spare := mustLink(h)
		h.enrol("ada@contoso.example", issued.Session)
		if err := try(spare); !errors.Is(err, operator.ErrLink) {
			t.Errorf("a first link although there is an administrator: %v", err)
		}
		if none := mustLink(h); !none.Empty() {
			t.Error("a first link was issued although there is an administrator")
		}
		if o := h.find("ada@contoso.example"); o.Roles[audit.AllTenants] != audit.Administrator || len(o.Roles) != 1 {
			t.Errorf("the first administrator has the roles %v", o.Roles)
		}
		if got := h.actions(); !slices.Contains(got, "operator.set_up done") || !slices.Contains(got, "factor.enrolled done") || !slices.Contains(got, "setup_link.issued done") {
			t.Errorf("the audit log says %v", got)
		}
	})
}

func mustLink(h *house) secrets.Value {
	h.t.Helper()
	token, err := h.FirstLink(h.system())
	return must(h, token, err)
}

// Both factors, each step with its own token; before the second nobody acts.
func TestSignInWithCode(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ctx := t.Context()
		h.administrator()
		step := h.password(" Ada@Contoso.example ")
		inside, session, err := h.Authenticate(ctx, step.Token, here)
		if err != nil || session.Stage != operator.StagePassword {
			t.Fatalf("%+v, %v", session, err)
		}
		if _, ok := audit.From(inside); ok {
			t.Error("the password alone makes an actor")
		}
		if _, err := h.BeginTOTPEnrolment(ctx, session); !errors.Is(err, operator.ErrSession) {
			t.Errorf("the password alone begins to enrol a factor: %v", err)
		}
		if passkey, codes, err := h.FactorKinds(ctx, session); passkey || !codes || err != nil {
			t.Errorf("factors: %v, %v, %v", passkey, codes, err)
		}
		code := h.code("ada@contoso.example")
		full, err := h.TOTP(ctx, session, code, here)
		if err != nil || full.Session.Stage != operator.StageSignedIn || full.Token.Reveal() == step.Token.Reveal() {
			t.Fatalf("%+v, %v", full, err)
		}
		// The same code again, from elsewhere, within its time.
		if _, err := h.TOTP(ctx, h.password("ada@contoso.example").Session, code, here); !errors.Is(err, operator.ErrFactor) {
			t.Errorf("a code was used twice: %v", err)
		}
		if _, _, err := h.Authenticate(ctx, step.Token, here); !errors.Is(err, operator.ErrSession) {
			t.Errorf("the token of the first step still works: %v", err)
		}
		if _, err := h.TOTP(ctx, session, h.code("ada@contoso.example"), here); err == nil {
			t.Error("the first step was completed twice")
		}
		a, _ := audit.From(h.as(full))
		if a.Kind != audit.Operator || a.ID != full.Session.OperatorID || a.Address != here.Address || a.Role("t1") != audit.Administrator {
			t.Errorf("the actor is %+v", a)
		}
		for steps, good := range map[int]bool{-2: false, -1: true, 1: true, 2: false} {
			h.pass(5 * time.Minute)
			code := h.code("ada@contoso.example")
			h.pass(time.Duration(-steps) * 30 * time.Second)
			h.pass(-10 * time.Second) // what password lets pass
			if _, err := h.TOTP(ctx, h.password("ada@contoso.example").Session, code, here); (err == nil) != good {
				t.Errorf("a code %d steps off: %v", steps, err)
			}
		}
		for _, wrong := range []string{"", "12345", "abcdef", "0000000", strings.Repeat("1", 1<<20)} {
			if _, err := h.TOTP(ctx, h.password("ada@contoso.example").Session, wrong, here); !errors.Is(err, operator.ErrFactor) {
				t.Errorf("the code %.10q: %v", wrong, err)
			}
		}
		stale := h.password("ada@contoso.example")
		h.pass(10 * time.Minute)
		if _, _, err := h.Authenticate(ctx, stale.Token, here); !errors.Is(err, operator.ErrSession) {
			t.Errorf("the first step lasts for ever: %v", err)
		}
	})
}

// One code lets one browser in, also when several give it at the same moment.
func TestCodeIsGoodOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.administrator()
		const browsers = 6
		for range 3 {
			sessions := make([]*operator.Session, browsers)
			for i := range sessions {
				sessions[i] = h.password("ada@contoso.example").Session
			}
			code := h.code("ada@contoso.example")
			var in atomic.Int32
			var wg sync.WaitGroup
			for _, session := range sessions {
				wg.Go(func() {
					_, err := h.TOTP(t.Context(), session, code, here)
					if err == nil {
						in.Add(1)
					} else if !errors.Is(err, operator.ErrFactor) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if in.Load() != 1 {
				t.Errorf("%d browsers were let in with one code", in.Load())
			}
			h.signIn("ada@contoso.example")
		}
	})
}

// Whatever is wrong, the answer and its time are the same.
func TestFailedSignInsAreAlike(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ctx := t.Context()
		h.administrator()
		h.member("locked@contoso.example", nil)
		h.member("disabled@contoso.example", nil)
		_, _, err := h.Invite(h.system(), "new@contoso.example", "New", nil)
		must(h, 0, err)
		must(h, 0, h.Disable(h.system(), h.find("disabled@contoso.example").ID))
		h.execute("UPDATE operators SET locked_until = ? WHERE email = 'locked@contoso.example'", h.now().Add(time.Hour))
		const patience = 50 * time.Millisecond
		h.AnswerIn(patience)
		for _, test := range []struct{ email, password string }{
			{"ada@contoso.example", "wrong"},
			{" ADA@contoso.example", ""},
			{"locked@contoso.example", goodPassword},
			{"disabled@contoso.example", goodPassword},
			{"new@contoso.example", goodPassword},
			{"new@contoso.example", ""},
			{"nobody@contoso.example", goodPassword},
			{"", strings.Repeat("x", 1<<20)},
		} {
			begun := time.Now()
			issued, err := h.SignIn(ctx, test.email, secrets.New(test.password), here)
			if !errors.Is(err, operator.ErrSignIn) || err.Error() != operator.ErrSignIn.Error() || issued.Session != nil {
				t.Errorf("%q: %v", test.email, err)
			}
			if took := time.Since(begun); took < patience {
				t.Errorf("%q: answered after %s", test.email, took)
			}
		}
		// From outside, only the wrong password of an account made an entry.
		failed := 0
		for _, a := range h.actions() {
			if a == "operator.sign_in failed" {
				failed++
			}
		}
		if failed != 2 { // Ada, twice
			t.Errorf("%d entries: %v", failed, h.actions())
		}
		must(h, 0, h.log.Flush(ctx))
		sums, err := h.log.ListUses(h.system(), audit.Filter{})
		var all int64
		for _, s := range must(h, sums, err) {
			all += s.Uses
		}
		if all != 5 {
			t.Errorf("%d tries were counted: %+v", all, sums)
		}
	})
}

// Ten wrong tries lock the account, even for the right password, longer each
// time; both factors count together; signing in wholly sets it back.
func TestLock(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ctx := t.Context()
		h.administrator()
		addresses := 0
		try := func(password string) (operator.Issued, error) {
			addresses++ // the limit per address is another test's
			return h.SignIn(ctx, "ada@contoso.example", secrets.New(password), operator.Visit{Address: fmt.Sprint("198.51.100.", addresses)})
		}
		for range 5 {
			if _, err := try("wrong"); !errors.Is(err, operator.ErrSignIn) {
				t.Fatal(err)
			}
		}
		// Whoever has the password cannot set the count back with it.
		for range 4 {
			issued, err := try(goodPassword)
			if _, err := h.TOTP(ctx, must(h, issued, err).Session, "000000", here); !errors.Is(err, operator.ErrFactor) {
				t.Fatal(err)
			}
		}
		if o := h.find("ada@contoso.example"); o.Failures != 9 || o.LockedUntil != nil {
			t.Fatalf("after 9 tries: %+v", o)
		}
		issued, err := try(goodPassword) // the tenth try, and right
		open := must(h, issued, err).Session
		if _, err := try("wrong"); !errors.Is(err, operator.ErrSignIn) {
			t.Fatal(err)
		}
		if _, err := try(goodPassword); !errors.Is(err, operator.ErrSignIn) {
			t.Errorf("locked, and let in: %v", err)
		}
		if _, err := h.TOTP(ctx, open, h.code("ada@contoso.example"), here); !errors.Is(err, operator.ErrFactor) {
			t.Errorf("locked, and the second factor was taken: %v", err)
		}
		h.pass(15*time.Minute - 31*time.Second)
		if _, err := try(goodPassword); !errors.Is(err, operator.ErrSignIn) {
			t.Errorf("let in before the lock ended: %v", err)
		}
		h.pass(time.Second)
		if _, err := try("wrong"); !errors.Is(err, operator.ErrSignIn) {
			t.Fatal(err)
		}
		if o := h.find("ada@contoso.example"); o.LockedUntil == nil || !o.LockedUntil.Equal(h.now().Add(30*time.Minute)) {
			t.Errorf("the second lock lasts until %v, now is %v", o.LockedUntil, h.now())
		}
		h.pass(30 * time.Minute)
		h.signIn("ada@contoso.example")
		if o := h.find("ada@contoso.example"); o.Failures != 0 || o.LockedUntil != nil {
			t.Errorf("after signing in: %+v", o)
		}
	})
}

// Tries at the same moment do not outrun the count.
func TestLockHoldsAgainstTriesAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.administrator()
		h.pass(time.Hour)
		var wg sync.WaitGroup
		for range 18 {
			wg.Go(func() {
				if _, err := h.SignIn(t.Context(), "ada@contoso.example", secrets.New("wrong"), here); !errors.Is(err, operator.ErrSignIn) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if o := h.find("ada@contoso.example"); o.Failures != 10 || o.LockedUntil == nil {
			t.Errorf("%d tries were made, locked until %v", o.Failures, o.LockedUntil)
		}
	})
}

func TestLockTimeGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1_000_000).Draw(t, "failures")
		now, next := operator.LockTime(n), operator.LockTime(n+1)
		switch {
		case n < 10 && now != 0, n >= 10 && now < 15*time.Minute, now > 24*time.Hour, next < now:
			t.Fatalf("after %d failures %s, after one more %s", n, now, next)
		}
	})
}

// Each way in that asks for no sign-in is limited by address.
func TestAddressesAreLimited(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	h := newHouse(t, db)
	ctx := t.Context()
	issued := h.administrator()
	step := h.password("ada@contoso.example").Session
	for name, do := range map[string]func(operator.Visit) error{
		"sign in": func(v operator.Visit) error {
			_, err := h.SignIn(ctx, "", secrets.New(strings.Repeat("x", 2000)), v)
			return err
		},
		"setup":   func(v operator.Visit) error { _, err := h.Setup(ctx, operator.SetupRequest{}, v); return err },
		"link":    func(v operator.Visit) error { _, err := h.Link(ctx, secrets.Value{}, v); return err },
		"code":    func(v operator.Visit) error { _, err := h.TOTP(ctx, step, "", v); return err },
		"passkey": func(v operator.Visit) error { _, err := h.FinishPasskey(ctx, step, nil, v); return err },
		"password": func(v operator.Visit) error {
			return h.ChangePassword(ctx, issued.Session, secrets.New("wrong"), secrets.New("x"), v)
		},
	} {
		var limited *operator.Limited
		visit := operator.Visit{Address: "203.0.113." + fmt.Sprint(len(name))}
		for i := range 20 {
			if err := do(visit); errors.As(err, &limited) {
				t.Errorf("%s: limited after %d tries", name, i)
			}
		}
		if err := do(visit); !errors.As(err, &limited) || limited.RetryAfter <= 0 || limited.RetryAfter > 3*time.Second+time.Millisecond {
			t.Errorf("%s: after 20 tries: %v", name, err)
		}
		if err := do(operator.Visit{Address: "203.0.113.99"}); errors.As(err, &limited) {
			t.Errorf("%s: another address is limited too", name)
		}
		h.pass(time.Hour)
	}
}
