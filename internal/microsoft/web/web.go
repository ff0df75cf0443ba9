// Package web makes the plain reading calls that the clients of SharePoint and
// Business Central have in common: paced, bounded, never redirected, and with
// all that a refusal says kept in a [microsoft.Error].
package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
)

// Config is what a [Client] needs.
type Config struct {
	Cloud   microsoft.Cloud
	Service string // as in [microsoft.Error]
	Tenant  string // id, for Pace
	// Access is the token; empty for a call that only hears who is asked for one.
	Access secrets.Value
	Pace   *pace.Governor // nil lets all pass
	// Refusal adds what the service has ways of its own to say.
	Refusal func(*microsoft.Error, *http.Response)
	// Transport carries the calls; the cloud's own, for this client alone, if nil.
	Transport http.RoundTripper
}

// Client reads from one service with one token.
type Client struct {
	Config
	http *http.Client
}

// New gives a client.
func New(cfg Config) *Client {
	transport := cfg.Transport
	if transport == nil {
		transport = cfg.Cloud.Transport()
	}
	return &Client{cfg, &http.Client{
		Transport: transport, Timeout: 45 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 4 << 20

// Get reads the JSON at an address. op is what is attempted, in the gerund.
func (c *Client) Get(ctx context.Context, op, address string, out any) error {
	e := &microsoft.Error{Service: c.Service, Op: op}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		e.Message = "the address is not one of the service"
		return e
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	request.Header.Set("Accept", "application/json;odata=nometadata, application/json;q=0.9")
	request.Header.Set("Authorization", strings.TrimSpace("Bearer "+c.Access.Reveal()))
	request.Header.Set("User-Agent", "gatehouse")
	response, err := c.Pace.Do(ctx, pace.Call{Service: c.Service, Tenant: c.Tenant, Path: u.Path}, func() (*http.Response, error) { return c.http.Do(request) })
	if err != nil {
		e.Err = err
		return e
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	e.Status, e.ContentType, e.Timestamp, e.RetryAfter = response.StatusCode, response.Header.Get("Content-Type"), response.Header.Get("Date"), pace.RetryAfter(response.Header.Get("Retry-After"), time.Now())
	switch {
	case err != nil:
		e.Err = err
		return e
	case len(body) > maxAnswer:
		e.Err = fmt.Errorf("the answer is larger than %d MB", maxAnswer>>20)
		return e
	case response.StatusCode != http.StatusOK:
		e.Body = body[:min(len(body), microsoft.MaxErrorBody)]
		if e.Claims = microsoft.Challenge(response.Header.Values("WWW-Authenticate")); e.Claims != "" {
			e.OAuth = microsoft.InsufficientClaims
		}
		c.Refusal(e, response)
		return e
	}
	if err := json.Unmarshal(body, out); err != nil {
		e.Message, e.Err = "the answer cannot be read as JSON of the service", err
		return e
	}
	return nil
}
