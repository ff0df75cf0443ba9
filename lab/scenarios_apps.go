package lab

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// appScenarios are about apps that sign in for themselves, and about requests
// that are wrong in form.
var appScenarios = []Scenario{
	scenario(50059, "app-without-tenant", "An app signs in without saying to which tenant.", app("openharbour", backup, "at the authority organizations", with("at", "organizations"))),
	scenario(90002, "unknown-tenant", "No tenant has this name.", app("openharbour", backup, "at a tenant that does not exist", with("at", "nowhere"))),
	scenario(700016, "unknown-app", "No app has this client id.", app("openharbour", backup, "with a client id that nobody registered", with("client_id", scenarioUnknown))),
	scenario(7000229, "app-never-consented", "A multi-tenant app signs in to a tenant that never consented to it.", act{"sign in for itself as the vendor's app \"Ledger Link\" at openharbour", func(a *actor) error {
		return a.post(tokenPath("openharbour"), url.Values{"grant_type": {"client_credentials"}, "client_id": {a.lab.Tenant("vendorvale").App("Ledger Link").ClientID}, "client_secret": {"any-secret-at-all"}, "scope": {scenarioScope}})
	}}),
	scenario(7000215, "wrong-secret", "The client secret is wrong.", app("openharbour", backup, "but another value", with("client_secret", "not~the-secret-of-this-app"))),
	scenario(7000222, "expired-secret", "The client secret has expired.", app("brokenbay", "Expired secret app", "", nil)),
	scenario(7000218, "no-credential", "A confidential client sends no credential.", app("openharbour", backup, "but leave the secret out", without("client_secret"))),
	scenario(700025, "public-client-with-secret", "A public client sends a secret.", app("openharbour", backup, "but with the client id of a public client", with("client_id", scenarioClient))),
	scenario(7000112, "disabled-app", "The service principal is disabled.", app("brokenbay", "Disabled app", "", nil)),
	scenario(1002012, "app-scope-without-default", "An app asks for a single permission.", app("openharbour", backup, "asking for User.Read.All", with("scope", "https://graph.microsoft.com/User.Read.All"))),
	scenario(500011, "unknown-resource", "The resource does not exist in the tenant.", app("openharbour", backup, "asking for Business Central, which the tenant never had", with("scope", "https://api.businesscentral.dynamics.com/.default"))),
	scenario(28000, "two-resources", "One token is asked for two resources.", app("openharbour", backup, "asking for Graph and Azure at once", with("scope", scenarioScope+" https://management.azure.com/.default"))),
	scenario(900144, "missing-parameter", "A parameter is missing.", app("openharbour", backup, "but leave the scope out", without("scope"))),
	scenario(70003, "unknown-grant", "The grant type does not exist.", app("openharbour", backup, "with the grant type magic", with("grant_type", "magic"))),
	scenario(900561, "get-on-token-endpoint", "The token endpoint was called with GET.", get("GET the token endpoint of openharbour", tokenPath("openharbour"))),
	scenario(9002313, "malformed-request", "The body cannot be read as a form.", act{"POST a broken form to the token endpoint", func(a *actor) error {
		return a.send(http.MethodPost, a.lab.URL()+tokenPath("openharbour"), "application/x-www-form-urlencoded", "grant_type=%zz")
	}}),
	scenario(50049, "unknown-authority", "Instance discovery is asked about a host that is no authority.", get("ask instance discovery about login.example", "/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.example/common/oauth2/authorize")),
	scenario(50027, "unreadable-assertion", "The client assertion is no JWT.", app("openharbour", backup, "but with an assertion that is no JWT", func(f url.Values) {
		f.Del("client_secret")
		f.Set("client_assertion_type", jwtBearer)
		f.Set("client_assertion", "e30.e30.AA")
	})),
	scenario(700027, "wrong-certificate", "The assertion was signed with another key than the certificate's.", assertion("openharbour", backup, "signed with another key", func(_ time.Time, _ map[jose.HeaderKey]any, c map[string]any) { c["foreign key"] = true })),
	scenario(700024, "clock-off", "The machine's clock is an hour behind.", assertion("openharbour", backup, "with times of an hour ago", func(now time.Time, _ map[jose.HeaderKey]any, c map[string]any) {
		c["nbf"], c["exp"] = now.Add(-time.Hour).Unix(), now.Add(-50*time.Minute).Unix()
	})),
	scenario(1000502, "expired-certificate", "The certificate has expired.", assertion("brokenbay", "Expired certificate app", "which has expired", nil)),
	scenario(700023, "assertion-for-another-tenant", "The assertion was made for another token endpoint.", assertion("openharbour", backup, "with another audience", func(_ time.Time, _ map[jose.HeaderKey]any, c map[string]any) {
		c["aud"] = "https://login.example/oauth2/v2.0/token"
	})),
	scenario(50048, "assertion-issuer-not-subject", "Issuer and subject of the assertion differ.", assertion("openharbour", backup, "with another issuer", func(_ time.Time, _ map[jose.HeaderKey]any, c map[string]any) { c["iss"] = scenarioUnknown })),
	scenario(700021, "assertion-of-another-app", "The assertion is another app's.", assertion("openharbour", backup, "as another app", func(_ time.Time, _ map[jose.HeaderKey]any, c map[string]any) {
		c["iss"], c["sub"] = scenarioUnknown, scenarioUnknown
	})),
}
