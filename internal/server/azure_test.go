package server_test

import (
	"errors"
	"net/http"
	"testing"

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
