// Package sharepoint reads from the REST interface of SharePoint Online: what a
// validation needs to know whether an identity gets in.
package sharepoint

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/web"
	"gatehouse/internal/secrets"
)

// Client reads from one SharePoint host with a token for that host.
type Client struct {
	web  *web.Client
	root string
}

// New gives a client of the host with a name ([microsoft.Cloud.SharePointHost]).
// Service and Refusal of the configuration are set here.
func New(cfg web.Config, name string) *Client {
	cfg.Service, cfg.Refusal = microsoft.ServiceSharePoint, refusal
	return &Client{web.New(cfg), hostRoot(cfg.Cloud, name)}
}

// Web is a site.
type Web struct {
	Title string `json:"Title"`
	URL   string `json:"Url"`
}

// Web reads a site by its path below the host, "" for the root site.
func (c *Client) Web(ctx context.Context, path string) (Web, error) {
	var out Web
	err := c.web.Get(ctx, "reading the site", c.root+path+"/_api/web?$select=Title,Url", &out)
	return out, err
}

// Sites reads the addresses of the tenant's sites, one page of them, from the
// host of the admin centre.
func (c *Client) Sites(ctx context.Context) ([]string, error) {
	var out struct {
		Value []struct {
			URL string `json:"Url"`
		} `json:"value"`
	}
	err := c.web.Get(ctx, "listing the sites in the admin centre", c.root+"/_api/SPO.Tenant/sites?$select=Url", &out)
	sites := []string{}
	for _, s := range out.Value {
		sites = append(sites, s.URL)
	}
	return sites, err
}

// Realm asks a host, without a token, to which tenant it belongs, by its id; "" if
// it does not say, as it need not (sharepoint §3). An error says that it was not
// reached.
func Realm(ctx context.Context, cfg web.Config, name string) (string, error) {
	cfg.Access = secrets.Value{}
	c := New(cfg, name)
	err := c.web.Get(ctx, "asking the SharePoint host for its tenant", c.root+"/_vti_bin/client.svc", &struct{}{})
	var e *microsoft.Error
	if err == nil || !errors.As(err, &e) || e.Status == 0 {
		return "", err
	}
	return e.Realm, nil
}

func hostRoot(cloud microsoft.Cloud, name string) string {
	root, _ := cloud.SharePointHost(name)
	return root
}

var realm = regexp.MustCompile(`(?i)\brealm="([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"`)

// refusal reads what SharePoint says: in OData's form, in two spellings; in
// error_description; or, with an empty body, only in x-ms-diagnostics.
func refusal(e *microsoft.Error, response *http.Response) {
	e.RequestID, e.CorrelationID = response.Header.Get("request-id"), response.Header.Get("SPRequestGuid")
	if found := realm.FindStringSubmatch(response.Header.Get("WWW-Authenticate")); found != nil {
		e.Realm = found[1]
	}
	var answer struct {
		Old         odataError `json:"odata.error"`
		New         odataError `json:"error"`
		Description string     `json:"error_description"`
	}
	if json.Unmarshal(e.Body, &answer) != nil && strings.HasPrefix(e.ContentType, "text/plain") {
		e.Message, _, _ = strings.Cut(string(e.Body[:min(len(e.Body), 500)]), "\n")
	}
	for _, o := range []odataError{answer.Old, answer.New} {
		if o.Code != "" {
			e.Code, e.Message = o.Code, o.Message.Value
		}
	}
	if answer.Description != "" && e.Message == "" {
		e.Message = answer.Description
	}
	if e.Status == http.StatusNotFound && e.Code == "" {
		e.Code, e.Message = "site_not_found", "there is no site at this address, or none that the identity may know of"
	}
	if _, rest, ok := strings.Cut(response.Header.Get("x-ms-diagnostics"), `reason="`); ok && e.Message == "" {
		e.Message, _, _ = strings.Cut(rest, `"`)
	}
}

type odataError struct {
	Code    string `json:"code"`
	Message struct {
		Value string `json:"value"`
	} `json:"message"`
}
