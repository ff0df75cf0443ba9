package validation_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// sovereignArgs is what a process is told that validates in another cloud, under
// the cloud's own host names.
type sovereignArgs struct{ Ready, Cloud, Results string }

// sovereignProcess validates identities of a lab in a cloud, through the proxy that
// its environment names.
func sovereignProcess() {
	if err := sovereign(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("done")
}

func sovereign() error {
	var args sovereignArgs
	if err := json.Unmarshal([]byte(os.Getenv("GATEHOUSE_TEST_CHILD")), &args); err != nil {
		return err
	}
	data, err := os.ReadFile(args.Ready)
	if err != nil {
		return err
	}
	var ready lab.Ready
	if err := json.Unmarshal(data, &ready); err != nil {
		return err
	}
	cloud, err := microsoft.FindCloud(args.Cloud, "")
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(ready.CAFile)
	if err != nil {
		return err
	}
	cloud.Roots = x509.NewCertPool()
	cloud.Roots.AppendCertsFromPEM(authority)
	at := ready.Tenants[0]
	certified := func(name string) (id string, c validation.Credential) {
		i := slices.IndexFunc(at.Apps, func(a lab.ReadyApp) bool { return a.Name == name })
		file, readErr := os.ReadFile(*at.Apps[i].CertificateFile)
		certificate, parseErr := login.ReadCertificate(file)
		if readErr != nil || parseErr != nil {
			err = fmt.Errorf("%w %w", readErr, parseErr)
		}
		return at.Apps[i].ClientID, validation.Credential{Certificate: &certificate}
	}
	results := map[string]validation.Result{}
	run := func(name string, r validation.Request, services ...string) {
		r.Cloud, r.Tenant, r.Services = cloud, at.Domain, services
		results[name] = validation.Service{}.Run(context.Background(), r)
	}
	reader := &validation.Reader{}
	reader.ClientID, reader.Credential = certified("Gatehouse reader")
	person := validation.Request{Username: at.Users[0].UPN, ClientID: validation.GraphCommandLineTools, Reader: reader, Credential: validation.Credential{Password: secrets.New(*at.Users[0].Password)}}
	run("account", person, validation.ServiceGraph)
	person.Password = secrets.New("surely-not-this-one")
	run("wrong password", person, validation.ServiceGraph)
	for name, service := range map[string]string{"All sites": validation.ServiceSharePoint, "Mail admin": validation.ServiceExchange, "Ledger": validation.ServiceBusinessCentral} {
		app := validation.Request{Reader: reader}
		app.ClientID, app.Credential = certified(name)
		run(name, app, service)
	}
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(results)
	if err != nil {
		return err
	}
	return os.WriteFile(args.Results, encoded, 0o600)
}

var sovereignTenant = strings.NewReplacer(`"apps":[`, `"apps":[`+caretakers+`,{"name":"Mail admin","certificate":true,"granted":{"exchange":["Exchange.ManageAsApp"]}},`,
	`{"name":"Ledger","secret":true,`, `{"name":"Ledger","certificate":true,`, `"grants":[`, `"grants":[`+graphTool+`,`).Replace(servicesFile)

// Story 45: in the clouds of the US Government and of China every request goes to
// the cloud's own hosts, every token is for them, and every link leads there.
func TestStory45(t *testing.T) {
	for _, cloud := range []struct {
		name   string
		hosts  []string // login, Graph, SharePoint
		scopes []string // beside those of the hosts: Exchange
	}{
		{"usgov", []string{"login.microsoftonline.us", "graph.microsoft.us", "contoso.sharepoint.us"}, []string{"https://outlook.office365.us/.default"}},
		{"usgov-dod", []string{"login.microsoftonline.us", "dod-graph.microsoft.us", "contoso.sharepoint-mil.us"}, []string{"https://webmail.apps.mil/.default"}},
		{"china", []string{"login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn", "contoso.sharepoint.cn"}, []string{"https://partner.outlook.cn/.default"}},
	} {
		t.Run(cloud.name, func(t *testing.T) {
			l := lab.Start(t, lab.WithTenants(sovereignTenant))
			folder := t.TempDir()
			args := sovereignArgs{filepath.Join(folder, "lab.json"), cloud.name, filepath.Join(folder, "results.json")}
			if err := l.WriteReady(args.Ready); err != nil {
				t.Fatal(err)
			}
			results := runSovereign(t, l, args)
			for name, want := range map[string]validation.Verdict{
				"account": validation.Works, "wrong password": validation.Failed, "All sites": validation.Works, "Mail admin": validation.Unknown, "Ledger": validation.Unknown,
			} {
				if got := results[name]; got.Verdict != want {
					t.Errorf("%s: %s, want %s\n%s", name, got.Verdict, want, show(got))
				}
			}
			text := show(results["wrong password"]) + show(results["Ledger"]) + show(results["Mail admin"])
			for _, foreign := range []string{"microsoftonline.com", "graph.microsoft.com", "sharepoint.com", "mysignins.microsoft.com", "office365.com"} {
				if strings.Contains(text, foreign) {
					t.Errorf("%s stands in a result", foreign)
				}
			}
			if !strings.Contains(text, "https://"+cloud.hosts[0]) {
				t.Errorf("no link to the cloud's own sign-in")
			}
			scopes := append([]string{"https://" + cloud.hosts[1] + "/.default", "https://" + cloud.hosts[2] + "/.default"}, cloud.scopes...)
			seen := map[string]bool{}
			for _, e := range l.Journal() {
				if !slices.Contains(cloud.hosts, e.Host) {
					t.Errorf("a request to %s %s", e.Host, e.Path)
				}
				for scope := range strings.FieldsSeq(e.Scope) {
					if seen[scope] = true; strings.HasPrefix(scope, "https://") && !slices.Contains(scopes, scope) {
						t.Errorf("a token was asked for with %s", scope)
					}
				}
			}
			for _, scope := range scopes {
				if !seen[scope] {
					t.Errorf("no token was asked for with %s: %v", scope, seen)
				}
			}
		})
	}
}

func runSovereign(t *testing.T, l *lab.Lab, args sovereignArgs) map[string]validation.Result {
	t.Helper()
	encoded, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	child := dbtest.Start(t, "sovereign", "GATEHOUSE_TEST_CHILD="+string(encoded), "HTTPS_PROXY="+l.Ready().ProxyURL, "NO_PROXY=", "https_proxy=", "no_proxy=")
	child.Await(t, "done")
	data, err := os.ReadFile(args.Results)
	if err != nil {
		t.Fatal(err)
	}
	var results map[string]validation.Result
	if err := json.Unmarshal(data, &results); err != nil {
		t.Fatal(err)
	}
	return results
}
