// Package graph is Gatehouse's client of Microsoft Graph: an azcore pipeline
// with our own small structs for the members that Gatehouse reads. v1.0 and
// beta differ only in the path of a call.
package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
)

// Client reads one tenant's Graph with one identity.
type Client struct {
	root     *url.URL
	pipeline runtime.Pipeline
}

// Config is what a [Client] needs.
type Config struct {
	Cloud microsoft.Cloud
	// Token gives the access token for each call.
	Token func(context.Context) (secrets.Value, error)
	// Pace lets each call pass when Microsoft's limits for the tenant allow it;
	// nil lets all pass.
	Pace *pace.Governor
	// Tenant is the tenant's id, for Pace.
	Tenant string
	// Transport replaces the cloud's own transport, for tests with another
	// route to it.
	Transport http.RoundTripper
}

// New gives a client. Calls answered with 429 or 503 are repeated twice, after
// the time that the service asks for, but not when that is longer than ten
// seconds: whoever waits for an answer is told instead.
func New(cfg Config) (*Client, error) {
	root, err := url.Parse(cfg.Cloud.Graph)
	if err != nil {
		return nil, fmt.Errorf("reading Graph's address: %w", err)
	}
	transport := cfg.Transport
	if transport == nil {
		transport = cfg.Cloud.Transport()
	}
	client := &http.Client{
		Transport: bounded{transport}, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	pipeline := runtime.NewPipeline("gatehouse", "v0", runtime.PipelineOptions{}, &policy.ClientOptions{
		Transport:        client,
		Retry:            policy.RetryOptions{MaxRetries: 2, RetryDelay: 500 * time.Millisecond, MaxRetryDelay: 10 * time.Second},
		PerRetryPolicies: []policy.Policy{governed{cfg.Pace, cfg.Tenant}, bearer(cfg.Token)},
	})
	return &Client{root: root, pipeline: pipeline}, nil
}

// governed waits until the call may be made.
type governed struct {
	pace   *pace.Governor
	tenant string
}

func (p governed) Do(r *policy.Request) (*http.Response, error) {
	return p.pace.Do(r.Raw().Context(), pace.Call{Service: microsoft.ServiceGraph, Tenant: p.tenant, Path: r.Raw().URL.Path}, r.Next)
}

// bearer adds the access token.
type bearer func(context.Context) (secrets.Value, error)

func (b bearer) Do(r *policy.Request) (*http.Response, error) {
	token, err := b(r.Raw().Context())
	if err != nil {
		return nil, err
	}
	r.Raw().Header.Set("Authorization", "Bearer "+token.Reveal())
	return r.Next()
}

// bounded ends answers that are larger than any that Gatehouse asks for.
type bounded struct{ next http.RoundTripper }

const maxAnswer = 16 << 20

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{&limited{response.Body, maxAnswer}, response.Body}
	}
	return response, err
}

type limited struct {
	next io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.next.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("the answer is larger than %d MB", maxAnswer>>20)
	}
	return n, err
}

// Get reads one entity or complex value. The path begins with the version:
// "/v1.0/organization".
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, c.address(path), nil, out)
}

// Create adds an entity to a collection and reads what came of it.
func (c *Client) Create(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, c.address(path), in, out)
}

// List reads a collection to its end.
func List[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var out []T
	err := Pages(ctx, c, path, func(page []T) error {
		out = append(out, page...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Pages reads a collection page by page, until it ends or do gives an error. It
// follows next links as they are, but only to Graph itself: a link elsewhere would
// carry the token there.
func Pages[T any](ctx context.Context, c *Client, path string, do func([]T) error) error {
	address := c.address(path)
	for range maxPages {
		var page struct {
			Value []T    `json:"value"`
			Next  string `json:"@odata.nextLink"`
		}
		if err := c.call(ctx, http.MethodGet, address, nil, &page); err != nil {
			return err
		}
		if err := do(page.Value); err != nil {
			return err
		}
		if page.Next == "" {
			return nil
		}
		next, err := url.Parse(page.Next)
		if err != nil || next.Scheme != c.root.Scheme || next.Host != c.root.Host {
			return &microsoft.Error{Service: microsoft.ServiceGraph, Op: "reading " + path, Status: http.StatusOK, Message: "the link to the next page leads away from Graph"}
		}
		address = page.Next
	}
	return &microsoft.Error{Service: microsoft.ServiceGraph, Op: "reading " + path, Status: http.StatusOK, Message: fmt.Sprintf("the list has not ended after %d pages", maxPages)}
}

const maxPages = 10_000

func (c *Client) address(path string) string {
	return strings.TrimRight(c.root.String(), "/") + path
}

func (c *Client) call(ctx context.Context, method, address string, in, out any) error {
	short, _, _ := strings.Cut(strings.TrimPrefix(address, c.root.String()), "?")
	op := "reading " + short
	request, err := runtime.NewRequest(ctx, method, address)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	request.Raw().Header.Set("Accept", "application/json")
	if in != nil {
		op = "changing " + short
		if err := runtime.MarshalAsJSON(request, in); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	response, err := c.pipeline.Do(request)
	if err != nil {
		var known *microsoft.Error
		if errors.As(err, &known) { // the token could not be had
			return err
		}
		e := &microsoft.Error{Service: microsoft.ServiceGraph, Op: op, Err: err}
		var busy *pace.Busy
		if errors.As(err, &busy) {
			e.RetryAfter = busy.RetryAfter
		}
		return e
	}
	defer response.Body.Close()
	body, err := runtime.Payload(response)
	if err != nil {
		return &microsoft.Error{Service: microsoft.ServiceGraph, Op: op, Status: response.StatusCode, Err: err}
	}
	if response.StatusCode >= 300 {
		return refusal(op, response, body)
	}
	if out == nil || len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		e := refusal(op, response, body)
		e.Message, e.Err = "the answer cannot be read as JSON of Graph", err
		if kind, _, _ := mime.ParseMediaType(e.ContentType); kind != "text/html" {
			e.Body = nil // data of the tenant, cut or not
		}
		return e
	}
	return nil
}

// refusal keeps all that Graph says (graph-mfa-posture §0): the deepest code,
// ids, Retry-After and a claims challenge.
func refusal(op string, response *http.Response, body []byte) *microsoft.Error {
	e := &microsoft.Error{
		Service: microsoft.ServiceGraph, Op: op, Status: response.StatusCode, ContentType: response.Header.Get("Content-Type"),
		RequestID: response.Header.Get("request-id"), CorrelationID: response.Header.Get("client-request-id"), Timestamp: response.Header.Get("Date"),
		RetryAfter: pace.RetryAfter(response.Header.Get("Retry-After"), time.Now()), Body: body[:min(len(body), microsoft.MaxErrorBody)],
		Claims: microsoft.Challenge(response.Header.Values("WWW-Authenticate")),
	}
	var answer struct {
		Error inner `json:"error"`
	}
	if json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &answer) != nil {
		return e
	}
	e.Code, e.Message = answer.Error.Code, answer.Error.Message
	for at, depth := &answer.Error, 0; at != nil && depth < 10; at, depth = at.inner(), depth+1 {
		if at.Code != "" {
			e.Code = at.Code
		}
		for _, id := range []string{at.RequestID, at.RequestID2} {
			if id != "" {
				e.RequestID = id
			}
		}
		if at.ClientRequestID != "" {
			e.CorrelationID = at.ClientRequestID
		}
	}
	return e
}

// inner is an error or inner error; Graph spells its members in two ways.
type inner struct {
	Code            string `json:"code"`
	Message         string `json:"message"`
	RequestID       string `json:"request-id"`
	RequestID2      string `json:"requestId"`
	ClientRequestID string `json:"client-request-id"`
	InnerError      *inner `json:"innerError"`
}

func (i *inner) inner() *inner { return i.InnerError } // encoding/json matches innererror too

// PathKey encodes an id or user principal name as a segment of a path.
func PathKey(key string) string { return url.PathEscape(key) }

// QueryValue encodes the value of a query option.
func QueryValue(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }
