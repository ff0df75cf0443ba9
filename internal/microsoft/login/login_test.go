package login_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
)

// wire answers requests by path, without a network.
type wire func(*http.Request) (status int, contentType, body string)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	status, contentType, body := w(r)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "X-Ms-Request-Id": {"trace-of-header"}, "Retry-After": {"17"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

var cloud = microsoft.Cloud{Name: "test", Login: "https://login.test", Graph: "https://graph.test", GraphResource: "https://graph.microsoft.com"}

const (
	metadata = `{"issuer":"https://login.test/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0/v2.0","authorization_endpoint":"https://login.test/t/oauth2/v2.0/authorize","token_endpoint":"https://login.test/t/oauth2/v2.0/token","jwks_uri":"https://login.test/k"}`
	managed  = `{"account_type":"Managed","domain_name":"t.example","cloud_instance_name":"c","cloud_audience_urn":"urn:c"}`
)

// client answers the token request with the given answer, the rest soundly.
func client(status int, contentType, body string) *login.Client {
	return login.New(login.Config{Cloud: cloud, Transport: wire(func(r *http.Request) (int, string, string) {
		switch {
		case strings.Contains(r.URL.Path, "UserRealm"):
			return 200, "application/json", managed
		case strings.Contains(r.URL.Path, "openid-configuration"):
			return 200, "application/json", metadata
		}
		return status, contentType, body
	})})
}

func password(ctx context.Context, c *login.Client) error {
	_, err := c.Password(ctx, "t.example", "14d82eec-204b-4c2f-b7e8-296a70dab67e", "a@t.example", secrets.New("planted-password"), []string{"https://graph.microsoft.com/.default"}, "")
	return err
}

// Nothing that the service said is lost on the way up.
func TestErrorKeepsEverything(t *testing.T) {
	const body = `{"error":"interaction_required","error_description":"AADSTS53003: Blocked.\r\nTrace ID: t\r\nCorrelation ID: c\r\nTimestamp: 2026-11-22 10:00:00Z","error_codes":[70002,53003],"timestamp":"2026-11-22 10:00:00Z","trace_id":"trace-1","correlation_id":"corr-1","suberror":"message_only","claims":"{\"access_token\":{\"capolids\":{\"essential\":true,\"values\":[\"p1\"]}}}"}`
	err := password(t.Context(), client(400, "application/json", body))
	var e *microsoft.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T: %v", err, err)
	}
	if e.Service != "login" || e.Status != 400 || e.Code != "AADSTS53003" || e.OAuth != "interaction_required" || e.Suberror != "message_only" || e.Message != "AADSTS53003: Blocked." ||
		e.CorrelationID != "corr-1" || e.RequestID != "trace-1" || e.Timestamp != "2026-11-22 10:00:00Z" || e.RetryAfter != 17*time.Second || string(e.Body) != body || !strings.Contains(e.Claims, `"p1"`) {
		t.Errorf("%+v", e)
	}
	if strings.Contains(err.Error(), "planted-password") {
		t.Error("the error shows the password")
	}
}

// An answer that makes no sense is an error that says so, and holds no token.
func TestUnreadableAnswers(t *testing.T) {
	for name, answer := range map[string][2]string{
		"cut json": {"application/json", `{"token_type":"Bearer","access_token":"planted-token`}, "list": {"application/json", `["planted-token"]`}, "nothing": {"", ""},
		"no token": {"application/json", `{"token_type":"Bearer","refresh_token":"planted-token"}`}, "page": {"text/html", "<html>Please log in</html>"},
		"wrong type": {"application/json", `{"access_token":{"a":"planted-token"},"expires_in":3599}`},
	} {
		err := password(t.Context(), client(200, answer[0], answer[1]))
		var e *microsoft.Error
		if !errors.As(err, &e) || e.Status != 200 || e.Code != "" {
			t.Errorf("%s: %T %v", name, err, err)
			continue
		}
		if strings.Contains(err.Error()+string(e.Body), "planted-token") {
			t.Errorf("%s: the error shows a token: %v %s", name, err, e.Body)
		}
	}
}

func TestReadCertificate(t *testing.T) {
	for name, data := range map[string]string{"empty": "", "text": "no certificate", "binary": "\x30\x82\x01", "other PEM": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := login.ReadCertificate([]byte(data)); err == nil || !strings.HasPrefix(err.Error(), "reading the certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzAnswers sends hostile answers at every stage of a sign-in: whatever
// comes, the outcome is an error of ours or a token, never a crash.
func FuzzAnswers(f *testing.F) {
	f.Add(400, "application/json", `{"error":"invalid_grant","error_description":"AADSTS50076: x","error_codes":[50076]}`)
	f.Add(200, "application/json", `{"access_token":"a.e30.c","expires_in":3599,"token_type":"Bearer","client_info":"e30","id_token":"a.e30.c"}`)
	f.Add(200, "text/html", "<html>")
	f.Add(200, "application/json", `{"account_type":"Federated","federation_metadata_url":"https://x\u0000","domain_name":"d"}`)
	f.Add(200, "application/json", metadata)
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		if status < 200 || status > 599 || strings.ContainsAny(contentType, "\r\n") {
			return
		}
		for _, stage := range []string{"UserRealm", "openid-configuration", "/token"} {
			c := login.New(login.Config{Cloud: cloud, Transport: wire(func(r *http.Request) (int, string, string) {
				switch {
				case strings.Contains(r.URL.Path, stage):
					return status, contentType, body
				case strings.Contains(r.URL.Path, "UserRealm"):
					return 200, "application/json", managed
				}
				return 200, "application/json", metadata
			})})
			if err := password(t.Context(), c); err != nil {
				var e *microsoft.Error
				if !errors.As(err, &e) {
					t.Fatalf("%s: not our error: %T %v", stage, err, err)
				}
			}
		}
	})
}
