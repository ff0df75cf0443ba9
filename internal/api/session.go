package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
)

func (f *face) session(h huma.API) {
	const tag = "Session"
	add(f, h, route{access: anybody, method: http.MethodPost, path: "/session", id: "sign-in", tag: tag, summary: "Sign in: e-mail address and password",
		long: "Gives a session in the stage `password`, with which nothing can be done but to give a second factor."}, f.signIn)
	add(f, h, route{access: entering, method: http.MethodPost, path: "/session/code", id: "give-code", tag: tag, summary: "Sign in: the code of a code generator",
		long: "Gives a new token, in the stage `signed_in`. A code is good once."}, f.giveCode)
	add(f, h, route{access: anybody, method: http.MethodPost, path: "/setup", id: "set-up", tag: tag, summary: "Use a set-up link",
		long: "The first administrator's is printed by the server at its start, others come from an invitation. Gives a session in the stage `enrol`: a second factor has to be set up next."}, f.setUp)
	add(f, h, route{access: entering, method: http.MethodPost, path: "/session/generator", id: "begin-generator", tag: tag, summary: "Begin to set up a code generator"}, f.beginGenerator)
	add(f, h, route{access: entering, method: http.MethodPost, path: "/session/generator/confirm", id: "confirm-generator", tag: tag, summary: "Finish it with the first code",
		long: "Signs in, with a new token."}, f.confirmGenerator)
	add(f, h, route{access: entering, method: http.MethodGet, path: "/session", id: "get-session", tag: tag, summary: "Who is signed in"}, f.getSession)
	add(f, h, route{access: entering, method: http.MethodDelete, path: "/session", id: "sign-out", tag: tag, summary: "Sign out"}, f.signOut)
}

func sessionOf(s *operator.Session, token secrets.Value) client.Session {
	return client.Session{Token: token.Reveal(), Stage: string(s.Stage), ExpiresAt: s.ExpiresAt, Operator: operatorOf(s.Operator)}
}

func issued(i operator.Issued, err error) (*body[client.Session], error) {
	if err != nil {
		return nil, err
	}
	return with(sessionOf(i.Session, i.Token)), nil
}

func (f *face) signIn(ctx context.Context, in *body[client.SignInRequest]) (*body[client.Session], error) {
	return issued(f.Operators.SignIn(ctx, in.Body.Email, secrets.New(in.Body.Password), callerOf(ctx).visit))
}

func (f *face) giveCode(ctx context.Context, in *body[client.CodeRequest]) (*body[client.Session], error) {
	c := callerOf(ctx)
	return issued(f.Operators.TOTP(ctx, c.session, in.Body.Code, c.visit))
}

func (f *face) setUp(ctx context.Context, in *body[client.SetUpRequest]) (*body[client.Session], error) {
	r := in.Body
	token, visit := secrets.New(r.Link[strings.LastIndexAny(r.Link, "/#=")+1:]), callerOf(ctx).visit
	return issued(f.Operators.Setup(ctx, operator.SetupRequest{Token: token, Email: r.Email, Name: r.Name, Password: secrets.New(r.Password)}, visit))
}

func (f *face) beginGenerator(ctx context.Context, _ *struct{}) (*body[client.Generator], error) {
	e, err := f.Operators.BeginTOTPEnrolment(ctx, callerOf(ctx).session)
	if err != nil {
		return nil, err
	}
	return with(client.Generator{Secret: e.Secret.Reveal(), URL: e.URL.Reveal()}), nil
}

func (f *face) confirmGenerator(ctx context.Context, in *body[client.GeneratorRequest]) (*body[client.Session], error) {
	c := callerOf(ctx)
	return issued(f.Operators.FinishTOTPEnrolment(ctx, c.session, in.Body.Name, in.Body.Code, c.visit))
}

func (f *face) getSession(ctx context.Context, _ *struct{}) (*body[client.Session], error) {
	return with(sessionOf(callerOf(ctx).session, secrets.Value{})), nil
}

func (f *face) signOut(ctx context.Context, _ *struct{}) (*empty, error) {
	c := callerOf(ctx)
	return nil, f.Operators.SignOut(ctx, c.session, c.visit)
}

// tenantWord gives the name of a tenant in roles: "*" for all.
func tenantWord(id string) string {
	if id == audit.AllTenants {
		return client.AllTenants
	}
	return id
}

func tenantID(word string) string {
	if word == client.AllTenants {
		return audit.AllTenants
	}
	return word
}
