package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/notify"
	"gatehouse/internal/notify/notifytest"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// A receiver that is down for a day is tried eight times with growing gaps, each
// time under the same id and with a signature of its own time.
func TestRetries(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		_, secret := h.webhook(notify.WebhookRequest{})
		h.hooks.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<b>down</b>\x00\x1b[31m", strings.Repeat("x", 1000))
		})
		began := h.now()
		h.publish(opened(""))
		var gaps []time.Duration
		for h.work() > 0 {
			if gap, more := h.skip(); more {
				gaps = append(gaps, gap.Round(10*time.Millisecond)) // SQLite's queue counts in milliseconds
			}
		}
		if !slices.Equal(gaps, notify.Gaps) || h.now().Sub(began) > 24*time.Hour || h.now().Sub(began) < 23*time.Hour {
			t.Errorf("gaps %v, %s in all", gaps, h.now().Sub(began))
		}
		hooks := h.hooks.Hooks()
		if len(hooks) != len(notify.Gaps)+1 {
			t.Fatalf("%d attempts", len(hooks))
		}
		at, times := began, map[string]bool{}
		for i, hook := range hooks {
			if hook.ID != hooks[0].ID || string(hook.Body) != string(hooks[0].Body) {
				t.Errorf("attempt %d is another message", i)
			}
			if err := hook.Verify(secret, at); err != nil {
				t.Errorf("attempt %d: %v", i, err)
			}
			times[hook.Timestamp] = true
			if i < len(gaps) {
				at = at.Add(gaps[i])
			}
		}
		if len(times) != len(hooks) {
			t.Errorf("%d times of sending", len(times))
		}
		d := h.only().Deliveries[0]
		if d.State != notify.Failed || d.DueAt != nil || len(d.Attempts) != len(hooks) || !strings.Contains(d.Reason, "502") {
			t.Errorf("%+v", d)
		}
		a := d.Attempts[0]
		if a.Status != 502 || a.Outcome != notify.Refused || !strings.HasPrefix(a.Answer, `<b>down</b>\x00\x1b[31mxxx`) || len(a.Answer) > 400 {
			t.Errorf("%+v", a)
		}
		// Replayed once the receiver is back, under the same id.
		h.hooks.Answer(nil)
		if err := h.Replay(h.boss(), d.ID); err != nil {
			t.Fatal(err)
		}
		if err := h.Replay(h.boss(), d.ID); !errors.Is(err, notify.ErrUnderWay) {
			t.Errorf("replayed twice: %v", err)
		}
		h.work()
		hooks = h.hooks.Hooks()
		if d := h.only().Deliveries[0]; d.State != notify.Delivered || d.Tries != 1 || len(d.Attempts) != 9 || hooks[8].ID != hooks[0].ID || hooks[8].Verify(secret, h.now()) != nil {
			t.Errorf("%+v", d)
		}
	})
}

// Gaps are spread by a tenth; what Retry-After asks for is kept.
func TestPauses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		draw := 0.0
		h := open(t, db, func(c *notify.Config) { c.Draw = func() float64 { return draw } })
		h.webhook(notify.WebhookRequest{})
		after := ""
		h.hooks.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		e := opened("")
		for _, c := range []struct {
			draw  float64
			after string
			want  time.Duration
		}{
			{0, "", 4500 * time.Millisecond}, {1, "", 5500 * time.Millisecond}, {0.5, "1", 5 * time.Second}, {0.5, "600", 10 * time.Minute}, {0.5, "99999999", 24 * time.Hour}, {0.5, "-5", 5 * time.Second},
			{0.5, "in an hour", time.Hour},
		} {
			draw, after, e.Key = c.draw, strings.Replace(c.after, "in an hour", h.now().Add(time.Hour).Format(http.TimeFormat), 1), fmt.Sprint(c)
			h.publish(e)
			h.work()
			gap, _ := h.skip()
			if d := gap - c.want; d.Abs() > time.Second || c.after == "" && d.Abs() > 10*time.Millisecond {
				t.Errorf("%+v: %s", c, gap)
			}
			h.hooks.Answer(nil)
			h.work()
			h.hooks.Answer(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", after)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
		}
	})
}

// 410 ends a webhook at once, days of failures in the end; its owner hears of it.
func TestSwitchedOff(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		contoso := h.tenant("t1", "Contoso")
		roles := map[string]audit.Role{contoso: audit.Engineer} // who hears of nothing by default
		owner := h.operator("eve@contoso.example", roles)
		gone, _, err := h.AddWebhook(h.me(owner, roles), notify.WebhookRequest{TenantID: contoso, Name: "Tickets", URL: secrets.New(h.hooks.URL), Kinds: []string{notify.IncidentOpened}, Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		h.hooks.Status(http.StatusGone)
		h.publish(opened(contoso))
		if sent, told := h.work(), h.work(); sent != 1 || told != 1 {
			t.Fatalf("%d webhooks, and its owner is told %d times", sent, told)
		}
		if w, err := h.Webhook(h.boss(), gone.ID); err != nil || w.Enabled || !strings.Contains(w.DisabledWhy, "410") {
			t.Errorf("%+v %v", w, err)
		}
		if l := h.mail.Letters(); len(l) != 1 || l[0].To != "TO:<eve@contoso.example>" || !strings.Contains(l[0].Text, "410 Gone") || !strings.Contains(l[0].Text, "/settings/webhooks/"+gone.ID) {
			t.Errorf("%v", l)
		}
		records, err := h.log.List(h.boss(), audit.Filter{})
		if err != nil || !slices.ContainsFunc(records, func(r audit.Record) bool { return r.Action == "webhook.disabled" && r.ActorKind == audit.System }) {
			t.Errorf("%v %v", records, err)
		}

		// Failing for three days, with a new notice each day; one success in between
		// begins anew.
		w, _ := h.webhook(notify.WebhookRequest{TenantID: contoso})
		day := func(status int) notify.Webhook {
			t.Helper()
			h.hooks.Status(status)
			e := opened(contoso)
			e.Key = ""
			h.publish(e)
			h.work()
			h.pass(24 * time.Hour)
			now, err := h.Webhook(h.boss(), w.ID)
			if err != nil {
				t.Fatal(err)
			}
			return now
		}
		for i, status := range []int{500, 500, 200, 500, 500, 500} {
			if now := day(status); !now.Enabled || (now.FailingSince == nil) != (status == 200) {
				t.Fatalf("day %d: %+v", i, now)
			}
		}
		if now := day(500); now.Enabled || !strings.Contains(now.DisabledWhy, "failed for 3 days") {
			t.Errorf("%+v", now)
		}
		before := len(h.hooks.Hooks())
		h.publish(opened(contoso))
		h.work()
		if len(h.hooks.Hooks()) != before {
			t.Error("a webhook that is off was sent to")
		}
		failed, _, err := h.List(h.boss(), notify.Filter{State: notify.Failed, WebhookID: w.ID}, notify.Page{})
		if err != nil || len(failed) == 0 {
			t.Fatal(len(failed), err)
		}
		if err := h.Replay(h.boss(), failed[0].Deliveries[0].ID); !errors.Is(err, notify.ErrOff) {
			t.Errorf("replayed to a webhook that is off: %v", err)
		}
		if _, err := h.ReplayFailed(h.boss(), h.now(), w.ID); !errors.Is(err, notify.ErrOff) {
			t.Errorf("replayed to a webhook that is off: %v", err)
		}
		if n, err := h.ReplayFailed(h.boss(), h.now().AddDate(0, -1, 0), ""); n != 0 || err != nil {
			t.Errorf("replayed to a webhook that is off: %d, %v", n, err)
		}
		// Switched on again, what failed is sent.
		now, err := h.Webhook(h.boss(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if now, err = h.ChangeWebhook(h.boss(), w.ID, notify.WebhookRequest{Name: now.Name, Kinds: now.Kinds, Enabled: true, Version: now.Version}); err != nil || !now.Enabled || now.DisabledWhy != "" || now.FailingSince != nil {
			t.Fatalf("%+v %v", now, err)
		}
		h.hooks.Answer(nil)
		viewer := as(t.Context(), "viewer", contoso, audit.Viewer)
		if n, err := h.ReplayFailed(viewer, h.now().AddDate(0, -1, 0), ""); n != 0 || err != nil {
			t.Errorf("a viewer replays %d, %v", n, err)
		}
		n, err := h.ReplayFailed(as(t.Context(), "eng", contoso, audit.Engineer), h.now().AddDate(0, -1, 0), w.ID)
		if err != nil || n == 0 || h.work() != n {
			t.Errorf("%d replayed, %v", n, err)
		}
		if failed, _, err = h.List(h.boss(), notify.Filter{State: notify.Failed, WebhookID: w.ID}, notify.Page{}); err != nil || len(failed) != 0 {
			t.Errorf("%d, %v", len(failed), err)
		}
	})
}

// Both secrets sign while one is replaced, the new one alone afterwards.
func TestRotation(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		w, first := h.webhook(notify.WebhookRequest{})
		w, fresh, err := h.RotateSecret(h.boss(), w.ID)
		if err != nil || w.OldUntil == nil || fresh.Reveal() == first {
			t.Fatal(w, err)
		}
		send := func() notifytest.Hook {
			t.Helper()
			if d, err := h.TestWebhook(h.boss(), w.ID); err != nil || d.State != notify.Delivered {
				t.Fatal(d, err)
			}
			all := h.hooks.Hooks()
			return all[len(all)-1]
		}
		hook := send()
		if hook.Verify(first, h.now()) != nil || hook.Verify(fresh.Reveal(), h.now()) != nil || len(strings.Split(hook.Signature, " ")) != 2 {
			t.Errorf("while it is replaced: %s", hook.Signature)
		}
		h.pass(24 * time.Hour)
		hook = send()
		if hook.Verify(first, h.now()) == nil || hook.Verify(fresh.Reveal(), h.now()) != nil {
			t.Errorf("afterwards: %s", hook.Signature)
		}
		if err := h.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left []byte
		if err := h.db.Read().NewRaw("SELECT old_secret FROM webhooks").Scan(t.Context(), &left); err != nil || len(left) != 0 {
			t.Errorf("the old secret is still there: %d bytes, %v", len(left), err)
		}
	})
}

// The address and the secret are sealed; the address is shown to who may change
// it only.
func TestWebhookSecrets(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		contoso := h.tenant("t1", "Contoso")
		w, secret := h.webhook(notify.WebhookRequest{TenantID: contoso})
		var row struct{ URL, Secret []byte }
		if err := h.db.Read().NewRaw("SELECT url, secret FROM webhooks").Scan(t.Context(), &row); err != nil || strings.Contains(string(row.URL), "planted-key") || strings.Contains(string(row.Secret), secret[6:]) {
			t.Errorf("%q %v", row, err)
		}
		if seen, err := h.Webhook(as(t.Context(), "viewer", contoso, audit.Viewer), w.ID); err != nil || seen.URL != h.hooks.URL+"/…" {
			t.Errorf("a viewer sees %q, %v", seen.URL, err)
		}
		if seen, err := h.Webhook(as(t.Context(), "eng", contoso, audit.Engineer), w.ID); err != nil || seen.URL != h.hooks.URL+"/in?key=planted-key" {
			t.Errorf("an engineer sees %q, %v", seen.URL, err)
		}
		// What cannot be reached is told without the address.
		w, err := h.ChangeWebhook(h.boss(), w.ID, notify.WebhookRequest{Name: w.Name, Kinds: w.Kinds, URL: secrets.New("https://127.0.0.1:1/in?key=planted-key"), Version: w.Version})
		if err != nil {
			t.Fatal(err)
		}
		d, err := h.TestWebhook(h.boss(), w.ID)
		if err != nil || d.State != notify.Failed || strings.Contains(fmt.Sprintf("%+v", d), "planted") || !strings.Contains(d.Reason, "refused") {
			t.Errorf("%+v %v", d, err)
		}
		records, err := h.log.List(h.boss(), audit.Filter{})
		if err != nil || strings.Contains(fmt.Sprintf("%+v", records), "planted") || strings.Contains(fmt.Sprintf("%+v", records), secret) {
			t.Errorf("%v %v", records, err)
		}
	})
}

func TestWebhookFaults(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		contoso := h.tenant("t1", "Contoso")
		good := notify.WebhookRequest{Name: "x", URL: secrets.New("https://hooks.example/x"), Kinds: []string{notify.IncidentOpened}}
		for name, c := range map[string]struct {
			change func(*notify.WebhookRequest)
			field  string
		}{
			"no name":       {func(r *notify.WebhookRequest) { r.Name = " " }, "name"},
			"no kinds":      {func(r *notify.WebhookRequest) { r.Kinds = nil }, "kinds"},
			"made-up kind":  {func(r *notify.WebhookRequest) { r.Kinds = []string{"test"} }, "kinds"},
			"no address":    {func(r *notify.WebhookRequest) { r.URL = secrets.New("") }, "url"},
			"password":      {func(r *notify.WebhookRequest) { r.URL = secrets.New("https://a:b@hooks.example/") }, "url"},
			"file":          {func(r *notify.WebhookRequest) { r.URL = secrets.New("file:///etc/passwd") }, "url"},
			"header":        {func(r *notify.WebhookRequest) { r.URL = secrets.New("https://hooks.example/\r\nx: y") }, "url"},
			"fragment":      {func(r *notify.WebhookRequest) { r.URL = secrets.New("https://hooks.example/#x") }, "url"},
			"other tenants": {func(r *notify.WebhookRequest) { r.TenantID, r.Tenants = contoso, []string{contoso} }, "tenants"},
			"no tenant":     {func(r *notify.WebhookRequest) { r.Tenants = []string{"t9"} }, "tenants"},
		} {
			r := good
			c.change(&r)
			_, _, err := h.AddWebhook(h.boss(), r)
			var f fault.List
			if !errors.As(err, &f) || f[0].Field != c.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		engineer := as(t.Context(), "eng", contoso, audit.Engineer)
		var refused *audit.Refused
		if _, _, err := h.AddWebhook(engineer, good); !errors.As(err, &refused) {
			t.Errorf("an engineer of one tenant made one for the whole server: %v", err)
		}
		w, _ := h.webhook(notify.WebhookRequest{})
		for what, do := range map[string]func() error{
			"seen":    func() error { _, err := h.Webhook(engineer, w.ID); return err },
			"removed": func() error { return h.RemoveWebhook(engineer, w.ID) },
			"tested":  func() error { _, err := h.TestWebhook(engineer, w.ID); return err },
			"rotated": func() error { _, _, err := h.RotateSecret(engineer, w.ID); return err },
		} {
			if err := do(); !errors.Is(err, notify.ErrMissing) {
				t.Errorf("one of the whole server was %s: %v", what, err)
			}
		}
		if _, err := h.ChangeWebhook(h.boss(), w.ID, notify.WebhookRequest{Name: "y", Kinds: w.Kinds, Version: w.Version + 1}); !errors.Is(err, notify.ErrConflict) {
			t.Errorf("%v", err)
		}
		if err := h.RemoveWebhook(h.boss(), w.ID); err != nil {
			t.Fatal(err)
		}
	})
}

// One for the whole server can be for some tenants; one of a tenant is for that
// one.
func TestWebhookTenants(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		contoso, fabrikam := h.tenant("t1", "Contoso"), h.tenant("t2", "Fabrikam")
		h.webhook(notify.WebhookRequest{Name: "all"})
		h.webhook(notify.WebhookRequest{Name: "some", Tenants: []string{contoso}})
		h.webhook(notify.WebhookRequest{Name: "own", TenantID: contoso})
		h.webhook(notify.WebhookRequest{Name: "foreign", TenantID: fabrikam})
		for place, want := range map[string]string{contoso: "all some own", fabrikam: "all foreign", "": "all"} {
			e := opened(place)
			e.Key = place
			h.publish(e)
			all, _, err := h.List(h.boss(), notify.Filter{}, notify.Page{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range all[0].Deliveries {
				got = append(got, d.Name)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%q: %v, want %s", place, got, want)
			}
		}
	})
}

// Nothing inside is reached: not directly, not by a redirect, not by a name that
// comes to mean something else.
func TestInside(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		looks := 0
		h := open(t, db, func(c *notify.Config) {
			c.Outside.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
			c.Outside.Resolver = names(func() string {
				looks++
				return []string{"127.0.0.2", "127.0.0.1"}[min(looks-1, 1)]
			})
		})
		outside := notifytest.Receive(t, "127.0.0.2")
		test := func(address string) notify.Delivery {
			t.Helper()
			w, _ := h.webhook(notify.WebhookRequest{URL: secrets.New(address)})
			d, err := h.TestWebhook(h.boss(), w.ID)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		if d := test(outside.URL); d.State != notify.Delivered {
			t.Fatalf("%+v", d)
		}
		for _, address := range []string{h.hooks.URL, "https://169.254.169.254/latest/meta-data", "https://10.1.2.3/", "https://[::1]:8443/"} {
			if d := test(address); d.State != notify.Failed || !strings.Contains(d.Reason, "egress_allow") {
				t.Errorf("%s: %+v", address, d)
			}
		}
		outside.Answer(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, h.hooks.URL, http.StatusTemporaryRedirect)
		})
		if d := test(outside.URL); d.State != notify.Failed || !strings.Contains(d.Reason, "redirects are not followed") {
			t.Errorf("a redirect: %+v", d)
		}
		outside.Answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, outside.URL, http.StatusFound) })
		before := len(outside.Hooks())
		if d := test(outside.URL); d.State != notify.Failed || len(outside.Hooks()) != before+1 {
			t.Errorf("a redirect to itself: %+v", d)
		}
		outside.Answer(nil)
		port := outside.URL[strings.LastIndex(outside.URL, ":"):]
		w, _ := h.webhook(notify.WebhookRequest{URL: secrets.New("https://hooks.example.com" + port)})
		outside.Answer(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
		if d, err := h.TestWebhook(h.boss(), w.ID); err != nil || d.State != notify.Delivered {
			t.Fatalf("before: %+v %v", d, err)
		}
		if d, err := h.TestWebhook(h.boss(), w.ID); err != nil || d.State != notify.Failed || !strings.Contains(d.Reason, "this machine") {
			t.Errorf("rebound: %+v %v", d, err)
		}
		if n := len(h.hooks.Hooks()); n != 0 {
			t.Errorf("the inside was reached %d times", n)
		}
	})
}

// names resolves every name to the address that is told for that look-up.
func names(address func() string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			_ = ours.SetDeadline(time.Now().Add(10 * time.Second))
			size := make([]byte, 2)
			if _, err := io.ReadFull(ours, size); err != nil {
				return
			}
			query := make([]byte, int(size[0])<<8|int(size[1]))
			if _, err := io.ReadFull(ours, query); err != nil {
				return
			}
			var p dnsmessage.Parser
			header, err := p.Start(query)
			if err != nil {
				return
			}
			question, err := p.Question()
			if err != nil {
				return
			}
			header.Response, header.Authoritative = true, true
			b := dnsmessage.NewBuilder([]byte{0, 0}, header)
			_ = b.StartQuestions()
			_ = b.Question(question)
			if question.Type == dnsmessage.TypeA {
				_ = b.StartAnswers()
				_ = b.AResource(dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class}, dnsmessage.AResource{A: netip.MustParseAddr(address()).As4()})
			}
			message, err := b.Finish()
			if err != nil {
				return
			}
			message[0], message[1] = byte((len(message)-2)>>8), byte(len(message)-2)
			_, _ = ours.Write(message)
		}()
		return theirs, nil
	}}
}

// An answer without end is not read to it.
func TestAnswerBounds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.hooks.Answer(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		})
		w, _ := h.webhook(notify.WebhookRequest{})
		if d, err := h.TestWebhook(h.boss(), w.ID); err != nil || d.State != notify.Delivered || len(d.Attempts[0].Answer) > 1300 {
			t.Errorf("%+v %v", d, err)
		}
	})
}

// FuzzAnswer: whatever a receiver answers can be shown and stored.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"", "fine", "\x00\xff<script>", "\u202e", "ü\r\n", strings.Repeat("é", 400)} {
		f.Add([]byte(seed), seed)
	}
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		text := notify.Escape(body)
		if len(text) > 3100 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd || r == '\u202e' }) {
			t.Errorf("%q", text)
		}
		if d := notify.RetryAfter(header, time.Now()); d < 0 {
			t.Errorf("%q: %s", header, d)
		}
		if line := notify.Line(string(body)); len(line) > 300 || strings.ContainsAny(line, "\r\n\x00\u202e\u2028") {
			t.Errorf("%q", line)
		}
	})
}
