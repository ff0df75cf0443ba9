package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/lab"
)

// uploadInLab adds a certificate to an app registration of the lab, as an
// administrator of its tenant would.
func uploadInLab(ctx context.Context, l *lab.Lab, at lab.ReadyTenant, clientID, certificate string) error {
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		return errors.New("the server gave no certificate")
	}
	admin, err := adminInLab(ctx, l, at)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"keyCredentials": []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}})
	if err != nil {
		return err
	}
	return askLab(ctx, l, http.MethodPatch, "/v1.0/applications(appId='"+clientID+"')", admin, bytes.NewReader(body), nil)
}

// adminInLab gives the headers of what an administrator of a tenant asks Graph.
func adminInLab(ctx context.Context, l *lab.Lab, at lab.ReadyTenant) (http.Header, error) {
	admin := at.App("Lab administration")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {"https://graph.microsoft.com/.default"}}
	var token struct {
		Access string `json:"access_token"`
	}
	err := askLab(ctx, l, http.MethodPost, "/"+at.ID+"/oauth2/v2.0/token", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader(form.Encode()), &token)
	return http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token.Access}}, err
}

func askLab(ctx context.Context, l *lab.Lab, method, path string, header http.Header, body io.Reader, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, l.URL()+path, body)
	if err != nil {
		return err
	}
	request.Header = header
	c := l.Client()
	defer c.CloseIdleConnections()
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("the lab answers %s: %.200s", response.Status, data)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(data, into)
}
