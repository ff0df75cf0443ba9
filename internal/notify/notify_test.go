package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
	"gatehouse/internal/notify/notifytest"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// An event is told once to everybody who wants it, by both channels, and not at
// all if its change is rolled back.
func TestPublish(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		contoso := h.tenant("t1", "Contoso")
		h.operator("ada@contoso.example", map[string]audit.Role{audit.AllTenants: audit.Administrator})
		h.operator("eve@contoso.example", map[string]audit.Role{audit.AllTenants: audit.Viewer}) // no defaults
		_, secret := h.webhook(notify.WebhookRequest{})
		h.webhook(notify.WebhookRequest{Name: "Other kinds", Kinds: []string{notify.ExpiryDue}})

		err := h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if err := h.Publish(ctx, tx, opened(contoso)); err != nil {
				return err
			}
			return errOther
		})
		if !errors.Is(err, errOther) || h.work() != 0 {
			t.Fatalf("rolled back: %v, %d jobs", err, h.work())
		}
		for range 3 {
			h.publish(opened(contoso))
		}
		if n := h.work(); n != 2 || len(h.waiting()) != 0 {
			t.Fatalf("%d jobs were done, %d are left", n, len(h.waiting()))
		}
		clear(h.seen) // a job that is worked on twice sends once
		h.work()
		letters, hooks := h.mail.Letters(), h.hooks.Hooks()
		if len(letters) != 1 || len(hooks) != 1 {
			t.Fatalf("%d letters and %d webhooks", len(letters), len(hooks))
		}
		l := letters[0]
		if !l.Secure || l.To != "TO:<ada@contoso.example>" || l.Subject != "Contoso: 12 connections are stopped" || l.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("%+v", l)
		}
		for _, body := range []string{l.Text, l.HTML} {
			for _, want := range []string{"12 connections are stopped", "Contoso", "Policy CA004 demands MFA.", "Exclude the account.", "the tenant&#39;s administrator", console + "/incidents/1", console + notify.ChoosePath} {
				if !strings.Contains(strings.ReplaceAll(body, "tenant's", "tenant&#39;s"), want) {
					t.Errorf("%q is missing in %s", want, body)
				}
			}
		}
		if err := hooks[0].Verify(secret, h.now()); err != nil {
			t.Error(err)
		}
		var m struct {
			Type string
			Data struct {
				ID, Title, URL string
				Tenant         struct{ ID, Name string }
				Details        map[string]any
			}
		}
		if err := json.Unmarshal(hooks[0].Body, &m); err != nil {
			t.Fatal(err)
		}
		if m.Type != notify.IncidentOpened || m.Data.ID != hooks[0].ID || m.Data.Tenant.Name != "Contoso" || m.Data.URL != console+"/incidents/1" || m.Data.Details["reach"] != 12.0 {
			t.Errorf("%s", hooks[0].Body)
		}
		n := h.only()
		if len(n.Deliveries) != 2 || n.ID != hooks[0].ID {
			t.Fatalf("%+v", n)
		}
		for _, d := range n.Deliveries {
			if d.State != notify.Delivered || d.Tries != 1 || len(d.Attempts) != 1 || d.Attempts[0].Outcome != notify.Taken || d.Attempts[0].Status == 0 || !d.Replayable {
				t.Errorf("%+v", d)
			}
		}
		if err := h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return h.Publish(ctx, tx, notify.Event{Kind: "made.up"})
		}); err == nil {
			t.Error("a kind that is none was published")
		}
	})
}

// What is published for too long a list is told without it.
func TestPublishLong(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.webhook(notify.WebhookRequest{})
		e := opened("")
		e.Title, e.Text, e.Path = strings.Repeat("ü", 400), strings.Repeat("y\n", 5000), "https://evil.example/"
		e.Data = map[string]any{"connections": slices.Repeat([]string{"connection"}, 5000)}
		h.publish(e)
		h.work()
		body := string(h.hooks.Hooks()[0].Body)
		if len(body) > 12<<10 || !strings.Contains(body, "left_out") || strings.Contains(body, "evil.example") || !json.Valid([]byte(body)) {
			t.Errorf("%d bytes: %.300s", len(body), body)
		}
	})
}

// Operators hear of what they chose, in the tenants that they may see when it is
// sent.
func TestWishes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		contoso, fabrikam := h.tenant("t1", "Contoso"), h.tenant("t2", "Fabrikam")
		viewer := map[string]audit.Role{contoso: audit.Viewer}
		eve := h.operator("eve@contoso.example", viewer)
		wish, err := h.Wish(h.me(eve, viewer))
		if err != nil || !wish.Normal || len(wish.Kinds) != 0 || wish.Address != "eve@contoso.example" {
			t.Errorf("a viewer's defaults: %+v, %v", wish, err)
		}
		admin := map[string]audit.Role{fabrikam: audit.Administrator}
		if wish, err := h.Wish(h.me(h.operator("fay@contoso.example", admin), admin)); err != nil || !slices.Contains(wish.Kinds, notify.ExpiryDue) || slices.Contains(wish.Kinds, notify.Parked) {
			t.Errorf("an administrator's defaults: %+v, %v", wish, err)
		}
		for name, choice := range map[string][2][]string{"kind": {{"made.up"}, {}}, "foreign tenant": {{notify.Parked}, {fabrikam}}, "no tenant": {{notify.Parked}, {"t9"}}} {
			if _, err := h.Choose(h.me(eve, viewer), choice[0], choice[1]); err == nil {
				t.Errorf("%s: chosen", name)
			}
		}
		if _, err := h.Choose(h.me(eve, viewer), []string{notify.Parked, notify.Parked}, []string{contoso}); err != nil {
			t.Fatal(err)
		}
		if wish, err = h.Wish(h.me(eve, viewer)); err != nil || wish.Normal || !slices.Equal(wish.Kinds, []string{notify.Parked}) || !slices.Equal(wish.Tenants, []string{contoso}) {
			t.Errorf("%+v, %v", wish, err)
		}
		parked := func(tenantID, key string) {
			h.publish(notify.Event{Kind: notify.Parked, TenantID: tenantID, Key: key, Title: "A connection is parked " + key})
		}
		parked(contoso, "seen")
		parked(fabrikam, "foreign")
		parked("", "server")
		h.publish(opened(contoso))
		h.work()
		if l := h.mail.Letters(); len(l) != 1 || !strings.Contains(l[0].Subject, "parked seen") {
			t.Fatalf("%v", l)
		}

		// What was subscribed to and published is not sent to who may not see it,
		// wants it no more or is gone when it is due.
		withheld := func(key, why string, change func()) {
			t.Helper()
			parked(contoso, key)
			change()
			h.work()
			all, _, err := h.List(h.boss(), notify.Filter{Kind: notify.Parked}, notify.Page{Limit: 1})
			if err != nil || len(all[0].Deliveries) != 1 || all[0].Deliveries[0].State != notify.Withheld || !strings.Contains(all[0].Deliveries[0].Reason, why) {
				t.Errorf("%s: %+v, %v", key, all, err)
			}
			if n := len(h.mail.Letters()); n != 1 {
				t.Errorf("%s: it was sent", key)
			}
		}
		withheld("unsubscribed", "chosen not to hear", func() {
			if _, err := h.Choose(h.me(eve, viewer), []string{}, nil); err != nil {
				t.Fatal(err)
			}
		})
		if _, err := h.Choose(h.me(eve, viewer), []string{notify.Parked}, nil); err != nil {
			t.Fatal(err)
		}
		withheld("disabled", "disabled or has no role", func() {
			if err := h.operators.Disable(h.system(), eve); err != nil {
				t.Fatal(err)
			}
		})
		if err := h.operators.Enable(h.system(), eve); err != nil {
			t.Fatal(err)
		}
		withheld("no role", "disabled or has no role", func() {
			if err := h.operators.SetRole(h.system(), eve, contoso, 0); err != nil {
				t.Fatal(err)
			}
		})
		if err := h.operators.SetRole(h.system(), eve, contoso, audit.Viewer); err != nil {
			t.Fatal(err)
		}
		withheld("removed", "is gone", func() {
			if err := h.operators.Remove(h.system(), eve); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// An invitation carries its link once; the link is sealed until then, and erased
// when it was sent or has ended.
func TestInvite(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		invite := func(until time.Duration) {
			t.Helper()
			if err := h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				return h.Invite(ctx, tx, "new@contoso.example", "New\r\nBcc: all@contoso.example", secrets.New(console+"/setup/planted-token"), h.now().Add(until))
			}); err != nil {
				t.Fatal(err)
			}
		}
		links := func() (n int) {
			t.Helper()
			if err := h.db.Read().NewRaw("SELECT count(*) FROM notice_links").Scan(t.Context(), &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		invite(time.Hour)
		var sealed []byte
		if err := h.db.Read().NewRaw("SELECT link FROM notice_links").Scan(t.Context(), &sealed); err != nil || strings.Contains(string(sealed), "planted") {
			t.Fatalf("%q %v", sealed, err)
		}
		h.work()
		letters := h.mail.Letters()
		if len(letters) != 1 || links() != 0 {
			t.Fatalf("%d letters, %d links", len(letters), links())
		}
		l := letters[0]
		if !strings.Contains(l.Text, console+"/setup/planted-token") || !strings.Contains(l.HTML, `href="`+console+`/setup/planted-token"`) || strings.Contains(l.Text, notify.ChoosePath) || l.Header.Get("Bcc") != "" || !strings.Contains(l.Text, "within 60 minutes") {
			t.Errorf("%s", l.Raw)
		}
		n := h.only()
		if n.Deliveries[0].Replayable || !errors.Is(h.Replay(h.boss(), n.Deliveries[0].ID), notify.ErrOnce) {
			t.Error("an invitation can be replayed")
		}
		// One whose link ends before the mail server is back.
		invite(10 * time.Minute)
		h.mail.Set(notifytest.Behaviour{Recipient: "451 4.3.0 later"})
		for range 3 {
			h.work()
			h.skip()
		}
		h.work()
		if all, _, err := h.List(h.boss(), notify.Filter{State: notify.Withheld}, notify.Page{}); err != nil || len(all) != 1 || !strings.Contains(all[0].Deliveries[0].Reason, "link of the invitation has ended") || links() != 0 {
			t.Errorf("%+v, %v, %d links", all, err, links())
		}
		// One that was never tried.
		invite(time.Minute)
		h.pass(time.Minute)
		if err := h.Sweep(t.Context()); err != nil || links() != 0 {
			t.Errorf("%v, %d links", err, links())
		}
	})
}

// Without a mail server nothing is queued for mail, and an invitation is refused.
func TestNoMail(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db, func(c *notify.Config) { c.Mail = notify.Mail{} })
		h.operator("ada@contoso.example", map[string]audit.Role{audit.AllTenants: audit.Administrator})
		h.publish(opened(""))
		if h.HasMail() || len(h.only().Deliveries) != 0 {
			t.Error("a mail was queued")
		}
		err := h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return h.Invite(ctx, tx, "new@contoso.example", "New", secrets.New("x"), h.now())
		})
		if !errors.Is(err, notify.ErrNoMail) {
			t.Errorf("an invitation: %v", err)
		}
	})
}

// Old notices are forgotten, but for what is still being delivered.
func TestForget(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.webhook(notify.WebhookRequest{})
		h.publish(opened(""))
		h.work()
		e := opened("")
		e.Key = "waits"
		h.publish(e)
		h.pass(time.Hour)
		e.Key = "new"
		h.publish(e)
		if n, err := h.Forget(t.Context(), h.now().Add(-time.Minute)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		all, _, err := h.List(h.boss(), notify.Filter{}, notify.Page{})
		if err != nil || len(all) != 2 || all[0].Key != "new" || all[1].Key != "waits" {
			t.Errorf("%+v, %v", all, err)
		}
		var attempts int
		if err := h.db.Read().NewRaw("SELECT count(*) FROM notice_attempts").Scan(t.Context(), &attempts); err != nil || attempts != 0 {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}

// Lists show what is the actor's, page by page, and addresses to those who may
// see operators.
func TestList(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		contoso, fabrikam := h.tenant("t1", "Contoso"), h.tenant("t2", "Fabrikam")
		ada := h.operator("ada@contoso.example", map[string]audit.Role{audit.AllTenants: audit.Administrator})
		for _, place := range []string{contoso, contoso, contoso, fabrikam, ""} {
			e := opened(place)
			e.Key = ""
			h.publish(e)
		}
		h.mail.Set(notifytest.Behaviour{Recipient: "550 5.1.1 no such person"})
		h.work()
		engineer := as(t.Context(), "eng", contoso, audit.Engineer)
		first, next, err := h.List(engineer, notify.Filter{}, notify.Page{Limit: 2})
		if err != nil || len(first) != 2 || next == "" {
			t.Fatalf("%d %q %v", len(first), next, err)
		}
		second, next, err := h.List(engineer, notify.Filter{State: notify.Failed}, notify.Page{Limit: 2, After: next})
		if err != nil || len(second) != 1 || next != "" || second[0].TenantName != "Contoso" || second[0].ID >= first[1].ID {
			t.Errorf("%+v %q %v", second, next, err)
		}
		if a := second[0].Deliveries[0].Address; a != "…@contoso.example" {
			t.Errorf("an engineer sees %q", a)
		}
		if all, _, err := h.List(h.me(ada, map[string]audit.Role{contoso: audit.Viewer}), notify.Filter{}, notify.Page{Limit: 1}); err != nil || all[0].Deliveries[0].Address != "ada@contoso.example" {
			t.Errorf("oneself: %+v %v", all, err)
		}
		if all, _, err := h.List(h.boss(), notify.Filter{TenantID: fabrikam}, notify.Page{}); err != nil || len(all) != 1 || all[0].Deliveries[0].Address != "ada@contoso.example" {
			t.Errorf("%+v %v", all, err)
		}
		for filter, want := range map[notify.Filter]int{{}: 5, {Kind: notify.ExpiryDue}: 0, {State: notify.Delivered}: 0, {WebhookID: "x"}: 0} {
			if all, _, err := h.List(h.boss(), filter, notify.Page{}); err != nil || len(all) != want {
				t.Errorf("%+v: %d %v", filter, len(all), err)
			}
		}
		all, _, err := h.List(h.boss(), notify.Filter{TenantID: fabrikam}, notify.Page{})
		if err != nil {
			t.Fatal(err)
		}
		var refused *audit.Refused
		if _, err := h.Get(engineer, all[0].ID); !errors.As(err, &refused) || !refused.Hidden {
			t.Errorf("a foreign notice: %v", err)
		}
		all, _, err = h.List(h.boss(), notify.Filter{}, notify.Page{Limit: 1})
		if err != nil || all[0].TenantID != "" {
			t.Fatal(all, err)
		}
		if _, err := h.Get(engineer, all[0].ID); !errors.Is(err, notify.ErrMissing) {
			t.Errorf("a notice of the whole server: %v", err)
		}
		if err := h.Replay(as(t.Context(), "viewer", contoso, audit.Viewer), first[0].Deliveries[0].ID); !errors.As(err, &refused) {
			t.Errorf("a viewer replays: %v", err)
		}
	})
}

// A delivery whose job was cancelled is not forgotten; one that has its job gets
// no second one.
func TestRevived(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.webhook(notify.WebhookRequest{})
		h.publish(opened(""))
		h.pass(time.Hour)
		if err := h.Sweep(t.Context()); err != nil || len(h.waiting()) != 1 {
			t.Fatalf("%v, %d jobs", err, len(h.waiting()))
		}
		first := h.waiting()[0].ID
		if err := h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return h.queue.Cancel(ctx, tx, first) }); err != nil {
			t.Fatal(err)
		}
		h.seen[first] = true
		if err := h.Sweep(t.Context()); err != nil || h.work() != 1 || len(h.hooks.Hooks()) != 1 {
			t.Errorf("%v, %d webhooks", err, len(h.hooks.Hooks()))
		}
	})
}

// The notices of a tenant that is removed go with it.
func TestTenantRemoved(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		contoso := h.tenant("t1", "Contoso")
		w, _ := h.webhook(notify.WebhookRequest{TenantID: contoso})
		h.publish(opened(contoso))
		h.exec("DELETE FROM tenants WHERE id = ?", contoso)
		if h.work() != 1 || len(h.hooks.Hooks()) != 0 {
			t.Error("it was sent")
		}
		if _, err := h.Webhook(h.boss(), w.ID); !errors.Is(err, notify.ErrMissing) {
			t.Errorf("its webhook: %v", err)
		}
	})
}
