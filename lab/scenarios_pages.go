package lab

import (
	"net/http"
	"net/url"
)

// both makes one change of two.
func both(changes ...func(url.Values)) func(url.Values) {
	return func(f url.Values) {
		for _, change := range changes {
			change(f)
		}
	}
}

// pageScenarios are about requests to the sign-in pages, and about what happens
// on them.
var pageScenarios = []Scenario{
	scenario(50011, "wrong-redirect", "The app asks to be answered at an address that it has not registered.", open("openharbour", "", "answered at https://elsewhere.example", with("redirect_uri", "https://elsewhere.example"))),
	scenario(900971, "no-redirect", "The app does not say where it wants to be answered.", open("openharbour", "", "but leave the reply address out", without("redirect_uri"))),
	scenario(500113, "no-redirect-registered", "The app has registered no address to be answered at.", open("openharbour", backup, "", nil)),
	scenario(50194, "single-tenant-on-common", "An app of one tenant is signed in to at the shared address.", open("tiertown", "Tier client", "at /common", with("at", "common"))),
	scenario(9002332, "personal-accounts", "An app for work accounts is signed in to at the address for personal ones.", open("openharbour", "", "at /consumers", with("at", "consumers"))),
	scenario(70005, "unknown-response-type", "The response type does not exist.", open("openharbour", "", "asking for a token at once", with("response_type", "token"))),
	scenario(70007, "id-token-by-query", "An id token is asked for in the query of the address.", open("openharbour", "", "asking for an id token by query", both(with("response_type", "code id_token"), with("response_mode", "query"), with("nonce", "n")))),
	scenario(700054, "id-token-not-enabled", "An id token is asked for from the sign-in page, which the registration does not allow.", open("tiertown", "Tier client", "asking for an id token", both(with("response_type", "code id_token"), with("nonce", "n")))),
	scenario(90023, "unknown-prompt", "The parameter prompt has a value that does not exist.", open("openharbour", "", "with prompt=always", with("prompt", "always"))),
	scenario(50117, "unreadable-claims", "The claims parameter is no JSON object.", open("openharbour", "", "with claims={", with("claims", "{"))),
	scenario(501491, "wrong-challenge", "The PKCE challenge has the wrong length.", open("openharbour", "", "with a challenge of five characters", both(with("code_challenge", "short"), with("code_challenge_method", "S256")))),
	scenario(50058, "silent-without-session", "A silent sign-in finds nobody signed in.", open("openharbour", "", "silently", with("prompt", "none"))),
	scenario(16000, "silent-with-two-sessions", "A silent sign-in finds two people signed in.", open("openharbour", "", "", nil), signIn("openharbour", "svc-backup"), open("openharbour", "", "with prompt=login", with("prompt", "login")),
		signIn("openharbour", "lena.fischer"), open("openharbour", "", "silently", with("prompt", "none"))),
	scenario(90014, "no-user-name", "The sign-in page gets no user name.", open("openharbour", "", "", nil), press("press Next without a user name", "upn", "")),
	scenario(90013, "new-passwords-differ", "An expired password is changed on the way in, and the new one is mistyped.", open("brokenbay", "", "", nil), signIn("brokenbay", "svc-expired"), press("enter two different new passwords", "password", "Harbour-2026-a", "again", "Harbour-2026-b")),
	scenario(50089, "page-waited-too-long", "The sign-in page stands open for an hour.", open("openharbour", "", "", nil), press("enter a user name", "upn", "svc-backup@openharbour.example"),
		act{"let an hour pass (POST /clock)", func(a *actor) error {
			page := a.page
			err := a.send(http.MethodPost, a.lab.Ready().ControlURL+"/clock", "application/json", `{"advance":"1h"}`)
			a.page = page
			return err
		}}, press("enter the password", "password", "x")),
	scenario(165000, "page-without-cookies", "The browser keeps no cookies.", open("openharbour", "", "", nil), act{"drop all cookies", func(a *actor) error {
		a.client.Jar = newActor(a.ctx, a.lab).client.Jar
		return nil
	}}, press("enter a user name", "upn", "svc-backup@openharbour.example")),
	scenario(500121, "push-denied", "The request on the phone is denied.", open("defaultshield", "", "", nil), signIn("defaultshield", "svc-connection"), act{"deny the request on the phone (POST /phone/{id})", func(a *actor) error {
		for _, p := range a.lab.sts.Prompts() {
			if err := a.lab.sts.AnswerPrompt(p.ID, "deny", 0); err != nil {
				return err
			}
		}
		return a.browse(http.MethodGet, a.page.at.String(), "")
	}}),
}

// consentScenarios are about consent on the pages.
var consentScenarios = []Scenario{
	scenario(65004, "consent-declined", "The person declines what the app asks for.", open("tiertown", "", "asking for Mail.Read", with("scope", "Mail.Read")), signIn("tiertown", "pete.plain"), press("press Cancel", "action", "cancel")),
	scenario(90094, "admin-consent-needed", "The app asks for something that only an administrator can grant.", open("openharbour", "", "asking for Directory.Read.All", with("scope", "Directory.Read.All")), signIn("openharbour", "svc-backup"), press("return to the app", "action", "return")),
	scenario(90095, "admin-approval-requestable", "Only an administrator can grant it, and the person may ask for approval.", open("ledgerlane", "Ledger Link", "", nil), signIn("ledgerlane", "ben.koch"), press("return to the app", "action", "return")),
	scenario(90093, "consent-taken-away", "The tenant takes the right to consent away while the page is open.", open("tiertown", "", "asking for Mail.Read", with("scope", "Mail.Read")), signIn("tiertown", "pete.plain"),
		keepingPage(control("let nobody consent", http.MethodPatch, "/tenants/tiertown.onmicrosoft.com", `{"consent":{"users":"none"}}`)), press("press Accept", "action", "accept")),
	scenario(650052, "service-not-there", "The app asks for a service that the organisation does not have.", open("openharbour", "", "asking for Business Central", with("scope", "https://api.businesscentral.dynamics.com/Financials.ReadWrite.All")), signIn("openharbour", "svc-backup")),
	scenario(90008, "never-consented-to-sign-in", "The app asks for a token for itself, and nobody ever consented to it.", passwordFor("pete.plain", "Tier client", "for the app itself", func(a *actor) string { return a.lab.Tenant("tiertown").App("Tier client").ClientID + "/.default" })),
}

// keepingPage does a step without losing the page.
func keepingPage(step act) act {
	return act{step.say, func(a *actor) error {
		page := a.page
		err := step.do(a)
		a.page = page
		return err
	}}
}
