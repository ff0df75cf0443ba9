package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Environments are the environments of Business Central that a connection is shown.
type Environments struct {
	Items        []Environment `json:"items" nullable:"false"`
	StatusUnread string        `json:"status_unread,omitempty" doc:"Why their status is not known; left out where it is"`
}

// Environment is an environment of Business Central.
type Environment struct {
	Name    string `json:"name"`
	Type    string `json:"type" doc:"Production or Sandbox"`
	Country string `json:"country,omitempty"`
	Status  string `json:"status,omitempty" doc:"Active, Upgrading and others; left out where only the admin centre would tell"`
}

// Company is a company of an environment.
type Company struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	DisplayName string `json:"display_name,omitempty"`
}

// CompanyChoice is the company that a connection is for.
type CompanyChoice struct {
	Environment string `json:"environment" maxLength:"100"`
	Company     string `json:"company" maxLength:"200" doc:"Name or id"`
}

// Sample is a little of what a connection reaches, as proof. It is not kept.
type Sample struct {
	Service string     `json:"service"`
	Of      string     `json:"of" doc:"What was read"`
	Columns []string   `json:"columns" nullable:"false"`
	Rows    [][]string `json:"rows" nullable:"false" doc:"Five at most"`
}

// SampleRequest says what to read; what is empty is the connection's own.
type SampleRequest struct {
	Service     string
	Environment string
	Company     string
}

// SetUp is how far the set-up of an app in Business Central has come.
type SetUp struct {
	State string      `json:"state" enum:"passed,failed,unknown"`
	Steps []SetUpStep `json:"steps" nullable:"false"`
	At    time.Time   `json:"at"`
}

// SetUpStep is one step of it.
type SetUpStep struct {
	Name        string     `json:"name" enum:"registration,credential,permission,consent,environment,card,permission_sets"`
	Environment string     `json:"environment,omitempty" doc:"Left out: it is done once for all"`
	Needed      bool       `json:"needed" doc:"A connection uses the environment; what is not needed may stay undone"`
	State       string     `json:"state" enum:"passed,failed,unknown"`
	Reason      string     `json:"reason,omitempty"`
	Diagnosis   *Diagnosis `json:"diagnosis,omitempty"`
}

// Environments lists the environments of Business Central that a connection is
// shown.
func (c *Client) Environments(ctx context.Context, connectionID string) (Environments, error) {
	return call[Environments](ctx, c, request{method: http.MethodGet, path: "/connections/" + url.PathEscape(connectionID) + "/environments"})
}

// Companies lists the companies of an environment that a connection may open; "" is
// the connection's own environment.
func (c *Client) Companies(ctx context.Context, connectionID, environment string) ([]Company, error) {
	q := url.Values{}
	set(q, "environment", environment)
	l, err := call[List[Company]](ctx, c, request{method: http.MethodGet, path: "/connections/" + url.PathEscape(connectionID) + "/companies", query: q})
	return l.Items, err
}

// ChooseCompany settles the company that a connection is for.
func (c *Client) ChooseCompany(ctx context.Context, connectionID string, choice CompanyChoice) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPut, path: "/connections/" + url.PathEscape(connectionID) + "/company", body: choice})
}

// Sample reads a few records with a connection.
func (c *Client) Sample(ctx context.Context, connectionID string, r SampleRequest) (Sample, error) {
	q := url.Values{}
	set(q, "service", r.Service)
	set(q, "environment", r.Environment)
	set(q, "company", r.Company)
	return call[Sample](ctx, c, request{method: http.MethodGet, path: "/connections/" + url.PathEscape(connectionID) + "/sample", query: q})
}

// BusinessCentralSetUp goes through the set-up of an app in Business Central.
func (c *Client) BusinessCentralSetUp(ctx context.Context, connectionID string) (SetUp, error) {
	return call[SetUp](ctx, c, request{method: http.MethodGet, path: "/connections/" + url.PathEscape(connectionID) + "/business-central-set-up"})
}
