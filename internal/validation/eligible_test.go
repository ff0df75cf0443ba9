package validation_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/validation"
	"gatehouse/lab"
)

const exchangeAdministrator = "29232cdf-9323-42fd-ade2-1d097af3e4de" // Entra built-in roles

// A role that an app is only eligible for is named as such: an app cannot activate
// it. One that it is eligible for without being asked for is not.
func TestRoleOnlyEligible(t *testing.T) {
	t.Parallel()
	l := lab.Start(t, lab.WithTenants(`{"tenants":[{"name":"Contoso","domain":"contoso.onmicrosoft.com","licences":["SPE_E5"],
 "users":[{"upn":"someone@contoso.onmicrosoft.com"}],
 "apps":[`+strings.Replace(caretakers, `"Policy.ReadWrite.SecurityDefaults"`, `"Policy.ReadWrite.SecurityDefaults","RoleEligibilitySchedule.ReadWrite.Directory"`, 2)+`,
  {"name":"Mail admin some day","certificate":true,"granted":{"exchange":["Exchange.ManageAsApp"]}}]}]}`))
	at := l.Tenant("contoso")
	reader, app := at.App("Gatehouse reader"), at.App("Mail admin some day")
	told := func() string {
		t.Helper()
		r := validation.Request{Cloud: cloudOf(l), Tenant: at.Domain, ClientID: app.ClientID, Credential: validation.Credential{Certificate: certificate(t, app)},
			Reader: &validation.Reader{ClientID: reader.ClientID, Credential: validation.Credential{Certificate: certificate(t, reader)}}}
		r.Services = []string{validation.ServiceExchange}
		p := permissionsOf(t, check(t, r), validation.ServiceExchange)
		if p.State != validation.Warning || !strings.Contains(reason(p), "none of the directory roles") {
			t.Errorf("%s: %s", p.State, reason(p))
		}
		return reason(p)
	}
	eligible := func(role string) {
		t.Helper()
		graphAdmin(t, l, "contoso", http.MethodPost, "/v1.0/roleManagement/directory/roleEligibilityScheduleRequests", map[string]any{
			"action": "adminAssign", "principalId": objectID(t, l, "contoso", app.ClientID), "roleDefinitionId": role, "directoryScopeId": "/", "justification": "Cover",
			"scheduleInfo": map[string]any{"startDateTime": l.Now().UTC().Format("2006-01-02T15:04:05Z"), "expiration": map[string]any{"type": "afterDuration", "duration": "P30D"}}})
	}
	eligible("fdd7a751-b60b-444a-984c-02652fe8fa1c") // Groups Administrator
	if says := told(); strings.Contains(says, "eligible") {
		t.Errorf("eligible for another role: %s", says)
	}
	eligible(exchangeAdministrator)
	if says := told(); !strings.Contains(says, "eligible for Exchange Administrator, which an app cannot activate: assign it as active") {
		t.Errorf("eligible for the role: %s", says)
	}
}
