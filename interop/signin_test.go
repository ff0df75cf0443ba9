package interop

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"gatehouse/lab"
)

// login is one sign-in: an app by secret or certificate file, or a user by
// password.
type login struct {
	tenant, client     string
	secret             string
	certificateFile    string
	username, password string
	scope              string
}

// library is a client library under test: it signs in once, and reads the
// answer of a refused sign-in out of the error that the library gave.
type library struct {
	name   string
	signIn func(ctx context.Context, w way, client *http.Client, in login) (token string, err error)
	answer func(err error) *http.Response
}

var libraries = []library{
	{"MSAL Go", msalSignIn, func(err error) *http.Response {
		var call msal.CallErr
		if !errors.As(err, &call) {
			return nil
		}
		return call.Resp
	}},
	{"azidentity", azidentitySignIn, func(err error) *http.Response {
		var failed *azidentity.AuthenticationFailedError
		if !errors.As(err, &failed) {
			return nil
		}
		return failed.RawResponse
	}},
}

func msalSignIn(ctx context.Context, w way, client *http.Client, in login) (string, error) {
	authority := w.authority + "/" + in.tenant
	if in.username != "" {
		app, err := public.New(in.client, public.WithAuthority(authority), public.WithHTTPClient(client), public.WithInstanceDiscovery(w.discovery))
		if err != nil {
			return "", err
		}
		result, err := msalPassword(ctx, app, in.scope, in.username, in.password)
		return result.AccessToken, err
	}
	credential, err := msalCredential(in)
	if err != nil {
		return "", err
	}
	app, err := confidential.New(authority, in.client, credential, confidential.WithHTTPClient(client), confidential.WithInstanceDiscovery(w.discovery))
	if err != nil {
		return "", err
	}
	result, err := app.AcquireTokenByCredential(ctx, []string{in.scope})
	return result.AccessToken, err
}

// msalPassword is the password grant of MSAL Go.
func msalPassword(ctx context.Context, app public.Client, scope, username, password string) (public.AuthResult, error) {
	//nolint:staticcheck // deprecated because the password grant cannot do MFA, which is what this is about
	return app.AcquireTokenByUsernamePassword(ctx, []string{scope}, username, password)
}

func msalCredential(in login) (confidential.Credential, error) {
	if in.certificateFile == "" {
		return confidential.NewCredFromSecret(in.secret)
	}
	data, err := os.ReadFile(in.certificateFile)
	if err != nil {
		return confidential.Credential{}, err
	}
	certificates, key, err := confidential.CertFromPEM(data, "")
	if err != nil {
		return confidential.Credential{}, err
	}
	return confidential.NewCredFromCert(certificates, key)
}

func azidentitySignIn(ctx context.Context, w way, client *http.Client, in login) (string, error) {
	credential, err := azidentityCredential(w, client, in)
	if err != nil {
		return "", err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{in.scope}})
	return token.Token, err
}

func azidentityCredential(w way, client *http.Client, in login) (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.authority}, Transport: client}
	switch {
	case in.username != "":
		//nolint:staticcheck // deprecated because the password grant cannot do MFA, which is what this is about
		return azidentity.NewUsernamePasswordCredential(in.tenant, in.client, in.username, in.password,
			&azidentity.UsernamePasswordCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: !w.discovery})
	case in.certificateFile != "":
		data, err := os.ReadFile(in.certificateFile)
		if err != nil {
			return nil, err
		}
		certificates, key, err := azidentity.ParseCertificates(data, nil)
		if err != nil {
			return nil, err
		}
		return azidentity.NewClientCertificateCredential(in.tenant, in.client, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: !w.discovery})
	}
	return azidentity.NewClientSecretCredential(in.tenant, in.client, in.secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: !w.discovery})
}

// eachWay runs a test for every library in both ways.
func eachWay(t *testing.T, l *lab.Lab, test func(t *testing.T, lib library, w way)) {
	t.Helper()
	for _, lib := range libraries {
		for _, w := range ways(l) {
			t.Run(lib.name+"/"+w.name, func(t *testing.T) { test(t, lib, w) })
		}
	}
}

// An app signs in with its secret or its certificate, and reads its tenant.
func TestAppSignsIn(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("openharbour")
	app := tenant.App("Backup app")
	for name, in := range map[string]login{
		"secret":      {tenant: tenant.ID, client: app.ClientID, secret: *app.Secret, scope: graphDefault},
		"certificate": {tenant: tenant.ID, client: app.ClientID, certificateFile: *app.CertificateFile, scope: graphDefault},
		"by domain":   {tenant: tenant.Domain, client: app.ClientID, secret: *app.Secret, scope: graphDefault},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, l, func(t *testing.T, lib library, w way) {
				rec := record(l)
				token, err := lib.signIn(t.Context(), w, rec.client(), in)
				if err != nil {
					t.Fatal(err)
				}
				passed := rec.take()
				checkDiscovery(t, w, w.discovery, passed)
				if n := len(to(passed, tokenPath)); n != 1 {
					t.Errorf("%d token requests, want one", n)
				}
				checkOrganization(t, rec.client(), w.graph, token, tenant.ID)
			})
		})
	}
}

// A service account that nothing stands in the way of signs in with its
// password and reads its own profile.
func TestUserSignsIn(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("openharbour")
	user := tenant.User("svc-backup")
	for name, scope := range map[string]string{"default": graphDefault, "long scope": graphUserRead, "short scope": "User.Read"} {
		t.Run(name, func(t *testing.T) {
			in := login{tenant: tenant.ID, client: commandLineTools, username: user.UPN, password: *user.Password, scope: scope}
			eachWay(t, l, func(t *testing.T, lib library, w way) {
				rec := record(l)
				token, err := lib.signIn(t.Context(), w, rec.client(), in)
				if err != nil {
					t.Fatal(err)
				}
				// MSAL asks about a host that it knows only for its cache, which
				// the first sign-in of a user does not look into.
				checkDiscovery(t, w, false, rec.take())
				checkMe(t, rec.client(), w.graph, token, user)
			})
		})
	}
}

// What the lab says when it refuses reaches the caller whole, through the
// error of the library.
func TestRefusals(t *testing.T) {
	l := lab.Start(t)
	open, shield, broken := l.Tenant("openharbour"), l.Tenant("defaultshield"), l.Tenant("brokenbay")
	app, expired := open.App("Backup app"), broken.App("Expired secret app")
	shielded := shield.User("svc-connection")
	const nobody = "5c0ad1d5-1b1e-4f6e-9d0a-3f1a8f0f7b11"
	tests := []struct {
		name   string
		in     login
		status int
		oauth  string
		code   int
		sub    string
		before bool // refused before the token endpoint, by the metadata document
	}{
		{name: "MFA demanded", in: login{tenant: shield.ID, client: commandLineTools, username: shielded.UPN, password: *shielded.Password, scope: graphDefault},
			status: http.StatusBadRequest, oauth: "invalid_grant", code: 50076, sub: "basic_action"},
		{name: "wrong password", in: login{tenant: shield.ID, client: commandLineTools, username: shielded.UPN, password: "wrong", scope: graphDefault},
			status: http.StatusBadRequest, oauth: "invalid_grant", code: 50126},
		{name: "wrong secret", in: login{tenant: open.ID, client: app.ClientID, secret: "wrong", scope: graphDefault},
			status: http.StatusUnauthorized, oauth: "invalid_client", code: 7000215},
		{name: "expired secret", in: login{tenant: broken.ID, client: expired.ClientID, secret: *expired.Secret, scope: graphDefault},
			status: http.StatusUnauthorized, oauth: "invalid_client", code: 7000222},
		{name: "expired certificate", in: login{tenant: broken.ID, client: broken.App("Expired certificate app").ClientID, certificateFile: *broken.App("Expired certificate app").CertificateFile, scope: graphDefault},
			status: http.StatusUnauthorized, oauth: "invalid_client", code: 1000502},
		{name: "certificate of another app", in: login{tenant: open.ID, client: app.ClientID, certificateFile: *shield.App("Gatehouse reader").CertificateFile, scope: graphDefault},
			status: http.StatusUnauthorized, oauth: "invalid_client", code: 700027},
		{name: "unknown tenant", in: login{tenant: "nosuch.onmicrosoft.com", client: app.ClientID, secret: *app.Secret, scope: graphDefault},
			status: http.StatusBadRequest, code: 90002, before: true},
		{name: "unknown app", in: login{tenant: open.ID, client: nobody, secret: *app.Secret, scope: graphDefault},
			status: http.StatusBadRequest, oauth: "unauthorized_client", code: 700016},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachWay(t, l, func(t *testing.T, lib library, w way) {
				rec := record(l)
				_, err := lib.signIn(t.Context(), w, rec.client(), test.in)
				if err == nil {
					t.Fatal("signed in, want a refusal")
				}
				answer := lib.answer(err)
				if answer == nil {
					t.Fatalf("the error carries no answer: %v", err)
				}
				defer answer.Body.Close()
				body, readErr := io.ReadAll(answer.Body)
				if readErr != nil {
					t.Fatal(readErr)
				}
				var got refusal
				if err := json.Unmarshal(body, &got); err != nil {
					t.Fatalf("the body cannot be read: %v\n%s", err, body)
				}
				if answer.StatusCode != test.status || !slices.Equal(got.Codes, []int{test.code}) || got.Suberror != test.sub {
					t.Errorf("status %d, codes %v, suberror %q; want %d, %d, %q", answer.StatusCode, got.Codes, got.Suberror, test.status, test.code, test.sub)
				}
				if test.oauth != "" && got.Error != test.oauth {
					t.Errorf("error %q, want %q", got.Error, test.oauth)
				}
				if !strings.HasPrefix(got.Description, fmt.Sprintf("AADSTS%d: ", test.code)) {
					t.Errorf("error_description %q", got.Description)
				}
				if got.TraceID == "" || got.Timestamp == "" {
					t.Errorf("trace_id %q, timestamp %q", got.TraceID, got.Timestamp)
				}

				passed := rec.take()
				last := passed[len(passed)-1]
				if sent := last.header.Get("client-request-id"); sent == "" || got.CorrelationID != sent {
					t.Errorf("correlation_id %q, the request was sent as %q", got.CorrelationID, sent)
				}
				// Nothing was tried again: a refusal is an answer, not a fault.
				if n := len(to(passed, tokenPath)); test.before && n != 0 || !test.before && n != 1 {
					t.Errorf("%d token requests", n)
				}
			})
		})
	}
}

// MSAL answers from its cache, and goes to the lab with the refresh token when
// a claims challenge forbids the cache.
func TestSilentSignIn(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("openharbour")
	user := tenant.User("svc-backup")
	for _, w := range ways(l) {
		t.Run(w.name, func(t *testing.T) {
			rec := record(l)
			app, err := public.New(commandLineTools, public.WithAuthority(w.authority+"/"+tenant.ID), public.WithHTTPClient(rec.client()), public.WithInstanceDiscovery(w.discovery))
			if err != nil {
				t.Fatal(err)
			}
			scopes := []string{graphUserRead}
			first, err := msalPassword(t.Context(), app, graphUserRead, user.UPN, *user.Password)
			if err != nil {
				t.Fatal(err)
			}
			if want := user.ID + "." + tenant.ID; first.Account.HomeAccountID != want || first.Account.PreferredUsername != user.UPN {
				t.Errorf("account %s %s, want %s %s", first.Account.HomeAccountID, first.Account.PreferredUsername, want, user.UPN)
			}
			accounts, err := app.Accounts(t.Context())
			if err != nil || len(accounts) != 1 {
				t.Fatalf("accounts in the cache: %v (%v)", accounts, err)
			}
			rec.take()

			cached, err := app.AcquireTokenSilent(t.Context(), scopes, public.WithSilentAccount(accounts[0]))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(to(rec.take(), tokenPath)); n != 0 || cached.AccessToken != first.AccessToken {
				t.Errorf("the cached token was not used: %d token requests", n)
			}

			// Time passes for the lab alone, so that the next token differs.
			l.Advance(time.Second)
			challenged, err := app.AcquireTokenSilent(t.Context(), scopes, public.WithSilentAccount(accounts[0]), public.WithClaims(`{"access_token":{"nbf":{"essential":true}}}`))
			if err != nil {
				t.Fatal(err)
			}
			asked := to(rec.take(), tokenPath)
			if len(asked) != 1 || asked[0].form.Get("grant_type") != "refresh_token" || asked[0].form.Get("claims") == "" {
				t.Fatalf("want one request with the refresh token and claims, got %d", len(asked))
			}
			if challenged.AccessToken == first.AccessToken {
				t.Error("the lab gave the same access token again")
			}
			checkMe(t, rec.client(), w.graph, challenged.AccessToken, user)
		})
	}
}

// The sovereign clouds have authorities of their own, and their Graph is an
// audience of its own.
func TestSovereignClouds(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("openharbour")
	app := tenant.App("Backup app")
	for _, cloud := range []struct{ name, login, graph string }{
		{"US Government", "login.microsoftonline.us", "https://graph.microsoft.us"},
		{"China", "login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"},
	} {
		t.Run(cloud.name, func(t *testing.T) {
			rec := record(l)
			w := way{authority: "https://" + cloud.login, graph: cloud.graph, discovery: true}
			in := login{tenant: tenant.ID, client: app.ClientID, secret: *app.Secret, scope: cloud.graph + "/.default"}
			token, err := msalSignIn(t.Context(), w, rec.client(), in)
			if err != nil {
				t.Fatal(err)
			}
			checkDiscovery(t, w, true, rec.take())
			if got := audience(t, token); got != cloud.graph {
				t.Errorf("the token is for %s, want %s", got, cloud.graph)
			}
			checkOrganization(t, rec.client(), w.graph, token, tenant.ID)
		})
	}
}

// audience reads whom an access token is for.
func audience(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %q", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Audience string `json:"aud"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Audience
}
