package operator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func TestSessionsEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ctx := t.Context()
		issued := h.administrator()
		good := func() bool {
			t.Helper()
			_, _, err := h.Authenticate(ctx, issued.Token, here)
			if err != nil && !errors.Is(err, operator.ErrSession) {
				t.Fatal(err)
			}
			return err == nil
		}
		for _, wrong := range []secrets.Value{{}, secrets.New("x"), secrets.New(issued.Session.ID), secrets.New(issued.Session.TokenHash)} {
			if _, _, err := h.Authenticate(ctx, wrong, here); !errors.Is(err, operator.ErrSession) {
				t.Errorf("a wrong token: %v", err)
			}
		}
		// Without use for eight hours.
		h.pass(8*time.Hour - time.Microsecond)
		if !good() {
			t.Fatal("ended before eight hours without use")
		}
		h.pass(8 * time.Hour)
		if good() {
			t.Error("lasts longer than eight hours without use")
		}
		// Seven days, however much it is used.
		issued = h.signIn("ada@contoso.example")
		begun := h.now()
		for h.pass(7 * time.Hour); h.now().Before(begun.Add(7 * 24 * time.Hour)); h.pass(7 * time.Hour) {
			if !good() {
				t.Fatalf("ended after %s", h.now().Sub(begun))
			}
		}
		if good() {
			t.Error("lasts longer than seven days")
		}
		must(h, 0, h.Sweep(h.system()))
		var left int
		err := db.Read().NewSelect().TableExpr("sessions").ColumnExpr("COUNT(*)").Scan(ctx, &left)
		if must(h, left, err) != 0 {
			t.Errorf("%d sessions are left after the sweep", left)
		}
		issued = h.signIn("ada@contoso.example")
		must(h, 0, h.Sweep(h.system()))
		if !good() {
			t.Error("the sweep ended a session that is good")
		}
	})
}

// The time of the last use is written once a minute at most.
func TestSeen(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		issued := h.administrator()
		begun := h.now()
		for _, test := range []struct{ pass, seen time.Duration }{{59 * time.Second, 0}, {time.Second, time.Minute}, {30 * time.Second, time.Minute}, {time.Hour, time.Hour + 90*time.Second}} {
			h.pass(test.pass)
			h.as(issued)
			sessions, err := h.Sessions(h.system(), issued.Session.OperatorID)
			if got := must(h, sessions, err)[0].SeenAt.Sub(begun); got != test.seen {
				t.Errorf("seen after %s, want %s", got, test.seen)
			}
		}
	})
}

// One's own sessions are listed and ended by oneself, others' by who manages
// operators.
func TestRevoke(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		admin := h.administrator()
		eve := h.member("eve@contoso.example", map[string]audit.Role{"t1": audit.Administrator})
		first, second, third := h.signIn("eve@contoso.example"), h.signIn("eve@contoso.example"), h.signIn("eve@contoso.example")
		alive := func(i operator.Issued) bool {
			_, _, err := h.Authenticate(t.Context(), i.Token, here)
			return err == nil
		}
		list, err := h.Sessions(h.as(first), eve.Session.OperatorID)
		if len(must(h, list, err)) != 4 || list[0].ID != first.Session.ID && list[0].ID != third.Session.ID || list[0].TokenHash != "" || list[0].UserAgent != here.UserAgent || list[0].Address != here.Address {
			t.Errorf("the list is %+v", list)
		}
		var refused *audit.Refused
		for _, ctx := range []context.Context{h.as(first), t.Context()} { // administers one tenant; nobody
			if _, err := h.Sessions(ctx, admin.Session.OperatorID); !errors.As(err, &refused) {
				t.Errorf("listed another's sessions: %v", err)
			}
			if err := h.Revoke(ctx, admin.Session.ID); !errors.As(err, &refused) {
				t.Errorf("ended another's session: %v", err)
			}
			if err := h.RevokeAll(ctx, admin.Session.OperatorID, ""); !errors.As(err, &refused) {
				t.Errorf("ended another's sessions: %v", err)
			}
		}
		if !alive(admin) {
			t.Fatal("the administrator's session was ended")
		}
		must(h, 0, h.Revoke(h.as(first), second.Session.ID))
		if alive(second) || !alive(third) {
			t.Error("ending one session ended another, or none")
		}
		if err := h.Revoke(h.as(first), second.Session.ID); !errors.Is(err, operator.ErrMissing) {
			t.Errorf("ended twice: %v", err)
		}
		must(h, 0, h.RevokeAll(h.as(first), eve.Session.OperatorID, first.Session.ID))
		if alive(third) || alive(eve) || !alive(first) {
			t.Error("all sessions but one: the wrong ones were ended")
		}
		must(h, 0, h.Revoke(h.as(admin), first.Session.ID))
		if alive(first) {
			t.Error("the administrator did not end the session")
		}
		step := h.password("eve@contoso.example")
		must(h, 0, h.SignOut(t.Context(), step.Session, here))
		if alive(step) {
			t.Error("signed out, and still there")
		}
		last := h.signIn("eve@contoso.example")
		h.execute("UPDATE operators SET disabled_at = ? WHERE email = 'eve@contoso.example'", h.now())
		if alive(last) {
			t.Error("a disabled operator's session goes on")
		}
	})
}

func TestChangePassword(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ctx := t.Context()
		h.administrator()
		other, mine := h.signIn("ada@contoso.example"), h.signIn("ada@contoso.example")
		inside, session, err := h.Authenticate(ctx, mine.Token, here)
		must(h, session, err)
		const next = "a much better phrase to keep"
		if err := h.ChangePassword(inside, session, secrets.New("wrong"), secrets.New(next), here); !errors.Is(err, operator.ErrSignIn) {
			t.Errorf("with a wrong old password: %v", err)
		}
		var weak *operator.Weak
		if err := h.ChangePassword(inside, session, secrets.New(goodPassword), secrets.New("short"), here); !errors.As(err, &weak) {
			t.Errorf("to a weak password: %v", err)
		}
		if err := h.ChangePassword(inside, h.password("ada@contoso.example").Session, secrets.New(goodPassword), secrets.New(next), here); !errors.Is(err, operator.ErrSession) {
			t.Errorf("without second factor: %v", err)
		}
		must(h, 0, h.ChangePassword(inside, session, secrets.New(goodPassword), secrets.New(next), here))
		if _, _, err := h.Authenticate(ctx, other.Token, here); !errors.Is(err, operator.ErrSession) {
			t.Errorf("another session goes on: %v", err)
		}
		if _, _, err := h.Authenticate(ctx, mine.Token, here); err != nil {
			t.Errorf("the own session ended: %v", err)
		}
		if _, err := h.SignIn(ctx, "ada@contoso.example", secrets.New(goodPassword), here); !errors.Is(err, operator.ErrSignIn) {
			t.Errorf("the old password still works: %v", err)
		}
		if _, err := h.SignIn(ctx, "ada@contoso.example", secrets.New(next), here); err != nil {
			t.Errorf("the new password does not work: %v", err)
		}
		if got := h.actions(); !slices.Contains(got, "operator.password_changed done") || !slices.Contains(got, "operator.password_changed failed") {
			t.Errorf("the audit log says %v", got)
		}
	})
}

// Factors are added and removed soon after signing in, and one is always left.
func TestFactors(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		issued := h.administrator()
		eve := h.member("eve@contoso.example", nil)
		factors, err := h.Factors(h.as(issued), issued.Session.OperatorID)
		if len(must(h, factors, err)) != 1 || factors[0].Name != "phone" || factors[0].Kind != "totp" {
			t.Fatalf("the factors are %+v", factors)
		}
		if err := h.RemoveFactor(h.as(issued), issued.Session, factors[0].ID); !errors.Is(err, operator.ErrOnlyFactor) {
			t.Errorf("the only factor was removed: %v", err)
		}
		issued = h.enrol("ada@contoso.example", issued.Session)
		h.signIn("ada@contoso.example") // with the second
		if err := h.RemoveFactor(h.as(eve), eve.Session, factors[0].ID); !errors.Is(err, operator.ErrMissing) {
			t.Errorf("another's factor was removed: %v", err)
		}
		var refused *audit.Refused
		if _, err := h.Factors(h.as(eve), issued.Session.OperatorID); !errors.As(err, &refused) {
			t.Errorf("another's factors were listed: %v", err)
		}
		must(h, 0, h.RemoveFactor(h.as(issued), issued.Session, factors[0].ID))
		for range 9 {
			issued = h.enrol("ada@contoso.example", issued.Session)
		}
		if _, err := h.BeginTOTPEnrolment(t.Context(), issued.Session); err != nil {
			t.Fatal(err)
		}
		stale := issued.Session
		h.pass(15*time.Minute + time.Second)
		if _, err := h.BeginTOTPEnrolment(t.Context(), stale); !errors.Is(err, operator.ErrStale) {
			t.Errorf("long after signing in: %v", err)
		}
		if _, err := h.BeginPasskeyEnrolment(t.Context(), stale); !errors.Is(err, operator.ErrStale) {
			t.Errorf("long after signing in: %v", err)
		}
		if err := h.RemoveFactor(h.as(issued), stale, factors[0].ID); !errors.Is(err, operator.ErrStale) {
			t.Errorf("long after signing in: %v", err)
		}
		issued = h.signIn("ada@contoso.example")
		e, err := h.BeginTOTPEnrolment(t.Context(), issued.Session)
		h.codes["ada@contoso.example"] = must(h, e, err).Secret.Reveal()
		if len(e.QR) == 0 || !strings.HasPrefix(e.URL.Reveal(), "otpauth://totp/Gatehouse:ada@contoso.example?") {
			t.Errorf("the enrolment is %s", e.URL.Reveal())
		}
		if _, err := h.FinishTOTPEnrolment(t.Context(), issued.Session, "x", h.code("ada@contoso.example"), here); !errors.Is(err, operator.ErrManyFactors) {
			t.Errorf("an eleventh factor: %v", err)
		}
	})
}
