package lab

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

var samlPattern = regexp.MustCompile(`(?s)<saml:Assertion.*</saml:Assertion>`)

// assertionOf gets an assertion of the organisation's own server.
func assertionOf(user string) act {
	return act{"ask the federation server of corp.federaford.example for an assertion, as " + user, func(a *actor) error {
		u := a.lab.Tenant("federaford").User(user)
		answer, err := a.trust(u.UPN, *u.Password)
		a.kept["assertion"] = samlPattern.FindString(answer)
		if err == nil && a.kept["assertion"] == "" {
			err = fmt.Errorf("the server gave none: %s", answer)
		}
		return err
	}}
}

// redeemAssertion redeems it; change spoils it.
func redeemAssertion(how string, change func(string) string) act {
	return act{"redeem the assertion, " + how, func(a *actor) error {
		return a.post(tokenPath("federaford"), url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:saml1_1-bearer"}, "client_id": {scenarioClient}, "scope": {scenarioScope},
			"assertion": {base64.StdEncoding.EncodeToString([]byte(change(a.kept["assertion"])))}})
	}}
}

// comeBack brings an answer of the federation server back to the pages.
func comeBack(how string, values func(*actor) url.Values) act {
	return act{"come back from the federation server, " + how, func(a *actor) error {
		form := values(a)
		form.Set("wctx", a.page.at.Query().Get("wctx"))
		return a.browse(http.MethodPost, a.lab.URL()+"/login.srf", form.Encode())
	}}
}

// federationScenarios are about people of a federated domain.
var federationScenarios = []Scenario{
	scenario(50008, "assertion-tampered", "The SAML assertion was changed after it was signed.", assertionOf("svc-sync"), redeemAssertion("with another user's name in it", func(s string) string { return strings.ReplaceAll(s, "svc-sync@", "svc-other@") })),
	scenario(50107, "assertion-of-a-stranger", "No domain is federated with the issuer of the assertion.", assertionOf("svc-sync"), redeemAssertion("with another issuer", func(s string) string { return strings.Replace(s, `Issuer="http://`, `Issuer="http://not-`, 1) })),
	scenario(90020, "assertion-without-anchor", "The person is not synchronised, so the assertion has no ImmutableID.", assertionOf("svc-local"), redeemAssertion("as it is", func(s string) string { return s })),
	scenario(51004, "assertion-of-nobody", "The directory does not have the person any more.", assertionOf("svc-sync"), act{"delete the account (DELETE /v1.0/users)", func(a *actor) error {
		t := a.lab.Tenant("federaford")
		admin := t.App("Lab administration")
		if err := a.post(tokenPath("federaford"), url.Values{"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {scenarioScope}}); err != nil {
			return err
		}
		token, _ := a.body["access_token"].(string)
		r, err := http.NewRequestWithContext(a.ctx, http.MethodDelete, a.lab.URL()+"/v1.0/users/"+t.User("svc-sync").UPN, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return a.take(r)
	}}, redeemAssertion("as it is", func(s string) string { return s })),
	scenario(20012, "federation-answers-wrongly", "The federation server's message is no answer to a sign-in.", open("federaford", "", "as svc-sync", with("login_hint", "svc-sync@corp.federaford.example")), comeBack("with another message", func(*actor) url.Values { return url.Values{"wa": {"wattr1.0"}} })),
	scenario(20001, "federation-answers-empty", "The federation server answers without a token.", open("federaford", "", "as svc-sync", with("login_hint", "svc-sync@corp.federaford.example")), comeBack("without a token", func(*actor) url.Values { return url.Values{"wa": {"wsignin1.0"}} })),
	scenario(50197, "federation-somebody-else", "Somebody else than was asked for signs in at the federation server.", assertionOf("svc-second"), open("federaford", "", "as svc-sync", with("login_hint", "svc-sync@corp.federaford.example")),
		comeBack("as svc-second", func(a *actor) url.Values { return url.Values{"wa": {"wsignin1.0"}, "wresult": {a.kept["assertion"]}} })),
}

// trust asks the federation server for a token (WS-Trust 1.3, user name and
// password).
func (a *actor) trust(user, password string) (string, error) {
	const envelope = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://www.w3.org/2005/08/addressing"><s:Header>` +
		`<o:Security xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><o:UsernameToken><o:Username>{user}</o:Username><o:Password>{password}</o:Password></o:UsernameToken></o:Security>` +
		`</s:Header><s:Body><t:RequestSecurityToken xmlns:t="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy">` +
		`<wsa:EndpointReference><wsa:Address>urn:federation:MicrosoftOnline</wsa:Address></wsa:EndpointReference></p:AppliesTo>` +
		`<t:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>`
	body := strings.NewReplacer("{user}", user, "{password}", password).Replace(envelope)
	r, err := http.NewRequestWithContext(a.ctx, http.MethodPost, a.lab.federation.Address()+"/corp.federaford.example/adfs/services/trust/13/usernamemixed", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
	response, err := a.client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return string(data), err
}
