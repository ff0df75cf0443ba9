package tenant_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// Trouble on the way says nothing of the reader: it is told, and the reader stays
// what it was.
func TestReaderTrouble(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		client := l.Tenant("openharbour").App("Gatehouse reader").ClientID
		steps, err := h.OnboardReader(h.boss(), at.ID, tenant.OnboardRequest{ClientID: client})
		if err != nil {
			t.Fatal(err)
		}
		upload(t, l, "openharbour", client, steps.CertificatePEM)
		if got, err := h.CheckReader(h.boss(), at.ID); err != nil || got.Reader.State != tenant.ReaderWorks {
			t.Fatalf("%+v, %v", got.Reader, err)
		}
		for name, fault := range map[string]lab.Fault{
			"sign-in cut off":     {Service: "login", Grant: "client_credentials", Kind: "cut"},
			"sign-in's page":      {Service: "login", Grant: "client_credentials", Kind: "html"},
			"sign-in unavailable": {Service: "login", Grant: "client_credentials", Kind: "status", Status: http.StatusServiceUnavailable},
			"Graph's page":        {Service: "graph", Path: "/v1.0/organization", Kind: "html"},
			"Graph's half answer": {Service: "graph", Path: "/v1.0/organization", Kind: "malformed"},
		} {
			if _, err := l.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			if _, err := h.CheckReader(h.boss(), at.ID); err == nil {
				t.Errorf("%s: nothing is told", name)
			}
			l.ClearFaults()
			if got, err := h.Get(h.boss(), at.ID); err != nil || got.Reader.State != tenant.ReaderWorks || got.Switch(tenant.Diagnose).State != tenant.On {
				t.Errorf("%s: %+v, %v", name, got.Reader, err)
			}
		}
	})
}

// The consent address leads to the sign-in service of the tenant's cloud (story 45).
func TestStory45ConsentLink(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		for name, host := range map[string]string{"public": "login.microsoftonline.com", "usgov": "login.microsoftonline.us", "usgov-dod": "login.microsoftonline.us", "china": "login.partner.microsoftonline.cn"} {
			cloud, err := microsoft.FindCloud(name, "")
			if err != nil {
				t.Fatal(err)
			}
			h.Cloud = cloud // nothing below calls it
			steps, err := h.OnboardReader(h.boss(), at.ID, tenant.OnboardRequest{ClientID: "11111111-2222-3333-4444-555555555555"})
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(steps.ConsentURL)
			if err != nil || u.Host != host || u.Path != "/"+at.DirectoryID+"/adminconsent" || u.Query().Get("client_id") != "11111111-2222-3333-4444-555555555555" {
				t.Errorf("%s: %s, %v", name, steps.ConsentURL, err)
			}
			if text := strings.Join(steps.Steps, " "); name != "public" && strings.Contains(text, "microsoftonline.com") {
				t.Errorf("%s: %s", name, text)
			}
		}
	})
}
