package operator_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func (h *house) key(ctx context.Context, r operator.KeyRequest) (operator.Key, secrets.Value) {
	h.t.Helper()
	k, token, err := h.AddKey(ctx, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return k, token
}

// by is a context in which a program acts with a key.
func (h *house) by(token secrets.Value) context.Context {
	h.t.Helper()
	ctx, _, err := h.AuthenticateKey(h.t.Context(), token, here)
	return must(h, ctx, err)
}

// A key can do what it names, where it names it, as long as its owner can, and
// nothing else.
func TestKeys(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ada := h.as(h.administrator())
		eve := h.member("eve@contoso.example", map[string]audit.Role{"t1": audit.Engineer, "t2": audit.Viewer})
		as := h.as(eve)

		k, token := h.key(as, operator.KeyRequest{Name: "report", Permissions: []audit.Permission{audit.ConnectionView, audit.ConnectionManage}, Tenants: []string{"t1"}})
		if !strings.HasPrefix(token.Reveal(), "ghk_") || len(token.Reveal()) < 40 || !strings.HasPrefix(token.Reveal(), k.Hint) || !k.ExpiresAt.Equal(h.now().Add(90*24*time.Hour)) {
			t.Errorf("the key is %+v", k)
		}
		by := h.by(token)
		for _, may := range []struct {
			tenant string
			p      audit.Permission
			want   bool
		}{
			{"t1", audit.ConnectionView, true}, {"t1", audit.ConnectionManage, true}, {"t1", audit.PlanWrite, false}, {"t2", audit.ConnectionView, false},
			{audit.AllTenants, audit.ConnectionView, false}, {"t1", audit.Self, false}, {audit.AllTenants, audit.Self, false},
		} {
			if audit.May(by, may.tenant, may.p) != may.want {
				t.Errorf("%s in %q: %v", may.p, may.tenant, !may.want)
			}
		}
		// With what the owner loses, the key loses it; what they gain it does not.
		if err := h.SetRole(ada, eve.Session.OperatorID, "t1", audit.Viewer); err != nil {
			t.Fatal(err)
		}
		if now := h.by(token); audit.May(now, "t1", audit.ConnectionManage) || !audit.May(now, "t1", audit.ConnectionView) {
			t.Error("the key does not follow its owner's role")
		}
		// No key makes keys, ends them, or looks after its owner's account.
		var refused *audit.Refused
		if _, _, err := h.AddKey(by, operator.KeyRequest{Name: "more", Permissions: []audit.Permission{audit.ConnectionView}, Tenants: []string{"t1"}}); !errors.As(err, &refused) {
			t.Errorf("a key makes a key: %v", err)
		}
		if err := h.RevokeKey(by, k.ID); !errors.As(err, &refused) {
			t.Errorf("a key ends a key: %v", err)
		}
		if err := h.RevokeAll(by, eve.Session.OperatorID, ""); !errors.As(err, &refused) {
			t.Errorf("a key ends sessions: %v", err)
		}
		// Nobody else finds it, but who sees operators in its tenants.
		if keys, err := h.Keys(h.as(h.member("fay@contoso.example", map[string]audit.Role{"t1": audit.Engineer}))); err != nil || len(keys) != 0 {
			t.Errorf("another engineer sees %v %v", keys, err)
		}
		if err := h.RevokeKey(h.as(h.member("gus@contoso.example", map[string]audit.Role{"t1": audit.Administrator})), k.ID); !errors.As(err, &refused) {
			t.Errorf("an administrator of one tenant ends another's key: %v", err)
		}

		// The last use comes from the sums of uses.
		if keys, err := h.Keys(as); err != nil || len(keys) != 1 || keys[0].UsedAt != nil || keys[0].Owner != "Ada Person" { // all are called so here
			t.Errorf("before a use was summed: %+v %v", keys, err)
		}
		if err := h.log.Flush(h.system()); err != nil {
			t.Fatal(err)
		}
		keys, err := h.Keys(as)
		if must(h, keys, err); keys[0].UsedAt == nil || keys[0].UsedAt.After(h.now()) || keys[0].UsedAt.Before(k.CreatedAt.Truncate(time.Minute)) {
			t.Errorf("the last use is %v", keys[0].UsedAt)
		}

		// Revoked, expired, its owner disabled: not good any more.
		if err := h.RevokeKey(ada, k.ID); err != nil {
			t.Fatal(err)
		}
		bad := func(what string, token secrets.Value) {
			t.Helper()
			if _, _, err := h.AuthenticateKey(t.Context(), token, here); !errors.Is(err, operator.ErrSession) {
				t.Errorf("%s: %v", what, err)
			}
		}
		bad("a revoked key", token)
		bad("another text", secrets.New("ghk_"+strings.Repeat("A", 43)))
		_, short := h.key(as, operator.KeyRequest{Name: "short", Permissions: []audit.Permission{audit.ConnectionView}, Tenants: []string{audit.AllTenants}, Days: 1})
		if now := h.by(short); !audit.May(now, "t2", audit.ConnectionView) || audit.May(now, "t3", audit.ConnectionView) {
			t.Error("all tenants are not all of the owner's")
		}
		h.pass(24 * time.Hour)
		bad("an expired key", short)
		as = h.as(h.signIn("eve@contoso.example"))
		_, last := h.key(as, operator.KeyRequest{Name: "last", Permissions: []audit.Permission{audit.ConnectionView}, Tenants: []string{"t1"}})
		if err := h.Disable(h.system(), eve.Session.OperatorID); err != nil {
			t.Fatal(err)
		}
		bad("a disabled operator's key", last)
		if err := h.Remove(h.system(), eve.Session.OperatorID); err != nil {
			t.Errorf("removing an operator with keys: %v", err)
		}
	})
}

// What a new key may not be is said field by field.
func TestKeyRequests(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.administrator()
		as := h.as(h.member("eve@contoso.example", map[string]audit.Role{"t1": audit.Administrator}))
		view := []audit.Permission{audit.ConnectionView}
		for _, test := range []struct {
			r     operator.KeyRequest
			field string
		}{
			{operator.KeyRequest{Name: " ", Permissions: view, Tenants: []string{"t1"}}, "name"},
			{operator.KeyRequest{Name: "x", Tenants: []string{"t1"}}, "permissions"},
			{operator.KeyRequest{Name: "x", Permissions: []audit.Permission{"paint"}, Tenants: []string{"t1"}}, "permissions"},
			{operator.KeyRequest{Name: "x", Permissions: view}, "tenants"},
			{operator.KeyRequest{Name: "x", Permissions: view, Tenants: []string{"t1", audit.AllTenants}}, "tenants"},
			{operator.KeyRequest{Name: "x", Permissions: view, Tenants: []string{"t2"}}, "permissions"},
			{operator.KeyRequest{Name: "x", Permissions: []audit.Permission{audit.OperatorManage}, Tenants: []string{"t1"}}, "permissions"},
			{operator.KeyRequest{Name: "x", Permissions: []audit.Permission{audit.Self}, Tenants: []string{"t1"}}, "permissions"},
			{operator.KeyRequest{Name: "x", Permissions: view, Tenants: []string{"t1"}, Days: 366}, "days"},
			{operator.KeyRequest{Name: "x", Permissions: view, Tenants: []string{"t1"}, Days: -1}, "days"},
		} {
			_, _, err := h.AddKey(as, test.r)
			var f *fault.Field
			if !errors.As(err, &f) || f.Field != test.field {
				t.Errorf("%+v: %v", test.r, err)
			}
		}
		if _, _, err := h.AddKey(h.system(), operator.KeyRequest{Name: "x", Permissions: view, Tenants: []string{"t1"}}); !errors.Is(err, operator.ErrSession) {
			t.Errorf("a key of nobody's: %v", err)
		}
		for i := range 51 {
			_, _, err := h.AddKey(as, operator.KeyRequest{Name: "x", Permissions: view, Tenants: []string{"t1"}})
			if (err != nil) != (i == 50) || i == 50 && !errors.Is(err, operator.ErrManyKeys) {
				t.Fatalf("key %d: %v", i, err)
			}
		}
	})
}

// An invitation is mailed where mail can be sent: nobody else sees the link then.
func TestMailedInvitations(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var sent []string
		fails := errors.New("")
		h := newHouse(t, db, func(c *operator.Config) {
			c.Mail = func(_ context.Context, tx *sqldb.Tx, to, _ string, link secrets.Value, until time.Time) error {
				if tx == nil || until.IsZero() {
					t.Error("no transaction, or no end")
				}
				sent = append(sent, to+" "+link.Reveal())
				return fails
			}
		})
		fails = nil
		o, token, err := h.Invite(h.system(), "eve@contoso.example", "Eve", map[string]audit.Role{"t1": audit.Viewer})
		if err != nil || !token.Empty() || len(sent) != 1 || !strings.HasPrefix(sent[0], "eve@contoso.example https://gatehouse.contoso.example/setup/") {
			t.Fatalf("%v, sent %q", err, sent)
		}
		if got := h.find("eve@contoso.example").InvitedUntil; got == nil || !got.Equal(h.now().Add(24*time.Hour)) {
			t.Errorf("invited until %v", got)
		}
		// Again, which ends the first link; and the second one opens.
		if token, err := h.Relink(h.system(), o.ID); err != nil || !token.Empty() || len(sent) != 2 {
			t.Fatalf("%v, sent %q", err, sent)
		}
		opens := func(line string) error {
			_, err := h.Link(t.Context(), secrets.New(line[strings.LastIndex(line, "/")+1:]), here)
			return err
		}
		if err := opens(sent[0]); !errors.Is(err, operator.ErrLink) {
			t.Errorf("the first link: %v", err)
		}
		if err := opens(sent[1]); err != nil {
			t.Errorf("the second link: %v", err)
		}
		// Withdrawn: the link opens nothing.
		if err := h.Remove(h.system(), o.ID); err != nil {
			t.Fatal(err)
		}
		if err := opens(sent[1]); !errors.Is(err, operator.ErrLink) {
			t.Errorf("a withdrawn link: %v", err)
		}
		// No mail just now: the link is shown. Another fault: nobody is invited.
		fails = operator.ErrNoMail
		if _, token, err := h.Invite(h.system(), "fay@contoso.example", "Fay", nil); err != nil || token.Empty() {
			t.Errorf("without mail: %v", err)
		}
		fails = errors.New("the outbox is full")
		if _, _, err := h.Invite(h.system(), "gus@contoso.example", "Gus", nil); err == nil {
			t.Error("the mail failed, and yet somebody was invited")
		}
		if all, err := h.List(h.system()); err != nil || len(all) != 1 {
			t.Errorf("%d operators, %v", len(all), err)
		}
	})
}

// A key that is used often is not looked up each time. What this process does to its
// owner counts at once; what another does, after a moment at the latest.
func TestKeyRemembered(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ada := h.as(h.administrator())
		eve := h.member("eve@contoso.example", map[string]audit.Role{"t1": audit.Engineer})
		_, token := h.key(h.as(eve), operator.KeyRequest{Name: "report", Permissions: []audit.Permission{audit.ConnectionUse}, Tenants: []string{"t1"}})
		for range 3 {
			if !audit.May(h.by(token), "t1", audit.ConnectionUse) {
				t.Error("the key may not what it names")
			}
		}
		if err := h.SetRole(ada, eve.Session.OperatorID, "t1", audit.Viewer); err != nil {
			t.Fatal(err)
		}
		if audit.May(h.by(token), "t1", audit.ConnectionUse) {
			t.Error("the owner's lost role counts later")
		}
		h.execute("DELETE FROM api_keys") // as another replica does
		h.pass(operator.KeyTrust)
		if _, _, err := h.AuthenticateKey(t.Context(), token, here); !errors.Is(err, operator.ErrSession) {
			t.Errorf("a key that is gone: %v", err)
		}
	})
}
