package interop

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"gatehouse/lab"
)

// throughProxy is a client that knows the lab's authority and its proxy, and
// nothing else of it.
func throughProxy(t *testing.T, l *lab.Lab, onConnect func(host string, status int)) *http.Client {
	t.Helper()
	proxy, err := url.Parse(l.Ready().ProxyURL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		Proxy:           http.ProxyURL(proxy),
		TLSClientConfig: &tls.Config{RootCAs: l.Roots(), MinVersion: tls.VersionTLS12},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, request *http.Request, response *http.Response) error {
			onConnect(request.Host, response.StatusCode)
			return nil
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// Clients that insist on Microsoft's host names reach the lab by its proxy.
func TestProxySignsIn(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("openharbour")
	app, user := tenant.App("Backup app"), tenant.User("svc-backup")
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			var tunnels []string
			client := throughProxy(t, l, func(host string, status int) {
				if status != http.StatusOK {
					t.Errorf("CONNECT %s answered %d", host, status)
				}
				tunnels = append(tunnels, host)
			})
			real := ways(l)[0]
			token, err := lib.signIn(t.Context(), real, client, login{tenant: tenant.ID, client: app.ClientID, certificateFile: *app.CertificateFile, scope: graphDefault})
			if err != nil {
				t.Fatal(err)
			}
			checkOrganization(t, client, real.graph, token, tenant.ID)
			token, err = lib.signIn(t.Context(), real, client, login{tenant: tenant.ID, client: commandLineTools, username: user.UPN, password: *user.Password, scope: graphUserRead})
			if err != nil {
				t.Fatal(err)
			}
			checkMe(t, client, real.graph, token, user)
			if got := strings.Join(tunnels, " "); got != "login.microsoftonline.com:443 graph.microsoft.com:443" {
				t.Errorf("tunnels: %s", got)
			}
		})
	}
}

// A person and MSAL Go meet under Microsoft's host names: browser and client
// both know nothing of the lab but its proxy and its authority.
func TestProxyInteractive(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	user := tenant.User("wei.chen")
	demandMFA(t, l, tenant, user)
	var tunnels []string
	http := throughProxy(t, l, func(host string, _ int) { tunnels = append(tunnels, host) })
	real := ways(l)[0]
	client, err := public.New(commandLineTools, public.WithAuthority(real.authority+"/"+tenant.ID), public.WithHTTPClient(http))
	if err != nil {
		t.Fatal(err)
	}
	address, wait := begin(t, client, readProfile)
	p := newPerson(t, l, l.Ready().ProxyURL)
	p.open(address)
	p.giveAccount(user)
	p.givePassword(user)
	p.expect("Enter the code")
	if at := p.at(); !strings.HasPrefix(at, "https://login.microsoftonline.com/") {
		t.Errorf("the browser is at %s", at)
	}
	p.giveCode(p.codeOf(user))
	p.stay("No")
	p.expectText("Authentication complete")
	result, err := wait()
	if err != nil {
		t.Fatal(err)
	}
	checkMe(t, http, real.graph, result.AccessToken, user)
	if got := strings.Join(tunnels, " "); got != "login.microsoftonline.com:443 graph.microsoft.com:443" {
		t.Errorf("tunnels of the client: %s", got)
	}
	p.openRefused("https://www.example.com/") // the browser's way leads to the lab only, too
}

// The proxy leads to the lab only.
func TestProxyRefusesOtherHosts(t *testing.T) {
	l := lab.Start(t)
	for _, host := range []string{"www.example.com", "login.microsoftonline.com.example.com", "192.0.2.1"} {
		t.Run(host, func(t *testing.T) {
			status := 0
			client := throughProxy(t, l, func(_ string, got int) { status = got })
			response, err := client.Get("https://" + host + "/")
			if err == nil {
				response.Body.Close()
				t.Fatalf("answered %s", response.Status)
			}
			if status != http.StatusForbidden {
				t.Errorf("CONNECT answered %d, want 403 (%v)", status, err)
			}
		})
	}
	t.Run("without a tunnel", func(t *testing.T) {
		response, err := throughProxy(t, l, func(string, int) {}).Get("http://login.microsoftonline.com/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("answered %s, want 405", response.Status)
		}
	})
}
