package operator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/operator"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// Who may invite and give roles: per tenant who manages operators there.
func TestInviteAndRoles(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		admin := h.administrator()
		eve := h.member("eve@contoso.example", map[string]audit.Role{"t1": audit.Administrator, "t2": audit.Engineer})
		h.member("bob@contoso.example", map[string]audit.Role{"t2": audit.Viewer, "t3": audit.Viewer})
		var refused *audit.Refused
		for _, roles := range []map[string]audit.Role{nil, {"t2": audit.Viewer}, {"t1": audit.Viewer, "t2": audit.Viewer}, {audit.AllTenants: audit.Viewer}} {
			if _, _, err := h.Invite(h.as(eve), "new@contoso.example", "New", roles); !errors.As(err, &refused) {
				t.Errorf("invited with %v: %v", roles, err)
			}
		}
		o, token, err := h.Invite(h.as(eve), " New@contoso.example", "New", map[string]audit.Role{"t1": audit.Technician})
		must(h, o, err)
		if who, err := h.Link(t.Context(), token, here); err != nil || who.Email != "new@contoso.example" {
			t.Errorf("the link is for %+v, %v", who, err)
		}
		if _, _, err := h.Invite(h.as(eve), "new@contoso.example", "New", map[string]audit.Role{"t1": audit.Viewer}); !errors.Is(err, operator.ErrTaken) {
			t.Errorf("invited twice: %v", err)
		}
		if _, _, err := h.Invite(h.as(admin), "x@contoso.example", "X", map[string]audit.Role{"t1": 7}); err == nil {
			t.Error("a role that does not exist was given")
		}
		for _, test := range []struct{ email, name, faults string }{
			{"", "X", "email"}, {"x", "X", "email"}, {"X <x@contoso.example>", "X", "email"}, {"x@contoso.example", " ", "name"},
			{"y@contoso.example", "a\x00b", "name"}, {"y@contoso.example", strings.Repeat("n", 201), "name"}, {"x", "", "email name"},
		} {
			_, _, err := h.Invite(h.as(admin), test.email, test.name, nil)
			if got := fields(err); got != test.faults {
				t.Errorf("invited %q, %q: faults in %q: %v", test.email, test.name, got, err)
			}
		}
		lists := func(ctx context.Context) (all string) {
			list, err := h.List(ctx)
			for _, o := range must(h, list, err) {
				name, _, _ := strings.Cut(o.Email, "@")
				all += fmt.Sprintf("%s %v ", name, o.Roles)
			}
			return all
		}
		for who, test := range map[string]struct {
			ctx  context.Context
			want string
		}{
			"all":        {h.as(admin), "ada map[:administrator] bob map[t2:viewer t3:viewer] eve map[t1:administrator t2:engineer] new map[t1:technician] "},
			"one tenant": {h.as(eve), "eve map[t1:administrator] new map[t1:technician] "},
			"none":       {h.as(h.signIn("bob@contoso.example")), ""},
		} {
			if got := lists(test.ctx); got != test.want {
				t.Errorf("%s: listed %s, want %s", who, got, test.want)
			}
		}
		bob := h.find("bob@contoso.example")
		if _, err := h.Get(h.as(eve), bob.ID); !errors.Is(err, operator.ErrMissing) {
			t.Errorf("an operator of other tenants: %v", err)
		}
		if self, err := h.Get(h.as(eve), eve.Session.OperatorID); err != nil || len(self.Roles) != 2 {
			t.Errorf("oneself: %+v, %v", self, err)
		}
		if err := h.SetRole(h.as(eve), bob.ID, "t2", audit.Administrator); !errors.As(err, &refused) {
			t.Errorf("gave a role in a tenant that she does not administer: %v", err)
		}
		if err := h.SetRole(h.as(eve), eve.Session.OperatorID, audit.AllTenants, audit.Administrator); !errors.As(err, &refused) {
			t.Errorf("made herself administrator of all: %v", err)
		}
		must(h, 0, h.SetRole(h.as(eve), bob.ID, "t1", audit.Engineer))
		must(h, 0, h.SetRole(h.as(eve), bob.ID, "t1", audit.Viewer))
		if roles := h.find("bob@contoso.example").Roles; roles["t1"] != audit.Viewer {
			t.Errorf("the roles are %v", roles)
		}
		must(h, 0, h.SetRole(h.as(admin), bob.ID, "t1", 0))
		if roles := h.find("bob@contoso.example").Roles; len(roles) != 2 {
			t.Errorf("the roles are %v", roles)
		}
		for name, do := range map[string]func(context.Context, string) error{
			"relink": func(ctx context.Context, id string) error { _, err := h.Relink(ctx, id); return err },
			"off":    h.Disable, "on": h.Enable, "remove": h.Remove,
		} {
			if err := do(h.as(eve), bob.ID); !errors.As(err, &refused) {
				t.Errorf("%s by the administrator of one tenant: %v", name, err)
			}
			if err := do(h.as(admin), "no such"); !errors.Is(err, operator.ErrMissing) {
				t.Errorf("%s of nobody: %v", name, err)
			}
		}
	})
}

// fields are those that an error names, each with what is wrong and the way out.
func fields(err error) string {
	var all fault.List
	errors.As(err, &all)
	var names []string
	for _, f := range all {
		if f.Problem != "" && f.Way != "" {
			names = append(names, f.Field)
		}
	}
	return strings.Join(names, " ")
}

// A new link gives a new beginning: password, factor and sessions of before are
// gone, and the lock with them.
func TestRelink(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		admin := h.administrator()
		eve := h.member("eve@contoso.example", nil)
		h.execute("UPDATE operators SET failures = 12, locked_until = ? WHERE id = ?", h.now().Add(time.Hour), eve.Session.OperatorID)
		token, err := h.Relink(h.as(admin), eve.Session.OperatorID)
		must(h, token, err)
		if _, _, err := h.Authenticate(t.Context(), eve.Token, here); err != nil {
			t.Errorf("the link alone ended the session: %v", err)
		}
		again := h.use(token, "")
		if again.Session.OperatorID != eve.Session.OperatorID || again.Session.Stage != operator.StageEnrol {
			t.Errorf("%+v", again.Session)
		}
		if _, _, err := h.Authenticate(t.Context(), eve.Token, here); !errors.Is(err, operator.ErrSession) {
			t.Errorf("the session of before goes on: %v", err)
		}
		if inside, _, err := h.Authenticate(t.Context(), again.Token, here); err != nil || audit.May(inside, audit.AllTenants, audit.Self) {
			t.Errorf("acts before a factor is enrolled: %v", err)
		}
		h.enrol("eve@contoso.example", again.Session)
		h.signIn("eve@contoso.example")
		factors, err := h.Factors(h.system(), eve.Session.OperatorID)
		if len(must(h, factors, err)) != 1 {
			t.Errorf("a factor of before is left: %+v", factors)
		}

		token, err = h.Relink(h.as(admin), eve.Session.OperatorID)
		must(h, token, err)
		must(h, 0, h.Disable(h.as(admin), eve.Session.OperatorID))
		if _, err := h.Link(t.Context(), token, here); !errors.Is(err, operator.ErrLink) {
			t.Errorf("the link of a disabled operator: %v", err)
		}
		must(h, 0, h.Enable(h.as(admin), eve.Session.OperatorID))
		eve = h.signIn("eve@contoso.example")
		must(h, 0, h.Disable(h.as(admin), eve.Session.OperatorID))
		if _, _, err := h.Authenticate(t.Context(), eve.Token, here); !errors.Is(err, operator.ErrSession) {
			t.Errorf("a disabled operator's session goes on: %v", err)
		}
		must(h, 0, h.Remove(h.as(admin), eve.Session.OperatorID))
		if _, err := h.Get(h.as(admin), eve.Session.OperatorID); !errors.Is(err, operator.ErrMissing) {
			t.Errorf("removed, and still there: %v", err)
		}
		if _, err := h.log.Verify(h.system(), nil); err != nil {
			t.Error(err)
		}
	})
}

// The last administrator stays, also when two take each other's role away at the
// same moment.
func TestLastAdministrator(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ada := h.administrator().Session.OperatorID
		// Invited, but cannot sign in yet: does not count.
		o, _, err := h.Invite(h.system(), "new@contoso.example", "New", map[string]audit.Role{audit.AllTenants: audit.Administrator})
		must(h, o, err)
		for name, do := range map[string]func() error{
			"demoted":    func() error { return h.SetRole(h.system(), ada, audit.AllTenants, audit.Engineer) },
			"role taken": func() error { return h.SetRole(h.system(), ada, audit.AllTenants, 0) },
			"disabled":   func() error { return h.Disable(h.system(), ada) },
			"removed":    func() error { return h.Remove(h.system(), ada) },
		} {
			if err := do(); !errors.Is(err, operator.ErrLastAdministrator) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if o := h.find("ada@contoso.example"); o.Roles[audit.AllTenants] != audit.Administrator || o.DisabledAt != nil {
			t.Errorf("the last administrator is %+v", o)
		}
		eve := h.member("eve@contoso.example", map[string]audit.Role{audit.AllTenants: audit.Administrator}).Session.OperatorID
		for range 5 {
			var wg sync.WaitGroup
			results := make(chan error, 2)
			for _, id := range []string{ada, eve} {
				wg.Go(func() { results <- h.SetRole(h.system(), id, audit.AllTenants, audit.Viewer) })
			}
			wg.Wait()
			first, second := <-results, <-results
			if (first == nil) == (second == nil) || !errors.Is(errors.Join(first, second), operator.ErrLastAdministrator) {
				t.Fatalf("two at once: %v, %v", first, second)
			}
			for _, id := range []string{ada, eve} {
				must(h, 0, h.SetRole(h.system(), id, audit.AllTenants, audit.Administrator))
			}
		}
	})
}

// Nothing that is secret lies in the database as it is: not a password, token,
// link or key of a code generator.
func TestNoSecretIsStoredOpenly(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		issued := h.administrator()
		step := h.password("ada@contoso.example")
		link, err := h.Relink(h.as(issued), issued.Session.OperatorID)
		must(h, link, err)
		pending, err := h.BeginTOTPEnrolment(t.Context(), issued.Session)
		must(h, pending, err)
		must(h, 0, h.log.Flush(t.Context()))
		var everything strings.Builder
		for _, table := range []string{"operators", "operator_factors", "operator_roles", "sessions", "setup_links", "audit", "audit_uses", "keyset", "sealed"} {
			var rows []map[string]any
			if err := db.Read().NewSelect().TableExpr(table).Scan(t.Context(), &rows); err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				for _, v := range row {
					if b, ok := v.([]byte); ok {
						v = string(b)
					}
					fmt.Fprintln(&everything, v)
				}
			}
		}
		text := everything.String()
		if !strings.Contains(text, "ada@contoso.example") || !strings.Contains(text, "$argon2id$v=19$"+operator.CheapCost+"$") {
			t.Fatalf("the dump lacks what it must hold: %.2000q", text)
		}
		for name, secret := range map[string]string{
			"password": goodPassword, "session": issued.Token.Reveal(), "first step": step.Token.Reveal(), "link": link.Reveal(),
			"key": h.codes["ada@contoso.example"], "pending key": pending.Secret.Reveal(),
		} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s is in the database", name)
			}
		}
	})
}
