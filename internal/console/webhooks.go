package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// webhookList is what the page of all webhooks shows.
type webhookList struct {
	Webhooks []notify.Webhook
	Next     string
}

func (c *console) webhooks(w http.ResponseWriter, r *http.Request, f *frame) error {
	if !f.anywhere(audit.NotifyView) {
		return c.Audit.Allow(r.Context(), audit.AllTenants, audit.NotifyView)
	}
	all, next, err := c.Notices.Webhooks(r.Context(), notify.Page{After: r.URL.Query().Get("after")})
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Webhooks", "notices"
	return show(w, r, http.StatusOK, webhooksPage(f, webhookList{all, onward(r, next)}))
}

// webhookView is what the forms for a webhook show.
type webhookView struct {
	Form    *form
	Of      []option        // for a new one: where it may be made
	Webhook *notify.Webhook // nil: a new one
	Tested  *notify.Delivery
}

func (c *console) newWebhookPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	kinds := []string{}
	for _, k := range notify.Kinds {
		if k.Normal && k.Name != notify.WebhookDisabled {
			kinds = append(kinds, k.Name)
		}
	}
	return c.showNewWebhook(w, r, f, &form{Values: url.Values{"kinds": kinds, "of": {r.URL.Query().Get("tenant")}}}, http.StatusOK)
}

func (c *console) showNewWebhook(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	if !f.anywhere(audit.NotifyManage) {
		return c.Audit.Allow(r.Context(), audit.AllTenants, audit.NotifyManage)
	}
	tenants, err := c.tenantOptions(r, "")
	if err != nil {
		return err
	}
	var of []option
	if f.may(audit.AllTenants, audit.NotifyManage) {
		of = append(of, option{audit.AllTenants, "The whole server"})
	}
	for _, t := range tenants {
		if f.may(t.Value, audit.NotifyManage) {
			of = append(of, t)
		}
	}
	f.Title, f.Noun = "Add a webhook", "notices"
	return show(w, r, status, newWebhookPage(f, webhookView{Form: typed, Of: of}))
}

// webhookRequest reads the form of a webhook.
func (c *console) webhookRequest(r *http.Request, typed *form) (notify.WebhookRequest, error) {
	tenants, err := c.places(r, typed)
	version, _ := strconv.ParseInt(typed.Get("version"), 10, 64) // none: a conflict
	return notify.WebhookRequest{
		TenantID: typed.Get("of"), Name: typed.text("name"), URL: secrets.New(typed.text("url")), Kinds: typed.Values["kinds"], Tenants: tenants, Enabled: typed.on("enabled"), Version: version,
	}, err
}

func (c *console) newWebhook(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	request, err := c.webhookRequest(r, typed)
	if err != nil {
		return err
	}
	var made notify.Webhook
	var secret secrets.Value
	if len(typed.Faults) == 0 {
		request.Enabled = true
		made, secret, err = c.Notices.AddWebhook(r.Context(), request)
	}
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showNewWebhook(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return c.showSecret(w, r, f, made, secret)
}

// showSecret shows the secret of a webhook, once.
func (c *console) showSecret(w http.ResponseWriter, r *http.Request, f *frame, of notify.Webhook, secret secrets.Value) error {
	f.Title, f.Noun = "Secret of "+of.Name, "notices"
	return show(w, r, http.StatusOK, webhookSecretPage(f, of, secret.Reveal()))
}

func (c *console) webhook(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showWebhook(w, r, f, nil, nil, http.StatusOK)
}

// showWebhook shows what was typed or, without that, what is stored.
func (c *console) showWebhook(w http.ResponseWriter, r *http.Request, f *frame, typed *form, tested *notify.Delivery, status int) error {
	one, err := c.Notices.Webhook(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if typed == nil {
		places, err := c.placeLines(r, one.Tenants)
		if err != nil {
			return err
		}
		typed = &form{Values: url.Values{"name": {one.Name}, "url": {one.URL}, "kinds": one.Kinds, "tenants": {places}, "version": {strconv.FormatInt(one.Version, 10)}}}
		if one.Enabled {
			typed.Set("enabled", "on")
		}
	}
	f.Title, f.Noun = one.Name, "notices"
	return show(w, r, status, webhookPage(f, webhookView{Form: typed, Webhook: &one, Tested: tested}))
}

func (c *console) changeWebhook(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	request, err := c.webhookRequest(r, typed)
	if err != nil {
		return err
	}
	if len(typed.Faults) == 0 {
		_, err = c.Notices.ChangeWebhook(r.Context(), r.PathValue("id"), request)
	}
	if errors.Is(err, notify.ErrConflict) {
		typed.Problem, err = err.Error(), nil
	}
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showWebhook(w, r, f, typed, nil, http.StatusUnprocessableEntity)
	}
	return back(w, r, r.URL.Path, "webhook")
}

func (c *console) testWebhook(w http.ResponseWriter, r *http.Request, f *frame) error {
	d, err := c.Notices.TestWebhook(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.showWebhook(w, r, f, nil, &d, http.StatusOK)
}

func (c *console) rotateWebhook(w http.ResponseWriter, r *http.Request, f *frame) error {
	one, secret, err := c.Notices.RotateSecret(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.showSecret(w, r, f, one, secret)
}

func (c *console) removeWebhookPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	one, err := c.Notices.Webhook(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := c.Audit.Allow(r.Context(), one.TenantID, audit.NotifyManage); err != nil {
		return err
	}
	f.Title, f.Noun = "Remove "+one.Name, "notices"
	return show(w, r, http.StatusOK, confirmPage(f, question{
		Of: one.Name, Back: "/settings/webhooks/" + one.ID, Points: []string{"Nothing is sent to it any more, nor what waits for it.", "Its secret is erased. A new webhook gets a new one.", "To stop it for a while, switch it off instead."},
		Action: r.URL.Path, Button: "Remove the webhook", Keep: "Keep it",
	}))
}

func (c *console) removeWebhook(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Notices.RemoveWebhook(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/settings/webhooks", "webhook-gone")
}

// places reads the tenants that a form names, one in each line: by name, domain
// or id. One that is not found is a fault of the form.
func (c *console) places(r *http.Request, typed *form) ([]string, error) {
	var ids []string
	for line := range strings.Lines(typed.Get("tenants")) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		found, _, err := c.Tenants.List(r.Context(), tenant.Filter{Search: line}, tenant.Page{Limit: 200})
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(found, func(t tenant.Tenant) bool {
			return strings.EqualFold(t.Name, line) || strings.EqualFold(t.Domain, line) || strings.EqualFold(t.DirectoryID, line)
		})
		if i < 0 {
			typed.Faults.Add("tenants", "names "+strconv.Quote(line)+", which is no tenant that you see", "write the name, domain or directory id of one in each line")
			return nil, nil
		}
		ids = append(ids, found[i].ID)
	}
	return ids, nil
}

// placeLines writes tenants as places reads them. One that is gone, or seen no
// more, is left out.
func (c *console) placeLines(r *http.Request, ids []string) (string, error) {
	var lines []string
	for _, id := range ids {
		t, err := c.Tenants.Get(r.Context(), id)
		var refused *audit.Refused
		switch {
		case missing(err) || errors.As(err, &refused):
		case err != nil:
			return "", err
		case t.Domain != "":
			lines = append(lines, t.Domain)
		default:
			lines = append(lines, t.Name)
		}
	}
	return strings.Join(lines, "\n"), nil
}

func webhookState(w notify.Webhook) state {
	switch {
	case !w.Enabled && w.DisabledWhy != "":
		return state{bad, "stop", "Switched off by Gatehouse"}
	case !w.Enabled:
		return state{none, "pause", "Off"}
	case w.FailingSince != nil:
		return state{warn, "warning", "Failing"}
	case w.DeliveredAt != nil:
		return state{good, "check", "Delivers"}
	default:
		return state{none, "ring", "Nothing sent yet"}
	}
}

func placeWords(w notify.Webhook) string {
	switch {
	case w.TenantID != "":
		return w.TenantName
	case len(w.Tenants) > 0:
		return count(len(w.Tenants), "tenant")
	default:
		return "The whole server"
	}
}
