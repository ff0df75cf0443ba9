package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/sharepoint"
	"gatehouse/internal/microsoft/web"
	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Where the name of a tenant's hosts came from.
const (
	FromGraph   = "graph"
	FromRename  = "rename"         // the initial domain's host leads on to it
	FromInitial = "initial_domain" // its first label
)

// What a host says of itself.
const (
	Own     = "own"     // it names the tenant
	Foreign = "foreign" // it names another
	None    = "none"    // there is no such host
	Unknown = "unknown"
)

// Found is where a tenant's SharePoint is.
type Found struct {
	At    time.Time `json:"at"`
	From  string    `json:"from"`   // "" where no name is known
	Why   string    `json:"why"`    // Graph did not tell; "" where it did
	Hosts []Host    `json:"hosts"`  // the main one first
	Note  string    `json:"reason"` // why there is none
}

// Host is the admin centre of one location.
type Host struct {
	Name     string `json:"name"`
	Location string `json:"location"` // "" of a tenant in one place
	AdminURL string `json:"admin_url"`
	State    string `json:"state"`
	Tenant   string `json:"tenant"` // that it names
	Reason   string `json:"reason"` // where it is not the tenant's own
}

// Default is the main admin centre; false if none is known that could be the
// tenant's.
func (f *Found) Default() (Host, bool) {
	if f == nil || len(f.Hosts) == 0 || f.Hosts[0].State == Foreign || f.Hosts[0].State == None {
		return Host{}, false
	}
	return f.Hosts[0], true
}

// Config is what the service needs; all but Now must be given.
type Config struct {
	DB      *sqldb.DB
	Audit   *audit.Log
	Live    *live.Hub
	Tenants *tenant.Service
	Pace    *pace.Governor
	Cloud   microsoft.Cloud
	Now     func() time.Time // time.Now if nil
}

// Service finds hosts and keeps what it found.
type Service struct{ Config }

// New makes the service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c}
}

type row struct {
	bun.BaseModel `bun:"table:sharepoint_hosts"`

	TenantID string `bun:"tenant_id,pk"`
	At       time.Time
	Data     string
}

// Get gives what was found last for a tenant; nil if nobody has looked.
func (s *Service) Get(ctx context.Context, tenantID string) (*Found, error) {
	if err := s.Audit.Allow(ctx, tenantID, audit.ConnectionView); err != nil {
		return nil, err
	}
	return s.kept(ctx, tenantID)
}

func (s *Service) kept(ctx context.Context, tenantID string) (*Found, error) {
	var r row
	err := s.DB.Read().NewSelect().Model(&r).Where("tenant_id = ?", tenantID).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a tenant's SharePoint hosts: %w", err)
	}
	var f Found
	if err := json.Unmarshal([]byte(r.Data), &f); err != nil {
		return nil, fmt.Errorf("reading a tenant's SharePoint hosts: %w", err)
	}
	return &f, nil
}

// fresh is how long what Graph said of the hosts is taken as it is: renames are
// rare, and lead on for a year.
const fresh = 24 * time.Hour

// Known gives the name of a tenant's main host for features that have authorised
// on an object of it, and whether Graph need not be asked again yet. "" if it is
// not known.
func (s *Service) Known(ctx context.Context, tenantID string) (name string, recent bool, err error) {
	f, err := s.kept(ctx, tenantID)
	if err != nil || f == nil {
		return "", false, err
	}
	h, ok := f.Default()
	if !ok {
		return "", false, nil
	}
	return h.Name, f.From == FromGraph && s.Now().Sub(f.At) < fresh, nil
}

// Find looks for a tenant's hosts and asks each whose it is.
func (s *Service) Find(ctx context.Context, tenantID string) (Found, error) {
	at, err := s.Tenants.Directory(ctx, tenantID)
	if err != nil {
		return Found{}, err
	}
	if err := s.Audit.Allow(ctx, tenantID, audit.ConnectionValidate); err != nil {
		return Found{}, err
	}
	var f Found
	all, err := s.fromGraph(ctx, tenantID, at.DirectoryID)
	if err == nil {
		f = s.ask(ctx, at.DirectoryID, FromGraph, all)
	} else {
		f = s.fromDomain(ctx, at)
		f.Why = err.Error()
	}
	return f, s.keep(ctx, tenantID, f)
}

// Learn keeps what a validation heard from Graph. It is for features that have
// authorised on an object of the tenant.
func (s *Service) Learn(ctx context.Context, tenantID string, all []sharepoint.Host) error {
	at, err := s.Tenants.Directory(ctx, tenantID)
	if err != nil || len(all) == 0 {
		return err
	}
	return s.keep(ctx, tenantID, s.ask(ctx, at.DirectoryID, FromGraph, all))
}

var (
	errNoReader = errors.New("no reader: Graph tells renames and further locations only to a token that may read sites; a validation of a connection that may asks it too")
	errNoCloud  = errors.New("the SharePoint hosts of this cloud are not known")
)

// fromGraph asks Graph with the tenant's reader.
func (s *Service) fromGraph(ctx context.Context, tenantID, directory string) ([]sharepoint.Host, error) {
	if s.Cloud.SharePoint == "" {
		return nil, errNoCloud
	}
	reading, err := s.Tenants.Reading(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	if reading == nil {
		return nil, errNoReader
	}
	client, err := s.Tenants.Graph(ctx, directory, reading)
	if err != nil {
		return nil, err
	}
	all, err := sharepoint.Hosts(ctx, client, s.Cloud)
	var e *microsoft.Error
	if errors.As(err, &e) && e.Status == 403 {
		return nil, fmt.Errorf("the reader may not read sites, and needs not; a validation of a connection that may asks Graph too (%w)", err)
	}
	return all, err
}

// fromDomain derives the name from the initial domain, and follows a rename.
func (s *Service) fromDomain(ctx context.Context, at tenant.Directory) Found {
	name := sharepoint.FromDomain(at.Initial)
	switch {
	case s.Cloud.SharePoint == "":
		return Found{At: s.Now().UTC(), Hosts: []Host{}, Note: errNoCloud.Error()}
	case name == "":
		return Found{At: s.Now().UTC(), Hosts: []Host{}, Note: "the tenant's initial domain (name.onmicrosoft.com) is not known: let the tenant be read, or enter the address"}
	}
	answer, err := sharepoint.Ask(ctx, s.web(at.DirectoryID), name)
	if err == nil && answer.Moved != "" {
		return s.ask(ctx, at.DirectoryID, FromRename, []sharepoint.Host{{Name: answer.Moved}})
	}
	return s.ask(ctx, at.DirectoryID, FromInitial, []sharepoint.Host{{Name: name}})
}

func (s *Service) web(directory string) web.Config {
	return web.Config{Cloud: s.Cloud, Tenant: directory, Pace: s.Pace}
}

// ask asks the admin centre of each host whose it is.
func (s *Service) ask(ctx context.Context, directory, from string, all []sharepoint.Host) Found {
	f := Found{At: s.Now().UTC().Truncate(time.Second), From: from, Hosts: []Host{}}
	for _, h := range all {
		f.Hosts = append(f.Hosts, s.one(ctx, directory, from, h))
	}
	return f
}

func (s *Service) one(ctx context.Context, directory, from string, h sharepoint.Host) Host {
	out := Host{Name: h.Name, Location: h.Location, AdminURL: sharepoint.AdminURL(s.Cloud, h.Name), State: Unknown}
	answer, err := sharepoint.Ask(ctx, s.web(directory), h.Name+"-admin")
	out.Tenant = answer.Tenant
	switch {
	case err != nil:
		out.Reason = "it was not reached: " + err.Error()
	case answer.Tenant == directory:
		out.State = Own
	case answer.Tenant != "":
		out.State, out.Reason = Foreign, "it is the admin centre of another tenant ("+answer.Tenant+")"
	case answer.None && from == FromInitial:
		out.State, out.Reason = None, "there is no such host: the tenant was renamed long ago, or has no SharePoint; enter the address of its admin centre"
	case answer.None:
		out.State, out.Reason = None, "there is no such host"
	case answer.Moved != "":
		out.Reason = "it leads on to " + sharepoint.AdminURL(s.Cloud, answer.Moved)
	default:
		out.Reason = fmt.Sprintf("it answers %d and does not say whose it is", answer.Status)
	}
	return out
}

// keep stores what was found. Only what differs from before is worth a line in
// the audit log.
func (s *Service) keep(ctx context.Context, tenantID string, f Found) error {
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encoding SharePoint hosts: %w", err)
	}
	before, err := s.kept(ctx, tenantID)
	if err != nil {
		return err
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if before == nil || !slices.Equal(before.Hosts, f.Hosts) {
			details := map[string]any{"from": f.From, "hosts": len(f.Hosts)}
			if h, ok := f.Default(); ok {
				details["admin_url"] = h.AdminURL
			}
			if err := s.Audit.Act(ctx, tx, audit.Entry{Permission: audit.ConnectionValidate, TenantID: tenantID, Action: "sharepoint_hosts.found", ObjectKind: "tenant", ObjectID: tenantID, Details: details}); err != nil {
				return err
			}
		}
		kept := &row{TenantID: tenantID, At: f.At, Data: string(data)}
		if _, err := tx.NewInsert().Model(kept).On("CONFLICT (tenant_id) DO UPDATE").Set("at = EXCLUDED.at, data = EXCLUDED.data").Exec(ctx); err != nil {
			if sqldb.Referenced(err) {
				return tenant.ErrMissing
			}
			return fmt.Errorf("keeping SharePoint hosts: %w", err)
		}
		return s.Live.Publish(ctx, tx, "tenant/"+tenantID, tenantID, map[string]string{"tenant": tenantID, "changed": "sharepoint_hosts"})
	})
}
