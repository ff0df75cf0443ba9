package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
	"gatehouse/internal/secrets"
)

func (f *face) notices(h huma.API) {
	const tag = "Notices"
	view, manage, self := needs(audit.NotifyView), needs(audit.NotifyManage), needs(audit.Self)
	add(f, h, route{access: view, method: http.MethodGet, path: "/notices", id: "list-notices", tag: tag, summary: "List notices with their deliveries, newest first"}, f.listNotices)
	add(f, h, route{access: view, method: http.MethodGet, path: "/notices/{id}", id: "get-notice", tag: tag, summary: "Get a notice with all attempts to deliver it"}, f.getNotice)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/notices/replay", id: "replay-failed", tag: tag, summary: "Send once more what has failed",
		long: "In the tenants in which the caller may. Each keeps its id, so that a receiver that had it can tell."}, f.replayFailed)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/deliveries/{id}/replay", id: "replay-delivery", tag: tag, summary: "Send a delivery that has ended once more"}, f.replayDelivery)
	add(f, h, route{access: self, method: http.MethodGet, path: "/me/notices", id: "get-my-notices", tag: tag, summary: "What I hear by mail"}, f.getWish)
	add(f, h, route{access: self, method: http.MethodPut, path: "/me/notices", id: "choose-my-notices", tag: tag, summary: "Choose what I hear by mail",
		long: "Mail is sent about tenants only that its receiver may see when it is sent."}, f.choose)
	add(f, h, route{access: self, method: http.MethodPost, path: "/me/notices/test", id: "test-my-mail", tag: tag, summary: "Send a test to my address, at once"}, f.testMail)
	f.webhooks(h)
}

func (f *face) webhooks(h huma.API) {
	const tag = "Webhooks"
	view, manage := needs(audit.NotifyView), needs(audit.NotifyManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/webhooks", id: "list-webhooks", tag: tag, summary: "List webhooks"}, f.listWebhooks)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/webhooks", id: "add-webhook", tag: tag, summary: "Add a webhook",
		long: "The answer has the secret that its receiver checks signatures with, once."}, f.addWebhook)
	add(f, h, route{access: view, method: http.MethodGet, path: "/webhooks/{id}", id: "get-webhook", tag: tag, summary: "Get a webhook"}, f.getWebhook)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/webhooks/{id}", id: "change-webhook", tag: tag, summary: "Change a webhook",
		long: "The version must be the one that was read: a change in between is a conflict. Switching it on forgets that it failed."}, f.changeWebhook)
	add(f, h, route{access: manage, method: http.MethodDelete, path: "/webhooks/{id}", id: "remove-webhook", tag: tag, summary: "Remove a webhook"}, f.removeWebhook)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/webhooks/{id}/test", id: "test-webhook", tag: tag, summary: "Send a test, at once"}, f.testWebhook)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/webhooks/{id}/secret", id: "rotate-webhook-secret", tag: tag, summary: "Give a webhook a new secret",
		long: "The answer has it, once. For a day both sign, so that the receiver can be changed meanwhile."}, f.rotateSecret)
}

func noticeOf(n notify.Notice) client.Notice {
	out := client.Notice{ID: n.ID, Kind: n.Kind, Key: n.Key, TenantID: n.TenantID, TenantName: n.TenantName, Title: n.Title, Text: n.Text, Path: n.Path, WhoActs: n.WhoActs, At: n.At, CreatedAt: n.CreatedAt, Deliveries: []client.Delivery{}}
	for _, d := range n.Deliveries {
		out.Deliveries = append(out.Deliveries, deliveryOf(d))
	}
	return out
}

func deliveryOf(d notify.Delivery) client.Delivery {
	out := client.Delivery{
		ID: d.ID, NoticeID: d.NoticeID, Channel: d.Channel, WebhookID: d.WebhookID, Name: d.Name, Address: d.Address, State: d.State, Reason: d.Reason, Tries: d.Tries,
		DueAt: d.DueAt, CreatedAt: d.CreatedAt, EndedAt: d.EndedAt, Replayable: d.Replayable,
	}
	for _, a := range d.Attempts {
		outcome := a.Outcome
		if outcome == notify.UnderWay {
			outcome = "under_way"
		}
		out.Attempts = append(out.Attempts, client.Attempt{At: a.At, TookMS: a.Took.Milliseconds(), Outcome: outcome, Status: a.Status, Reason: a.Reason, Answer: a.Answer})
	}
	return out
}

func webhookOf(w notify.Webhook) client.Webhook {
	return client.Webhook{
		ID: w.ID, TenantID: w.TenantID, TenantName: w.TenantName, Name: w.Name, URL: w.URL, Kinds: orEmpty(w.Kinds), Tenants: orEmpty(w.Tenants), Enabled: w.Enabled, DisabledWhy: w.DisabledWhy,
		FailingSince: w.FailingSince, DeliveredAt: w.DeliveredAt, OldSecretUntil: w.OldUntil, CreatedAt: w.CreatedAt, Version: w.Version,
	}
}

type noticeList struct {
	Paging
	Tenant  string `query:"tenant" maxLength:"64"`
	Kind    string `query:"kind" maxLength:"64"`
	State   string `query:"state" enum:"waiting,delivered,failed,withheld" doc:"With a delivery in this state"`
	Webhook string `query:"webhook" maxLength:"64" doc:"With a delivery to this webhook"`
}

func (f *face) listNotices(ctx context.Context, in *noticeList) (*body[client.List[client.Notice]], error) {
	all, next, err := f.Notices.List(ctx, notify.Filter{TenantID: in.Tenant, Kind: in.Kind, State: in.State, WebhookID: in.Webhook}, notify.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, noticeOf), nil
}

func (f *face) getNotice(ctx context.Context, in *ByID) (*body[client.Notice], error) {
	n, err := f.Notices.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return with(noticeOf(n)), nil
}

func (f *face) replayFailed(ctx context.Context, in *body[client.ReplayRequest]) (*body[client.Replayed], error) {
	n, err := f.Notices.ReplayFailed(ctx, in.Body.Since, in.Body.WebhookID)
	if err != nil {
		return nil, err
	}
	return with(client.Replayed{Count: n}), nil
}

func (f *face) replayDelivery(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Notices.Replay(ctx, in.ID)
}

func (f *face) wish(w notify.Wish, err error) (*body[client.NoticeWish], error) {
	if err != nil {
		return nil, err
	}
	return with(client.NoticeWish{Kinds: orEmpty(w.Kinds), Tenants: orEmpty(w.Tenants), Normal: w.Normal, Address: w.Address, Mail: f.Notices.HasMail()}), nil
}

func (f *face) getWish(ctx context.Context, _ *struct{}) (*body[client.NoticeWish], error) {
	return f.wish(f.Notices.Wish(ctx))
}

func (f *face) choose(ctx context.Context, in *body[client.NoticeWishRequest]) (*body[client.NoticeWish], error) {
	return f.wish(f.Notices.Choose(ctx, in.Body.Kinds, in.Body.Tenants))
}

func oneDelivery(d notify.Delivery, err error) (*body[client.Delivery], error) {
	if err != nil {
		return nil, err
	}
	return with(deliveryOf(d)), nil
}

func (f *face) testMail(ctx context.Context, _ *struct{}) (*body[client.Delivery], error) {
	return oneDelivery(f.Notices.TestMail(ctx))
}

type paged struct{ Paging }

func (f *face) listWebhooks(ctx context.Context, in *paged) (*body[client.List[client.Webhook]], error) {
	all, next, err := f.Notices.Webhooks(ctx, notify.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, webhookOf), nil
}

func oneWebhook(w notify.Webhook, err error) (*body[client.Webhook], error) {
	if err != nil {
		return nil, err
	}
	return with(webhookOf(w)), nil
}

func withSecret(w notify.Webhook, secret secrets.Value, err error) (*body[client.WebhookSecret], error) {
	if err != nil {
		return nil, err
	}
	return with(client.WebhookSecret{Webhook: webhookOf(w), Secret: secret.Reveal()}), nil
}

func (f *face) addWebhook(ctx context.Context, in *body[client.WebhookRequest]) (*body[client.WebhookSecret], error) {
	r := in.Body
	return withSecret(f.Notices.AddWebhook(ctx, notify.WebhookRequest{TenantID: r.TenantID, Name: r.Name, URL: secrets.New(r.URL), Kinds: r.Kinds, Tenants: r.Tenants, Enabled: !r.Disabled}))
}

func (f *face) getWebhook(ctx context.Context, in *ByID) (*body[client.Webhook], error) {
	return oneWebhook(f.Notices.Webhook(ctx, in.ID))
}

type webhookChange struct {
	ByID
	Body client.WebhookChange
}

func (f *face) changeWebhook(ctx context.Context, in *webhookChange) (*body[client.Webhook], error) {
	r := in.Body
	return oneWebhook(f.Notices.ChangeWebhook(ctx, in.ID, notify.WebhookRequest{Name: r.Name, URL: secrets.New(r.URL), Kinds: r.Kinds, Tenants: r.Tenants, Enabled: r.Enabled, Version: r.Version}))
}

func (f *face) removeWebhook(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Notices.RemoveWebhook(ctx, in.ID)
}

func (f *face) testWebhook(ctx context.Context, in *ByID) (*body[client.Delivery], error) {
	return oneDelivery(f.Notices.TestWebhook(ctx, in.ID))
}

func (f *face) rotateSecret(ctx context.Context, in *ByID) (*body[client.WebhookSecret], error) {
	return withSecret(f.Notices.RotateSecret(ctx, in.ID))
}
