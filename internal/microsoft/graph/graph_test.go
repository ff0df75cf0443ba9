package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/secrets"
)

// wire answers requests without a network.
type wire func(*http.Request) reply

// reply is an answer: status, body, and headers in pairs.
type reply struct {
	status int
	body   io.Reader
	header []string
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	a := w(r)
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(a.header); i += 2 {
		h.Add(a.header[i], a.header[i+1])
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(a.body), Request: r}, nil
}

func answer(status int, body string, header ...string) reply {
	return reply{status, strings.NewReader(body), header}
}

func client(t testing.TB, w wire) *graph.Client {
	t.Helper()
	c, err := graph.New(graph.Config{Cloud: microsoft.Cloud{Graph: "https://graph.test"}, Transport: w,
		Token: func(context.Context) (secrets.Value, error) { return secrets.New("planted-token"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name string
		resp reply
		want microsoft.Error
	}{
		{"refusal", answer(403, `{"error":{"code":"Authorization_RequestDenied","message":"No.","innerError":{"date":"d","request-id":"r1","client-request-id":"c1"}}}`),
			microsoft.Error{Status: 403, Code: "Authorization_RequestDenied", Message: "No.", RequestID: "r1", CorrelationID: "c1"}},
		{"deepest code, other spellings", answer(400, `{"error":{"code":"BadRequest","message":"M","innererror":{"requestId":"r2","innererror":{"code":"deepest"}}}}`),
			microsoft.Error{Status: 400, Code: "deepest", Message: "M", RequestID: "r2"}},
		{"claims challenge", answer(401, `{"error":{"code":"InvalidAuthenticationToken","message":"M"}}`, "WWW-Authenticate", `Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="`),
			microsoft.Error{Status: 401, Code: "InvalidAuthenticationToken", Message: "M", Claims: `{"access_token":{}}`}},
		{"broken challenge", answer(401, ``, "WWW-Authenticate", `Bearer claims="%%%"`), microsoft.Error{Status: 401}},
		{"page", answer(404, `<html>`), microsoft.Error{Status: 404}},
		{"broken JSON with 200", answer(200, `{"id":`), microsoft.Error{Status: 200, Message: "the answer cannot be read as JSON of Graph"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out map[string]any
			err := client(t, func(*http.Request) reply { return test.resp }).Get(t.Context(), "/v1.0/me", &out)
			var e *microsoft.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			w := test.want
			if e.Service != "graph" || e.Status != w.Status || e.Code != w.Code || e.Message != w.Message || e.RequestID != w.RequestID || e.CorrelationID != w.CorrelationID || e.Claims != w.Claims {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// Paging follows links to the end, and no link that leads away: the token
// would go with it.
func TestList(t *testing.T) {
	asked := 0
	users, err := graph.List[graph.User](t.Context(), client(t, func(r *http.Request) reply {
		asked++
		if r.Header.Get("Authorization") != "Bearer planted-token" {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
		if asked < 3 {
			return answer(200, fmt.Sprintf(`{"value":[{"id":"%d"}],"@odata.nextLink":"https://graph.test/v1.0/users?$skiptoken=%d"}`, asked, asked))
		}
		return answer(200, `{"value":[{"id":"3"}]}`)
	}), "/v1.0/users")
	if err != nil || len(users) != 3 || users[2].ID != "3" {
		t.Errorf("%v %v", users, err)
	}
	for _, link := range []string{"https://evil.test/v1.0/users", "http://graph.test/v1.0/users", "https://graph.test:444/x", "//evil.test/x", "::"} {
		asked = 0
		_, err := graph.List[graph.User](t.Context(), client(t, func(*http.Request) reply {
			asked++
			encoded, _ := json.Marshal(map[string]any{"value": []any{}, "@odata.nextLink": link})
			return answer(200, string(encoded))
		}), "/v1.0/users")
		if err == nil || asked != 1 {
			t.Errorf("%s: followed (%d requests), %v", link, asked, err)
		}
	}
}

// Throttled calls are repeated after the time that Graph asks for, in virtual
// time.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, asked := time.Now(), 0
		err := client(t, func(*http.Request) reply {
			if asked++; asked == 1 {
				return answer(429, `{"error":{"code":"TooManyRequests"}}`, "Retry-After", "4")
			}
			return answer(200, `{}`)
		}).Get(t.Context(), "/v1.0/me", nil)
		if took := time.Since(start); err != nil || asked != 2 || took < 4*time.Second || took > 6*time.Second {
			t.Errorf("%d calls in %v: %v", asked, took, err)
		}
	})
}

func TestLargeAnswer(t *testing.T) {
	err := client(t, func(*http.Request) reply {
		return reply{status: 200, body: io.LimitReader(endless{}, 1<<30)}
	}).Get(t.Context(), "/v1.0/me", nil)
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a gigabyte was read: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// The token goes nowhere but to Graph, not even where a redirect leads.
func TestNoRedirect(t *testing.T) {
	asked := 0
	err := client(t, func(*http.Request) reply {
		asked++
		return answer(307, "", "Location", "https://evil.test/")
	}).Get(t.Context(), "/v1.0/me", nil)
	if err == nil || asked != 1 {
		t.Errorf("%d requests, %v", asked, err)
	}
}

func FuzzRefusal(f *testing.F) {
	f.Add(403, `{"error":{"code":"c","message":"m","innerError":{"innerError":{"code":"d"}}}}`, `Bearer claims="e30="`)
	f.Add(200, `{"value":[{"id":7}]}`, "")
	f.Fuzz(func(t *testing.T, status int, body, challenge string) {
		// Statuses that azcore repeats are left to TestRetryAfter.
		if status < 200 || status > 599 || status == 408 || status == 429 || status >= 500 || strings.ContainsAny(challenge, "\r\n") {
			return
		}
		_, err := graph.List[graph.User](t.Context(), client(t, func(*http.Request) reply { return answer(status, body, "WWW-Authenticate", challenge) }), "/v1.0/users")
		var e *microsoft.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("not our error: %T %v", err, err)
		}
	})
}
