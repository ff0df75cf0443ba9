// Package client talks to the REST API of a Gatehouse server.
//
//	c, err := client.New("https://gatehouse.example", client.WithToken(token))
//	…
//	tenants, _, err := c.Tenants(ctx, client.TenantFilter{}, client.Page{})
//
// Whatever the server refuses is a *[Problem]; its Type is stable and its
// Diagnosis is set where Microsoft said no. The types of this package are those
// that the server itself answers with.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// Client is a connection to one server. It may be used by many goroutines.
type Client struct {
	base *url.URL
	http *http.Client

	mu    sync.Mutex
	token string
}

// Option is an optional setting of a client.
type Option func(*Client)

// WithToken makes requests in the session of a token, as [Client.SignIn] and
// [Client.GiveCode] gave it.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithHTTPClient makes requests through an HTTP client instead of the default,
// which gives up after a minute.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithRoots makes the client trust these authorities and no others, such as the
// server's own.
func WithRoots(roots *x509.CertPool) Option {
	return func(c *Client) {
		c.http = &http.Client{Timeout: c.http.Timeout, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		}}
	}
}

// New gives a client for the server at an address such as
// "https://gatehouse.example".
func New(address string, options ...Option) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("the address of the server is %q, must be https://host or https://host:port", address)
	}
	u.Path = ""
	c := &Client{base: u, http: &http.Client{Timeout: time.Minute}}
	for _, option := range options {
		option(c)
	}
	return c, nil
}

// Token is the token of the session, "" before signing in.
func (c *Client) Token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

func (c *Client) take(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

// request is one call of the API.
type request struct {
	method string
	path   string // below /api/v1, its parts escaped
	query  url.Values
	body   any    // nil: none
	raw    []byte // instead of body
	into   any    // nil: the answer has none
}

// path joins and escapes the parts of a path.
func path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// do makes a call. A POST carries an idempotency key, and is made once more if
// its answer was lost: the server does nothing twice.
func (c *Client) do(ctx context.Context, r request) error {
	body := r.raw
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
	}
	key := ""
	if r.method == http.MethodPost && c.Token() != "" {
		key = rand.Text()
	}
	response, err := c.send(ctx, r, body, key)
	if err != nil && key != "" && ctx.Err() == nil && transient(err) {
		response, err = c.send(ctx, r, body, key)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return readProblem(response)
	}
	if r.into == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
		return err
	}
	if w, ok := r.into.(io.Writer); ok {
		if _, err := io.Copy(w, response.Body); err != nil {
			return fmt.Errorf("reading the answer of %s: %w", c.base.Host, err)
		}
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(r.into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.base.Host, err)
	}
	return nil
}

// transient reports whether an exchange broke off, so that it is not known
// whether the server has acted.
func transient(err error) bool {
	var unverified *tls.CertificateVerificationError
	return !errors.As(err, &unverified)
}

func (c *Client) send(ctx context.Context, r request, body []byte, key string) (*http.Response, error) {
	address := c.base.String() + "/api/v1" + r.path
	if q := r.query.Encode(); q != "" {
		address += "?" + q
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token := c.Token(); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	return response, nil
}

// Page asks for a part of a list.
type Page struct {
	After string // the cursor that came with the page before; "" for the first
	Limit int    // 0: the server's own
}

func (p Page) query() url.Values {
	q := url.Values{}
	set(q, "after", p.After)
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	return q
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// List is a page of a list.
type List[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next" doc:"Cursor of the next page, for the parameter after; empty on the last page"`
}

// call makes a call and decodes its answer.
func call[T any](ctx context.Context, c *Client, r request) (T, error) {
	var answer T
	r.into = &answer
	err := c.do(ctx, r)
	return answer, err
}
