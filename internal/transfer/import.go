package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/connection"
	"gatehouse/internal/fault"
	"gatehouse/internal/schedule"
	"gatehouse/internal/tenant"
)

// Import is the kind of batch that makes and changes connections from a file.
const Import = "import"

// Config is what the service needs; all must be given.
type Config struct {
	Tenants     *tenant.Service
	Connections *connection.Service
	Batches     *batch.Service
}

// Service writes and reads files of connections.
type Service struct{ Config }

// New makes the service and adds the import to what batches do.
func New(c Config) *Service {
	s := &Service{c}
	c.Batches.Register(batch.Kind{Name: Import, Permission: audit.ConnectionManage, Begin: func(json.RawMessage, string) (func(context.Context, batch.Item) (string, string, error), error) {
		return s.apply, nil
	}})
	return s
}

// What an import does with a row.
const (
	Create    = "create"
	Update    = "update"
	Unchanged = "unchanged"
)

// Change is what an import would do with a row.
type Change struct {
	Row     int      `json:"row"`
	Action  string   `json:"action"`
	Tenant  string   `json:"tenant"`
	Name    string   `json:"name"`
	Columns []string `json:"columns"` // that change
}

// Report is what an import would do, and what is wrong with its file. Nothing is
// done while there are faults.
type Report struct {
	Rows, Create, Update, Unchanged int
	Faults                          []Fault // the first 500
	FaultCount                      int
	Changes                         []Change // the first 500 that are not unchanged

	items []batch.Item
}

const mostChanges = 500

// planned is what is stored with an item of the batch.
type planned struct {
	ID         string                    `json:"id,omitempty"`
	Version    int64                     `json:"version,omitempty"`
	Kind       connection.Kind           `json:"kind"`
	Credential connection.CredentialKind `json:"credential"`
	Profile    connection.Profile        `json:"profile"`
	Tags       []string                  `json:"tags"`
	Schedule   string                    `json:"schedule"`
	Columns    []string                  `json:"columns,omitempty"` // that change, of one that is there
}

// sets reports whether a column is to be set.
func (p planned) sets(name string) bool { return p.ID == "" || slices.Contains(p.Columns, name) }

// profile reports whether something is to be set that is of the profile.
func (p planned) profile() bool {
	return slices.ContainsFunc(p.Columns, func(name string) bool { return name != "tags" && name != "schedule" })
}

// Look reads a file and says what it would do, and what is wrong with it, row by
// row. Nothing is changed.
func (s *Service) Look(ctx context.Context, data []byte, format Format) (*Report, error) {
	f := &faults{}
	rows, has := read(data, format, f)
	tenants, err := s.tenants(ctx)
	if err != nil {
		return nil, err
	}
	known, err := s.known(ctx, rows)
	if err != nil {
		return nil, err
	}
	r := &Report{Rows: len(rows)}
	in := &reading{ctx: ctx, faults: f, has: has, tenants: tenants, known: known, seen: map[string]int{}}
	for _, p := range rows {
		in.row(p, r)
	}
	r.Faults, r.FaultCount = f.some, f.count
	return r, nil
}

// Begin imports a file that has no faults, in the background. The report says what
// is wrong if there are some; then the batch is nil.
func (s *Service) Begin(ctx context.Context, data []byte, format Format) (*Report, *batch.Batch, error) {
	r, err := s.Look(ctx, data, format)
	if err != nil || r.FaultCount > 0 {
		return r, nil, err
	}
	if len(r.items) == 0 {
		return r, nil, fault.Of("file", "holds no connection", "upload a file with rows below the heading")
	}
	b, err := s.Batches.Start(ctx, batch.Request{Kind: Import, Words: "Import connections", Request: struct{}{}, Items: r.items})
	if err != nil {
		return r, nil, err
	}
	return r, &b, nil
}

// tenants are those that the actor may see, by each name that a file may use; nil
// for a name that several have.
func (s *Service) tenants(ctx context.Context) (map[string]*tenant.Tenant, error) {
	out := map[string]*tenant.Tenant{}
	for p := (tenant.Page{Limit: 200}); ; {
		some, next, err := s.Tenants.List(ctx, tenant.Filter{}, p)
		if err != nil {
			return nil, err
		}
		for _, t := range some {
			for _, name := range []string{t.ID, t.DirectoryID, t.Domain, t.Name} {
				name = strings.ToLower(name)
				if name == "" {
					continue
				}
				if have, taken := out[name]; taken && (have == nil || have.ID != t.ID) {
					out[name] = nil
				} else {
					out[name] = &t
				}
			}
		}
		if next == "" {
			return out, nil
		}
		p.After = next
	}
}

// known are the connections that the rows may mean, by id and by tenant and name.
func (s *Service) known(ctx context.Context, rows []parsed) (map[string]connection.Connection, error) {
	var names, ids []string
	for _, p := range rows {
		names, ids = append(names, p.values["name"]), append(ids, p.values["id"])
	}
	for _, list := range []*[]string{&names, &ids} {
		slices.Sort(*list)
		*list = slices.DeleteFunc(slices.Compact(*list), func(v string) bool { return v == "" })
	}
	all, err := s.Connections.Named(ctx, names, ids)
	if err != nil {
		return nil, err
	}
	out := map[string]connection.Connection{}
	for _, c := range all {
		out[c.ID], out[c.TenantID+"\n"+c.Name] = c, c
	}
	return out, nil
}

// apply does a row. It bears being done a second time.
func (s *Service) apply(ctx context.Context, i batch.Item) (outcome, note string, err error) {
	var p planned
	if err := json.Unmarshal(i.Data, &p); err != nil {
		return "", "", fmt.Errorf("reading the row: %w", err)
	}
	outcome, id := batch.Changed, p.ID
	if id == "" {
		c, err := s.Connections.Create(ctx, connection.CreateRequest{TenantID: i.TenantID, Kind: p.Kind, Profile: p.Profile, Credential: connection.CredentialRequest{Kind: p.Credential}, Existing: true})
		if errors.Is(err, connection.ErrTaken) {
			return batch.Skipped, "the tenant has a connection of this name by now: import the file again", nil
		}
		if err != nil {
			return "", "", err
		}
		id, note = c.ID, "made; its credential is to be entered"
	} else if p.profile() {
		_, err := s.Connections.Update(ctx, id, connection.UpdateRequest{Profile: p.Profile, Version: p.Version})
		if errors.Is(err, connection.ErrConflict) || errors.Is(err, connection.ErrMissing) {
			return batch.Skipped, err.Error(), nil
		}
		if err != nil {
			return "", "", err
		}
	}
	if p.sets("tags") && (p.ID != "" || len(p.Tags) > 0) {
		if err := s.Connections.SetTags(ctx, id, p.Tags); err != nil {
			return "", "", err
		}
	}
	if p.sets("schedule") {
		if _, err := s.Connections.SetSchedule(ctx, id, p.Schedule); err != nil {
			return "", "", err
		}
	}
	return outcome, note, nil
}

// scheduleOf reads a schedule as it is stored.
func scheduleOf(text string) (string, error) {
	s, err := schedule.Parse("schedule", text)
	return s.String(), err
}
