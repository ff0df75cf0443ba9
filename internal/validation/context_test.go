package validation_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/connection"
	"gatehouse/internal/testenv/pages"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// control changes the lab from outside.
func control(t testing.TB, l *lab.Lab, path, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, l.Ready().ControlURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("%s: %d %s", path, response.StatusCode, text)
	}
}

// Story 32: a site with an authentication context lets nobody in by the usual
// token. The validation says which context, and which policy guards it, passes the
// challenge on, and gets in once the person has done what the policy asks for.
func TestStory32(t *testing.T) {
	p := newPeople()
	eachWith(t, parts{unpaced: true, people: p}, func(t *testing.T, h *house, l *lab.Lab) {
		p.at(l, "ledgerworks")
		p.asks = nil
		at := h.add(l, "ledgerworks")
		h.onboard(l, "ledgerworks", at.ID)
		id, _ := graphAdmin(t, l, "ledgerworks", http.MethodPost, "/v1.0/identity/conditionalAccess/policies", map[string]any{
			"displayName": "Finance site", "state": "enabled", "grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"mfa"}},
			"conditions": map[string]any{"users": map[string]any{"includeUsers": []string{"All"}}, "applications": map[string]any{"includeAuthenticationContextClassReferences": []string{"c1"}}, "clientAppTypes": []string{"all"}},
		})["id"].(string)
		control(t, l, "/tenants/ledgerworks.onmicrosoft.com/sites", `{"site":"/sites/projects","context":"c1"}`)
		c := h.delegated(at.ID, "Finance reports", connection.Profile{Services: []string{connection.SharePoint}, Site: "https://ledgerworks.sharepoint.com/sites/projects"})
		anna := pages.Of(t, l, "ledgerworks", "anna")
		p.signIn(t, h, c, anna, "https://ledgerworks.sharepoint.com/AllSites.Read")
		run := h.validate(c.ID)
		r, site := run.Result, stateOf(t, *run.Result, validation.ServiceSharePoint)
		if r.Verdict != validation.Blocked || r.Rule == nil || r.Rule.ID == nil || *r.Rule.ID != id || !strings.Contains(r.Diagnosis.Title, `needs the authentication context c1 = the Conditional Access policy "Finance site"`) ||
			site.Evidence["step_up"] == nil || r.Diagnosis.Remedies[0].ID != "restart-with-claims" {
			t.Errorf("rule %+v: %s", r.Rule, show(*r))
		}
		if last := p.asks[len(p.asks)-1]; !strings.Contains(last, `"acrs"`) || !strings.HasPrefix(last, "https://ledgerworks.sharepoint.com ") {
			t.Errorf("the challenge was not passed on: %q", p.asks)
		}
		// Another site asks for nothing, and a sign-in with MFA passes here too.
		p.demanded = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
		p.signIn(t, h, c, anna, "https://ledgerworks.sharepoint.com/AllSites.Read")
		p.demanded = ""
		run = h.validate(c.ID)
		if site := stateOf(t, *run.Result, validation.ServiceSharePoint); run.Result.Verdict != validation.Works || site.State != validation.Passed {
			t.Errorf("after stepping up: %s", show(*run.Result))
		}
	}, lab.WithTenants(ledgerFile()))
}

// Story 28: the first app's sign-in is fine without MFA, the second app, which acts
// on behalf of the person, is refused under a policy for all apps. The validation
// of the first app's connection says which token lacks the proof, and which policy
// rejects it.
func TestStory28(t *testing.T) {
	file := `{"tenants":[{"name":"Two Hops","domain":"twohops.onmicrosoft.com","licences":["AAD_PREMIUM_P2","SPE_E3"],
 "users":[{"upn":"anna@twohops.onmicrosoft.com","name":"Anna Bauer","licences":["SPE_E3"],"methods":[{"type":"oath"}]}],
 "apps":[` + caretakers + `,{"name":"Ledger Link","public":true,"redirect_uris":["http://localhost"],"delegated_permissions":{"Desk":["desk.use"],"graph":["User.Read"],"business_central":["Financials.ReadWrite.All"]}},
  {"name":"Desk","secret":true,"scopes":["desk.use"],"delegated_permissions":{"graph":["User.Read"]}}],
 "grants":[{"app":"Ledger Link","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Ledger Link","resource":"business_central","scopes":["Financials.ReadWrite.All"]},{"app":"Ledger Link","resource":"Desk","scopes":["desk.use"]},{"app":"Desk","resource":"graph","scopes":["User.Read"]}]}]}`
	p := newPeople()
	eachWith(t, parts{unpaced: true, people: p}, func(t *testing.T, h *house, l *lab.Lab) {
		p.at(l, "twohops")
		at := h.add(l, "twohops")
		h.onboard(l, "twohops", at.ID)
		c := h.delegated(at.ID, "Connector", connection.Profile{Services: []string{connection.BusinessCentral}})
		anna := pages.Of(t, l, "twohops", "anna")
		desk := l.Tenant("twohops").App("Desk")
		first := p.signIn(t, h, c, anna, "api://"+desk.ClientID+"/desk.use")
		graphAdmin(t, l, "twohops", http.MethodPost, "/v1.0/identity/conditionalAccess/policies", map[string]any{
			"displayName": "MFA for Graph behind the desk", "state": "enabled", "grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"mfa"}},
			"conditions": map[string]any{"users": map[string]any{"includeUsers": []string{"All"}}, "applications": map[string]any{"includeApplications": []string{graphID}}, "clientAppTypes": []string{"all"}},
		})
		client := l.Client()
		defer client.CloseIdleConnections()
		response, err := client.PostForm(l.URL()+"/twohops.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"},
			"client_id": {desk.ClientID}, "client_secret": {*desk.Secret}, "assertion": {first.Access.Reveal()}, "scope": {"https://graph.microsoft.com/User.Read"}})
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		said, _ := io.ReadAll(response.Body)
		if response.StatusCode == http.StatusOK {
			t.Fatalf("the exchange was not refused: %s", said)
		}
		run := h.validate(c.ID)
		var hop *validation.Probe
		for i := range run.Result.Probes {
			if run.Result.Probes[i].Name == validation.ProbeSecondHop {
				hop = &run.Result.Probes[i]
			}
		}
		if hop == nil {
			t.Fatalf("nothing is said of the second hop: %s", show(*run.Result))
		}
		for _, want := range []string{"Desk, which acts on behalf of the person", "AADSTS50076", "MFA for Graph behind the desk", "proves no MFA"} {
			if !strings.Contains(reason(*hop), want) {
				t.Errorf("%q is missing in %s", want, reason(*hop))
			}
		}
	}, lab.WithTenants(file))
}
