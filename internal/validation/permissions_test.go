package validation_test

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// needsTenant has identities that hold more and less than services ask for.
var needsTenant = `{"tenants":[{"name":"Contoso","domain":"contoso.onmicrosoft.com","licences":["SPE_E3"],
 "users":[{"upn":"svc-files@contoso.onmicrosoft.com","licences":["SPE_E3"]},
  {"upn":"svc-admin@contoso.onmicrosoft.com","roles":["SharePoint Administrator"],"licences":["SPE_E3"]},
  {"upn":"owner@contoso.onmicrosoft.com","roles":["Global Administrator"],"licences":["SPE_E3"]}],
 "groups":[{"name":"Mail administrators","role_assignable":true,"roles":["Exchange Administrator"],"members":["Mail admin by group"]},{"name":"Others","members":["Mail admin without role"]}],
 "apps":[` + caretakers + `,
  {"name":"Mail admin by group","certificate":true,"granted":{"exchange":["Exchange.ManageAsApp"]}},
  {"name":"Everything","certificate":true,"granted":{"sharepoint":["Sites.FullControl.All"]}},
  {"name":"Chosen sites","certificate":true,"granted":{"sharepoint":["Sites.Selected"]}},
  {"name":"Terms only","certificate":true,"granted":{"sharepoint":["TermStore.Read.All"]}},
  {"name":"Role giver","certificate":true,"granted":{"graph":["RoleManagement.ReadWrite.Directory"]}},
  {"name":"Set-up only","certificate":true,"granted":{"business_central":["Automation.ReadWrite.All"]}},
  {"name":"Mail admin","certificate":true,"roles":["Exchange Administrator"],"granted":{"exchange":["Exchange.ManageAsApp"]}},
  {"name":"Mail admin without role","certificate":true,"granted":{"exchange":["Exchange.ManageAsApp"]}},
  {"name":"All mailboxes","certificate":true,"granted":{"exchange":["full_access_as_app"]}},
  {"name":"Sender","certificate":true,"granted":{"exchange":["SMTP.SendAsApp"]}},
  {"name":"Ledger","certificate":true,"granted":{"business_central":["API.ReadWrite.All"]}},
  {"name":"Nothing","certificate":true},
  {"name":"Files tool","public":true,"delegated_permissions":{"graph":["User.Read"],"sharepoint":["AllSites.Read","AllSites.FullControl"]}}],
 "grants":[` + graphTool + `,{"app":"Files tool","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Files tool","resource":"sharepoint","scopes":["AllSites.FullControl"]}]}]}`

// permissionsOf gives the permissions probe of a service.
func permissionsOf(t *testing.T, result validation.Result, service string) validation.Probe {
	t.Helper()
	for _, p := range result.Probes {
		if of, _ := p.Evidence["service"].(string); p.Name == validation.ProbePermissions && (of == service || of == "" && service == validation.ServiceGraph) {
			return p
		}
	}
	t.Fatalf("no permissions of %s: %s", service, show(result))
	return validation.Probe{}
}

// What is held is compared with what the service asks for: missing, less that would
// do, a role that must stand beside it, more than any tool needs, or not known.
func TestPermissions(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(needsTenant))
	at := l.Tenant("contoso")
	reader := at.App("Gatehouse reader")
	const admin = "https://contoso-admin.sharepoint.com"
	for _, test := range []struct {
		identity, service string
		adminURL          string
		without           bool // reader
		state             validation.State
		verdict           validation.Verdict
		says              []string
	}{
		{identity: "Everything", service: validation.ServiceSharePoint, state: validation.Passed, verdict: validation.Works, says: []string{"Sites.Selected", "a grant of its own on each site", "would suffice"}},
		{identity: "Everything", service: validation.ServiceSharePoint, adminURL: admin, state: validation.Passed, verdict: validation.Works},
		{identity: "Chosen sites", service: validation.ServiceSharePoint, state: validation.Passed, verdict: validation.Blocked},
		{identity: "Terms only", service: validation.ServiceSharePoint, state: validation.Fail, verdict: validation.Blocked, says: []string{"open a site", "Sites.Selected, Sites.Read.All", "none of them is granted", "suffices"}},
		{identity: "Role giver", service: validation.ServiceGraph, state: validation.Warning, verdict: validation.WorksWithWarnings, says: []string{"RoleManagement.ReadWrite.Directory", "any administrator role", "RoleManagement.Read.Directory"}},
		{identity: "Set-up only", service: validation.ServiceBusinessCentral, state: validation.Fail, verdict: validation.Failed, says: []string{"API.ReadWrite.All", "card"}},
		{identity: "Nothing", service: validation.ServiceBusinessCentral, state: validation.Fail, verdict: validation.Blocked, says: []string{"API.ReadWrite.All"}},
		{identity: "Mail admin", service: validation.ServiceExchange, state: validation.Passed, verdict: validation.Unknown},
		{identity: "Mail admin by group", service: validation.ServiceExchange, state: validation.Passed, verdict: validation.Unknown},
		{identity: "Mail admin", service: validation.ServiceExchange, without: true, state: validation.NotKnown, verdict: validation.Unknown, says: []string{"Exchange Administrator", "without a reader"}},
		{identity: "Mail admin without role", service: validation.ServiceExchange, state: validation.Warning, verdict: validation.Unknown, says: []string{"Exchange.ManageAsApp is there", "none of the directory roles", "Exchange Administrator"}},
		{identity: "All mailboxes", service: validation.ServiceExchange, state: validation.Warning, verdict: validation.Unknown, says: []string{"full_access_as_app", "every mailbox", "RBAC for Applications"}},
		{identity: "Sender", service: validation.ServiceExchange, state: validation.Passed, verdict: validation.Unknown},
		{identity: "Nothing", service: validation.ServiceExchange, state: validation.Fail, verdict: validation.Blocked, says: []string{"Exchange"}},
		{identity: "svc-files", service: validation.ServiceSharePoint, state: validation.Passed, verdict: validation.Works, says: []string{"AllSites.Read", "would suffice"}},
		{identity: "svc-files", service: validation.ServiceSharePoint, adminURL: admin, state: validation.Warning, verdict: validation.Blocked, says: []string{"SharePoint Administrator"}},
		{identity: "svc-admin", service: validation.ServiceSharePoint, adminURL: admin, state: validation.Passed, verdict: validation.Works},
		{identity: "owner", service: validation.ServiceSharePoint, adminURL: admin, state: validation.Warning, verdict: validation.WorksWithWarnings, says: []string{"Global Administrator"}},
		{identity: "svc-files", service: validation.ServiceExchange, state: validation.NotKnown, verdict: validation.Unknown, says: []string{"no token for Exchange Online"}},
	} {
		t.Run(fmt.Sprintf("%s, %s%s", test.identity, test.service, map[bool]string{true: ", no reader"}[test.without]), func(t *testing.T) {
			r := validation.Request{Cloud: cloudOf(l), Tenant: at.Domain}
			if !test.without {
				r.Reader = &validation.Reader{ClientID: reader.ClientID, Credential: validation.Credential{Certificate: certificate(t, reader)}}
			}
			if slices.ContainsFunc(at.Users, func(u lab.ReadyUser) bool { return strings.HasPrefix(u.UPN, test.identity+"@") }) {
				u := at.User(test.identity)
				r.Username, r.ClientID, r.Password = u.UPN, at.App("Files tool").ClientID, secrets.New(*u.Password)
			} else {
				a := at.App(test.identity)
				r.ClientID, r.Certificate = a.ClientID, certificate(t, a)
			}
			r.Services, r.AdminURL = []string{test.service}, test.adminURL
			result := check(t, r)
			p := permissionsOf(t, result, test.service)
			if p.State != test.state || result.Verdict != test.verdict {
				t.Errorf("%s (%s), verdict %s; want %s, %s\n%s", p.State, reason(p), result.Verdict, test.state, test.verdict, show(result))
			}
			for _, want := range test.says {
				if !strings.Contains(reason(p), want) {
					t.Errorf("%q lacks %q", reason(p), want)
				}
			}
			if test.service == validation.ServiceExchange {
				if s := stateOf(t, result, validation.ServiceExchange); s.State == validation.Passed || s.State == validation.Warning || s.Reason == nil {
					t.Errorf("Exchange is called %s: %v", s.State, s.Reason)
				}
			}
		})
	}
}

// The list names a public source for each row, roles that it knows, and services and
// kinds that connections have.
func TestNeedsFile(t *testing.T) {
	data, err := os.ReadFile("needs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Roles      map[string]string `yaml:"roles"`
		BroadRoles []string          `yaml:"broad_roles"`
		Needs      []struct {
			Service, Kind, Task, Source, When string
			Any                               bool
			OneOf                             []struct {
				Name  string
				Roles []string
			} `yaml:"one_of"`
		}
		Broad []struct{ Service, Name, Opens, Instead, Source string }
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	named := func(role string) bool {
		for _, name := range file.Roles {
			if name == role {
				return true
			}
		}
		return false
	}
	public := func(source string) bool {
		u, err := url.Parse(source)
		return err == nil && u.Scheme == "https" && u.Host == "learn.microsoft.com" && len(u.Path) > 8
	}
	services := []string{connection.Graph, connection.SharePoint, connection.BusinessCentral, connection.Exchange}
	covered := map[string]bool{}
	for _, n := range file.Needs {
		covered[n.Service+" "+n.Kind] = true
		if !slices.Contains(services, n.Service) || n.Kind != "app" && n.Kind != "service_account" || n.Task == "" || !public(n.Source) || n.Any == (len(n.OneOf) > 0) || n.When != "" && n.When != "admin_url" {
			t.Errorf("%+v", n)
		}
		for _, o := range n.OneOf {
			for _, role := range o.Roles {
				if !named(role) {
					t.Errorf("%s: role %q has no id", o.Name, role)
				}
			}
		}
	}
	for _, service := range services {
		if !covered[service+" app"] || !covered[service+" service_account"] {
			t.Errorf("%s is not covered", service)
		}
	}
	for _, b := range file.Broad {
		if !slices.Contains(services, b.Service) || b.Opens == "" || b.Instead == "" || !public(b.Source) {
			t.Errorf("%+v", b)
		}
	}
	for _, role := range file.BroadRoles {
		if !named(role) {
			t.Errorf("role %q has no id", role)
		}
	}
}
