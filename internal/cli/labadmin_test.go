package cli_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"testing"

	"gatehouse/lab"
)

// appToken is the token for Graph of an app of the lab.
func appToken(t *testing.T, l *lab.Lab, tenant, app string) string {
	t.Helper()
	at := l.Tenant(tenant)
	a := at.App(app)
	c := l.Client()
	defer c.CloseIdleConnections()
	response, err := c.PostForm(l.URL()+"/"+at.ID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {a.ClientID}, "client_secret": {*a.Secret}, "scope": {"https://graph.microsoft.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil || token.Access == "" {
		t.Fatalf("no token of %s: %v", app, err)
	}
	return token.Access
}

// graph calls the lab's Graph as an administrator of a tenant would.
func graph(t *testing.T, l *lab.Lab, token, method, path string, body any) map[string]any {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, l.URL()+"/v1.0"+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	c := l.Client()
	defer c.CloseIdleConnections()
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %s %s %v", method, path, response.Status, text, err)
	}
	answer := map[string]any{}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return answer
}

// publicKey is a certificate as Graph takes it.
func publicKey(t *testing.T, certificate []byte) map[string]any {
	t.Helper()
	block, _ := pem.Decode(certificate)
	if block == nil {
		t.Fatalf("no certificate: %s", certificate)
	}
	return map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}
}
