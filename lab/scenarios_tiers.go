package lab

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const behalfGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// passwordFor gets a token for an API by the password grant at Tier Town,
// through an app, and keeps it.
func passwordFor(user, app, what string, scope func(*actor) string) act {
	const tenant = "tiertown"
	return act{fmt.Sprintf("sign in as %s at %s with the password grant through %s, %s", user, tenant, app, what), func(a *actor) error {
		t := a.lab.Tenant(tenant)
		u, client := t.User(user), t.App(app)
		err := a.post(tokenPath(tenant), url.Values{"grant_type": {"password"}, "client_id": {client.ClientID}, "username": {u.UPN}, "password": {*u.Password}, "scope": {scope(a)}})
		a.kept["token"], _ = a.body["access_token"].(string)
		a.kept["id token"], _ = a.body["id_token"].(string)
		return err
	}}
}

func deskScope(a *actor) string {
	return "api://" + a.lab.Tenant("tiertown").App("Tier desk").ClientID + "/desk.use openid"
}

// toDesk is how the client gets its token for the API in the middle.
var toDesk = passwordFor("paula.page", "Tier client", "for Tier desk", deskScope)

// onBehalf lets the API in the middle exchange the token that it was called
// with; which says which of the kept tokens.
func onBehalf(how, which string) act {
	return act{"exchange the token on behalf of the person, " + how, func(a *actor) error {
		desk := a.lab.Tenant("tiertown").App("Tier desk")
		form := url.Values{"grant_type": {behalfGrant}, "requested_token_use": {"on_behalf_of"}, "client_id": {desk.ClientID}, "client_secret": {*desk.Secret}, "assertion": {a.kept[which]}, "scope": {"User.Read"}}
		return a.post(tokenPath("tiertown"), form)
	}}
}

// asBatch lets an app sign in for itself for the API in the middle.
var asBatch = act{"sign in as the app Tier batch, for Tier desk", func(a *actor) error {
	t := a.lab.Tenant("tiertown")
	batch := t.App("Tier batch")
	err := a.post(tokenPath("tiertown"), url.Values{"grant_type": {"client_credentials"}, "client_id": {batch.ClientID}, "client_secret": {*batch.Secret}, "scope": {"api://" + t.App("Tier desk").ClientID + "/.default"}})
	a.kept["token"], _ = a.body["access_token"].(string)
	return err
}}

// pipeline signs the app without a secret in with a token of its build system.
func pipeline(how string, change func(*WorkloadToken)) act {
	return act{"sign in as the app Tier pipeline with a token of its build system, " + how, func(a *actor) error {
		w := WorkloadToken{Issuer: "https://issuer.build.example", Subject: "repo:tiertown/crane:ref:refs/heads/main"}
		change(&w)
		token, err := a.lab.WorkloadToken(w)
		if err != nil {
			return err
		}
		return a.post(tokenPath("tiertown"), url.Values{"grant_type": {"client_credentials"}, "client_id": {a.lab.Tenant("tiertown").App("Tier pipeline").ClientID}, "scope": {scenarioScope},
			"client_assertion_type": {jwtBearer}, "client_assertion": {token}})
	}}
}

// tierScenarios are about APIs of a tenant's own, on-behalf-of, and apps whose
// credential is somebody else's token.
var tierScenarios = []Scenario{
	scenario(500131, "behalf-wrong-audience", "An API exchanges a token that was issued for another API.", passwordFor("paula.page", "Microsoft Graph Command Line Tools", "for Graph", func(*actor) string { return "User.Read" }), onBehalf("though it was for Graph", "token")),
	scenario(50013, "behalf-wrong-signature", "The token to exchange was tampered with.", toDesk, act{"change its signature", func(a *actor) error {
		a.kept["token"] = a.kept["token"][:len(a.kept["token"])-8] + "AAAAAAAA"
		return nil
	}}, onBehalf("with the changed token", "token")),
	scenario(500133, "behalf-expired", "The token to exchange has expired.", toDesk, keeping(control("let two hours pass", http.MethodPost, "/clock", `{"advance":"2h"}`)), onBehalf("too late", "token")),
	scenario(7000114, "behalf-of-an-app", "An API exchanges a token that an app got for itself.", asBatch, onBehalf("though nobody is behind it", "token")),
	scenario(240002, "behalf-with-id-token", "The client sends its id token instead of the access token.", toDesk, onBehalf("with the id token", "id token")),
	scenario(90009, "itself-by-name", "An app asks for a token for itself and names itself by its URI.", act{"sign in as the app Tier desk, for itself by its URI", func(a *actor) error {
		desk := a.lab.Tenant("tiertown").App("Tier desk")
		return a.post(tokenPath("tiertown"), url.Values{"grant_type": {"client_credentials"}, "client_id": {desk.ClientID}, "client_secret": {*desk.Secret}, "scope": {"api://" + desk.ClientID + "/.default"}})
	}}),
	scenario(650057, "api-not-listed", "The registration does not list the API that is asked for.", passwordFor("paula.page", "Tier client", "for Tier store", func(*actor) string { return "api://tierstore/.default" })),
	scenario(500014, "api-disabled", "The service principal of the API is disabled.", act{"disable Tier desk in the directory (PATCH /v1.0/servicePrincipals)", func(a *actor) error {
		t := a.lab.Tenant("tiertown")
		admin := t.App("Lab administration")
		if err := a.post(tokenPath("tiertown"), url.Values{"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {scenarioScope}}); err != nil {
			return err
		}
		token, _ := a.body["access_token"].(string)
		r, err := http.NewRequestWithContext(a.ctx, http.MethodPatch, a.lab.URL()+"/v1.0/servicePrincipals(appId='"+t.App("Tier desk").ClientID+"')", strings.NewReader(`{"accountEnabled":false}`))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		return a.take(r)
	}}, toDesk),
	scenario(700211, "credential-other-issuer", "The token comes from an issuer that no federated credential names.", pipeline("of another issuer", func(w *WorkloadToken) { w.Issuer = "https://issuer.elsewhere.example" })),
	scenario(700213, "credential-other-subject", "The token is another branch's.", pipeline("of another branch", func(w *WorkloadToken) { w.Subject = "repo:tiertown/crane:ref:refs/heads/other" })),
	scenario(700212, "credential-other-audience", "The token is meant for somebody else.", pipeline("meant for somebody else", func(w *WorkloadToken) { w.Audience = "https://elsewhere.example" })),
}
