package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/lab"
)

// The story's tenants are what the lab takes, with everybody and both apps in them.
func TestLedgerStory(t *testing.T) {
	file, err := json.Marshal(map[string]any{"tenants": ledgerFiles()})
	if err != nil {
		t.Fatal(err)
	}
	l := lab.Start(t, lab.WithTenants(string(file)))
	vendor := l.Tenant(ledgerVendor)
	if vendor.App(ledgerOld).ClientID == vendor.App(ledgerNew).ClientID {
		t.Error("the app was not replaced")
	}
	for _, p := range ledgerPeople {
		at := l.Tenant(p.tenant)
		r := ledgerConnection(at, "t", "r", p)
		if !strings.HasPrefix(r.Username, p.user+"@") || r.Kind != "delegated" || r.RegistrationID != "r" {
			t.Errorf("%+v", r)
		}
	}
	if got := ledgerTenants(); len(got) != 3 {
		t.Errorf("%v", got)
	}
	tellLedger(t, l)
}

// tellLedger tells the story to a server, and looks at it as operators would.
func tellLedger(t *testing.T, l *lab.Lab) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s, err := demoServer(ctx, t.TempDir(), l)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	operator, err := demoSetUp(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	f := &filler{Client: operator.client, lab: l, server: s.URL(), out: io.Discard}
	if err := f.fill(ctx, nil); err != nil {
		t.Fatal(err)
	}
	f.seesCampaign(t)
	f.seesTokens(t)
}

// seesCampaign demands that one is done, three are to sign in, and one tenant waits
// for its administrator.
func (f *filler) seesCampaign(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	all, _, err := f.Campaigns(ctx, "", client.Page{})
	if err != nil || len(all) != 1 || all[0].ID != f.campaignID {
		t.Fatalf("%+v %v", all, err)
	}
	c := all[0]
	vendor := f.lab.Tenant(ledgerVendor)
	if want := (client.CampaignProgress{People: 4, Pending: 3, Done: 1, OnOld: 3, Percent: 25}); c.CampaignProgress != want || c.State != "running" || c.Tenants != 3 || c.NoConsent != 1 || c.OldCanBeRemoved || c.Note == "" ||
		c.Old != vendor.App(ledgerOld).ClientID || c.New != vendor.App(ledgerNew).ClientID {
		t.Errorf("%+v", c)
	}
	waiting, _, err := f.CampaignTenants(ctx, c.ID, client.CampaignTenantFilter{Consent: "asked"}, client.Page{})
	if err != nil || len(waiting) != 1 || waiting[0].TenantID != f.tenantID["maplemills"] {
		t.Errorf("%+v %v", waiting, err)
	}
	link, err := f.CampaignConsentLink(ctx, c.ID, f.tenantID["maplemills"])
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, link.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if page, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(page), "Maple Mills") || !strings.Contains(string(page), "Financials.ReadWrite.All") {
		t.Errorf("the administrator's page: %s %v", response.Status, err)
	}
}

// seesTokens demands that the old app and the new one serve side by side, and why the
// others do not get in by the new one.
func (f *filler) seesTokens(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	vendor := f.lab.Tenant(ledgerVendor)
	for _, want := range []struct{ user, state, app string }{
		{"ella.moss", client.TokenReady, ledgerNew}, {"jon.reed", client.TokenReady, ledgerOld}, {"iris.vale", client.TokenReady, ledgerOld}, {"hugo.stern", client.TokenNeedsMFA, ledgerOld},
	} {
		for _, p := range ledgerPeople {
			if p.user != want.user {
				continue
			}
			id := f.connectionID[p.tenant+"/"+ledgerConnection(f.lab.Tenant(p.tenant), "", "", p).Name]
			s, err := f.TokenState(ctx, id)
			if err != nil || s.State != want.state || s.ClientID != vendor.App(want.app).ClientID || (s.Diagnosis == nil) != (s.State == client.TokenReady) {
				t.Errorf("%s: %+v %v", p.user, s, err)
			}
			if p.again || p.user == "jon.reed" {
				continue
			}
			link, err := f.CampaignSignInLink(ctx, f.campaignID, id)
			if err != nil {
				t.Fatal(err)
			}
			err = (&ledgerStory{filler: f}).signIn(ctx, link.URL, id, s.Person)
			var refused *lab.SignInRefused
			if err == nil || p.user == "iris.vale" && !errors.As(err, &refused) {
				t.Errorf("%s signs in through the new app: %v", p.user, err)
			}
		}
	}
}

// The texts that people see when the app is replaced or MFA comes lead to what helps.
func TestLedgerTexts(t *testing.T) {
	for text, wants := range map[string][]string{
		"This account requires multi-factor authentication and your Jet Hub environment is not currently setup to support multi-factor authentication.": {"The sign-in needs MFA", "Connect once with a person's sign-in and keep the session"},
		"You are not authorized to access this data source. You must sign-in using your Microsoft 365 credentials for authorization.":                   {"A person has to sign in again", "Who acts: the person who signs in", "What helps: Sign in again", "After a new app registration every person"},
		"Exception of type Jet.Shared.NavWebServiceOffice365AuthorizationMultiFactorAuth was thrown.":                                                   {"The sign-in needs MFA", "Connect once with a person's sign-in and keep the session"},
		"Need admin approval": {"An administrator of this tenant has to approve the app", "What helps: Have an administrator of this tenant consent for the organization", "partner's delegated administrator cannot", "Then everyone concerned signs in again."},
	} {
		var out bytes.Buffer
		if code := Main(t.Context(), []string{"explain", text}, Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}); code != 0 {
			t.Errorf("exit %d", code)
		}
		for _, want := range wants {
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
				t.Errorf("%q is missing for %q:\n%s", want, text, &out)
			}
		}
	}
}
