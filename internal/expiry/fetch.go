package expiry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// findings are what was read in a tenant.
type findings struct {
	rows   []row
	whole  []Holder // the holders whose rows are all there
	unread []Unread
	grants map[string]appGrants // by client id
}

// fetcher reads one tenant.
type fetcher struct {
	*findings
	client   *graph.Client
	tenantID string
	now      time.Time
	reading  string                  // client id of the reader
	used     map[[2]string]time.Time // last sign-in by client id and key id
	apps     []object                // service principals that are used here
	apis     map[string]*api         // that permissions are for, by id
}

// fetch reads a tenant. The error is for what says nothing about any part: no
// token, no network.
func (s *Service) fetch(ctx context.Context, tenantID string, at tenant.Directory, reading *tenant.Reading) (*findings, error) {
	token, err := s.login.Certificate(ctx, at.DirectoryID, reading.ClientID, *reading.Certificate, []string{s.Cloud.GraphResource + "/.default"})
	if err != nil {
		return nil, err
	}
	client, err := graph.New(graph.Config{Cloud: s.Cloud, Pace: s.Pace, Tenant: at.DirectoryID, Token: func(context.Context) (secrets.Value, error) { return token.Access, nil }})
	if err != nil {
		return nil, err
	}
	f := &fetcher{findings: &findings{unread: []Unread{}}, client: client, tenantID: tenantID, now: s.time(), reading: strings.ToLower(reading.ClientID)}
	users, clients, err := s.identities(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	clients = append(clients, f.reading)
	for _, part := range []func() error{
		func() error { return f.objects(ctx, Application, "/v1.0/applications", nil) },
		func() error { return f.objects(ctx, ServicePrincipal, "/v1.0/servicePrincipals", clients) },
		func() error { return f.accounts(ctx, users) },
		func() error { return f.signIns(ctx) },
		func() error { return f.readGrants(ctx) },
	} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	for i := range f.rows {
		if last, known := f.used[[2]string{f.rows[i].ClientID, strings.ToLower(f.rows[i].CredentialID)}]; known {
			f.rows[i].UsedAt = &last
		}
	}
	return f.findings, nil
}

// identities are the accounts and apps of a tenant's connections.
func (s *Service) identities(ctx context.Context, tenantID string) (users, clients []string, err error) {
	var rows []struct{ Username, ClientID string }
	err = s.DB.Read().NewSelect().TableExpr("connections AS c").ColumnExpr("DISTINCT lower(c.username) AS username, c.client_id AS client_id").Where("c.tenant_id = ?", tenantID).Scan(ctx, &rows)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a tenant's identities: %w", err)
	}
	for _, r := range rows {
		if r.Username != "" {
			users = append(users, r.Username)
		}
		if r.ClientID != "" {
			clients = append(clients, r.ClientID)
		}
	}
	slices.Sort(users)
	return slices.Compact(users), clients, nil
}

// skip notes a part that this reader may not read or that the tenant does not
// have; what ends the whole reading is given back.
func (f *fetcher) skip(part string, err error) error {
	var e *microsoft.Error
	if !errors.As(err, &e) || e.Status == 0 || e.Status == http.StatusUnauthorized || e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError {
		return err
	}
	f.unread = append(f.unread, Unread{part, e.Error()})
	return nil
}

// objects reads all applications or service principals: a page of hundreds costs
// one call, each by itself one as well.
func (f *fetcher) objects(ctx context.Context, holder Holder, path string, used []string) error {
	fields := objectSelect
	if holder == ServicePrincipal {
		fields += ",preferredTokenSigningKeyThumbprint"
	}
	all, err := graph.List[object](ctx, f.client, path+"?$select="+fields+"&$top=500")
	if err != nil {
		return f.skip(strings.TrimPrefix(path, "/v1.0/"), err)
	}
	for _, o := range all {
		f.rows = append(f.rows, o.credentials(f.tenantID, holder, f.now)...)
		if slices.ContainsFunc(used, func(id string) bool { return strings.EqualFold(id, o.AppID) }) {
			f.apps = append(f.apps, o)
		}
	}
	f.whole = append(f.whole, holder)
	return nil
}

// partDomains is why no end of a password is known without a permission that the
// reader does not have to have.
const partDomains = "domains"

// accounts reads when the passwords of service accounts end.
func (f *fetcher) accounts(ctx context.Context, users []string) error {
	if len(users) == 0 {
		f.whole = append(f.whole, User)
		return nil
	}
	unread := ""
	domains, err := graph.List[domain](ctx, f.client, "/v1.0/domains?$select="+domainSelect)
	if err != nil {
		if err := f.skip(partDomains, err); err != nil {
			return err
		}
		domains = nil
		unread = "how long passwords last could not be read: " + strings.TrimRight(err.Error(), ".") + ". The reader may read it with " + tenant.PermissionDomains
	} else if domains == nil {
		domains = []domain{}
	}
	for _, upn := range users {
		var a account
		err := f.client.Get(ctx, "/v1.0/users/"+graph.PathKey(upn)+"?$select="+accountSelect, &a)
		r := row{TenantID: f.tenantID, Kind: Password, Holder: User, ObjectID: upn, Username: upn, Name: upn, SeenAt: f.now}
		if err == nil {
			r.ObjectID = a.ID
			r.Label = clip(a.GivenName)
			if !strings.EqualFold(a.UPN, upn) { // by a name that it had before, or its mail address
				r.Label = clip(a.UPN)
			}
			r.State, r.Reason, r.NotAfter = password(a, domains, unread)
			r.StartsAt = utc(a.Changed)
		} else {
			if err := f.skip("user "+upn, err); err != nil {
				return err
			}
			r.State, r.Reason = Unknown, "the account could not be read: "+err.Error()
		}
		r.Reason = clip(r.Reason)
		f.rows = append(f.rows, identify([]row{r})...)
	}
	f.whole = append(f.whole, User)
	return nil
}

// sight is a sign-in with one credential of an app, as the report of them tells
// (beta; resource type appCredentialSignInActivity).
type sight struct {
	AppID    string `json:"appId"`
	KeyID    string `json:"keyId"`
	Activity *struct {
		Last *time.Time `json:"lastSignInDateTime"`
	} `json:"signInActivity"`
}

const partSignIns = "sign-ins by credential"

func (f *fetcher) signIns(ctx context.Context) error {
	all, err := graph.List[sight](ctx, f.client, "/beta/reports/appCredentialSignInActivities")
	if err != nil {
		return f.skip(partSignIns, err)
	}
	f.used = map[[2]string]time.Time{}
	for _, one := range all {
		at := [2]string{strings.ToLower(one.AppID), strings.ToLower(one.KeyID)}
		if one.Activity != nil && one.Activity.Last != nil && one.Activity.Last.After(f.used[at]) {
			f.used[at] = one.Activity.Last.UTC()
		}
	}
	return nil
}
