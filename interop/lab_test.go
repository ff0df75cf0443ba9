package interop

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/lab"
)

const (
	// commandLineTools is Microsoft Graph Command Line Tools, a public client
	// that exists in every tenant.
	commandLineTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e"

	graphDefault  = "https://graph.microsoft.com/.default"
	graphUserRead = "https://graph.microsoft.com/User.Read"
)

// way is one of the two ways in which a client reaches the lab.
type way struct {
	name      string
	authority string // without tenant
	graph     string
	discovery bool // the client asks whether the authority is one of Microsoft's
}

// ways gives both: posing as Microsoft's own hosts, and by the lab's address.
func ways(l *lab.Lab) []way {
	return []way{
		{name: "real host names", authority: "https://login.microsoftonline.com", graph: "https://graph.microsoft.com", discovery: true},
		{name: "loopback", authority: l.URL(), graph: l.URL()},
	}
}

// exchange is one request that a client made, and the answer to it.
type exchange struct {
	method string
	url    *url.URL
	header http.Header
	form   url.Values
	status int
	body   []byte
}

// recorder reaches the lab and notes what passes; it changes nothing.
type recorder struct {
	transport http.RoundTripper

	mu     sync.Mutex
	passed []exchange
}

func record(l *lab.Lab) *recorder { return &recorder{transport: l.Transport()} }

// client is what the clients under test are given.
func (rec *recorder) client() *http.Client { return &http.Client{Transport: rec} }

// RoundTrip sends a request and notes it with its answer.
func (rec *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	noted := exchange{method: r.Method, url: r.URL, header: r.Header.Clone()}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		noted.form, _ = url.ParseQuery(string(body)) // other bodies have no form
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	response, err := rec.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	noted.status = response.StatusCode
	noted.body, err = io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(noted.body))
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.passed = append(rec.passed, noted)
	return response, nil
}

// take gives what has passed since the last call.
func (rec *recorder) take() []exchange {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	passed := rec.passed
	rec.passed = nil
	return passed
}

// to gives the exchanges whose path ends in suffix.
func to(passed []exchange, suffix string) []exchange {
	return slices.DeleteFunc(slices.Clone(passed), func(e exchange) bool { return !strings.HasSuffix(strings.ToLower(e.url.Path), suffix) })
}

const (
	discoveryPath = "/discovery/instance"
	tokenPath     = "/oauth2/v2.0/token"
)

// checkDiscovery holds what a client asked against the way it was told to go:
// instance discovery where it is expected and else not, and no host but the
// authority's.
func checkDiscovery(t *testing.T, w way, expected bool, passed []exchange) {
	t.Helper()
	asked := to(passed, discoveryPath)
	if expected != (len(asked) > 0) {
		t.Errorf("instance discovery was asked %d times, expected: %v", len(asked), expected)
	}
	for _, e := range passed {
		if got := "https://" + e.url.Host; got != w.authority {
			t.Errorf("the client went to %s, its authority is %s", got, w.authority)
		}
	}
	for _, e := range asked {
		checkAliases(t, e)
	}
}

// checkAliases wants the host that was asked about among the aliases.
func checkAliases(t *testing.T, e exchange) {
	t.Helper()
	var answer struct {
		Metadata []struct {
			Aliases []string `json:"aliases"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(e.body, &answer); err != nil || e.status != http.StatusOK {
		t.Fatalf("instance discovery answered %d %s (%v)", e.status, e.body, err)
	}
	for _, m := range answer.Metadata {
		if slices.Contains(m.Aliases, e.url.Host) {
			return
		}
	}
	t.Errorf("%s is not among the aliases: %s", e.url.Host, e.body)
}

// readGraph uses a token for one call and gives the answer's body, which must
// come with status 200.
func readGraph(t *testing.T, client *http.Client, root, path, token string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, root+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s\n%s", path, response.Status, body)
	}
	return body
}

// checkOrganization wants Graph to name the tenant of an app's token.
func checkOrganization(t *testing.T, client *http.Client, root, token, tenant string) {
	t.Helper()
	var answer struct {
		Value []struct {
			ID string `json:"id"`
		} `json:"value"`
	}
	body := readGraph(t, client, root, "/v1.0/organization", token)
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Value) != 1 || answer.Value[0].ID != tenant {
		t.Errorf("organization: want the tenant %s, got %s (%v)", tenant, body, err)
	}
}

// checkMe wants Graph to name the user of a token.
func checkMe(t *testing.T, client *http.Client, root, token string, user lab.ReadyUser) {
	t.Helper()
	var answer struct {
		ID  string `json:"id"`
		UPN string `json:"userPrincipalName"`
	}
	body := readGraph(t, client, root, "/v1.0/me", token)
	if err := json.Unmarshal(body, &answer); err != nil || answer.ID != user.ID || answer.UPN != user.UPN {
		t.Errorf("me: want %s %s, got %s (%v)", user.ID, user.UPN, body, err)
	}
}

// refusal is the body of a refused token request.
type refusal struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Suberror      string `json:"suberror"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	Timestamp     string `json:"timestamp"`
}
