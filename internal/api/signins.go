package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/signin"
	"gatehouse/internal/tenant"
)

func (f *face) signIns(h huma.API) {
	const tag = "Sign-ins"
	view, manage := needs(audit.ConnectionView), needs(audit.ConnectionManage)
	const base = "/connections/{id}/sign-in"
	add(f, h, route{access: manage, method: http.MethodPost, path: base, id: "sign-in-connection", tag: tag, summary: "Sign in for a connection",
		long: "Gives an address to open in a browser within 15 minutes. What becomes of it is among the connection's sign-ins."}, f.signInConnection)
	add(f, h, route{access: manage, method: http.MethodPost, path: base + "/link", id: "new-sign-in-link", tag: tag, summary: "Make a personal link with which somebody else signs in",
		long: "Gatehouse sends it to nobody: it is given once, in the answer. With an Idempotency-Key the answer is kept, sealed, for a day."}, f.newSignInLink)
	add(f, h, route{access: view, method: http.MethodGet, path: base + "/links", id: "list-sign-in-links", tag: tag, summary: "List a connection's personal links"}, f.signInLinks)
	add(f, h, route{access: manage, method: http.MethodDelete, path: base + "/links/{link}", id: "withdraw-sign-in-link", tag: tag, summary: "Take a personal link back"}, f.withdrawSignInLink)
	add(f, h, route{access: manage, method: http.MethodPost, path: base + "/device", id: "begin-device-sign-in", tag: tag, asks: true, summary: "Sign in with a device code",
		long: "Gives a code that the person types at Microsoft's address. The server asks Microsoft by itself whether they have."}, f.deviceSignIn)
	add(f, h, route{access: manage, method: http.MethodGet, path: base + "/device/{attempt}", id: "get-device-sign-in", tag: tag, summary: "How a sign-in with a device code stands"}, f.deviceSignInState)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/connections/{id}/sign-out", id: "sign-out-connection", tag: tag, summary: "Forget the tokens of a connection",
		long: "History stays. With `revoke`, Microsoft is asked to revoke the person's sign-ins, which signs them out of everything; the answer says where that could not be done."}, f.signOutConnection)
	add(f, h, route{access: view, method: http.MethodGet, path: "/connections/{id}/sign-ins", id: "list-sign-ins", tag: tag, summary: "What became of a connection's sign-ins"}, f.listSignIns)
}

func signInOf(e signin.Event) client.SignIn {
	out := client.SignIn{
		ID: e.ID, At: e.At, Outcome: string(e.Outcome), Person: e.Person, ObjectID: e.ObjectID, Flow: e.Flow, By: e.By, ByLink: e.ByLink, Link: e.LinkID, Reason: string(e.Reason), Words: e.Words, Code: e.Code, CorrelationID: e.CorrelationID,
	}
	if e.Diagnosis != nil {
		out.Diagnosis = diagnosisOf(*e.Diagnosis)
	}
	return out
}

func (f *face) giveLink(l signin.Link, err error) (*body[client.SignInLink], error) {
	if err != nil {
		return nil, err
	}
	return with(client.SignInLink{ID: l.ID, URL: l.URL.Reveal(), Until: l.Until}), nil
}

type signInInput struct {
	ByID
	Body client.ConnectionSignInRequest
}

func (f *face) signInConnection(ctx context.Context, in *signInInput) (*body[client.SignInLink], error) {
	return f.giveLink(f.SignIns.NewLink(ctx, in.ID, signin.LinkOptions{Until: signin.Lifetime, Resource: in.Body.Resource, Claims: in.Body.Claims}))
}

type signInLinkInput struct {
	ByID
	Body client.SignInLinkRequest
}

func (f *face) newSignInLink(ctx context.Context, in *signInLinkInput) (*body[client.SignInLink], error) {
	r := in.Body
	return f.giveLink(f.SignIns.NewLink(ctx, in.ID, signin.LinkOptions{For: r.For, Why: r.Why, Until: time.Duration(r.Hours) * time.Hour, Resource: r.Resource, Claims: r.Claims}))
}

func (f *face) signInLinks(ctx context.Context, in *ByID) (*body[client.SignInLinkList], error) {
	all, err := f.SignIns.Links(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return with(client.SignInLinkList{Items: each(all, func(l signin.LinkInfo) client.SignInLinkInfo {
		return client.SignInLinkInfo{ID: l.ID, Person: l.Person, Why: l.Why, AskedBy: l.AskedBy, State: string(l.State), CreatedAt: l.CreatedAt, Until: l.Until, EndedAt: l.EndedAt}
	})}), nil
}

type signInLinkID struct {
	ByID
	Link string `path:"link" maxLength:"64"`
}

func (f *face) withdrawSignInLink(ctx context.Context, in *signInLinkID) (*empty, error) {
	return nil, f.SignIns.Withdraw(ctx, in.ID, in.Link)
}

func deviceOf(d signin.Device, err error) (*body[client.DeviceSignIn], error) {
	if err != nil {
		return nil, err
	}
	out := client.DeviceSignIn{ID: d.ID, State: d.State, UserCode: d.UserCode, Address: d.Address, Message: d.Message, Interval: int(d.Interval.Seconds()), Until: d.Until, CodeFlow: d.CodeFlow}
	if d.Event != nil {
		e := signInOf(*d.Event)
		out.Event = &e
	}
	return with(out), nil
}

func (f *face) deviceSignIn(ctx context.Context, in *signInInput) (*body[client.DeviceSignIn], error) {
	return deviceOf(f.SignIns.BeginDevice(ctx, in.ID, signin.Options{Resource: in.Body.Resource}))
}

type deviceSignInID struct {
	ByID
	Attempt string `path:"attempt" maxLength:"64"`
}

func (f *face) deviceSignInState(ctx context.Context, in *deviceSignInID) (*body[client.DeviceSignIn], error) {
	return deviceOf(f.SignIns.Polled(ctx, in.ID, in.Attempt))
}

type signOutInput struct {
	ByID
	Body client.SignOutRequest
}

func (f *face) signOutConnection(ctx context.Context, in *signOutInput) (*body[client.SignOut], error) {
	r, err := f.SignIns.Out(ctx, in.ID, in.Body.Revoke)
	if err != nil {
		return nil, err
	}
	return with(client.SignOut(r)), nil
}

type signInList struct {
	ByID
	Paging
}

func (f *face) listSignIns(ctx context.Context, in *signInList) (*body[client.List[client.SignIn]], error) {
	all, next, err := f.SignIns.List(ctx, in.ID, tenant.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, signInOf), nil
}
