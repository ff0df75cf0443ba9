package diagnosis_test

import (
	"strings"
	"testing"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
)

// What was asked for by name and is not there has a text of its own, with the
// names that the caller knows and no id in their place.
func TestOfPlaces(t *testing.T) {
	facts := diagnosis.Facts{AppOnly: true, Account: "11111111-2222-3333-4444-555555555555", ClientName: "Night ledger", Tenant: "Fabrikam", TenantID: "99999999-2222-3333-4444-555555555555"}
	for _, tt := range []struct {
		service, code, entry, remedy string
		status                       int
		names                        []string
	}{
		{microsoft.ServiceSharePoint, "site_not_found", "sharepoint-site-missing", "check-site-address", 404, []string{"Night ledger"}},
		{microsoft.ServiceSharePoint, "sharepoint_host_of_another_tenant", "sharepoint-host-foreign", "check-site-address", 401, []string{"Fabrikam"}},
		{microsoft.ServiceBusinessCentral, "environment_not_found", "bc-environment-missing", "check-bc-environment", 404, []string{"Fabrikam"}},
		{microsoft.ServiceBusinessCentral, "company_not_found", "bc-company-missing", "check-bc-company", 404, []string{"Night ledger"}},
		{microsoft.ServiceBusinessCentral, "Authorization_PermissionDenied", "bc-permission-missing", "grant-bc-permission", 403, nil},
		{microsoft.ServiceBusinessCentral, "Internal_TenantUnavailable", "service-trouble", "wait-and-retry", 503, nil},
	} {
		t.Run(tt.code, func(t *testing.T) {
			d := diagnosis.Of(&microsoft.Error{Service: tt.service, Op: "reading", Status: tt.status, Code: tt.code, Message: "as asked"}, facts)
			if d.Entry != tt.entry || d.Remedies[0].ID != tt.remedy || d.Confidence != diagnosis.High {
				t.Errorf("%s (%s), first %s", d.Entry, d.Confidence, d.Remedies[0].ID)
			}
			text := d.Title + " " + d.Cause
			for _, name := range tt.names {
				if !strings.Contains(text, name) {
					t.Errorf("%q is not named: %s", name, text)
				}
			}
			if strings.Contains(text, "-2222-") || strings.ContainsAny(text, "{}|") {
				t.Errorf("an id instead of a name: %s", text)
			}
		})
	}
}

// Links lead into the tenant's own cloud.
func TestLinksOfTheCloud(t *testing.T) {
	refused := &microsoft.Error{Service: microsoft.ServiceLogin, Status: 400, OAuth: "unauthorized_client", Code: "AADSTS700016", Message: "the app was not found"}
	wrong := &microsoft.Error{Service: microsoft.ServiceLogin, Status: 400, OAuth: "invalid_grant", Code: "AADSTS50126", Message: "wrong"}
	enrol := &microsoft.Error{Service: microsoft.ServiceLogin, Status: 400, OAuth: "interaction_required", Code: "AADSTS50079", Message: "enrol"}
	steps := func(login string) string {
		facts := diagnosis.Facts{Unattended: true, Tenant: "Fabrikam", TenantID: "99999999-2222-3333-4444-555555555555", Login: login}
		var b strings.Builder
		for _, err := range []error{refused, wrong, enrol} {
			for _, f := range []diagnosis.Facts{facts, {Login: login}} {
				d := diagnosis.Of(err, f)
				b.WriteString(d.Sure + "\n")
				for _, r := range d.Remedies {
					b.WriteString(strings.Join(r.Steps, "\n") + "\n")
				}
			}
		}
		return b.String()
	}
	public := steps("")
	for _, want := range []string{"https://login.microsoftonline.com with", "https://mysignins.microsoft.com/security-info"} {
		if !strings.Contains(public, want) {
			t.Errorf("the public cloud's steps lack %s:\n%s", want, public)
		}
	}
	if same := steps("https://login.microsoftonline.com"); same != public {
		t.Error("the public cloud by its name has other links")
	}
	for _, login := range []string{"https://login.microsoftonline.us", "https://login.partner.microsoftonline.cn"} {
		got := steps(login)
		for _, foreign := range []string{"microsoftonline.com", "mysignins.microsoft.com", "aka.ms/sspr"} {
			if strings.Contains(got, foreign) {
				t.Errorf("%s: a link into another cloud (%s):\n%s", login, foreign, got)
			}
		}
		if !strings.Contains(got, login+" with") {
			t.Errorf("%s: its own sign-in is not linked:\n%s", login, got)
		}
	}
}
