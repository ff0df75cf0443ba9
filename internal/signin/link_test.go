package signin_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/testenv/pages"
)

// token is what stands behind the path of a link.
func token(l signin.Link) secrets.Value {
	address := l.URL.Reveal()
	return secrets.New(address[strings.LastIndexByte(address, '/')+1:])
}

func (h *house) link(id string, o signin.LinkOptions) signin.Link {
	h.t.Helper()
	l, err := h.signin.NewLink(h.ada(), id, o)
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

// A person signs in with a personal link: looking at it does nothing, it is good
// once and in one browser, and the one who opened it is on record.
func TestLink(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.connect("")
		l := h.link(c.ID, signin.LinkOptions{For: ines, Why: "The reports need you", CampaignID: "campaign"})
		if !strings.HasPrefix(l.URL.Reveal(), "http://localhost:1234/signin/link/") || len(token(l).Reveal()) < 40 || time.Until(l.Until) < 6*24*time.Hour {
			t.Errorf("%s until %s", l.URL.Reveal(), l.Until)
		}
		for range 3 { // scanners of mail
			o, err := h.signin.Opened(h.nobody(), token(l), secrets.Value{})
			if err != nil || o.AskedBy != "Ada Person" || o.Person != ines || o.Why != "The reports need you" || o.App != "Quay reports" || o.Tenant != "Quiet Quay" || len(o.Permissions) != 1 || !strings.HasPrefix(o.Host, "127.0.0.1:") {
				t.Fatalf("%+v %v", o, err)
			}
		}
		a, err := h.signin.StartLink(h.nobody(), token(l), secrets.Value{}, "")
		if err != nil || !strings.Contains(a.URL, "login_hint="+url.QueryEscape(ines)) {
			t.Fatalf("%s %v", a.URL, err)
		}
		_, err = h.signin.StartLink(h.nobody(), token(l), secrets.Value{}, "")
		h.refusedFor("in another browser", err, signin.LinkUsed)
		again, err := h.signin.StartLink(h.nobody(), token(l), a.Cookie, "")
		if err != nil {
			t.Fatalf("the browser that began with it may not begin anew: %v", err)
		}
		_, err = h.signin.Finish(h.nobody(), h.walk("olaf", a.URL), a.Cookie.Reveal())
		if r := h.refusedFor("swapped person", err, signin.OtherPerson); !strings.Contains(r.Words, olaf) || !strings.Contains(r.Words, ines) {
			t.Errorf("%s", r.Words)
		}
		done, err := h.signin.Finish(h.nobody(), h.walk("ines", again.URL), a.Cookie.Reveal())
		if err != nil || done.Operator || len(h.grants) != 1 || h.grants[0].By != ines {
			t.Fatalf("%+v %v %+v", done, err, h.grants)
		}
		if e := h.last(c); !e.ByLink || e.Person != ines || e.LinkID != l.ID {
			t.Errorf("%+v", e)
		}
		var kind, id string
		if err := h.db.Read().NewRaw("SELECT actor_kind, actor_id FROM audit WHERE object_id = ? AND action = 'connection.signed_in' AND outcome = 'done'", c.ID).Scan(t.Context(), &kind, &id); err != nil || kind != "link" || id != l.ID {
			t.Errorf("the log names %s %s: %v", kind, id, err)
		}
		h.grants = nil
		_, err = h.signin.StartLink(h.nobody(), token(l), a.Cookie, "")
		h.refusedFor("replayed link", err, signin.LinkUsed)
		_, err = h.signin.Opened(h.nobody(), token(l), a.Cookie)
		h.refusedFor("used link", err, signin.LinkUsed)
		if links, err := h.signin.Links(h.ada(), c.ID); err != nil || len(links) != 1 || links[0].State != signin.LinkDone {
			t.Errorf("%+v %v", links, err)
		}
	})
}

// Whoever is erased is in nothing that is kept of sign-ins, however their name was
// written: neither as who signed in, nor as whom others were taken for, nor in the
// audit log as who opened a link. The log verifies, and others stay.
func TestErase(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.connect("")
		l := h.link(c.ID, signin.LinkOptions{For: strings.ToUpper(ines[:1]) + ines[1:]})
		a, err := h.signin.StartLink(h.nobody(), token(l), secrets.Value{}, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.signin.Finish(h.nobody(), h.walk("olaf", a.URL), a.Cookie.Reveal())
		h.refusedFor("swapped person", err, signin.OtherPerson)
		if a, err = h.signin.StartLink(h.nobody(), token(l), a.Cookie, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := h.signin.Finish(h.nobody(), h.walk("ines", a.URL), a.Cookie.Reveal()); err != nil {
			t.Fatal(err)
		}
		object := h.get(c.ID).ObjectID
		erase := func(names ...string) {
			t.Helper()
			if err := h.db.Change(h.ada(), func(ctx context.Context, tx *sqldb.Tx) error { return h.signin.Erase(ctx, tx, "", names) }); err != nil {
				t.Fatal(err)
			}
		}
		kept := func(gone string) (found []string) {
			t.Helper()
			for _, q := range []string{
				"SELECT asked_by || person FROM signin_links", "SELECT actor_name || device FROM signin_attempts", "SELECT person || object_id || by_name || words || error FROM sign_ins", "SELECT actor_name FROM audit WHERE actor_kind = 'link'",
			} {
				var rows []string
				if err := h.db.Read().NewRaw(q).Scan(t.Context(), &rows); err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					if strings.Contains(strings.ToLower(r), strings.ToLower(gone)) {
						found = append(found, q)
						break
					}
				}
			}
			return found
		}
		if got := kept(ines); len(got) != 4 || len(kept(object)) != 1 || len(kept(olaf)) != 1 {
			t.Fatalf("before: %q", got)
		}
		erase("", "ines@QUIETQUAY.onmicrosoft.com")
		if got := append(kept(ines), kept(object)...); len(got) > 0 {
			t.Errorf("still in %q", got)
		}
		if len(kept(olaf)) != 1 || len(kept("Ada Person")) != 1 {
			t.Error("others were erased as well")
		}
		erase(olaf)
		if got := kept(olaf); len(got) > 0 {
			t.Errorf("still in %q", got)
		}
		if r, err := h.log.Verify(h.ada(), nil); err != nil || r.Erased == 0 {
			t.Errorf("%+v %v", r, err)
		}
	})
}

// Links that can no longer be used say why, and nothing comes of them.
func TestLinkEnds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.connect(ines)
		for _, no := range []signin.LinkOptions{{For: olaf}, {Until: time.Second}, {Until: 31 * 24 * time.Hour}, {Why: strings.Repeat("x", 501)}, {Resource: "exchange"}} {
			if l, err := h.signin.NewLink(h.ada(), c.ID, no); !errors.As(err, &signin.Faults{}) {
				t.Errorf("%+v: %+v %v", no, l, err)
			}
		}
		if _, err := h.signin.Opened(h.nobody(), secrets.New("guessed"), secrets.Value{}); !errors.Is(err, signin.ErrLink) {
			t.Errorf("a guessed link: %v", err)
		}
		expired := h.link(c.ID, signin.LinkOptions{Until: time.Hour})
		h.now = time.Now().Add(time.Hour + time.Second)
		_, err := h.signin.StartLink(h.nobody(), token(expired), secrets.Value{}, "")
		h.refusedFor("expired link", err, signin.LinkLapsed)
		h.reset()

		withdrawn := h.link(c.ID, signin.LinkOptions{})
		if err := h.signin.Withdraw(h.ada(), c.ID, withdrawn.ID); err != nil {
			t.Fatal(err)
		}
		if err := h.signin.Withdraw(h.ada(), c.ID, withdrawn.ID); !errors.Is(err, signin.ErrEnded) {
			t.Errorf("withdrawn twice: %v", err)
		}
		_, err = h.signin.StartLink(h.nobody(), token(withdrawn), secrets.Value{}, "")
		h.refusedFor("withdrawn link", err, signin.Withdrawn)

		// Withdrawn while the person signs in: nothing is kept.
		late := h.link(c.ID, signin.LinkOptions{})
		a, err := h.signin.StartLink(h.nobody(), token(late), secrets.Value{}, "")
		if err != nil {
			t.Fatal(err)
		}
		q := h.walk("ines", a.URL)
		if err := h.signin.Withdraw(h.ada(), c.ID, late.ID); err != nil {
			t.Fatal(err)
		}
		_, err = h.signin.Finish(h.nobody(), q, a.Cookie.Reveal())
		h.refusedFor("withdrawn meanwhile", err, signin.Withdrawn)
		if r, err := h.signin.Result(h.nobody(), a.ID, a.Cookie); err != nil || r.Retry || h.get(c.ID).ObjectID != "" {
			t.Errorf("%+v %v", r, err)
		}

		no := h.link(c.ID, signin.LinkOptions{})
		if err := h.signin.Decline(h.nobody(), token(no), secrets.Value{}); err != nil {
			t.Fatal(err)
		}
		_, err = h.signin.StartLink(h.nobody(), token(no), secrets.Value{}, "")
		h.refusedFor("declined link", err, signin.LinkUsed)
		_, err = h.signin.Opened(h.nobody(), token(no), secrets.Value{})
		h.refusedFor("page of a declined link", err, signin.LinkUsed)
		h.oneBrowser(h.link(c.ID, signin.LinkOptions{}))
		if e := h.last(c); e.Outcome != signin.SaidNo || e.Person != ines {
			t.Errorf("%+v", e)
		}
		var declined *signin.Refusal
		if last := h.told[len(h.told)-1]; !errors.As(last, &declined) || declined.Reason != signin.Declined {
			t.Errorf("told %v", last)
		}

		// Swept once nobody needs them any more; then they lead nowhere.
		h.now = time.Now().Add(60 * 24 * time.Hour)
		if err := h.signin.Sweep(h.ada()); err != nil {
			t.Fatal(err)
		}
		if links, err := h.signin.Links(h.ada(), c.ID); err != nil || len(links) != 0 {
			t.Errorf("%+v %v", links, err)
		}
		if err := h.signin.ForgetBefore(h.ada(), h.now); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := h.db.Read().NewRaw("SELECT (SELECT count(*) FROM sign_ins) + (SELECT count(*) FROM signin_attempts)").Scan(t.Context(), &left); err != nil || left != 0 {
			t.Errorf("%d rows are left: %v", left, err)
		}
	})
}

// oneBrowser has eight browsers begin with a link at once: it is one's, and neither
// opens nor begins in another from then on.
func (h *house) oneBrowser(l signin.Link) {
	h.t.Helper()
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			_, errs[i] = h.signin.StartLink(h.nobody(), token(l), secrets.New(fmt.Sprint("browser ", i)), "")
		})
	}
	all.Wait()
	begun := 0
	for i, err := range errs {
		_, opened := h.signin.Opened(h.nobody(), token(l), secrets.New(fmt.Sprint("browser ", i)))
		if err == nil {
			begun++
			if opened != nil {
				h.t.Errorf("to the browser that began it is said %v", opened)
			}
			continue
		}
		h.refusedFor("another browser", err, signin.LinkUsed)
		h.refusedFor("the page in another browser", opened, signin.LinkUsed)
	}
	if begun != 1 {
		h.t.Errorf("%d browsers began with one link", begun)
	}
}

// Signing out forgets the tokens and keeps the history; sign-ins are revoked at
// Microsoft where that was asked for and can be, and the report says where not.
func TestOut(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.client = "Quay device"
		c := h.connect("")
		a := h.begin(c)
		if _, err := h.signin.Finish(h.nobody(), h.walk("ines", a.URL), a.Cookie.Reveal()); err != nil {
			t.Fatal(err)
		}
		if r, err := h.signin.Out(h.ada(), c.ID, false); err != nil || !r.Forgotten || r.Revoked || r.Why != "" || len(h.forgotten) != 1 {
			t.Errorf("%+v %v", r, err)
		}
		if r, err := h.signin.Out(h.ada(), c.ID, true); err != nil || !r.Forgotten || r.Revoked || !strings.Contains(r.Why, "User.RevokeSessions.All") {
			t.Errorf("%+v %v", r, err)
		}
		h.token = &h.grants[0].Access
		if r, err := h.signin.Out(h.ada(), c.ID, true); err != nil || !r.Forgotten || r.Revoked || r.Why == "" {
			t.Errorf("without the permission: %+v %v", r, err)
		}
		h.client, h.permissions = "Quay reports", append(h.permissions, "User.RevokeSessions.All")
		h.lab.Advance(30 * time.Second)
		a, h.grants = h.begin(c), nil
		if _, err := h.signin.Finish(h.nobody(), h.walk("ines", a.URL), a.Cookie.Reveal()); err != nil {
			t.Fatal(err)
		}
		h.token = &h.grants[0].Access
		if r, err := h.signin.Out(h.ada(), c.ID, true); err != nil || !r.Forgotten || !r.Revoked || r.Why != "" {
			t.Errorf("%+v %v", r, err)
		}
		if e := h.last(c); e.Outcome != signin.SignedOut || e.Person != ines || h.get(c.ID).ObjectID == "" || h.audited(c, "connection.sign_ins_to_be_revoked", "done") != 3 {
			t.Errorf("%+v", e)
		}
	})
}

// A device code: the person signs in elsewhere, and Microsoft is asked at its pace.
func TestDevice(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.client = "Quay device"
		c := h.connect("")
		d, err := h.signin.BeginDevice(h.ada(), c.ID, signin.Options{})
		if err != nil || d.UserCode == "" || d.Address == "" || d.State != signin.Pending || d.Interval < 5*time.Second {
			t.Fatalf("%+v %v", d, err)
		}
		asked := 0
		h.wire.change = func(_ string, _ url.Values, status int, _ map[string]any) int {
			asked++
			return status
		}
		if wait, err := h.signin.PollDevice(h.ada(), d.ID); err != nil || wait <= 0 || asked != 0 {
			t.Errorf("asked before its time: %s %v", wait, err)
		}
		h.now = time.Now().Add(d.Interval)
		for range 3 {
			if wait, err := h.signin.PollDevice(h.ada(), d.ID); err != nil || wait != d.Interval || asked != 1 {
				t.Fatalf("%s %v, asked %d times", wait, err, asked)
			}
		}
		if text := pages.Of(t, h.lab, "quietquay", "ines").Device(d.Address, d.UserCode); !strings.Contains(text, "Signed in") {
			t.Fatal(text)
		}
		h.now = h.now.Add(d.Interval)
		if wait, err := h.signin.PollDevice(h.ada(), d.ID); err != nil || wait != 0 || len(h.grants) != 1 || h.grants[0].Flow != signin.FlowDevice || h.grants[0].By != "Ada Person" {
			t.Fatalf("%s %v %+v", wait, err, h.grants)
		}
		if now, err := h.signin.Polled(h.ada(), c.ID, d.ID); err != nil || now.State != signin.Ended || now.Event.Outcome != signin.SignedIn || now.CodeFlow {
			t.Errorf("%+v %v", now, err)
		}
		if wait, err := h.signin.PollDevice(h.ada(), d.ID); err != nil || wait != 0 || asked != 2 {
			t.Errorf("asked after the end: %s %v", wait, err)
		}

		h.grants, h.now = nil, time.Time{}
		late, err := h.signin.BeginDevice(h.ada(), c.ID, signin.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h.now = late.Until
		_, err = h.signin.PollDevice(h.ada(), late.ID)
		h.refusedFor("a code that nobody used", err, signin.Lapsed)
	})
}

// Story 31: where the tenant or the app registration takes no device codes, the
// browser is offered at once, and gets in.
func TestStory31DeviceBlocked(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.client = "Quay device"
		c := h.connect("")
		d, err := h.signin.BeginDevice(h.ada(), c.ID, signin.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if text := pages.Of(t, h.lab, "quietquay", "olaf").Device(d.Address, d.UserCode); !strings.Contains(text, "53003") {
			t.Fatal(text)
		}
		h.now = time.Now().Add(d.Interval)
		_, err = h.signin.PollDevice(h.ada(), d.ID)
		r := h.refusedFor("a policy against device codes", err, signin.Blocked)
		if now, err := h.signin.Polled(h.ada(), c.ID, d.ID); err != nil || now.State != signin.Ended || !now.CodeFlow || now.Event.Code != "AADSTS53003" || now.Event.Diagnosis == nil || !strings.Contains(r.Words, "browser") {
			t.Errorf("%+v %v", now, err)
		}
		a := h.begin(c)
		if _, err := h.signin.Finish(h.nobody(), h.walk("olaf", a.URL), a.Cookie.Reveal()); err != nil || len(h.grants) != 1 {
			t.Errorf("the browser does not get in: %v", err)
		}
		h.client, h.grants = "Quay reports", nil // no public client
		_, err = h.signin.BeginDevice(h.ada(), c.ID, signin.Options{})
		h.refusedFor("an app that takes no device codes", err, signin.Blocked)
	})
}
