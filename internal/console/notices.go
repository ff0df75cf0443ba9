package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
)

// noticeRoutes are the pages of notices and webhooks.
func (c *console) noticeRoutes(page func(string, handler)) {
	page("GET /settings/notices", c.notices)
	page("GET /settings/notices/{id}", c.notice)
	page("POST /settings/notices/replay", c.replayFailed)
	page("POST /settings/deliveries/{id}/replay", c.replayDelivery)
	page("GET /settings/notices/mine", c.myNotices)
	page("POST /settings/notices/mine", c.chooseNotices)
	page("POST /settings/notices/mine/test", c.testMail)

	page("GET /settings/webhooks", c.webhooks)
	page("GET /settings/webhooks/new", c.newWebhookPage)
	page("POST /settings/webhooks/new", c.newWebhook)
	page("GET /settings/webhooks/{id}", c.webhook)
	page("POST /settings/webhooks/{id}", c.changeWebhook)
	page("POST /settings/webhooks/{id}/test", c.testWebhook)
	page("POST /settings/webhooks/{id}/secret", c.rotateWebhook)
	page("GET /settings/webhooks/{id}/remove", c.removeWebhookPage)
	page("POST /settings/webhooks/{id}/remove", c.removeWebhook)
}

// standingDays is the time that the first sentence of the page speaks of.
const standingDays = 7

// noticeList is what the page of all notices shows.
type noticeList struct {
	Notices  []notify.Notice
	Standing notify.Standing
	Query    url.Values
	Tenants  []option
	Next     string
	Mail     bool
}

func (c *console) notices(w http.ResponseWriter, r *http.Request, f *frame) error {
	if !f.anywhere(audit.NotifyView) {
		return c.Audit.Allow(r.Context(), audit.AllTenants, audit.NotifyView)
	}
	q := r.URL.Query()
	all, next, err := c.Notices.List(r.Context(), notify.Filter{TenantID: q.Get("tenant"), Kind: q.Get("kind"), State: q.Get("state"), WebhookID: q.Get("webhook")}, notify.Page{After: q.Get("after")})
	if err != nil {
		return err
	}
	standing, err := c.Notices.Standing(r.Context(), c.Now().AddDate(0, 0, -standingDays))
	if err != nil {
		return err
	}
	tenants, err := c.tenantOptions(r, "")
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Notices", "notices"
	return show(w, r, http.StatusOK, noticesPage(f, noticeList{all, standing, q, tenants, onward(r, next), c.Notices.HasMail()}))
}

func (c *console) notice(w http.ResponseWriter, r *http.Request, f *frame) error {
	n, err := c.Notices.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f.Title, f.Noun = n.Title, "notices"
	return show(w, r, http.StatusOK, noticePage(f, n))
}

func (c *console) replayFailed(w http.ResponseWriter, r *http.Request, _ *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if _, err := c.Notices.ReplayFailed(r.Context(), c.Now().AddDate(0, 0, -standingDays), typed.Get("webhook")); err != nil {
		return err
	}
	return back(w, r, inside(typed.Get("back")), "replayed")
}

func (c *console) replayDelivery(w http.ResponseWriter, r *http.Request, _ *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if err := c.Notices.Replay(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, inside(typed.Get("back")), "replayed")
}

// wishView is what the page of one's own notices shows.
type wishView struct {
	notify.Wish
	Form   *form
	Mail   bool
	Tested *notify.Delivery
}

func (c *console) myNotices(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showWish(w, r, f, nil, nil, http.StatusOK)
}

// showWish shows what was typed or, without that, what is chosen.
func (c *console) showWish(w http.ResponseWriter, r *http.Request, f *frame, typed *form, tested *notify.Delivery, status int) error {
	wish, err := c.Notices.Wish(r.Context())
	if err != nil {
		return err
	}
	if typed == nil {
		places, err := c.placeLines(r, wish.Tenants)
		if err != nil {
			return err
		}
		typed = &form{Values: url.Values{"kinds": wish.Kinds, "tenants": {places}}}
	}
	f.Title, f.Noun = "My notices", "notices"
	return show(w, r, status, wishPage(f, wishView{wish, typed, c.Notices.HasMail(), tested}))
}

func (c *console) chooseNotices(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	tenants, err := c.places(r, typed)
	if err == nil && len(typed.Faults) == 0 {
		_, err = c.Notices.Choose(r.Context(), typed.Values["kinds"], tenants)
	}
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showWish(w, r, f, typed, nil, http.StatusUnprocessableEntity)
	}
	return back(w, r, notify.ChoosePath, "chosen")
}

func (c *console) testMail(w http.ResponseWriter, r *http.Request, f *frame) error {
	d, err := c.Notices.TestMail(r.Context())
	if err != nil {
		return err
	}
	return c.showWish(w, r, f, nil, &d, http.StatusOK)
}

func deliveryState(s string) state {
	switch s {
	case notify.Delivered:
		return state{good, "check", "Delivered"}
	case notify.Failed:
		return state{bad, "cross", "Failed"}
	case notify.Withheld:
		return state{none, "pause", "Withheld"}
	default:
		return state{none, "ring", "Waiting"}
	}
}

func attemptState(a notify.Attempt) state {
	switch a.Outcome {
	case notify.Taken:
		return state{good, "check", "Taken"}
	case notify.Refused:
		return state{bad, "cross", "Not taken"}
	case notify.Unknown:
		return state{none, "question", "Unknown"}
	default:
		return state{none, "half", "Under way"}
	}
}

// standingState is the first sentence of the page.
func standingState(s notify.Standing) state {
	switch {
	case s.Failed > 0:
		return state{bad, "cross", deliveries(s.Failed) + " of the last 7 days did not get through"}
	case s.Waiting > 0:
		return state{none, "half", deliveries(s.Waiting) + " on the way, or waiting for another attempt"}
	case s.Delivered > 0:
		return state{good, "check", "All notices of the last 7 days arrived"}
	default:
		return state{none, "ring", "No notice in the last 7 days"}
	}
}

func noticeKind(name string) string {
	for _, k := range notify.Kinds {
		if k.Name == name {
			return k.What
		}
	}
	return sentenceCase(name)
}

func noticeKindOptions() []option {
	options := []option{{"", "All"}}
	for _, k := range notify.Kinds {
		options = append(options, option{k.Name, k.What})
	}
	return append(options, option{notify.Invitation, "Invitation"}, option{notify.Test, "Test"})
}

func deliveryStateOptions() []option {
	options := []option{{"", "All"}}
	for _, s := range []string{notify.Waiting, notify.Delivered, notify.Failed, notify.Withheld} {
		options = append(options, option{s, deliveryState(s).Word})
	}
	return options
}

func channelWords(d notify.Delivery) string {
	if d.Channel == notify.ByMail {
		return "E-mail to " + d.Name
	}
	return "Webhook " + d.Name
}

// answered is what an attempt's status says, with how long it took.
func answered(a notify.Attempt) string { return a.Took.Round(time.Millisecond).String() }

// textLines are the lines of a notice's text.
func textLines(text string) []string { return strings.Split(text, "\n") }

// noticesHref is the page of notices, or of one's own for whom sees no tenant.
func noticesHref(f *frame) string {
	if f.anywhere(audit.NotifyView) {
		return "/settings/notices"
	}
	return notify.ChoosePath
}

func deliveries(n int) string {
	if n == 1 {
		return "1 delivery"
	}
	return strconv.Itoa(n) + " deliveries"
}
