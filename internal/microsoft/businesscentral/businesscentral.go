// Package businesscentral reads from Business Central online: what a validation
// needs to know whether an identity gets in.
package businesscentral

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

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

// Active is the one status of an environment in which it serves data
// (business-central §1).
const Active = "Active"

// Environment is an environment as its lists name it.
type Environment struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // Production or Sandbox
	Country string `json:"countryCode"`
	Status  string `json:"status"` // Active, Upgrading …; "" where only the admin centre tells
}

// Environments lists the tenant's environments, without their status.
func (c *Client) Environments(ctx context.Context) ([]Environment, error) {
	var out struct {
		Value []Environment `json:"value"`
	}
	err := c.web.Get(ctx, "listing the environments", c.root+"/environments/v1.2", &out)
	return out.Value, err
}

// AdminEnvironments lists the tenant's environments with their status, by the
// admin-centre API v2.29. An app needs AdminCenter.ReadWrite.All and to be
// authorised in the admin centre, a person an administrator's role.
func (c *Client) AdminEnvironments(ctx context.Context) ([]Environment, error) {
	var out struct {
		Value []Environment `json:"value"`
	}
	err := c.web.Get(ctx, "asking the admin centre for the environments", c.root+"/admin/v2.29/applications/BusinessCentral/environments", &out)
	return out.Value, err
}

// Company is a company of an environment.
type Company struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Display string `json:"displayName"`
}

// most bounds how many companies are read: an environment has 300 at most
// (business-central §1).
const most = 300

// Companies lists the companies of an environment that the caller may open, page by
// page. A next page is read below the same address only: a link elsewhere would
// carry the token there.
func (c *Client) Companies(ctx context.Context, environment string) ([]Company, error) {
	op, first := "listing the companies of "+environment, c.api(environment)+"/companies"
	var all []Company
	for address := first; address != "" && len(all) < most; {
		var page struct {
			Value []Company `json:"value"`
			Next  string    `json:"@odata.nextLink"`
		}
		if err := c.web.Get(ctx, op, address, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Value...)
		_, query, paged := strings.Cut(page.Next, "?")
		if address = ""; paged && len(page.Value) > 0 {
			address = first + "?" + query
		}
	}
	return all, nil
}

// Customer is a customer of a company.
type Customer struct {
	Number string `json:"number"`
	Name   string `json:"displayName"`
}

// Customers reads the first few customers of a company: the least that needs a
// right on data.
func (c *Client) Customers(ctx context.Context, environment, companyID string, most int) ([]Customer, error) {
	var out struct {
		Value []Customer `json:"value"`
	}
	err := c.web.Get(ctx, "reading customers", fmt.Sprintf("%s/companies(%s)/customers?$top=%d&$select=number,displayName", c.api(environment), url.PathEscape(companyID), most), &out)
	return out.Value[:min(len(out.Value), most)], err
}

func (c *Client) api(environment string) string {
	return c.root + "/v2.0/" + c.tenant + "/" + url.PathEscape(environment) + "/api/v2.0"
}

// refusal reads {"error":{"code","message"}} of the data APIs, the bare form of
// the admin centre, and {"Message"} of the layer in front of it (business-central
// §3).
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
	// JSON names are matched without regard to case, so that Message is read too.
	if json.Unmarshal(e.Body, &answer) != nil {
		return
	}
	e.Code, e.Message = answer.Error.Code, answer.Error.Message
	if e.Code == "" {
		e.Code, e.Message = answer.Code, answer.Message
	}
	// The body is kept, so that nothing is lost of what is taken off the sentence.
	if sentence, id, ok := strings.Cut(e.Message, "  CorrelationId:"); ok {
		e.Message = sentence
		if id = strings.Trim(id, " ."); e.CorrelationID == "" && len(id) <= 64 {
			e.CorrelationID = id
		}
	}
}

// classes say, by the prefix of a code, what a refusal is about (business-central
// §4).
var classes = map[string]string{
	"BadRequest": "request", "Authentication": "credentials", "Authorization": "permissions", "Internal": "server or data", "Application": "business logic", "Request": "conflict",
}

// Class says what a refusal is about: request, credentials, permissions, server or
// data, business logic, conflict; "sign-in layer" where the answer had neither of
// the two forms of an error, and "" for a code of no class.
func Class(e *microsoft.Error) string {
	if e.Code == "" && e.Status != 0 && e.Status < http.StatusInternalServerError {
		return "sign-in layer"
	}
	prefix, _, _ := strings.Cut(e.Code, "_")
	return classes[prefix]
}
