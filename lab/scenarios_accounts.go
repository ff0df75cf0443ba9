package lab

import (
	"net/http"
	"net/url"
)

// accountScenarios are about people's accounts, by the password grant and
// refresh tokens.
var accountScenarios = []Scenario{
	scenario(50076, "security-defaults", "An administrator's account under Security Defaults has to show a second factor.", password("defaultshield", "svc-connection", "", "", "")),
	scenario(50079, "security-defaults-not-enrolled", "The same, but no second factor was ever registered.", password("defaultshield", "svc-unenrolled", "", "", "")),
	scenario(50126, "wrong-password", "The password is wrong.", password("brokenbay", "svc-ok", "", "a wrong password", "")),
	scenario(50034, "unknown-user", "Nobody of this name exists.", password("brokenbay", "svc-typo", "", "any password", "")),
	scenario(50053, "locked-out", "Too many wrong passwords locked the account.", password("brokenbay", "svc-locked", "", "", "")),
	scenario(50057, "disabled-account", "The account is disabled.", password("brokenbay", "svc-disabled", "", "", "")),
	scenario(50055, "expired-password", "The password has expired.", password("brokenbay", "svc-expired", "", "", "")),
	scenario(50020, "account-of-another-tenant", "The account belongs to a tenant that has no access here.", password("openharbour", "svc-backup", "brokenbay", "", "")),
	scenario(90099, "partner-app-not-authorised", "A partner's delegated administrator uses an app that the customer never authorised.", password("partnerpoint", "tina.tech", "ledgerlane", "", "")),
	scenario(65001, "no-consent", "Neither the person nor an administrator consented to the app.", password("ledgerlane", "ben.koch", "", "", "Ledger Link")),
	scenario(50105, "not-assigned", "The app lets in assigned people only.", password("ledgerlane", "carla.novak", "", "", "Ledger Reports")),
	scenario(9001023, "password-on-common", "The password grant does not work on the shared authority.", password("openharbour", "svc-backup", "common", "", "")),
	scenario(70011, "invalid-scope", "The permission does not exist.", act{"sign in as svc-backup at openharbour with the password grant, asking for User.Raed", func(a *actor) error {
		u := a.lab.Tenant("openharbour").User("svc-backup")
		return a.post(tokenPath("openharbour"), url.Values{"grant_type": {"password"}, "client_id": {scenarioClient}, "username": {u.UPN}, "password": {*u.Password}, "scope": {"https://graph.microsoft.com/User.Raed"}})
	}}),
	scenario(70000, "foreign-refresh-token", "A refresh token is redeemed by another client.", password("openharbour", "svc-backup", "", "", ""), refresh("openharbour", scenarioCLI, "as Microsoft Azure CLI")),
	scenario(700082, "refresh-token-unused", "The refresh token was not used for ninety days.", password("openharbour", "svc-backup", "", "", ""),
		keeping(control("let 91 days pass", http.MethodPost, "/clock", `{"advance":"2184h"}`)), refresh("openharbour", scenarioClient, "as the same client")),
	scenario(50173, "refresh-token-revoked", "An administrator revoked the account's sessions.", password("openharbour", "svc-backup", "", "", ""),
		keeping(control("let a minute pass", http.MethodPost, "/clock", `{"advance":"1m"}`)),
		keeping(control("revoke the sessions", http.MethodPatch, "/tenants/openharbour.onmicrosoft.com/users/svc-backup@openharbour.example", `{"revoke_sessions":true}`)),
		refresh("openharbour", scenarioClient, "as the same client")),
}
