package lab

import (
	"net/http"
	"net/url"
	"strings"
)

// getCode signs somebody in on the pages, up to the code that the app gets.
func getCode(change func(url.Values)) []act {
	return []act{open("openharbour", "", "", change), signIn("openharbour", "svc-backup")}
}

// device starts a device code sign-in.
var device = act{"ask for a device code", func(a *actor) error {
	err := a.post("/organizations/oauth2/v2.0/devicecode", url.Values{"client_id": {scenarioClient}, "scope": {"User.Read"}})
	a.kept["device"], _ = a.body["device_code"].(string)
	a.kept["typed"], _ = a.body["user_code"].(string)
	return err
}}

// poll asks whether the person has signed in; code "" means the device's own.
func poll(say, code string) act {
	return act{say, func(a *actor) error {
		if code == "" {
			code = a.kept["device"]
		}
		return a.post("/organizations/oauth2/v2.0/token", url.Values{"grant_type": {"device_code"}, "client_id": {scenarioClient}, "device_code": {code}})
	}}
}

// page is what the single-page app of Tier Town asks with.
func page(f url.Values) {
	f.Set("redirect_uri", "https://page.tiertown.example/")
	f.Set("code_challenge", scenarioChallenge)
	f.Set("code_challenge_method", "plain")
}

const (
	scenarioChallenge = "a-challenge-that-is-its-own-verifier-of-fifty-chars"
	pageOrigin        = "https://page.tiertown.example"
)

// redeemScenarios are about codes, device codes and tokens that are redeemed.
var redeemScenarios = []Scenario{
	scenario(54005, "code-twice", "An authorization code is redeemed twice.", append(getCode(nil), redeem("openharbour", "once", nil), redeem("openharbour", "and again", nil))...),
	scenario(70008, "code-too-late", "An authorization code is redeemed after a quarter of an hour.", append(getCode(nil), keeping(control("let 15 minutes pass", http.MethodPost, "/clock", `{"advance":"15m"}`)), redeem("openharbour", "too late", nil))...),
	scenario(700005, "code-at-another-tenant", "An authorization code is redeemed at another tenant.", append(getCode(nil), redeem("brokenbay", "at brokenbay", nil))...),
	scenario(501481, "wrong-verifier", "The PKCE verifier does not fit.", append(getCode(both(with("code_challenge", scenarioChallenge), with("code_challenge_method", "plain"))), redeem("openharbour", "with another verifier", with("code_verifier", strings.Repeat("x", 50))))...),
	scenario(70016, "device-waits", "The person has not signed in on the device's behalf yet.", device, poll("ask whether the person has signed in", "")),
	scenario(70018, "unknown-device-code", "The device asks with a code that nobody gave it.", poll("ask with a code that does not exist", "nothing")),
	scenario(70019, "device-code-too-late", "The device code has run out.", device, keeping(control("let 20 minutes pass", http.MethodPost, "/clock", `{"advance":"20m"}`)), poll("ask again", "")),
	scenario(9002327, "page-code-without-browser", "A single-page app's code is redeemed by a server.", open("tiertown", "Tier page", "as a single-page app", page), signIn("tiertown", "paula.page"), redeem("tiertown", "from a server", with("code_verifier", scenarioChallenge))),
	scenario(9002326, "web-code-from-browser", "A web app's code is redeemed by a script in the browser.", open("tiertown", "Tier page", "as a web app", with("redirect_uri", "https://desk.tiertown.example/page")), signIn("tiertown", "paula.page"),
		redeem("tiertown", "from a script", with("origin", pageOrigin))),
	scenario(9002325, "page-without-pkce", "A single-page app redeems without PKCE.", open("tiertown", "Tier page", "as a single-page app without PKCE", with("redirect_uri", "https://page.tiertown.example/")), signIn("tiertown", "paula.page"),
		redeem("tiertown", "from a script", with("origin", pageOrigin))),
	scenario(700084, "page-token-after-a-day", "A single-page app's refresh token is a day old.", open("tiertown", "Tier page", "as a single-page app", page), signIn("tiertown", "paula.page"),
		redeem("tiertown", "from a script", both(with("origin", pageOrigin), with("code_verifier", scenarioChallenge))),
		keeping(control("let 25 hours pass", http.MethodPost, "/clock", `{"advance":"25h"}`)),
		act{"redeem the refresh token from a script", func(a *actor) error {
			value, _ := a.body["refresh_token"].(string)
			form := url.Values{"grant_type": {"refresh_token"}, "client_id": {a.kept["client"]}, "refresh_token": {value}, "scope": {"User.Read"}}
			r, err := http.NewRequestWithContext(a.ctx, http.MethodPost, a.lab.URL()+tokenPath("tiertown"), strings.NewReader(form.Encode()))
			if err != nil {
				return err
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", pageOrigin)
			return a.take(r)
		}}),
}
