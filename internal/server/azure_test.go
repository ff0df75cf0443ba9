package server_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"gatehouse/client"
	"gatehouse/client/azure"
)

// azcore's own pipeline, as every Azure SDK has it, reaches Graph with tokens of a
// connection.
func TestAzureCredential(t *testing.T) {
	e, id, key := tokenHouse(t)
	credential := azure.Credential{Client: e.NewClient(client.WithToken(key)), Connection: id, TenantID: e.Lab.Tenant("openharbour").ID}
	pipeline := runtime.NewPipeline("test", "1", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(credential, []string{"https://graph.microsoft.com/.default"}, nil)},
	}, &azcore.ClientOptions{Transport: e.Lab.Client(), Retry: policy.RetryOptions{MaxRetries: -1}})
	r, err := runtime.NewRequest(t.Context(), http.MethodGet, e.Lab.URL()+"/v1.0/users?$top=1")
	if err != nil {
		t.Fatal(err)
	}
	response, err := pipeline.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
	// The pipeline answers claims challenges, and its token says so.
	scopes := []string{"https://graph.microsoft.com/.default"}
	for able, want := range map[bool]bool{true: true, false: false} {
		token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: scopes, EnableCAE: able})
		if err != nil {
			t.Fatal(err)
		}
		if says := strings.Contains(payload(t, token.Token), `"xms_cc":["cp1"]`); says != want || able != (response.Request.Header.Get("Authorization") == "Bearer "+token.Token) {
			t.Errorf("asked with EnableCAE %t, the token tells of it: %t", able, says)
		}
	}
	for _, wrong := range []policy.TokenRequestOptions{
		{}, {Scopes: []string{"https://graph.microsoft.com/.default", "https://vault.azure.net/.default"}},
		{Scopes: []string{"https://graph.microsoft.com/.default"}, TenantID: "11111111-2222-3333-4444-555555555555"},
	} {
		if _, err := credential.GetToken(t.Context(), wrong); err == nil {
			t.Errorf("%+v", wrong)
		}
	}
	_, err = credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity {
		t.Errorf("another resource: %v", err)
	}
}

// payload is what an access token says.
func payload(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatal("the token is none of the lab's")
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// asking is a policy that authenticates requests as those of SDKs do that know more
// than bearer tokens, and counts.
type asking struct {
	azcore.TokenCredential
	asked int
}

// Do asks for a token.
func (a *asking) Do(r *policy.Request) (*http.Response, error) {
	a.asked++
	token, err := a.GetToken(r.Raw().Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
	if err != nil {
		return nil, err
	}
	r.Raw().Header.Set("Authorization", "Bearer "+token.Token)
	return r.Next()
}

// azcore's pipeline asks once where somebody has to act first, and again where the
// server does not answer.
func TestAzureRetries(t *testing.T) {
	e, app, key := tokenHouse(t)
	ctx := t.Context()
	registration, err := e.AddRegistration(ctx, client.NewRegistration{
		Kind: "public", RegistrationDetails: client.RegistrationDetails{Name: "Reports", ClientIDs: map[string]string{"lab": e.Lab.Tenant("openharbour").Apps[0].ClientID}},
		Permissions: []client.ManifestPermission{{Resource: "graph", Name: "offline_access", Kind: "delegated"}, {Resource: "graph", Name: "User.Read", Kind: "delegated", Why: "To see who you are"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tenants, _, err := e.Tenants(ctx, client.TenantFilter{}, client.Page{})
	if err != nil {
		t.Fatal(err)
	}
	person, err := e.AddConnection(ctx, client.ConnectionRequest{TenantID: tenants[0].ID, Kind: "delegated", Profile: client.Profile{Name: "Monthly reports", RegistrationID: registration.ID, Services: []string{"graph"}}})
	if err != nil {
		t.Fatal(err)
	}
	nowhere, err := client.New("http://127.0.0.1:1", client.WithToken(key))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		credential azure.Credential
		state      string
		asked      int
	}{
		"nobody has signed in": {azure.Credential{Client: e.NewClient(client.WithToken(key)), Connection: person.ID}, client.TokenNeedsSignIn, 1},
		"no such connection":   {azure.Credential{Client: e.NewClient(client.WithToken(key)), Connection: "none"}, "", 1},
		"no server":            {azure.Credential{Client: nowhere, Connection: app}, "", 3},
	} {
		a := &asking{TokenCredential: test.credential}
		pipeline := runtime.NewPipeline("test", "1", runtime.PipelineOptions{PerRetry: []policy.Policy{a}}, &azcore.ClientOptions{Transport: e.Lab.Client(), Retry: policy.RetryOptions{MaxRetries: 2, RetryDelay: time.Millisecond}})
		r, err := runtime.NewRequest(ctx, http.MethodGet, e.Lab.URL()+"/v1.0/users?$top=1")
		if err != nil {
			t.Fatal(err)
		}
		response, err := pipeline.Do(r)
		if err == nil {
			_ = response.Body.Close()
			t.Errorf("%s: %s", name, response.Status)
		}
		var p *client.Problem
		if errors.As(err, &p); a.asked != test.asked || test.state != "" && (p == nil || p.State != test.state || p.Link == "") {
			t.Errorf("%s: asked %d times: %v", name, a.asked, err)
		}
	}
}
