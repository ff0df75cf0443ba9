package console_test

import (
	"flag"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
	"gatehouse/lab"
)

const sourceFile = `{"tenants":[{"name":"Ledger Works","domain":"ledgerworks.onmicrosoft.com","licences":["SPE_E3"],
 "apps":[{"name":"Ledger","secret":true,"granted":{"business_central":["API.ReadWrite.All"],"graph":["Organization.Read.All"]}}]}]}`

// sourced is a house with an app that reads Business Central.
func sourced(t *testing.T) (*house, connection.Connection) {
	t.Helper()
	h := newHouse(t, func(h *house) { h.lab, h.everywhere = lab.Start(t, lab.WithTenants(sourceFile)), true })
	at := h.add("Ledger Works")
	app := h.at("Ledger Works").App("Ledger")
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.App,
		Profile: connection.Profile{Name: "Ledger import", ClientID: app.ClientID, Services: []string{connection.BusinessCentral, connection.Graph}}, Credential: connection.CredentialRequest{Secret: secrets.New(*app.Secret)}})
	return h, must(t, made, err)
}

// A company is chosen out of what Business Central shows, a sample is shown and not
// kept, and the set-up says which step is missing; without scripts.
func TestDataSource(t *testing.T) {
	t.Parallel()
	h, c := sourced(t)
	cookie := h.administrator()
	v, path := h.visitor(cookie), "/connections/"+c.ID
	v.get(path).has(t, path+"/data")
	v.get(path+"/data").has(t, "No company is chosen yet", "Production (Production)", "Sandbox (Sandbox)", "Whether they are Active is not known")
	v.get(path+"/data?environment=Production").has(t, "Company in Production", "Ledger Works Holding")
	refused := v.get(path + "/data?environment=Sandbox")
	refused.has(t, "Business Central rejected the credentials", "Who must act", "Check the app", "What Microsoft answered")
	if p := v.post(path+"/data", url.Values{"environment": {"Production"}, "company": {"Nobody"}}); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a company that is not there: %d", p.Status)
	}
	v.post(path+"/data", url.Values{"environment": {"Production"}, "company": {"Ledger Works Holding"}}).has(t, "Ledger Works Holding in Production.")
	v.get(path).has(t, "Business Central</dt>", "Ledger Works Holding")
	v.post(path+"/data/sample", url.Values{"service": {"business_central"}}).has(t, "It gets in: Customers of Ledger Works Holding in Production", "C00010")
	v.post(path+"/data/sample", url.Values{"service": {"graph"}}).has(t, "What Microsoft Graph shows", "Organisation")
	v.post(path+"/data/set-up", nil).has(t, "Every step that is needed is done", "Card in Microsoft Entra Applications", "not used")

	if flag.Lookup("test.artifacts").Value.String() == "true" {
		b := h.browse(cookie)
		for _, s := range []screen{{"data", path + "/data"}, {"data-companies", path + "/data?environment=Production"}, {"data-refused", path + "/data?environment=Sandbox"}} {
			b.look(s)
		}
	}

	viewer := h.member(audit.Viewer, c.TenantID)
	if p := viewer.get(path); strings.Contains(p.Text, path+"/data") {
		t.Error("a viewer is led to what is refused")
	}
	if p := viewer.get(path + "/data"); p.Status != http.StatusForbidden {
		t.Errorf("a viewer: %d", p.Status)
	}
	technician := h.member(audit.Technician, c.TenantID)
	if p := technician.get(path + "/data?environment=Production"); p.Status != http.StatusOK || strings.Contains(p.Text, "Choose company") {
		t.Errorf("a technician: %d", p.Status)
	}
	if p := technician.post(path+"/data", url.Values{"environment": {"Production"}, "company": {"Ledger Works"}}); p.Status != http.StatusForbidden {
		t.Errorf("a technician chooses: %d", p.Status)
	}
	b := h.browse(cookie)
	for _, s := range []screen{{"data-source", path + "/data?environment=Production"}, {"data-source-refused", path + "/data?environment=Sandbox"}, {"connection-business-central", path}} {
		b.look(s)
	}
}
