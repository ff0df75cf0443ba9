package datasource

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/sharepoint"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Sample is a little of what a connection reaches, as proof that it does. It is
// shown and not kept.
type Sample struct {
	Service string
	Of      string     // what was read, for people
	Columns []string   // their names
	Rows    [][]string // few: see sampleRows
}

// sampleRows is how many records a sample has at most.
const sampleRows = 5

// longest is how much of a value is shown, in characters.
const longest = 120

// SampleRequest says what to read.
type SampleRequest struct {
	Service     string // one of the connection's; "" is the one that tells most
	Environment string // Business Central; "" is the connection's own
	Company     string // the same
}

// Sample reads a few records with a connection: customers of the company in
// Business Central, the title of the SharePoint site, the person and the
// organisation in Graph. That somebody looked is audited.
func (s *Service) Sample(ctx context.Context, id string, in SampleRequest) (Sample, error) {
	c, err := s.Connections.Get(ctx, id)
	if err != nil {
		return Sample{}, err
	}
	entry := audit.Entry{Permission: audit.ConnectionValidate, TenantID: c.TenantID, Action: "connection.sampled", ObjectKind: "connection", ObjectID: c.ID, ObjectName: c.Name}
	if err := s.Audit.Allow(ctx, c.TenantID, entry.Permission); err != nil {
		return Sample{}, err
	}
	service := in.Service
	for _, tells := range []string{connection.BusinessCentral, connection.SharePoint, connection.Graph} {
		if service == "" && slices.Contains(c.Services, tells) {
			service = tells
		}
	}
	entry.Details = map[string]any{"service": service}
	read := map[string]func(context.Context, string, SampleRequest) (Sample, error){
		connection.BusinessCentral: s.customers, connection.SharePoint: s.site, connection.Graph: s.directory,
	}[service]
	if read == nil {
		return Sample{}, ErrService
	}
	if err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.Audit.Act(ctx, tx, entry) }); err != nil {
		return Sample{}, err
	}
	out, err := read(pace.Interactive(ctx), id, in)
	if err != nil {
		return Sample{}, err
	}
	out.Service, out.Rows = service, out.Rows[:min(len(out.Rows), sampleRows)]
	for _, row := range out.Rows {
		for i, value := range row {
			if r := []rune(value); len(r) > longest {
				row[i] = string(r[:longest]) + "…"
			}
		}
	}
	return out, nil
}

func (s *Service) customers(ctx context.Context, id string, in SampleRequest) (Sample, error) {
	at, client, token, err := s.central(ctx, id)
	if err != nil {
		return Sample{}, err
	}
	e, err := pick(ctx, client, token, wanted(at.Connection, in.Environment))
	if err != nil {
		return Sample{}, err
	}
	all, err := client.Companies(ctx, e.Name)
	if err != nil {
		return Sample{}, err
	}
	company, err := choose(all, cmp.Or(in.Company, at.Company))
	if err != nil {
		return Sample{}, err
	}
	customers, err := client.Customers(ctx, e.Name, company.ID, sampleRows)
	if err != nil {
		return Sample{}, err
	}
	out := Sample{Of: "Customers of " + company.Name + " in " + e.Name, Columns: []string{"Number", "Name"}}
	for _, c := range customers {
		out.Rows = append(out.Rows, []string{c.Number, c.Name})
	}
	return out, nil
}

func (s *Service) site(ctx context.Context, id string, _ SampleRequest) (Sample, error) {
	at, err := s.open(ctx, id, connection.SharePoint)
	if err != nil {
		return Sample{}, err
	}
	name, path, err := s.host(ctx, at)
	if err != nil {
		return Sample{}, err
	}
	// No token goes to a host that says it is another tenant's.
	realm, err := sharepoint.Realm(ctx, s.web(at, secrets.Value{}), name)
	if err == nil && realm != "" && !strings.EqualFold(realm, at.directory) {
		err = &microsoft.Error{Service: microsoft.ServiceSharePoint, Op: "asking the SharePoint host for its tenant", Code: "sharepoint_host_of_another_tenant", Message: "the host belongs to tenant " + realm + ", so no token was sent to it"}
	}
	if err != nil {
		return Sample{}, err
	}
	_, resource := s.Cloud.SharePointHost(name)
	token, err := at.token(ctx, resource)
	if err != nil {
		return Sample{}, err
	}
	web, err := sharepoint.New(s.web(at, token.Access), name).Web(ctx, path)
	if err != nil {
		return Sample{}, err
	}
	return Sample{Of: "The SharePoint site", Columns: []string{"Title", "Address"}, Rows: [][]string{{web.Title, web.URL}}}, nil
}

// host is where the connection's site lies: its own address, else the root site of
// the tenant's hosts.
func (s *Service) host(ctx context.Context, at source) (name, path string, err error) {
	if at.Site != "" {
		name, path, ok := s.Cloud.SharePointName(at.Site)
		if !ok {
			return "", "", ErrSite
		}
		return name, path, nil
	}
	if s.KnownHost != nil {
		if name, _, err = s.KnownHost(ctx, at.TenantID); err != nil || name != "" {
			return name, "", err
		}
	}
	in, err := s.Tenants.Directory(ctx, at.TenantID)
	if err != nil {
		return "", "", err
	}
	if name = sharepoint.FromDomain(in.Initial); name == "" {
		return "", "", ErrSite
	}
	return name, "", nil
}

func (s *Service) directory(ctx context.Context, id string, _ SampleRequest) (Sample, error) {
	at, err := s.open(ctx, id, connection.Graph)
	if err != nil {
		return Sample{}, err
	}
	token, err := at.token(ctx, connection.Graph)
	if err != nil {
		return Sample{}, err
	}
	client, err := s.graph(at, token.Access)
	if err != nil {
		return Sample{}, err
	}
	out := Sample{Of: "What Microsoft Graph shows", Columns: []string{"Of", "Name", "Id"}}
	if at.Kind == connection.Delegated {
		var me graph.User
		if err := client.Get(ctx, "/v1.0/me?$select=id,displayName,userPrincipalName", &me); err != nil {
			return Sample{}, err
		}
		out.Rows = append(out.Rows, []string{"Person", me.DisplayName, me.UserPrincipalName})
	}
	var page struct {
		Value []struct {
			ID   string `json:"id"`
			Name string `json:"displayName"`
		} `json:"value"`
	}
	err = client.Get(ctx, "/v1.0/organization?$select=id,displayName", &page)
	if err != nil && at.Kind != connection.Delegated {
		return Sample{}, err // for a person the first row is proof enough
	}
	for _, o := range page.Value {
		out.Rows = append(out.Rows, []string{"Organisation", o.Name, o.ID})
	}
	return out, nil
}
