package console_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// publish tells of something and waits until nothing of it is on the way.
func (h *house) publish(e notify.Event) notify.Notice {
	h.t.Helper()
	if err := h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return h.notices.Publish(ctx, tx, e) }); err != nil {
		h.t.Fatal(err)
	}
	var n notify.Notice
	h.eventually("the notice was not sent", func() bool {
		all, _, err := h.notices.List(h.boss(), notify.Filter{Kind: e.Kind}, notify.Page{})
		n = must(h.t, all, err)[0]
		for _, d := range n.Deliveries {
			if d.State == notify.Waiting && d.Tries == 0 {
				return false
			}
		}
		return true
	})
	return n
}

// tell furnishes the pages of notices and gives their screens.
func (h *house) tell(at tenant.Tenant) []screen {
	h.t.Helper()
	add := func(name, address, place string) notify.Webhook {
		h.t.Helper()
		w, _, err := h.notices.AddWebhook(h.boss(), notify.WebhookRequest{Name: name, TenantID: place, URL: secrets.New(address), Kinds: []string{notify.IncidentOpened}, Enabled: true})
		return must(h.t, w, err)
	}
	good := add("Tickets", h.hooks.URL+"/gatehouse", "")
	failing := add("Chat", "https://127.0.0.1:1/in", at.ID)
	gone := add("Old script", h.hooks.URL+"/gone", at.ID)
	h.hooks.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
		}
	})
	opened := h.publish(notify.Event{
		Kind: notify.IncidentOpened, TenantID: at.ID, Key: "screens", Title: "12 connections are stopped by the policy CA004 of Default Shield", Text: "The policy demands MFA of accounts that no person uses.\nExclude the account, or move it to an app.",
		Path: "/connections", Data: map[string]any{notify.WhoActs: "the tenant's administrator"},
	})
	return []screen{
		{"notices", "/settings/notices"}, {"notices-none-fit", "/settings/notices?kind=test"}, {"notice", "/settings/notices/" + opened.ID}, {"my-notices", notify.ChoosePath},
		{"webhooks", "/settings/webhooks"}, {"webhook-new", "/settings/webhooks/new"}, {"webhook", "/settings/webhooks/" + good.ID}, {"webhook-failing", "/settings/webhooks/" + failing.ID},
		{"webhook-off", "/settings/webhooks/" + gone.ID}, {"webhook-remove", "/settings/webhooks/" + good.ID + "/remove"},
	}
}

var whsec = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]{44}`)

// A webhook is added, tested, fails, is mended and gets what it missed; its
// secret is shown once. All without a script.
func TestWebhookStory(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")

	bad := v.post("/settings/webhooks/new", url.Values{"name": {""}, "url": {"http://tickets.example"}, "tenants": {"nowhere.example"}})
	bad.has(t, "to correct", "names &#34;nowhere.example&#34;")
	if bad.Status != http.StatusUnprocessableEntity {
		t.Errorf("status %d", bad.Status)
	}
	made := v.post("/settings/webhooks/new", url.Values{"name": {"Tickets <b>"}, "url": {h.hooks.URL + "/in?key=planted"}, "kinds": {notify.IncidentOpened}, "tenants": {h.at("Open Harbour").Domain + "\r\n"}})
	made.has(t, "Secret of Tickets &lt;b&gt;", "shown only now")
	secret := strings.ReplaceAll(whsec.FindString(strings.ReplaceAll(made.Text, "&#43;", "+")), "&#43;", "+")
	if secret == "" {
		t.Fatal("there is no secret on the page")
	}
	all, _, err := h.notices.Webhooks(h.boss(), notify.Page{})
	one := "/settings/webhooks/" + must(t, all, err)[0].ID
	page := v.get(one)
	page.has(t, "Nothing sent yet", h.hooks.URL+"/in?key=planted", h.at("Open Harbour").Domain)
	if strings.Contains(page.Text, secret[6:]) {
		t.Error("the secret is shown twice")
	}
	v.post(one+"/test", nil).has(t, "The test arrived.")
	if hooks := h.hooks.Hooks(); len(hooks) != 1 || hooks[0].Verify(secret, time.Now()) != nil {
		t.Errorf("%+v", hooks)
	}

	h.hooks.Answer(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGone)
		_, _ = w.Write([]byte("<script>alert(1)</script>")) // a client that has gone
	})
	h.publish(notify.Event{Kind: notify.IncidentOpened, TenantID: at.ID, Key: "story", Title: "3 connections are stopped"})
	v.get(one).has(t, "Switched off by Gatehouse", "it answered 410 Gone", "Who looks after the receiver acts")
	list := v.get("/settings/notices?state=failed")
	list.has(t, "1 delivery of the last 7 days did not get through", "3 connections are stopped", "Send again what failed")
	failed, _, err := h.notices.List(h.boss(), notify.Filter{State: notify.Failed}, notify.Page{})
	detail := v.get("/settings/notices/" + must(t, failed, err)[0].ID)
	detail.has(t, "410", "&lt;script&gt;alert(1)&lt;/script&gt;", "Send again")
	if strings.Contains(detail.Text, "<script>alert") {
		t.Error("an answer runs a script")
	}

	h.hooks.Answer(nil)
	now, err := h.notices.Webhook(h.boss(), all[0].ID)
	form := url.Values{"name": {"Tickets"}, "kinds": must(t, now, err).Kinds, "enabled": {"on"}, "version": {"999"}}
	v.post(one, form).has(t, "The webhook was changed meanwhile")
	form.Set("version", "1")
	v.post(one, form).has(t, "The webhook is changed.")
	v.post("/settings/notices/replay", url.Values{"back": {one}, "webhook": {all[0].ID}}).has(t, "What failed is sent again")
	h.eventually("it was not sent again", func() bool {
		s, err := h.notices.Standing(h.boss(), time.Now().Add(-time.Hour))
		return must(t, s, err).Failed == 0 && s.Waiting == 0
	})
	v.get("/settings/notices").has(t, "All notices of the last 7 days arrived")

	rotated := v.post(one+"/secret", nil)
	rotated.has(t, "The secret before signs too")
	v.get(one+"/remove").has(t, "Nothing is sent to it any more")
	v.post(one+"/remove", nil).has(t, "The webhook was removed.", "No webhook yet")
}

// An operator chooses what to hear, tries it, and hears it.
func TestMyNotices(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")
	v.get(notify.ChoosePath).has(t, "the defaults of your role", adaEmail)
	v.post(notify.ChoosePath, url.Values{"kinds": {notify.Parked}, "tenants": {"nowhere"}}).has(t, "names &#34;nowhere&#34;")
	v.post(notify.ChoosePath, url.Values{"kinds": {notify.Parked}, "tenants": {"open harbour"}}).has(t, "Your choice is stored.", h.at("Open Harbour").Domain)
	v.post(notify.ChoosePath+"/test", nil).has(t, "The test arrived.", "250")
	h.publish(notify.Event{Kind: notify.Parked, TenantID: at.ID, Key: "mine", Title: "Nightly backup is parked", Path: "/connections"})
	letters := h.letters.Letters()
	if len(letters) != 2 || letters[1].Subject != "Open Harbour: Nightly backup is parked" || !strings.Contains(letters[1].Text, h.server.URL+notify.ChoosePath) {
		t.Errorf("%v", letters)
	}
	// The link at the foot of a mail leads there, by way of signing in.
	stranger := h.visitor()
	if page := stranger.get(notify.ChoosePath); page.Path != "/sign-in" {
		t.Errorf("without signing in: %s", page.Path)
	}
}

// Who may look looks, and finds no button that they may not press.
func TestNoticesOfViewer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.administrator()
	at := h.add("Open Harbour")
	screens := h.tell(at)
	viewer := h.member(audit.Viewer, at.ID)
	viewer.get("/settings/notices").has(t, "12 connections are stopped")
	for _, s := range screens {
		page := viewer.get(s.path)
		wants := http.StatusOK
		switch s.name {
		case "webhook", "webhook-remove": // of the whole server
			wants = http.StatusNotFound
		case "webhook-new":
			wants = http.StatusForbidden
		}
		if page.Status != wants {
			t.Errorf("%s is answered %d", s.name, page.Status)
		}
		for _, button := range []string{"Send again", "Send a test", "Replace the secret", "Add a webhook", "/in\"", adaEmail} {
			if strings.Contains(page.Text, button) {
				t.Errorf("%s shows %q to a viewer", s.name, button)
			}
		}
	}
}
