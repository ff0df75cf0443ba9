package validation_test

import (
	"strings"
	"testing"

	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

const servicesFile = `{"tenants":[{"name":"Contoso","domain":"contoso.onmicrosoft.com","licences":["SPE_E3"],
 "users":[{"upn":"svc-files@contoso.onmicrosoft.com","licences":["SPE_E3"]}],
 "apps":[
  {"name":"All sites","secret":true,"certificate":true,"granted":{"sharepoint":["Sites.FullControl.All"],"graph":["Organization.Read.All"]}},
  {"name":"One site","certificate":true,"granted":{"sharepoint":["Sites.Selected"]}},
  {"name":"Mail only","certificate":true,"granted":{"graph":["Mail.Read"]}},
  {"name":"Files tool","public":true,"delegated_permissions":{"graph":["User.Read"],"sharepoint":["AllSites.Read"]}},
  {"name":"Ledger","secret":true,"granted":{"business_central":["API.ReadWrite.All"]}}],
 "grants":[{"app":"Files tool","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Files tool","resource":"sharepoint","scopes":["AllSites.Read"]}]}]}`

// stateOf gives the service probe of a service.
func stateOf(t *testing.T, result validation.Result, service string) validation.Probe {
	t.Helper()
	for _, p := range result.Probes {
		if p.Name == validation.ProbeService && (p.Evidence["service"] == service || service == validation.ServiceGraph && p.Evidence["called"] != nil || p.State == validation.Skipped) {
			return p
		}
	}
	t.Fatalf("no probe of %s: %+v", service, result.Probes)
	return validation.Probe{}
}

// An app gets into SharePoint with a certificate and not with a secret, into the
// sites that it was granted, and into the admin centre by another token.
func TestSharePoint(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(servicesFile))
	at := l.Tenant("contoso")
	const site = "https://contoso.sharepoint.com/sites/finance"
	for name, test := range map[string]struct {
		app     string
		secret  bool
		place   validation.Place
		verdict validation.Verdict
		state   validation.State
		says    string
	}{
		"root site":                     {app: "All sites", verdict: validation.Works, state: validation.Passed},
		"a site":                        {app: "All sites", place: validation.Place{Site: site}, verdict: validation.Works, state: validation.Passed},
		"a site by the lab's address":   {app: "All sites", place: validation.Place{Site: at.SharePointURL + "/sites/finance"}, verdict: validation.Works, state: validation.Passed},
		"the admin centre":              {app: "All sites", place: validation.Place{AdminURL: "https://contoso-admin.sharepoint.com"}, verdict: validation.Works, state: validation.Passed},
		"a site that there is not":      {app: "All sites", place: validation.Place{Site: "https://contoso.sharepoint.com/sites/nowhere"}, verdict: validation.Failed, state: validation.Fail},
		"with a secret":                 {app: "All sites", secret: true, verdict: validation.Failed, state: validation.Fail, says: "Unsupported app only token"},
		"a site that was not granted":   {app: "One site", place: validation.Place{Site: site}, verdict: validation.Blocked, state: validation.Fail},
		"no permission on SharePoint":   {app: "Mail only", verdict: validation.Blocked, state: validation.Fail},
		"somebody else's address":       {app: "All sites", place: validation.Place{Site: "https://contoso.sharepoint.com.attacker.example/sites/x"}, verdict: validation.Unknown, state: validation.NotKnown},
		"a user and port in an address": {app: "All sites", place: validation.Place{Site: "https://contoso.sharepoint.com:443@attacker.example/x"}, verdict: validation.Unknown, state: validation.NotKnown},
	} {
		t.Run(name, func(t *testing.T) {
			a := at.App(test.app)
			r := validation.Request{Cloud: cloudOf(l), Tenant: at.Domain, ClientID: a.ClientID, Place: test.place}
			r.Services = []string{validation.ServiceSharePoint}
			if test.secret {
				r.Secret = secrets.New(*a.Secret)
			} else {
				r.Certificate = certificate(t, a)
			}
			result := check(t, r)
			p := stateOf(t, result, validation.ServiceSharePoint)
			if result.Verdict != test.verdict || p.State != test.state || test.says != "" && !strings.Contains(*p.Reason, test.says) {
				t.Errorf("%s, probe %+v, reason %v, diagnosis %+v", result.Verdict, p, reason(p), result.Diagnosis)
			}
			if test.place.AdminURL != "" && p.Evidence["sites_listed"] != 4 {
				t.Errorf("sites: %v", p.Evidence)
			}
		})
	}
}

func reason(p validation.Probe) string {
	if p.Reason == nil {
		return ""
	}
	return *p.Reason
}

// Business Central lets an app in where it has its card, and shows which
// environments and companies there are.
func TestBusinessCentral(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(servicesFile))
	at := l.Tenant("contoso")
	for name, test := range map[string]struct {
		place   validation.Place
		verdict validation.Verdict
		says    string
	}{
		"the usual environment": {verdict: validation.Works},
		"by name and company":   {place: validation.Place{Environment: "production", Company: "Contoso Holding"}, verdict: validation.Works},
		"without a card there":  {place: validation.Place{Environment: "Sandbox"}, verdict: validation.Failed, says: "rejected"},
		"no such environment":   {place: validation.Place{Environment: "Training"}, verdict: validation.Failed, says: "Production, Sandbox"},
		"no such company":       {place: validation.Place{Company: "Fabrikam"}, verdict: validation.Failed, says: "Fabrikam"},
		"a strange name":        {place: validation.Place{Environment: "../../admin"}, verdict: validation.Failed, says: "no environment"},
	} {
		t.Run(name, func(t *testing.T) {
			a := at.App("Ledger")
			r := validation.Request{Cloud: cloudOf(l), Tenant: at.Domain, ClientID: a.ClientID, Credential: validation.Credential{Secret: secrets.New(*a.Secret)}, Place: test.place}
			r.Services = []string{validation.ServiceBusinessCentral}
			result := check(t, r)
			p := stateOf(t, result, validation.ServiceBusinessCentral)
			if result.Verdict != test.verdict || !strings.Contains(reason(p), test.says) {
				t.Errorf("%s, probe %+v, reason %q, diagnosis %+v", result.Verdict, p, reason(p), result.Diagnosis)
			}
			if test.verdict == validation.Works && (p.Evidence["company"] == "" || len(p.Evidence["environments"].([]string)) != 2) {
				t.Errorf("evidence %v", p.Evidence)
			}
		})
	}
}

// However many services are reached, the password is sent once.
func TestSeveralServicesOnePassword(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(servicesFile))
	at := l.Tenant("contoso")
	u := at.User("svc-files")
	r := validation.Request{Cloud: cloudOf(l), Tenant: at.Domain, Username: u.UPN, ClientID: at.App("Files tool").ClientID, Credential: validation.Credential{Password: secrets.New(*u.Password)}}
	r.Services = []string{validation.ServiceGraph, validation.ServiceSharePoint}
	result := check(t, r)
	for _, service := range r.Services {
		if p := stateOf(t, result, service); p.State != validation.Passed {
			t.Errorf("%s: %s %s %v", service, p.State, reason(p), result.Diagnosis)
		}
	}
	if n := passwords(l, u.UPN); n != 1 {
		t.Errorf("the password was sent %d times", n)
	}
}
