// Package partner is Gatehouse's client of Partner Center's REST API: the customers
// of a partner, and the consents that the partner gives for an app in their tenants
// (entra-sign-in §9.4).
package partner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
)

// Service is its name in a [microsoft.Error].
const Service = "partner_center"

// ResourceID is the app id of Partner Center, of which a delegated token with
// user_impersonation is needed.
const ResourceID = "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd"

// ErrNoCloud says that Partner Center is not known in the cloud.
var ErrNoCloud = errors.New("this cloud has no Partner Center that is known")

// Client calls Partner Center with one person's token.
type Client struct {
	cloud  microsoft.Cloud
	token  secrets.Value
	pace   *pace.Governor
	tenant string
	http   *http.Client
}

// Config is what a [Client] needs.
type Config struct {
	Cloud microsoft.Cloud
	Token secrets.Value // of an admin agent of the partner
	Pace  *pace.Governor
	// Tenant is the partner's own, for Pace.
	Tenant string
}

// New gives a client; [ErrNoCloud] where there is no Partner Center.
func New(cfg Config) (*Client, error) {
	if cfg.Cloud.PartnerCenter == "" {
		return nil, ErrNoCloud
	}
	return &Client{cfg.Cloud, cfg.Token, cfg.Pace, cfg.Tenant, &http.Client{
		Transport: cfg.Cloud.Transport(), Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Customer is a customer of the partner.
type Customer struct {
	ID     string // directory id of the customer's tenant
	Name   string
	Domain string
}

// pageSize is how many customers a page has at most.
const pageSize = 100

// maxContinuation bounds the token of the next page, in bytes.
const maxContinuation = 8 << 10

// Customers gives a page of the partner's customers; after is what the page before
// gave as next, which is "" after the last one.
func (c *Client) Customers(ctx context.Context, after string) (page []Customer, next string, err error) {
	query := url.Values{"size": {fmt.Sprint(pageSize)}}
	header := http.Header{}
	if after != "" {
		query.Set("seekOperation", "Next")
		header.Set("MS-ContinuationToken", after)
	}
	var answer struct {
		Items []struct {
			ID      string `json:"id"`
			Profile struct {
				TenantID string `json:"tenantId"`
				Domain   string `json:"domain"`
				Name     string `json:"companyName"`
			} `json:"companyProfile"`
		} `json:"items"`
		Links struct {
			Next *struct {
				Headers []struct{ Key, Value string } `json:"headers"`
			} `json:"next"`
		} `json:"links"`
	}
	if err := c.call(ctx, "listing the partner's customers", http.MethodGet, "/v1/customers?"+query.Encode(), header, nil, &answer); err != nil {
		return nil, "", err
	}
	for _, i := range answer.Items {
		id := i.Profile.TenantID
		if id == "" {
			id = i.ID
		}
		page = append(page, Customer{ID: strings.ToLower(id), Name: i.Profile.Name, Domain: i.Profile.Domain})
	}
	if answer.Links.Next != nil {
		for _, h := range answer.Links.Next.Headers {
			if strings.EqualFold(h.Key, "MS-ContinuationToken") && len(h.Value) <= maxContinuation && !strings.ContainsAny(h.Value, "\r\n\x00") {
				next = h.Value
			}
		}
	}
	return page, next, nil
}

// Grant is what an app is to be allowed on one API: delegated permissions.
type Grant struct {
	Resource string // app id of the API
	Scopes   []string
}

// Consent consents for everybody of a customer to delegated permissions of an app on
// one API: Partner Center wants a call for each (GDAP frequently asked questions), by a
// token of that same app. What is there already is answered with status 409: see
// [Exists].
func (c *Client) Consent(ctx context.Context, customerID, clientID string, g Grant) error {
	type grant struct {
		ID    string `json:"enterpriseApplicationId"`
		Scope string `json:"scope"`
	}
	body := struct {
		ID     string  `json:"applicationId"`
		Grants []grant `json:"applicationGrants"`
	}{clientID, []grant{{g.Resource, strings.Join(g.Scopes, ", ")}}}
	return c.call(ctx, "consenting for the customer", http.MethodPost, "/v1/customers/"+url.PathEscape(customerID)+"/applicationconsents", nil, body, nil)
}

// Withdraw takes back what was consented to for a customer. What is not there is
// answered with status 404: see [Gone].
func (c *Client) Withdraw(ctx context.Context, customerID, clientID string) error {
	return c.call(ctx, "taking back the consent for the customer", http.MethodDelete, "/v1/customers/"+url.PathEscape(customerID)+"/applicationconsents/"+url.PathEscape(clientID), nil, nil, nil)
}

// Exists reports whether an error says that a consent is there already. Partner
// Center says it with status 409, and some times with 400 and these words.
func Exists(err error) bool {
	e, ok := errors.AsType[*microsoft.Error](err)
	return ok && (e.Status == http.StatusConflict || e.Status == http.StatusBadRequest && strings.Contains(strings.ToLower(e.Message), "permission entry already exists"))
}

// OfOne reports whether an error concerns the one API that a call was for, so that
// another may go well: a bad request, which a missing service principal is.
func OfOne(err error) bool {
	e, ok := errors.AsType[*microsoft.Error](err)
	return ok && e.Status == http.StatusBadRequest
}

// Gone reports whether an error says that there is nothing to take back.
func Gone(err error) bool {
	e, ok := errors.AsType[*microsoft.Error](err)
	return ok && e.Status == http.StatusNotFound
}

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 4 << 20

func (c *Client) call(ctx context.Context, op, method, path string, header http.Header, in, out any) error {
	e := &microsoft.Error{Service: Service, Op: op}
	var text []byte
	if in != nil {
		var err error
		if text, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.cloud.PartnerCenter+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	e.CorrelationID = uuid.NewString()
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	request.Header.Set("MS-CorrelationId", e.CorrelationID)
	request.Header.Set("MS-RequestId", uuid.NewString())
	request.Header.Set("User-Agent", "gatehouse")
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	short, _, _ := strings.Cut(path, "?")
	response, err := c.pace.Do(ctx, pace.Call{Service: Service, Tenant: c.tenant, Path: short}, func() (*http.Response, error) { return c.http.Do(request) })
	if err != nil {
		e.Err = err
		return e
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d MB", maxAnswer>>20)
	}
	e.Status, e.ContentType, e.Timestamp, e.RetryAfter = response.StatusCode, response.Header.Get("Content-Type"), response.Header.Get("Date"), pace.RetryAfter(response.Header.Get("Retry-After"), time.Now())
	e.RequestID = response.Header.Get("MS-RequestId")
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) // answers begin with one
	switch {
	case err != nil:
		e.Err = err
		return e
	case response.StatusCode/100 != 2:
		refusal(e, body)
		return e
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		e.Message, e.Err = "the answer cannot be read as JSON of Partner Center", err
		return e
	}
	return nil
}

// refusal reads {"code","description"}, and the form with an error member.
func refusal(e *microsoft.Error, body []byte) {
	e.Body = body[:min(len(body), microsoft.MaxErrorBody)]
	type said struct {
		Code        any    `json:"code"` // a number or a text
		Description string `json:"description"`
		Message     string `json:"message"`
	}
	var answer struct {
		said
		Error *said `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return
	}
	one := answer.said
	if answer.Error != nil {
		one = *answer.Error
	}
	if one.Code != nil {
		e.Code = fmt.Sprint(one.Code)
	}
	if e.Message = one.Description; e.Message == "" {
		e.Message = one.Message
	}
	e.Message, _, _ = strings.Cut(e.Message, "\n")
	e.Message = strings.TrimSpace(e.Message)
}
