package consent_test

import (
	"strings"
	"testing"

	"gatehouse/internal/consent"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/testenv/pages"
)

// User story 20: what is not granted is named with the service principal or licence
// that is missing, and looked at again once it is there.
func TestMissingService(t *testing.T) {
	h := open(t, openDB(t))
	at := h.add("Bare Brook")
	h.read(at)
	kinds := func() string {
		var out []string
		for _, p := range h.look(at.ID, link).Problems {
			out = append(out, p.Kind)
			if p.Text == "" || len(p.Steps) == 0 || p.Actor == "" {
				t.Errorf("%+v tells no way out", p)
			}
		}
		return strings.Join(out, " ")
	}
	if got := kinds(); got != "licence_missing app_missing" {
		t.Errorf("without Business Central: %s", got)
	}
	_, token := h.ask(at.ID, link)
	back, stuck := pages.Of(t, h.lab, "barebrook", "bea").Follow(h.page(token, consent.NewBrowser()).Address)
	if back != nil || !strings.Contains(stuck, "AADSTS650052") {
		t.Errorf("the lab does not refuse it: %v", back)
	}
	h.graph("POST", "servicePrincipals", map[string]any{"appId": bcID})
	if got := kinds(); got != "app_missing" {
		t.Errorf("with Business Central: %s", got)
	}
	app := h.graph("POST", "servicePrincipals", map[string]any{"appId": h.status(at.ID).ClientID})
	h.graph("PATCH", "servicePrincipals/"+app["id"].(string), map[string]any{"accountEnabled": false, "appRoleAssignmentRequired": true})
	if got := kinds(); got != "app_disabled assignment_required" {
		t.Errorf("of an app that is disabled: %s", got)
	}
	if p := h.status(at.ID).Policy; p == nil || !p.Assigned || !strings.Contains(p.Verdicts[0].Why, "assignment") {
		t.Errorf("%+v", p)
	}
}

// What users may consent to themselves follows the tenant's setting.
func TestUserPolicy(t *testing.T) {
	h := open(t, openDB(t))
	at := h.add("Client Creek")
	h.read(at)
	h.graph("POST", "servicePrincipals", map[string]any{"appId": h.lab.Tenant("makermill").App("Mill Link").ClientID})
	m := h.manifests[link]
	m.Permissions = append(m.Permissions, consent.Permission{Resource: consent.GraphID, Name: "Mail.Read", Kind: consent.Delegated}, consent.Permission{Resource: consent.GraphID, Name: "Directory.Read.All", Kind: consent.Delegated})
	h.manifests[link] = m
	for policy, want := range map[string]string{
		"":                                   "no no no no no no",
		"microsoft-user-default-legacy":      "yes yes yes yes yes no",
		"microsoft-user-default-low":         "unknown unknown unknown unknown unknown no",
		"microsoft-user-default-recommended": "unknown unknown unknown unknown no no",
	} {
		assigned := []string{}
		if policy != "" {
			assigned = append(assigned, "managePermissionGrantsForSelf."+policy)
		}
		h.graph("PATCH", "policies/authorizationPolicy", map[string]any{"defaultUserRolePermissions": map[string]any{"permissionGrantPoliciesAssigned": assigned}})
		p := h.look(at.ID, link).Policy
		if p == nil {
			t.Fatalf("%s: nothing was read", policy)
		}
		var got []string
		for _, v := range p.Verdicts {
			got = append(got, v.May)
			if v.Why == "" {
				t.Errorf("%s: no reason for %s", policy, v.Name)
			}
		}
		if strings.Join(got, " ") != want || p.Words() == "" {
			t.Errorf("%q: %s, want %s (%s)", policy, strings.Join(got, " "), want, p.Words())
		}
	}
}

// User stories 21 and 22: who is from outside is told apart.
func TestTellApart(t *testing.T) {
	h := open(t, openDB(t))
	at := h.add("Client Creek")
	h.read(at)
	_, token := h.ask(at.ID, link)
	browser := consent.NewBrowser()
	v := h.page(token, browser)
	// A partner's administrator is refused on Microsoft's page; its text is explained.
	back, stuck := pages.Of(t, h.lab, "partnerpond", "tina").Follow(v.Address)
	code := "AADSTS90099"
	if back != nil {
		done, err := h.Answer(t.Context(), back.Query(), browser, "")
		must(t, err)
		if done.Kind != consent.PartnerAdmin || done.Code != code {
			t.Errorf("%+v", done)
		}
	} else if !strings.Contains(stuck, code) {
		t.Error(stuck)
	}
	if e := consent.Explain(consent.PartnerAdmin); !strings.Contains(e.Words, "90099") || !strings.Contains(e.Steps[0], "Global Administrator") {
		t.Errorf("%+v", e)
	}
	// The plain user sees who may approve.
	if _, stuck := pages.Of(t, h.lab, "clientcreek", "paul").Follow(v.Address); !strings.Contains(stuck, "approv") {
		t.Error(stuck)
	}
	outside := &microsoft.Error{Service: microsoft.ServiceLogin, Code: "AADSTS50020", OAuth: "invalid_grant", Message: "User account does not exist in tenant."}
	person := "uwe@partnerpond.onmicrosoft.com"
	tell := func(e *microsoft.Error, want consent.Kind) consent.Explanation {
		t.Helper()
		got, err := h.TellApart(h.boss(), at.ID, person, e)
		must(t, err)
		if got.Kind != want || len(got.Steps) == 0 || got.Who == "" {
			t.Errorf("%s: %+v, want %s", e.Code, got, want)
		}
		return got
	}
	tell(outside, consent.NoMapping)
	blocked := &microsoft.Error{Service: microsoft.ServiceLogin, Code: "AADSTS53003", OAuth: "invalid_grant", Message: "Access has been blocked by Conditional Access policies."}
	tell(blocked, consent.Blocked)
	h.graph("POST", "identity/conditionalAccess/policies", map[string]any{"displayName": "Providers stay out", "state": "enabled", "conditions": map[string]any{
		"clientAppTypes": []string{"all"}, "applications": map[string]any{"includeApplications": []string{"All"}},
		"users": map[string]any{"includeGuestsOrExternalUsers": map[string]any{"guestOrExternalUserTypes": "serviceProvider", "externalTenants": map[string]any{"@odata.type": "#microsoft.graph.conditionalAccessAllExternalTenants", "membershipKind": "all"}}}},
		"grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"block"}}})
	if e := tell(blocked, consent.ProviderBlocked); !strings.Contains(e.Words, "Providers stay out") {
		t.Error(e.Words)
	}
	person = "nina@partnerpond.onmicrosoft.com"
	if e := tell(outside, consent.Guest); !strings.Contains(e.Words, "object id") {
		t.Error(e.Words)
	}
	alone := h.add("Lone Lake")
	got, err := h.TellApart(h.boss(), alone.ID, "uwe@partnerpond.onmicrosoft.com", outside)
	must(t, err)
	if got.Kind != consent.Outsider || !strings.Contains(got.Words, "reader") {
		t.Errorf("without a reader: %+v", got)
	}
}

// Every kind is explained, with who acts.
func TestExplain(t *testing.T) {
	for _, k := range consent.Kinds {
		e := consent.Explain(k)
		if e.Kind != k || e.Title == "" || e.Words == "" || e.Who == "" || len(e.Steps) == 0 && k != consent.Approved {
			t.Errorf("%+v", e)
		}
	}
	for code, want := range map[string]consent.Kind{"65004": consent.Declined, "90094": consent.NotAdmin, "90095": consent.NotAdmin, "90093": consent.NotAdmin, "90099": consent.PartnerAdmin, "50177": consent.Outsider, "650052": consent.ServiceMissing, "500113": consent.AppWrong, "901001": consent.AppWrong, "12345": consent.Failed} {
		if k, got := consent.KindOf("access_denied", "AADSTS"+code+": text"); k != want || got != "AADSTS"+code {
			t.Errorf("%s: %s", code, k)
		}
	}
}

func FuzzKindOf(f *testing.F) {
	f.Add("access_denied", "AADSTS65004: no")
	f.Add("", "AADSTS999999999999")
	f.Fuzz(func(t *testing.T, oauth, description string) {
		if k, code := consent.KindOf(oauth, description); k == consent.Approved || len(code) > 20 {
			t.Errorf("%q, %q: %s %s", oauth, description, k, code)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add("a.b.c.d")
	f.Add("...")
	f.Fuzz(func(_ *testing.T, state string) { consent.StateID(state) })
}
