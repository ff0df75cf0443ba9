package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"gatehouse/client"
	"gatehouse/client/azure"
	"gatehouse/lab"
)

// quayTenant has an app registration that people sign in to; QUAY stands for the
// server's address.
const quayTenant = `{"tenants":[{"name":"Quiet Quay","domain":"quietquay.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E5"],"sharepoint":{"contexts":{"/sites/Projects":"c1"}},
 "conditional_access":[{"displayName":"CA021 - Projects","state":"enabled","conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"]},"applications":{"includeAuthenticationContextClassReferences":["c1"]}},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}],
 "users":[{"upn":"ines@quietquay.onmicrosoft.com","name":"Ines Person","per_user_mfa":"enforced","methods":[{"type":"oath"}]}],
 "apps":[{"name":"Quay reports","public":true,"redirect_uris":["QUAY/signin/callback"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"],"sharepoint":["AllSites.Read"]}}],
 "grants":[{"app":"Quay reports","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Quay reports","resource":"sharepoint","scopes":["AllSites.Read"]}]}]}`

// tokenServer is a `gatehouse serve` with its administrator signed in.
type tokenServer struct {
	*client.Client
	serverProcess
	t     *testing.T
	lab   *lab.Lab
	roots *x509.CertPool
}

// newTokenServer sets a server up as its first administrator does.
func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	s := &tokenServer{t: t, lab: lab.Start(t), roots: x509.NewCertPool()}
	s.serverProcess = startServer(t, buildGatehouse(t, false), s.lab)
	if pem, err := os.ReadFile(s.authority); err != nil || !s.roots.AppendCertsFromPEM(pem) {
		t.Fatalf("reading the server's authority: %v", err)
	}
	s.Client = s.as("")
	ctx := t.Context()
	_, err := s.SetUp(ctx, client.SetUpRequest{Link: s.link, Email: "ada@contoso.example", Name: "Ada Person", Password: "correct horse battery staple"})
	generator := must[client.Generator](t)(s.NewGenerator(ctx))
	_, confirmed := s.ConfirmGenerator(ctx, client.GeneratorRequest{Name: "phone", Code: codeNow(t, generator.Secret, time.Now())})
	if err := errors.Join(err, confirmed); err != nil {
		t.Fatal(err)
	}
	return s
}

// must gives a result, and ends the test with an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(result T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
}

// as is a client with a session or an API key.
func (s *tokenServer) as(token string) *client.Client {
	s.t.Helper()
	return must[*client.Client](s.t)(client.New(s.url, client.WithRoots(s.roots), client.WithToken(token)))
}

// key is an API key with which tokens can be had and nothing else be done.
func (s *tokenServer) key() string {
	s.t.Helper()
	return must[client.NewKey](s.t)(s.AddKey(s.t.Context(), client.KeyRequest{Name: "program", Permissions: []string{"connection.use"}, Tenants: []string{client.AllTenants}})).Token
}

// app is a connection of an app with a client secret.
func (s *tokenServer) app(tenant lab.ReadyTenant, name string) client.Connection {
	s.t.Helper()
	ctx, app := s.t.Context(), tenant.App(name)
	added := must[client.Tenant](s.t)(s.AddTenant(ctx, client.TenantRequest{Tenant: tenant.Domain, Name: tenant.Name}))
	return must[client.Connection](s.t)(s.AddConnection(ctx, client.ConnectionRequest{
		TenantID: added.ID, Kind: "app", Profile: client.Profile{Name: "reports", ClientID: app.ClientID, Services: []string{"graph"}}, Credential: client.CredentialRequest{Secret: *app.Secret},
	}))
}

// delegated is a connection for Ines of Quiet Quay, who has not signed in.
func (s *tokenServer) delegated() client.Connection {
	s.t.Helper()
	ctx := s.t.Context()
	if _, err := s.lab.AddTenants(strings.NewReader(strings.ReplaceAll(quayTenant, "QUAY", s.url))); err != nil {
		s.t.Fatal(err)
	}
	quay := s.lab.Tenant("quietquay")
	added := must[client.Tenant](s.t)(s.AddTenant(ctx, client.TenantRequest{Tenant: quay.Domain, Name: quay.Name}))
	registration := must[client.Registration](s.t)(s.AddRegistration(ctx, client.NewRegistration{
		Kind: "public", RegistrationDetails: client.RegistrationDetails{Name: "Quay reports", ClientIDs: map[string]string{"lab": quay.App("Quay reports").ClientID}},
		Permissions: []client.ManifestPermission{
			{Resource: "graph", Name: "openid", Kind: "delegated"}, {Resource: "graph", Name: "profile", Kind: "delegated"}, {Resource: "graph", Name: "offline_access", Kind: "delegated"},
			{Resource: "graph", Name: "User.Read", Kind: "delegated", Why: "To see who you are"},
			{Resource: "sharepoint", Name: "AllSites.Read", Kind: "delegated", Why: "To read the projects' site"},
		},
	}))
	return must[client.Connection](s.t)(s.AddConnection(ctx, client.ConnectionRequest{
		TenantID: added.ID, Kind: "delegated", Profile: client.Profile{Name: "Monthly reports", RegistrationID: registration.ID, Username: quay.User("ines").UPN, Services: []string{"graph", "sharepoint"}},
	}))
}

// signIn follows a personal link of a connection as the person does: to Microsoft
// and back.
func (s *tokenServer) signIn(connection client.Connection) {
	s.t.Helper()
	link := must[client.SignInLink](s.t)(s.NewSignInLink(s.t.Context(), connection.ID, client.SignInLinkRequest{Why: "The monthly report needs it."}))
	jar, _ := cookiejar.New(nil) // fails for no options
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}}
	s.t.Cleanup(transport.CloseIdleConnections)
	browser := &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	visit := func(method, address string) string {
		s.t.Helper()
		request := must[*http.Request](s.t)(http.NewRequestWithContext(s.t.Context(), method, address, nil))
		response, err := browser.Do(request)
		if err != nil {
			s.t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusSeeOther {
			s.t.Fatalf("%s %s is answered %s", method, request.URL.Path, response.Status)
		}
		return response.Header.Get("Location")
	}
	back, err := s.lab.SignIn(visit(http.MethodPost, link.URL), lab.Person{UPN: connection.Username, Factor: true})
	if err != nil {
		s.t.Fatal(err)
	}
	visit(http.MethodGet, back.String())
}

// Microsoft's SDKs take their tokens from a server, unmodified: azcore's pipeline
// those of a person who signed in by a link, the Graph client for JavaScript those of
// an app, by the code of docs/tokens.md.
func TestBrokeredTokens(t *testing.T) {
	t.Parallel()
	needPackages(t)
	s := newTokenServer(t)
	key, delegated, app := s.key(), s.delegated(), s.app(s.lab.Tenant("openharbour"), "Gatehouse reader")
	t.Run("Graph client", func(t *testing.T) { s.graphClient(t, key, app, delegated) })
	t.Run("azcore", func(t *testing.T) { s.azcore(t, key, delegated) })
}

func (s *tokenServer) graphClient(t *testing.T, key string, app, unsigned client.Connection) {
	folder, tenant := t.TempDir(), s.lab.Tenant("openharbour")
	var credential string
	for _, b := range guide(t, "tokens.md", "In an SDK") {
		if b.language == "js" {
			credential += b.text
		}
	}
	packages, err := filepath.Abs(filepath.Join("node", "node_modules"))
	if err := errors.Join(err,
		os.WriteFile(filepath.Join(folder, "credential.mjs"), []byte(credential+"export { credential };\n"), 0o600),
		os.CopyFS(folder, os.DirFS(filepath.Join("node", "tokens"))),
		os.Symlink(packages, filepath.Join(folder, "node_modules"))); err != nil {
		t.Fatal(err)
	}
	cmd := nodeCommand(t, s.lab, []string{
		"GATEHOUSE_URL=" + s.url, "GATEHOUSE_KEY=" + key, "GATEHOUSE_CONNECTION=" + app.ID, "UNSIGNED=" + unsigned.ID, "NODE_EXTRA_CA_CERTS=" + together(t, s.lab.Ready().CAFile, s.authority),
	}, "graph.mjs")
	cmd.Dir = folder
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s\nthe server said:\n%s", err, out, stderr.Bytes(), s.talk())
	}
	var got nodeTokens
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := s.url + "/connections/" + unsigned.ID; !strings.HasPrefix(got.Unsigned, "nobody has signed in yet") || !strings.HasSuffix(got.Unsigned, want) {
		t.Errorf("the Graph client says %q, want what is the matter and %s", got.Unsigned, want)
	}
	if lasts := time.Duration(got.Lasts) * time.Millisecond; lasts <= 0 || lasts > 2*time.Hour {
		t.Errorf("the token lasts %s", lasts)
	}
	got.Unsigned, got.Lasts = "", 0
	slices.Sort(got.Users)
	want := nodeTokens{Organization: tenant.ID, Azure: http.StatusOK, State: client.TokenNeedsSignIn, Elsewhere: client.ProblemInvalid, Stranger: client.ProblemNotSignedIn}
	for _, u := range tenant.Users {
		want.Users = append(want.Users, u.UPN)
	}
	slices.Sort(want.Users)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// nodeTokens is what node/tokens/graph.mjs prints.
type nodeTokens struct {
	Organization string
	Users        []string
	Azure        int
	Lasts        int64 // milliseconds
	Unsigned     string
	State        string
	Elsewhere    string
	Stranger     string
}

// counted is a credential that notes how often it is asked.
type counted struct {
	azure.Credential
	asked int
}

// GetToken notes and asks.
func (c *counted) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.asked++
	return c.Credential.GetToken(ctx, options)
}

func (s *tokenServer) azcore(t *testing.T, key string, delegated client.Connection) {
	credential := &counted{Credential: azure.Credential{Client: s.as(key), Connection: delegated.ID, TenantID: s.lab.Tenant("quietquay").ID}}
	rec := record(s.lab)
	pipeline := runtime.NewPipeline("reports", "1", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(credential, []string{graphDefault}, nil)},
	}, &azcore.ClientOptions{Transport: rec.client()})
	me := func() (who struct{ UserPrincipalName string }, err error) {
		request := must[*policy.Request](t)(runtime.NewRequest(t.Context(), http.MethodGet, s.lab.URL()+"/v1.0/me"))
		response, err := pipeline.Do(request)
		if err != nil {
			return who, err
		}
		defer response.Body.Close()
		if !runtime.HasStatusCode(response, http.StatusOK) {
			return who, runtime.NewResponseError(response)
		}
		return who, runtime.UnmarshalAsJSON(response, &who)
	}

	// Nobody has signed in: azcore does not try again, and what helps is in the error.
	_, err := me()
	var problem *client.Problem
	if !errors.As(err, &problem) || problem.State != client.TokenNeedsSignIn || !strings.HasPrefix(problem.Link, s.url+"/connections/"+delegated.ID) || credential.asked != 1 {
		t.Fatalf("before the sign-in, asked %d times: %v", credential.asked, err)
	}
	s.signIn(delegated)
	who, err := me()
	if err != nil || who.UserPrincipalName != delegated.Username {
		t.Errorf("%+v %v, want %s", who, err, delegated.Username)
	}
	// It kept the token, and asked nobody else for one.
	if _, err := me(); err != nil {
		t.Error(err)
	}
	passed := rec.take()
	if len(passed) != 2 || credential.asked != 2 || passed[0].header.Get("Authorization") != passed[1].header.Get("Authorization") {
		t.Fatalf("%d requests after %d tries at a token, want two with the token of the second", len(passed), credential.asked)
	}
	claims := claimsOf(t, strings.TrimPrefix(passed[0].header.Get("Authorization"), "Bearer "))
	if claims.Tenant != credential.TenantID || claims.Person != s.lab.Tenant("quietquay").User("ines").ID || !strings.Contains(claims.Scopes, "User.Read") {
		t.Errorf("%+v", claims)
	}

	s.challenged(t, credential)

	// Signed out: there is none any more.
	if _, err := s.SignOutConnection(t.Context(), delegated.ID, client.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{graphUserRead}}); !errors.As(err, &problem) || problem.State != client.TokenNeedsSignIn {
		t.Errorf("after the sign-out: %v", err)
	}
}

// challenged reads a site that wants an authentication context: azcore says that it
// can be asked for it, is, passes the challenge on, and gets in with the answer.
func (s *tokenServer) challenged(t *testing.T, credential *counted) {
	t.Helper()
	rec := record(s.lab)
	pipeline := runtime.NewPipeline("reports", "1", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(credential, []string{"https://quietquay.sharepoint.com/.default"}, nil)},
	}, &azcore.ClientOptions{Transport: rec.client()})
	credential.asked = 0
	request := must[*policy.Request](t)(runtime.NewRequest(t.Context(), http.MethodGet, "https://quietquay.sharepoint.com/sites/projects/_api/web"))
	response, err := pipeline.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	passed := rec.take()
	if response.StatusCode != http.StatusOK || credential.asked != 2 || len(passed) != 2 {
		t.Fatalf("%s after %d requests and %d tries at a token", response.Status, len(passed), credential.asked)
	}
	for i, want := range []string{"", "c1"} {
		if claims := claimsOf(t, strings.TrimPrefix(passed[i].header.Get("Authorization"), "Bearer ")); strings.Join(claims.ACRS, " ") != want {
			t.Errorf("request %d came with the contexts %q, want %q", i+1, claims.ACRS, want)
		}
	}
}
