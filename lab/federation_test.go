package lab_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"gatehouse/lab"
)

// MSAL Go signs a federated account in with its password: under the lab's own
// address and under Microsoft's names, where the federation server has the host
// name of the tenants file.
func TestFederatedSignIn(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("federaford")
	user := tenant.User("svc-sync")
	for _, root := range []string{l.URL(), "https://login.microsoftonline.com"} {
		client, err := public.New(graphCLI, public.WithAuthority(root+"/"+tenant.ID), public.WithInstanceDiscovery(false), public.WithHTTPClient(l.Client()))
		if err != nil {
			t.Fatal(err)
		}
		result, err := client.AcquireTokenByUsernamePassword(t.Context(), []string{"User.Read"}, user.UPN, *user.Password) //nolint:staticcheck // the old way in is what the lab shows
		if err != nil {
			t.Fatalf("%s: %v", root, err)
		}
		if access := claimsOf(t, result.AccessToken); access["upn"] != user.UPN {
			t.Errorf("%s: %v", root, access)
		}
		if _, err := client.AcquireTokenByUsernamePassword(t.Context(), []string{"User.Read"}, user.UPN, "wrong"); err == nil || !strings.Contains(err.Error(), "FailedAuthentication") { //nolint:staticcheck // as above
			t.Errorf("%s, wrong password: %v", root, err)
		}
		realm := get(t, l, root+"/common/UserRealm/"+user.UPN+"?api-version=1.0", "")
		host := "https://sts.corp.federaford.example/"
		if root == l.URL() {
			host = "https://127.0.0.1:"
		}
		if !strings.HasPrefix(realm.text("federation_metadata_url"), host) || !strings.HasPrefix(realm.text("federation_active_auth_url"), host) {
			t.Errorf("%s: %s", root, realm.raw)
		}
	}
	asked := l.Journal()
	seen := 0
	for _, e := range asked {
		if e.Service == "federation" {
			seen++
		}
	}
	if seen != 8 { // metadata and request, right and wrong, twice
		t.Errorf("%d requests to the federation server in the journal", seen)
	}
}

// A token of a workload issuer, minted at the control port, signs an app in;
// its issuer serves keys.
func TestWorkloadTokens(t *testing.T) {
	l := lab.Start(t)
	control := func(method, path, body string) (int, map[string]string) {
		r, err := http.NewRequestWithContext(t.Context(), method, l.Ready().ControlURL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		out := map[string]string{}
		_ = json.NewDecoder(response.Body).Decode(&out) // refusals are text
		return response.StatusCode, out
	}
	status, minted := control(http.MethodPost, "/federation/tokens", `{"issuer":"https://issuer.build.example","subject":"repo:tiertown/crane:ref:refs/heads/main"}`)
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, minted)
	}
	pipeline := l.Tenant("tiertown").App("Tier pipeline")
	a := post(t, l, "/tiertown.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {pipeline.ClientID}, "scope": {graphDefault},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {minted["token"]}})
	if a.status != http.StatusOK {
		t.Fatalf("%s", a.raw)
	}
	for _, body := range []string{`{}`, `{"issuer":"http://x","subject":"s"}`, `{"issuer":"https://login.microsoftonline.com/t","subject":"s"}`, `{"subject":"s","lifetime":"long"}`, `{"subject":"s","lifetime":"48h"}`, `{"nonsense":1}`} {
		if status, _ := control(http.MethodPost, "/federation/tokens", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
	_, place := control(http.MethodGet, "/federation", "")
	if place["workload_issuer"] != l.WorkloadIssuer() || !strings.HasPrefix(place["url"], "https://127.0.0.1:") {
		t.Errorf("%v", place)
	}
	for _, issuer := range []string{l.WorkloadIssuer(), "https://issuer.build.example"} {
		discovery := get(t, l, issuer+"/.well-known/openid-configuration", "")
		if discovery.text("issuer") != issuer {
			t.Errorf("%s: %s", issuer, discovery.raw)
		}
		if keys := get(t, l, discovery.text("jwks_uri"), ""); !strings.Contains(keys.raw, `"kid"`) {
			t.Errorf("%s: %s", issuer, keys.raw)
		}
	}
	if _, err := l.WorkloadToken(lab.WorkloadToken{Subject: "s", Lifetime: time.Minute}); err != nil {
		t.Error(err)
	}
}

// MSAL Go's on-behalf-of call through the lab's tenant for it.
func TestTiers(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("tiertown")
	user, desk := tenant.User("paula.page"), tenant.App("Tier desk")
	form := passwordForm(tenant.App("Tier client").ClientID, user.UPN, *user.Password)
	form.Set("scope", "api://"+desk.ClientID+"/desk.use")
	token := post(t, l, "/"+tenant.ID+"/oauth2/v2.0/token", form).text("access_token")
	credential, err := confidential.NewCredFromSecret(*desk.Secret)
	if err != nil {
		t.Fatal(err)
	}
	client, err := confidential.New("https://login.microsoftonline.com/"+tenant.ID, desk.ClientID, credential, confidential.WithHTTPClient(l.Client()))
	if err != nil {
		t.Fatal(err)
	}
	result, err := client.AcquireTokenOnBehalfOf(t.Context(), token, []string{"https://graph.microsoft.com/User.Read"})
	if err != nil {
		t.Fatal(err)
	}
	if a := get(t, l, "https://graph.microsoft.com/v1.0/me", result.AccessToken); a.text("userPrincipalName") != user.UPN {
		t.Errorf("%s", a.raw)
	}
	// A token for an API of the tenant's own opens none of Microsoft's.
	if a := get(t, l, l.URL()+"/v1.0/me", token); a.status != http.StatusUnauthorized {
		t.Errorf("Graph takes another API's token: %d", a.status)
	}
	// Nor does an app without a claim on it get past the API.
	if _, err := client.AcquireTokenOnBehalfOf(t.Context(), token, []string{"api://tierstore/store.read"}); err == nil || !strings.Contains(err.Error(), "AADSTS65001") {
		t.Errorf("without consent: %v", err)
	}
}
