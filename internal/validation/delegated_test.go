package validation_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/testenv/pages"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// ledgerFile is a tenant whose people sign in to a data-source app, and the same
// again without Business Central.
func ledgerFile() string {
	tenant := func(name, domain, scopes, grants string) string {
		return fmt.Sprintf(`{"name":%q,"domain":"%s.onmicrosoft.com","licences":["SPE_E3"],
 "users":[{"upn":"anna@%s.onmicrosoft.com","name":"Anna Bauer","licences":["SPE_E3"],"methods":[{"type":"oath"}]},{"upn":"ben@%s.onmicrosoft.com","name":"Ben Koch","licences":["SPE_E3"],"methods":[{"type":"oath"}]}],
 "apps":[%s,{"name":"Ledger Link","public":true,"redirect_uris":["http://localhost"],"delegated_permissions":{"graph":["User.Read"],"sharepoint":["AllSites.Read"]%s}}],
 "grants":[{"app":"Ledger Link","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Ledger Link","resource":"sharepoint","scopes":["AllSites.Read"]}%s]}`,
			name, domain, domain, domain, strings.ReplaceAll(caretakers, `"Organization.Read.All"`, `"Organization.Read.All","DelegatedPermissionGrant.Read.All"`), scopes, grants)
	}
	return `{"tenants":[` + tenant("Ledger Works", "ledgerworks", `,"business_central":["Financials.ReadWrite.All"]`, `,{"app":"Ledger Link","resource":"business_central","scopes":["Financials.ReadWrite.All"]}`) + "," +
		tenant("Ledger None", "ledgernone", "", "") + `]}`
}

const mfaForAll = `MFA for everybody`

// demandMFA makes a policy as an administrator would.
func demandMFA(t testing.TB, l *lab.Lab, tenant string) {
	t.Helper()
	graphAdmin(t, l, tenant, http.MethodPost, "/v1.0/identity/conditionalAccess/policies", map[string]any{
		"displayName": mfaForAll, "state": "enabled", "grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"mfa"}},
		"conditions": map[string]any{"users": map[string]any{"includeUsers": []string{"All"}}, "applications": map[string]any{"includeApplications": []string{"All"}}, "clientAppTypes": []string{"all"}},
	})
}

func (p *people) at(l *lab.Lab, tenant string) {
	at := l.Tenant(tenant)
	p.tenant, p.app = at.ID, login.App{ClientID: at.App("Ledger Link").ClientID}
}

// A person's sign-in from nobody to works, through a policy that wants MFA and the
// new sign-in, by way of what must never be used: somebody else's token.
func TestDelegated(t *testing.T) {
	var minutes atomic.Int64
	p := newPeople(validation.Scope{Resource: centralID, Name: "Financials.ReadWrite.All", Why: "read the ledger"}, validation.Scope{Resource: graphID, Name: "User.Read"}, validation.Scope{Resource: graphID, Name: "offline_access"})
	now := func() time.Time { return time.Now().Add(time.Duration(minutes.Load()) * time.Minute) }
	eachWith(t, parts{now: now, unpaced: true, people: p}, func(t *testing.T, h *house, l *lab.Lab) {
		p.at(l, "ledgerworks")
		p.wants = p.wants[:3]
		at := h.add(l, "ledgerworks")
		h.onboard(l, "ledgerworks", at.ID)
		c := h.delegated(at.ID, "Data source of Anna", connection.Profile{Services: []string{connection.Graph, connection.BusinessCentral}})

		p.asks = nil
		run := h.validate(c.ID)
		if got, _ := h.connections.Get(h.boss(), c.ID); run.Result.Verdict != validation.Unknown || got.Sentence != "Nobody has signed in for this connection yet" || run.Result.Diagnosis.Remedies[0].ID != "let-person-sign-in" || len(p.asks) != 0 {
			t.Errorf("nobody yet: %q, asked %v\n%s", got.Sentence, p.asks, show(*run.Result))
		}

		anna := pages.Of(t, l, "ledgerworks", "anna")
		p.signIn(t, h, c, anna, "https://graph.microsoft.com/User.Read")
		run = h.validate(c.ID)
		claims, held := probe(t, *run.Result, validation.ProbeClaims), stateOf(t, *run.Result, validation.ServiceBusinessCentral)
		if run.Result.Verdict != validation.Works || claims.Evidence["mfa_proved"] != false || claims.Evidence["signed_in"] != anna.UPN || held.Evidence["company"] != "Ledger Works" || run.Outcome == nil {
			t.Errorf("signed in: %+v %+v\n%s", claims, held, show(*run.Result))
		}
		if s := show(*run.Result); strings.Contains(s, "own account") {
			t.Errorf("a person's account is a person's own: %s", s)
		}
		if n := passwords(l, anna.UPN); n != 0 {
			t.Errorf("%d passwords were sent", n)
		}

		// What the registration asks for by now, and the token does not carry.
		p.wants = append(p.wants, validation.Scope{Resource: graphID, Name: "Files.Read", Why: "read the files"})
		run = h.validate(c.ID)
		if s := show(*run.Result); run.Result.Verdict != validation.WorksWithWarnings || !strings.Contains(s, "Files.Read (read the files)") || strings.Contains(s, "carry offline_access") {
			t.Errorf("one more permission: %s", s)
		}
		p.wants = p.wants[:3]

		// Somebody else's token is not used for anything.
		before := len(l.Journal())
		other := h.delegated(at.ID, "Data source of Ben", connection.Profile{})
		stolen := p.signIn(t, h, other, pages.Of(t, l, "ledgerworks", "ben"), "https://graph.microsoft.com/User.Read")
		p.instead[c.ID] = stolen.Token
		run = h.validate(c.ID)
		if run.Result.Verdict != validation.Blocked && run.Result.Verdict != validation.Failed || run.Result.Diagnosis.Entry != "" && run.Result.Diagnosis.Category != "reauth_required" || probe(t, *run.Result, validation.ProbeService).State != validation.Skipped {
			t.Errorf("another's token: %s", show(*run.Result))
		}
		for _, e := range l.Journal()[before:] {
			if e.Path == "/v1.0/me" {
				t.Errorf("it was sent to Graph: %+v", e)
			}
		}
		delete(p.instead, c.ID)

		// Story 1: a policy wants MFA now. It is named, with who has to act.
		demandMFA(t, l, "ledgerworks")
		minutes.Add(5)
		run = h.validate(c.ID)
		r := run.Result
		ids := []string{}
		for _, remedy := range r.Diagnosis.Remedies {
			ids = append(ids, remedy.ID)
		}
		if r.Verdict != validation.Blocked || r.Rule == nil || r.Rule.Name == nil || *r.Rule.Name != mfaForAll || r.Diagnosis.Actor != diagnosis.EndUser || !slices.Contains(ids, "answer-mfa") || !strings.Contains(r.Diagnosis.Title, anna.UPN) {
			t.Errorf("MFA wanted: rule %+v, %v\n%s", r.Rule, ids, show(*r))
		}
		p.signIn(t, h, c, anna, "https://graph.microsoft.com/User.Read")
		run = h.validate(c.ID)
		if claims := probe(t, *run.Result, validation.ProbeClaims); run.Result.Verdict != validation.Works || claims.Evidence["mfa_proved"] != true {
			t.Errorf("with MFA: %+v\n%s", claims.Evidence, show(*run.Result))
		}

		// Logged out: said, with the way back.
		p.mu.Lock()
		delete(p.refresh, c.ID)
		p.mu.Unlock()
		if run = h.validate(c.ID); run.Result.Verdict != validation.Blocked || run.Result.Diagnosis.Remedies[0].ID != "let-person-sign-in" {
			t.Errorf("logged out: %s", show(*run.Result))
		}
	}, lab.WithTenants(ledgerFile()))
}

// Story 20: AADSTS65001 stays although an administrator consented, because the
// tenant has no Business Central, or because one permission is missing: named.
func TestStory20(t *testing.T) {
	p := newPeople(validation.Scope{Resource: centralID, Name: "Financials.ReadWrite.All"}, validation.Scope{Resource: graphID, Name: "User.Read"}, validation.Scope{Resource: graphID, Name: "Files.Read"})
	eachWith(t, parts{unpaced: true, people: p}, func(t *testing.T, h *house, l *lab.Lab) {
		p.at(l, "ledgernone")
		at := h.add(l, "ledgernone")
		h.onboard(l, "ledgernone", at.ID)
		c := h.delegated(at.ID, "Data source", connection.Profile{Services: []string{connection.BusinessCentral}})
		p.signIn(t, h, c, pages.Of(t, l, "ledgernone", "anna"), "https://graph.microsoft.com/User.Read")
		run := h.validate(c.ID)
		held := probe(t, *run.Result, validation.ProbePermissions)
		t.Log(show(*run.Result))
		for _, want := range []string{"no service principal of Business Central", "first licence of Dynamics 365 Business Central", "Microsoft Graph lacks Files.Read"} {
			if held.State != validation.Warning || !strings.Contains(reason(held), want) {
				t.Errorf("%q is missing in: %s %s", want, held.State, reason(held))
			}
		}
		if run.Result.Verdict != validation.Blocked && run.Result.Verdict != validation.Failed {
			t.Errorf("%s", show(*run.Result))
		}
	}, lab.WithTenants(ledgerFile()))
}
