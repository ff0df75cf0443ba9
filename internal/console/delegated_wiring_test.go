package console_test

import (
	"net/url"
	"testing"

	"gatehouse/internal/campaign"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/registration"
	"gatehouse/internal/signin"
	"gatehouse/internal/tenant"
	"gatehouse/internal/testenv/pages"
)

// What one of the features is told, the others do: a change of a registration proposes
// a campaign and sets consents aside, a consent that was read reaches the campaign, a
// person on a former app is served by it, and a removed registration leaves nothing.
func TestDelegatedWiring(t *testing.T) {
	t.Parallel()
	h, at := tallyHouse(t)
	h.onboard(at)
	vendor := h.at("Abacus Arcade")
	before, after := vendor.App("Tally Sheets").ClientID, vendor.App("Tally Sheets Online").ClientID
	asks := registration.Permission{Resource: "business_central", Name: "Financials.ReadWrite.All", Kind: registration.DelegatedPermission}
	app := h.publicApp("Tally Sheets", before, asks)
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.Delegated, Profile: connection.Profile{
		Name: "Sheets of Ben", RegistrationID: app.ID, Username: "ben@tallytrade.onmicrosoft.com", Services: []string{connection.BusinessCentral},
	}})
	bens := must(t, made, err)
	link, err := h.signIns.NewLink(h.boss(), bens.ID, signin.LinkOptions{})
	h.byLink("ben", must(t, link, err).URL.Reveal()).has(t, "You are signed in")
	connect := func(want tenant.SwitchState) {
		t.Helper()
		now, err := h.tenants.Get(h.boss(), at.ID)
		if got := must(t, now, err).Switch(tenant.Connect).State; got != want {
			t.Errorf("the switch connect is %s, not %s", got, want)
		}
	}
	standing := func() consent.Status {
		status, err := h.consents.StatusOf(h.boss(), at.ID, app.ID)
		return must(t, status, err)
	}
	looked, err := h.consents.Look(h.boss(), at.ID, app.ID)
	if got := must(t, looked, err); got.State != consent.Granted {
		t.Fatalf("the consent to the old app is %s: %s", got.State, got.Reason)
	}
	connect(tenant.On)

	_, _, err = h.registrations.SetManifest(h.boss(), app.ID, registration.ManifestRequest{Version: 1, Permissions: append(registration.SignInPermissions(), asks, registration.Permission{Resource: "graph", Name: "User.Read", Kind: registration.DelegatedPermission})})
	must(t, 0, err)
	if got := h.newest(); got.Reason != campaign.NewManifest || got.State != campaign.Draft || got.RegistrationID != app.ID {
		t.Errorf("after the new manifest the newest campaign is %s, %s", got.Reason, got.State)
	}

	h.eventually("the new manifest is not held against what is granted", func() bool { return standing().State == consent.Partly })

	now, err := h.registrations.Get(h.boss(), app.ID)
	_, err = h.registrations.Update(h.boss(), app.ID, registration.UpdateRequest{Version: must(t, now, err).Version, Details: registration.Details{Name: "Tally Sheets", Clients: map[string]string{"lab": after}}})
	must(t, 0, err)
	connect(tenant.Pending) // at once
	proposed := h.newest()
	if proposed.Reason != campaign.NewClientID || proposed.State != campaign.Draft || proposed.Old != before || proposed.ClientID != after {
		t.Errorf("the newest campaign is %+v", proposed)
	}
	h.eventually("the consent to the old app counts for the new one", func() bool { return standing().State == consent.Missing })
	if got := standing(); got.GrantedAt != nil || len(got.Changes) != 0 {
		t.Errorf("granted %v, drift %v", got.GrantedAt, got.Changes)
	}
	if token, err := h.tokens.Fresh(h.boss(), bens.ID, "https://api.businesscentral.dynamics.com"); err != nil || token.Claims.AppID != before {
		t.Errorf("a new token of the old app: %q, %v", token.Claims.AppID, err)
	}

	// The tenant of the campaign hears of the consent that was read.
	h.eventually("the draft reaches nobody", func() bool { return h.newest().People == 1 })
	inCampaign := func() campaign.ConsentState {
		list, _, err := h.campaigns.Tenants(h.boss(), proposed.ID, campaign.TenantFilter{}, campaign.Page{})
		return must(t, list, err)[0].Consent
	}
	page := h.lab.URL() + "/" + at.DirectoryID + "/v2.0/adminconsent?" + url.Values{"client_id": {after}, "scope": {"openid profile offline_access https://graph.microsoft.com/User.Read https://api.businesscentral.dynamics.com/Financials.ReadWrite.All"}, "redirect_uri": {h.server.URL + consent.CallbackPath}, "state": {"of the test"}}.Encode()
	if answer, stuck := pages.Of(t, h.lab, "tallytrade", "gina").Follow(page); answer == nil {
		t.Fatal(stuck)
	}
	looked, err = h.consents.Look(h.boss(), at.ID, app.ID)
	if got := must(t, looked, err); got.State != consent.Granted {
		t.Fatalf("the consent to the new app is %s: %s", got.State, got.Missing)
	}
	connect(tenant.On)
	if got := inCampaign(); got != campaign.ConsentNotRead {
		t.Errorf("the campaign was told %s", got)
	}

	h.removed(bens)
	if err := h.registrations.Remove(h.boss(), app.ID); err != nil {
		t.Fatal(err)
	}
	left, _, err := h.consents.List(h.boss(), consent.Filter{TenantID: at.ID}, consent.Page{})
	if all := must(t, left, err); len(all) != 0 {
		t.Errorf("the consents of a removed registration are there: %v", all)
	}
	connect(tenant.Off)
}
