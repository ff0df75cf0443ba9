package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"gatehouse/client"
	"gatehouse/lab"
)

// ledgerStory is the story of the replaced app while it is told.
type ledgerStory struct {
	*filler
	registration client.Registration
	connections  []string // of [ledgerPeople], in their order
}

// ledger tells it: people sign in through the old app, the vendor replaces it, a
// policy comes, and a campaign has everybody sign in again.
func (f *filler) ledger(ctx context.Context) error {
	s := &ledgerStory{filler: f}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"registering the app", s.register}, {"connecting people", s.connect}, {"replacing the app", s.replace},
		{"asking everybody to sign in again", s.ask}, {"validating their connections", s.validate},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// register lets both apps of the vendor lead back to this server, and adds the old one.
func (s *ledgerStory) register(ctx context.Context) error {
	vendor := s.lab.Tenant(ledgerVendor)
	for _, name := range []string{ledgerOld, ledgerNew} {
		back := lab.AppChange{RedirectURIs: []string{s.server + "/signin/callback", s.server + "/consent/callback"}}
		if err := s.lab.ChangeApp(vendor.ID, vendor.App(name).ClientID, back); err != nil {
			return err
		}
	}
	var permissions []client.ManifestPermission
	for _, name := range []string{"openid", "profile", "offline_access", "User.Read"} {
		permissions = append(permissions, client.ManifestPermission{Resource: "graph", Name: name, Kind: "delegated", Why: "Knows who signed in, and stays signed in."})
	}
	permissions = append(permissions, client.ManifestPermission{Resource: "business_central", Name: "Financials.ReadWrite.All", Kind: "delegated", Why: "Reads and writes the ledgers that the person may."})
	var err error
	s.registration, err = s.AddRegistration(ctx, client.NewRegistration{Kind: "confidential", Permissions: permissions, RegistrationDetails: s.details(ledgerOld)})
	if err != nil {
		return err
	}
	return s.prove(ctx, ledgerOld)
}

// details are the registration with one of the vendor's two apps.
func (s *ledgerStory) details(app string) client.RegistrationDetails {
	return client.RegistrationDetails{Name: "Ledger Link", Purpose: "People sign in with it to their data source in Business Central.", ClientIDs: map[string]string{"lab": s.lab.Tenant(ledgerVendor).App(app).ClientID}}
}

// prove gives the registration the secret of one of the apps.
func (s *ledgerStory) prove(ctx context.Context, app string) error {
	of := s.lab.Tenant(ledgerVendor).App(app)
	_, err := s.AddRegistrationCredential(ctx, s.registration.ID, client.NewCredential{Secret: *of.Secret, ClientID: of.ClientID, Label: "of " + app})
	return err
}

// connect adds the customers and their people, who sign in through the old app.
func (s *ledgerStory) connect(ctx context.Context) error {
	for _, name := range ledgerTenants() {
		at, id, what, err := s.join(ctx, name, false)
		if err != nil {
			return err
		}
		var names, ids []string
		for _, p := range ledgerPeople {
			if p.tenant != name {
				continue
			}
			request := ledgerConnection(at, id, s.registration.ID, p)
			made, err := s.AddConnection(ctx, request)
			if err != nil {
				return fmt.Errorf("adding %q: %w", request.Name, err)
			}
			link, err := s.SignInConnection(ctx, made.ID, client.ConnectionSignInRequest{})
			if err != nil {
				return err
			}
			if err := s.signIn(ctx, link.URL, made.ID, request.Username); err != nil {
				return err
			}
			names, ids = append(names, request.Name), append(ids, made.ID)
		}
		s.added(name, at, id, names, ids, what)
		s.connections = append(s.connections, ids...)
	}
	return nil
}

// replace gives the registration the vendor's new app, which proposes a campaign. In
// one of the tenants a policy asks for MFA from now on.
func (s *ledgerStory) replace(ctx context.Context) error {
	if err := s.prove(ctx, ledgerNew); err != nil {
		return err
	}
	changed, err := s.ChangeRegistration(ctx, s.registration.ID, client.RegistrationChange{RegistrationDetails: s.details(ledgerNew), Version: s.registration.Version})
	if err != nil {
		return err
	}
	s.registration = changed
	token, err := adminInLab(ctx, s.lab, s.lab.Tenant(ledgerPeople[3].tenant))
	if err != nil {
		return err
	}
	return askLab(ctx, s.lab, http.MethodPost, "/v1.0/identity/conditionalAccess/policies", token, strings.NewReader(ledgerPolicy), nil)
}

// ask starts the campaign that was proposed. One person signs in again, and the
// administrator of the tenant that has not consented gets a page.
func (s *ledgerStory) ask(ctx context.Context) error {
	drafts, _, err := s.Campaigns(ctx, "draft", client.Page{})
	if err != nil {
		return err
	}
	if len(drafts) != 1 || drafts[0].RegistrationID != s.registration.ID {
		return fmt.Errorf("%s proposed, not the one of the new app id", plural(len(drafts), "campaign"))
	}
	draft := drafts[0]
	settings := draft.CampaignSettings
	settings.Note = "The vendor replaced Ledger Link: sign in once more, and your data source goes on."
	if _, err := s.ChangeCampaign(ctx, draft.ID, client.CampaignChange{Name: draft.Name, Version: draft.Version, CampaignSettings: settings}); err != nil {
		return err
	}
	if _, err := s.StartCampaign(ctx, draft.ID); err != nil {
		return err
	}
	for i, p := range ledgerPeople {
		tenantID := s.idOf(p.tenant)
		found, err := s.LookAtConsent(ctx, tenantID, s.registration.ID)
		if err != nil {
			return err
		}
		if found.State == "missing" {
			if _, err := s.CampaignConsentLink(ctx, draft.ID, tenantID); err != nil {
				return err
			}
		}
		if !p.again {
			continue
		}
		link, err := s.CampaignSignInLink(ctx, draft.ID, s.connections[i])
		if err != nil {
			return err
		}
		if err := s.signIn(ctx, link.URL, s.connections[i], s.lab.Tenant(p.tenant).User(p.user).UPN); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.campaignID = draft.ID
	return nil
}

// validate shows whose data source works.
func (s *ledgerStory) validate(ctx context.Context) error {
	for i, p := range ledgerPeople {
		v, err := s.Validate(ctx, s.connections[i])
		if err != nil {
			return err
		}
		at := s.lab.Tenant(p.tenant)
		s.ended(at, ledgerConnection(at, "", "", p).Name, v)
	}
	return nil
}

// maxRounds bounds how often a sign-in may go on at Microsoft's.
const maxRounds = 4

// signIn opens a personal link as its person would, in a browser of their own. The
// lab fills in Microsoft's pages.
func (s *ledgerStory) signIn(ctx context.Context, link, connectionID, username string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer browser.CloseIdleConnections()
	next, err := led(ctx, browser, http.MethodPost, link)
	for range maxRounds {
		if err != nil || !strings.HasPrefix(next, s.lab.URL()) {
			break
		}
		var back *url.URL
		if back, err = s.lab.SignIn(next, lab.Person{UPN: username}); err == nil {
			next, err = led(ctx, browser, http.MethodGet, back.String())
		}
	}
	if err != nil {
		return fmt.Errorf("signing %s in: %w", username, err)
	}
	last, _, err := s.SignIns(ctx, connectionID, client.Page{Limit: 1})
	if err == nil && (len(last) == 0 || last[0].Outcome != "signed_in") {
		err = fmt.Errorf("signing %s in: it was refused: %+v", username, last)
	}
	return err
}

// led asks an address, and says where it leads.
func led(ctx context.Context, browser *http.Client, method, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := browser.Do(request)
	if err != nil {
		return "", err
	}
	if err := response.Body.Close(); err != nil {
		return "", err
	}
	next, err := response.Location()
	if errors.Is(err, http.ErrNoLocation) {
		return "", fmt.Errorf("the server answers %s", response.Status)
	}
	if err != nil {
		return "", err
	}
	return next.String(), nil
}
