package lab

import (
	"net/http"
	"net/url"
)

// after lets time pass without losing page and answer.
func after(duration string) act {
	return keepingPage(keeping(control("let "+duration+" pass", http.MethodPost, "/clock", `{"advance":"`+duration+`"}`)))
}

// deviceAt lets a person sign in for a device at a tenant, for scopes.
func deviceAt(tenant, user, scope string) []act {
	return []act{
		{"ask for a device code of " + tenant + " for " + scope, func(a *actor) error {
			err := a.post("/"+tenant+".onmicrosoft.com/oauth2/v2.0/devicecode", url.Values{"client_id": {scenarioClient}, "scope": {scope}})
			a.kept["device"], _ = a.body["device_code"].(string)
			a.kept["typed"], _ = a.body["user_code"].(string)
			return err
		}},
		{"open the page for device codes and enter the code", func(a *actor) error {
			if err := a.browse(http.MethodGet, a.lab.URL()+"/common/oauth2/deviceauth?otc="+url.QueryEscape(a.kept["typed"]), ""); err != nil {
				return err
			}
			if err := a.fill(); err != nil {
				return err
			}
			return a.fill("action", "continue")
		}},
		signIn(tenant, user),
	}
}

// collect lets the device ask for its tokens at a tenant.
func collect(tenant string) act {
	return act{"let the device ask for its tokens", func(a *actor) error {
		return a.post(tokenPath(tenant), url.Values{"grant_type": {"device_code"}, "client_id": {scenarioClient}, "device_code": {a.kept["device"]}})
	}}
}

// silently asks for a sign-in that may show nothing.
var silently = with("prompt", "none")

// policyScenarios are about Conditional Access.
var policyScenarios = []Scenario{
	scenario(50076, "policy-mfa", "A policy asks for MFA, which the password grant cannot do.", password("policypier", "erik.lund", "", "", "")),
	scenario(50079, "policy-mfa-not-registered", "A policy asks for MFA, and nothing was ever registered.", password("policypier", "nora.new", "", "", "")),
	scenario(53003, "policy-place", "A service account signs in from outside the office, where a policy blocks it.", password("policypier", "svc-nightly", "", "", "")),
	scenario(53003, "policy-country", "A person signs in from a country without business.", control("move to Antarctica", http.MethodPut, "/network", `{"address":"192.0.2.9","country":"AQ"}`), open("policypier", "", "", nil), signIn("policypier", "erik.lund")),
	scenario(53003, "policy-device-code", "A policy blocks device codes; the device hears of it.", append(deviceAt("policypier", "till.terminal", "User.Read"), collect("policypier"))...),
	scenario(530036, "policy-device-code-tracked", "A device code was fine for SharePoint; the session stays tracked, and its refresh token is refused for Graph.",
		append(deviceAt("policypier", "till.terminal", "https://policypier.sharepoint.com/AllSites.Read offline_access"), collect("policypier"), refresh("policypier", scenarioClient, "for Graph"))...),
	scenario(53003, "policy-workload", "A tenant's own app signs in for itself from outside the data centre.", app("workloadwharf", "Crane sync", "", nil)),
	scenario(53000, "policy-compliant-device", "A policy wants a compliant device.", password("devicedock", "fay.finance", "", "", "")),
	scenario(53001, "policy-joined-device", "A policy wants a device that is joined to the domain.", password("devicedock", "wade.workshop", "", "", "")),
	scenario(53002, "policy-approved-app", "A policy wants an approved app.", password("devicedock", "sal.sales", "", "", "")),
	scenario(53009, "policy-protected-app", "A policy wants a protected app.", password("devicedock", "cleo.crew", "", "", "")),
	scenario(53010, "policy-registration-place", "Security information can be registered at the office only.", open("policypier", "", "", nil), signIn("policypier", "nora.new")),
	scenario(53004, "policy-registration-risk", "MFA must be registered, and the sign-in is too risky for that.", password("riskreef", "nils.naked", "", "", "")),
	scenario(53011, "policy-guest-risk", "A guest is at risk at home.", password("riskreef", "hal.high", "guestgate", "", "")),
	scenario(50158, "policy-terms", "A policy wants terms of use accepted, which the password grant cannot show.", password("policypier", "cora.contract", "", "", "")),
	scenario(50135, "policy-password-change", "The account came to be at risk after MFA was done; a silent sign-in cannot change the password.", open("riskreef", "", "", nil), signIn("riskreef", "rita.calm"),
		open("riskreef", "", "asking for an authentication context", with("claims", `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`)), signIn("riskreef", "rita.calm"),
		keepingPage(control("raise the risk of the account", http.MethodPatch, "/tenants/riskreef.onmicrosoft.com/users/rita.calm@riskreef.example", `{"user_risk":"high"}`)), open("riskreef", "", "silently", silently)),
	scenario(70043, "policy-frequency", "A sign-in lasts eight hours; the refresh token is redeemed after nine.", password("policypier", "till.terminal", "", "", ""), after("9h"), refresh("policypier", scenarioClient, "as the same client")),
	scenario(70044, "policy-frequency-session", "The same in a browser: a silent sign-in after nine hours.", open("policypier", "", "", nil), signIn("policypier", "till.terminal"), after("9h"), open("policypier", "", "silently", silently)),
}
