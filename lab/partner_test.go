package lab_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/lab"
)

// send sends JSON with a token.
func send(t *testing.T, l *lab.Lab, method, address, token, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	return do(t, l, r)
}

// A partner consents for a customer through Partner Center, and only then do
// its people get in there. What they are shows in their tokens: partner, guest
// and member differ. Missing mapping and a policy against service providers are
// told apart by their codes.
func TestPartners(t *testing.T) {
	l := lab.Start(t)
	partner, customer := l.Tenant("partnerpoint"), l.Tenant("ledgerlane")
	console := partner.App("Partner Console")
	person := func(at, user, scope string) answer {
		u := partner.User(user)
		form := passwordForm(console.ClientID, u.UPN, *u.Password)
		form.Set("client_secret", *console.Secret)
		form.Set("scope", scope)
		return post(t, l, "/"+at+"/oauth2/v2.0/token", form)
	}
	at := func(user string) answer { return person(customer.ID, user, "User.Read openid profile offline_access") }
	if a := at("tina.tech"); a.code() != 700016 {
		t.Errorf("before the consent the app is not in the tenant: %s", a.raw)
	}
	const impersonation = "https://api.partnercenter.microsoft.com/user_impersonation"
	back, err := l.SignIn(authorizeAddress(l, partner.ID, console.ClientID, impersonation), lab.Person{UPN: "adam.agent@partnerpoint.example", Factor: true, Consent: true})
	if err != nil {
		t.Fatal(err)
	}
	agent := post(t, l, "/"+partner.ID+"/oauth2/v2.0/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {console.ClientID}, "client_secret": {*console.Secret}, "redirect_uri": {"http://localhost"}, "code": {back.Query().Get("code")}, "scope": {impersonation}}).text("access_token")
	for _, root := range []string{l.URL(), "https://api.partnercenter.microsoft.com"} {
		a := get(t, l, root+"/v1/customers?size=10", agent)
		if a.status != http.StatusOK || a.body["totalCount"] != 1.0 || !strings.Contains(a.raw, customer.ID) {
			t.Errorf("%s: %d %s", root, a.status, a.raw)
		}
	}
	consents := l.URL() + "/v1/customers/" + customer.ID + "/applicationconsents"
	grant := `{"applicationId":"` + console.ClientID + `","applicationGrants":[{"enterpriseApplicationId":"00000003-0000-0000-c000-000000000000","scope":"openid,profile,offline_access,User.Read"}]}`
	if a := send(t, l, http.MethodPost, consents, person(partner.ID, "tina.tech", "https://api.partnercenter.microsoft.com/.default").text("access_token"), grant); a.status != http.StatusUnauthorized || !strings.Contains(a.raw, "MFA") {
		t.Errorf("somebody without a second factor: %d %s", a.status, a.raw)
	}
	if a := send(t, l, http.MethodPost, consents, agent, grant); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}

	in := at("tina.tech")
	access, id := claimsOf(t, in.text("access_token")), claimsOf(t, in.text("id_token"))
	home := "https://sts.windows.net/" + partner.ID + "/"
	for name, c := range map[string]map[string]any{"access": access, "id": id} {
		if _, acct := c["acct"]; c["tid"] != customer.ID || c["idp"] != home || acct {
			t.Errorf("%s token of a partner: %v", name, c)
		}
	}
	if a := at("uwe.unmapped"); a.code() != 50020 {
		t.Errorf("in no mapped group: %s", a.raw)
	}
	member := claimsOf(t, signIn(t, l, "openharbour", "svc-backup", graphCLI).text("id_token"))
	if _, idp := member["idp"]; member["acct"] != 0.0 || idp {
		t.Errorf("a member: %v", member)
	}
	guest := l.Tenant("vendorvale")
	for _, one := range guest.Users {
		if !strings.HasPrefix(one.UPN, "nina.guest@") {
			continue
		}
		a := post(t, l, "/brokenbay.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, one.UPN, *one.Password))
		if c := claimsOf(t, a.text("id_token")); c["acct"] != 1.0 || c["idp"] != "https://sts.windows.net/"+guest.ID+"/" || c["tid"] != l.Tenant("brokenbay").ID {
			t.Errorf("a guest: %v", c)
		}
	}

	// The customer shuts service providers out: the partner sees 53003, and the
	// refresh token does not help either.
	policy := `{"displayName":"No service providers","state":"enabled","conditions":{"clientAppTypes":["all"],"applications":{"includeApplications":["All"]},
	 "users":{"includeGuestsOrExternalUsers":{"guestOrExternalUserTypes":"serviceProvider","externalTenants":{"@odata.type":"#microsoft.graph.conditionalAccessAllExternalTenants","membershipKind":"all"}}}},
	 "grantControls":{"operator":"OR","builtInControls":["block"]}}`
	made := graphAs(t, l, "ledgerlane", http.MethodPost, "/v1.0/identity/conditionalAccess/policies", policy)
	if made.status != http.StatusCreated {
		t.Fatalf("%s", made.raw)
	}
	renew := url.Values{"grant_type": {"refresh_token"}, "client_id": {console.ClientID}, "client_secret": {*console.Secret}, "refresh_token": {in.text("refresh_token")}, "scope": {"User.Read"}}
	if a, b := at("tina.tech"), post(t, l, "/"+customer.ID+"/oauth2/v2.0/token", renew); a.code() != 53003 || b.code() != 53003 {
		t.Errorf("shut out: %s, %s", a.raw, b.raw)
	}
	if a := graphAs(t, l, "ledgerlane", http.MethodDelete, "/v1.0/identity/conditionalAccess/policies/"+made.text("id"), ""); a.status != http.StatusNoContent {
		t.Fatal(a.raw)
	}
	if a := post(t, l, "/"+customer.ID+"/oauth2/v2.0/token", renew); a.status != http.StatusOK {
		t.Errorf("let in again: %s", a.raw)
	}
	// What has to be done outside the request no partner can do (50177); a risk
	// at home shuts them out everywhere (530034).
	outer := strings.NewReplacer(`"builtInControls":["block"]`, `"builtInControls":[],"customAuthenticationFactors":["OuterMfa"]`).Replace(policy)
	if made = graphAs(t, l, "ledgerlane", http.MethodPost, "/v1.0/identity/conditionalAccess/policies", outer); made.status != http.StatusCreated {
		t.Fatal(made.raw)
	}
	signIn := func() error {
		_, err := l.SignIn(authorizeAddress(l, customer.ID, console.ClientID, "User.Read"), lab.Person{UPN: "tina.tech@partnerpoint.example", Factor: true, Consent: true})
		return err
	}
	refused := func(err error) int {
		if one := (*lab.SignInRefused)(nil); errors.As(err, &one) {
			return one.Code
		}
		return 0
	}
	if a := post(t, l, "/"+customer.ID+"/oauth2/v2.0/token", renew); a.code() != 50177 || refused(signIn()) != 50177 {
		t.Errorf("an external challenge: %s, %v", a.raw, signIn())
	}
	if a := graphAs(t, l, "ledgerlane", http.MethodDelete, "/v1.0/identity/conditionalAccess/policies/"+made.text("id"), ""); a.status != http.StatusNoContent {
		t.Fatal(a.raw)
	}
	for risk, code := range map[string]int{"high": 530034, "low": 0} {
		if status, _, body := ask(t, l, http.MethodPatch, "/tenants/"+partner.ID+"/users/tina.tech@partnerpoint.example", `{"user_risk":"`+risk+`"}`); status != http.StatusNoContent {
			t.Fatal(body)
		}
		if a := post(t, l, "/"+customer.ID+"/oauth2/v2.0/token", renew); a.code() != code || refused(signIn()) != code {
			t.Errorf("risk %s: %s, %v", risk, a.raw, signIn())
		}
	}
	if status, _, body := ask(t, l, http.MethodPatch, "/tenants/"+partner.ID+"/users/tina.tech@partnerpoint.example", `{"user_risk":"none"}`); status != http.StatusNoContent {
		t.Fatal(body)
	}
	// Consent is not theirs to give on the pages, by no address.
	for _, address := range []string{"/adminconsent?", "/v2.0/adminconsent?scope=User.Read&"} {
		_, err := l.SignIn(l.URL()+"/"+customer.ID+address+"redirect_uri=http://localhost&client_id="+console.ClientID, lab.Person{UPN: "adam.agent@partnerpoint.example", Factor: true, Consent: true})
		if refused(err) != 90099 {
			t.Errorf("%s: %v", address, err)
		}
	}
	if a := send(t, l, http.MethodDelete, fmt.Sprint(consents, "/", console.ClientID), agent, ""); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := post(t, l, "/"+customer.ID+"/oauth2/v2.0/token", renew); a.code() != 90099 {
		t.Errorf("after the consent was taken back: %s", a.raw)
	}
	if l.Refreshes(console.ClientID, "tina.tech@partnerpoint.example") != 6 {
		t.Error("the journal does not know the partner's refreshes")
	}
}
