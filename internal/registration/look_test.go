package registration_test

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"testing"

	"gatehouse/internal/registration"
	"gatehouse/internal/tenant"
)

// onboard makes a reader of the lab's reader app.
func (h *house) onboard() {
	h.t.Helper()
	reader := h.lab.Tenant(home).App("Gatehouse reader").ClientID
	o, err := h.tenants.OnboardReader(h.boss(), h.at.ID, tenant.OnboardRequest{ClientID: reader})
	must(h.t, err)
	block, _ := pem.Decode([]byte(o.CertificatePEM))
	h.graph("PATCH", "applications(appId='"+reader+"')", map[string]any{"keyCredentials": []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}})
	_, err = h.tenants.CheckReader(h.boss(), h.at.ID)
	must(h.t, err)
}

// What the directory shows of redirect addresses and publisher takes the place of what
// is not known, and of what was entered; for another client id it says nothing.
func TestLook(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, _ := h.made()
		if g.Publisher.State != registration.PublisherUnknown || g.Redirects[0].State != "unknown" || g.Redirects[0].URI != "https://gate.example/signin/callback" || g.Redirects[1].URI != "https://gate.example/consent/callback" {
			t.Errorf("%+v %+v", g.Publisher, g.Redirects)
		}
		if _, err := h.Look(h.boss(), g.ID, h.at.ID); !errors.Is(err, tenant.ErrNoReader) {
			t.Errorf("without a reader: %v", err)
		}
		h.onboard()
		h.graph("PATCH", "applications(appId='"+h.clientID+"')", map[string]any{"web": map[string]any{"redirectUris": []string{"https://gate.example/signin/callback", "https://elsewhere.example/back"}}})
		g, err := h.Update(h.boss(), g.ID, registration.UpdateRequest{Version: g.Version, Details: registration.Details{Name: g.Name, Clients: map[string]string{"lab": h.clientID}, Publisher: "verified", PublisherName: "As somebody says"}})
		must(t, err)
		if g.Publisher.Source != "entered" || g.Publisher.Name != "As somebody says" {
			t.Errorf("%+v", g.Publisher)
		}
		g, err = h.Look(h.boss(), g.ID, h.at.ID)
		must(t, err)
		if g.Publisher.State != registration.PublisherUnverified || g.Publisher.Source != "directory" || g.Publisher.Name != "" || g.Redirects[0].State != "there" || g.Redirects[1].State != "missing" || !g.Seen.Enabled {
			t.Errorf("%+v %+v %+v", g.Publisher, g.Redirects, g.Seen)
		}
		_, err = h.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Generate: true, ClientID: "0b000000-0000-4000-8000-000000000001"})
		must(t, err)
		g, err = h.Update(h.boss(), g.ID, registration.UpdateRequest{Version: g.Version, Details: registration.Details{Name: g.Name, Clients: map[string]string{"lab": "0b000000-0000-4000-8000-000000000001"}}})
		must(t, err)
		if g.Redirects[0].State != "unknown" {
			t.Errorf("what was seen of a former client id counts for the new one: %+v", g.Redirects)
		}
	})
}
