// Package businesscentral reads from Business Central online: what a validation
// needs to know whether an identity gets in.
package businesscentral

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/web"
)

// Client reads a tenant's environments with one token.
type Client struct {
	web    *web.Client
	root   string
	tenant string
}

// New gives a client of a tenant, by its directory id, which is named in every
// address (business-central §1). Service and Refusal of the configuration are set
// here.
func New(cfg web.Config) *Client {
	cfg.Service, cfg.Refusal = microsoft.ServiceBusinessCentral, refusal
	return &Client{web.New(cfg), cfg.Cloud.BusinessCentral, cfg.Tenant}
}

// Environment is an environment as its list names it.
type Environment struct {
	Name string `json:"name"`
	Type string `json:"type"` // Production or Sandbox
}

// Environments lists the tenant's environments.
func (c *Client) Environments(ctx context.Context) ([]Environment, error) {
	var out struct {
		Value []Environment `json:"value"`
	}
	err := c.web.Get(ctx, "listing the environments", c.root+"/environments/v1.2", &out)
	return out.Value, err
}

// Company is a company of an environment.
type Company struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Companies lists the companies of an environment that the caller may open.
func (c *Client) Companies(ctx context.Context, environment string) ([]Company, error) {
	var out struct {
		Value []Company `json:"value"`
	}
	err := c.web.Get(ctx, "listing the companies of "+environment, c.api(environment)+"/companies", &out)
	return out.Value, err
}

// Sample reads one customer of a company: the least that needs a right on data.
func (c *Client) Sample(ctx context.Context, environment, companyID string) error {
	var out struct{}
	return c.web.Get(ctx, "reading a customer", c.api(environment)+"/companies("+url.PathEscape(companyID)+")/customers?$top=1&$select=id", &out)
}

func (c *Client) api(environment string) string {
	return c.root + "/v2.0/" + c.tenant + "/" + url.PathEscape(environment) + "/api/v2.0"
}

// refusal reads {"error":{"code","message"}} of the data APIs, and the bare form
// of the lists of environments.
func refusal(e *microsoft.Error, response *http.Response) {
	e.CorrelationID, e.RequestID = response.Header.Get("ms-correlation-x"), response.Header.Get("request-id")
	type said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	var answer struct {
		Error said `json:"error"`
		said
	}
	if json.Unmarshal(e.Body, &answer) != nil {
		return
	}
	e.Code, e.Message = answer.Error.Code, answer.Error.Message
	if e.Code == "" {
		e.Code, e.Message = answer.Code, answer.Message
	}
}
