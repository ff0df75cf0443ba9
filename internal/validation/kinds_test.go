package validation_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// A federated credential is with the consumer alone: no sign-in is tried, whether
// the app accepts tokens of another issuer at all is read, and the rules are told.
func TestFederated(t *testing.T) {
	eachWith(t, parts{unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		h.onboard(l, "openharbour", at.ID)
		app := l.Tenant("openharbour").App("Backup app")
		c, err := h.connections.Create(h.boss(), connection.CreateRequest{
			TenantID: at.ID, Kind: connection.App, Profile: connection.Profile{Name: "pipeline", ClientID: app.ClientID, Consumer: connection.Consumer{Name: "Build service", HoldsCredential: connection.HeldByConsumer, Accepts: []string{"federated"}, Addresses: []string{"192.0.2.0/24"}}},
			Credential: connection.CredentialRequest{Kind: connection.Federated},
		})
		if err != nil || c.Credential != connection.Federated || c.HasCredential || len(c.Consumer.Addresses) != 1 {
			t.Fatalf("%+v, %v", c, err)
		}
		before := len(l.Journal())
		run := h.validate(c.ID)
		p := probe(t, *run.Result, validation.ProbeAccount)
		if run.Result.Verdict != validation.Unknown || run.Outcome == nil || p.State != validation.Warning || !strings.Contains(reason(p), "no federated credential") {
			t.Errorf("none there: %s", show(*run.Result))
		}
		if n := len(journalOf(l, before, app.ClientID)); n != 0 {
			t.Errorf("%d sign-ins were tried", n)
		}
		id := graphAdmin(t, l, "openharbour", http.MethodGet, "/v1.0/applications(appId='"+app.ClientID+"')", nil)["id"].(string)
		graphAdmin(t, l, "openharbour", http.MethodPost, "/v1.0/applications/"+id+"/federatedIdentityCredentials", map[string]any{
			"name": "build", "issuer": "https://token.builds.example", "subject": "repo:fabrikam/app:ref:refs/heads/main", "audiences": []string{"api://AzureADTokenExchange"}})
		run = h.validate(c.ID)
		p = probe(t, *run.Result, validation.ProbeAccount)
		list, _ := p.Evidence["federated_credentials"].([]any)
		if p.State != validation.Passed || len(list) != 1 || list[0].(map[string]any)["issuer"] != "https://token.builds.example" {
			t.Errorf("one there: %+v", p)
		}
		if got, err := h.connections.Get(h.boss(), c.ID); err != nil || !strings.Contains(got.Sentence, "with the consumer alone") {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func journalOf(l *lab.Lab, from int, clientID string) (out []lab.Exchange) {
	for _, e := range l.Journal()[from:] {
		if e.ClientID == clientID {
			out = append(out, e)
		}
	}
	return out
}

// A certificate that was uploaded with its key opens SharePoint; when it ends is
// known, and one whose half is missing is refused before it is kept.
func TestUploadedCertificate(t *testing.T) {
	eachWith(t, parts{unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "contoso")
		app := l.Tenant("contoso").App("All sites")
		data, err := os.ReadFile(*app.CertificateFile)
		if err != nil {
			t.Fatal(err)
		}
		request := connection.CreateRequest{
			TenantID: at.ID, Kind: connection.App, Profile: connection.Profile{Name: "files", ClientID: app.ClientID, Services: []string{connection.SharePoint}, AdminURL: "https://contoso-admin.sharepoint.com"},
			Credential: connection.CredentialRequest{Kind: connection.Certificate, CertificatePEM: secrets.New(string(data))},
		}
		own, err := login.ReadCertificate(data)
		if err != nil {
			t.Fatal(err)
		}
		c, err := h.connections.Create(h.boss(), request)
		if err != nil || c.CredentialNotAfter == nil || !c.CredentialNotAfter.Equal(own.Leaf.NotAfter) || len(c.Thumbprint) != 40 {
			t.Fatalf("%+v, %v", c, err)
		}
		if public, err := h.connections.Certificate(h.boss(), c.ID); err != nil || strings.Contains(public, "PRIVATE") {
			t.Errorf("%q, %v", public, err)
		}
		run := h.validate(c.ID)
		if run.Result.Verdict != validation.Works || stateOf(t, *run.Result, validation.ServiceSharePoint).Evidence["sites_listed"] == nil {
			t.Errorf("%s", show(*run.Result))
		}
		request.Name = "half"
		request.Credential.CertificatePEM = secrets.New(string(data[:strings.Index(string(data), "-----END")]))
		if _, err := h.connections.Create(h.boss(), request); faultOf(err) == nil {
			t.Errorf("half a certificate: %v", err)
		}
	}, lab.WithTenants(servicesFile))
}

// A person's own account works, and is warned of: software needs one of its own.
func TestOwnAccount(t *testing.T) {
	eachWith(t, parts{unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		h.onboard(l, "openharbour", at.ID)
		user := l.Tenant("openharbour").User("lena.fischer")
		c := h.account(at.ID, user.UPN, *user.Password)
		run := h.validate(c.ID)
		got, err := h.connections.Get(h.boss(), c.ID)
		if err != nil || run.Result.Verdict != validation.WorksWithWarnings || !strings.Contains(strings.Join(got.Warnings, " "), "person's own account") {
			t.Errorf("%+v, %v\n%s", got, err, show(*run.Result))
		}
	})
}

// No token goes to a SharePoint host that says it belongs to another tenant.
func TestForeignSharePoint(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(strings.Replace(servicesFile, `{"tenants":[`, `{"tenants":[{"name":"Fabrikam","domain":"fabrikam.onmicrosoft.com"},`, 1)))
	at := l.Tenant("contoso")
	a := at.App("All sites")
	r := validation.Request{Cloud: cloudOf(l), Tenant: at.Domain, ClientID: a.ClientID, Credential: validation.Credential{Certificate: certificate(t, a)}}
	r.Services, r.Site = []string{validation.ServiceSharePoint}, "https://fabrikam.sharepoint.com/sites/finance"
	result := check(t, r)
	p := stateOf(t, result, validation.ServiceSharePoint)
	if result.Verdict != validation.Failed || result.Diagnosis.Category != "tenant_not_found" || p.Evidence["host_tenant"] != l.Tenant("fabrikam").ID {
		t.Errorf("%s", show(result))
	}
	for _, e := range l.Journal() {
		if e.Service == "sharepoint" && !strings.HasSuffix(e.Path, "/_vti_bin/client.svc") {
			t.Errorf("a call went there: %s", e.Path)
		}
	}
}
