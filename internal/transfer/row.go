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
	"gatehouse/internal/tenant"
)

// reading is a file that is being looked through.
type reading struct {
	ctx     context.Context
	faults  *faults
	has     []string // columns that the file has
	tenants map[string]*tenant.Tenant
	known   map[string]connection.Connection
	seen    map[string]int // rows by what they mean
}

// row finds out what a row means, and adds it to the report.
func (in *reading) row(p parsed, r *Report) {
	before := in.faults.count
	before1, exists := in.meant(p)
	if in.faults.count > before {
		return
	}
	next, tenantID := in.start(p, before1, exists)
	for _, name := range in.has {
		col, _ := find(name)
		value, given := p.values[name]
		if col.set == nil || !given || name == "id" || name == "tenant" {
			continue
		}
		if problem, way := col.set(&next, value); problem != "" {
			in.faults.add(p.at, name, problem, way)
		}
	}
	in.check(p, &next, before1, exists)
	if in.faults.count > before {
		return
	}
	in.once(p, tenantID, next.Profile.Name)
	if in.faults.count > before {
		return
	}
	in.note(p, r, next, before1, exists, tenantID)
}

// meant finds the connection that a row means: by id, else by tenant and name.
func (in *reading) meant(p parsed) (c connection.Connection, exists bool) {
	if id := p.values["id"]; id != "" {
		if c, exists = in.known[id]; !exists {
			in.faults.add(p.at, "id", "is of no connection that you may see", "leave it empty to make a new one")
		}
		if name := p.values["tenant"]; exists && name != "" && in.tenants[strings.ToLower(name)] != nil && in.tenants[strings.ToLower(name)].ID != c.TenantID {
			in.faults.add(p.at, "tenant", "is not the tenant of the connection with this id", "leave the id empty to make a connection in that tenant")
		}
		in.may(p, c.TenantID)
		return c, exists
	}
	name := p.values["tenant"]
	t, found := in.tenants[strings.ToLower(name)]
	switch {
	case name == "":
		in.faults.add(p.at, "tenant", "is empty", "write the tenant's name, domain or id")
	case !found:
		in.faults.add(p.at, "tenant", fmt.Sprintf("%.60q is no tenant that you may see", name), "add the tenant first, or write its name, domain or id as it is shown")
	case t == nil:
		in.faults.add(p.at, "tenant", fmt.Sprintf("%.60q is the name of several tenants", name), "write its domain or id")
	case p.values["name"] == "":
		in.faults.add(p.at, "name", "is empty", "name the connection")
	default:
		in.may(p, t.ID)
		c, exists = in.known[t.ID+"\n"+p.values["name"]]
	}
	return c, exists
}

func (in *reading) may(p parsed, tenantID string) {
	if tenantID != "" && !audit.May(in.ctx, tenantID, audit.ConnectionManage) {
		in.faults.add(p.at, "tenant", "is one in which you may not change connections", "ask an administrator for the role engineer there, or remove the row")
	}
}

// start is the connection as it is, or one that is new.
func (in *reading) start(p parsed, c connection.Connection, exists bool) (row, string) {
	if exists {
		return row{ID: c.ID, Kind: c.Kind, Credential: c.Credential, Tags: slices.Clone(c.Tags), Schedule: c.Schedule, Profile: profileOf(c)}, c.TenantID
	}
	r := row{Credential: ""}
	r.Profile.Consumer.HoldsCredential = connection.HeldByConsumer
	return r, in.tenants[strings.ToLower(p.values["tenant"])].ID
}

func profileOf(c connection.Connection) connection.Profile {
	return connection.Profile{Name: c.Name, Description: c.Description, MFA: c.MFA, Username: c.Username, ClientID: c.ClientID, Services: c.Services, Site: c.Site, AdminURL: c.AdminURL, Environment: c.Environment, Company: c.Company, Consumer: c.Consumer}
}

// usual fills in what a new row may leave out.
func (r *row) usual() {
	if r.Kind == "" {
		if r.Kind = connection.ServiceAccount; r.Profile.Username == "" {
			r.Kind = connection.App
		}
	}
	if r.Credential == "" {
		if r.Credential = connection.Password; r.Kind == connection.App {
			r.Credential = connection.Certificate
		}
	}
}

// columnOf is the column of a field of a connection.
func columnOf(field string) string {
	if rest, ok := strings.CutPrefix(field, "consumer."); ok {
		return map[string]string{"name": "consumer", "accepts": "accepts", "addresses": "addresses", "holds_credential": "held_by"}[rest]
	}
	return field
}

func (in *reading) check(p parsed, next *row, c connection.Connection, exists bool) {
	if exists {
		if next.Kind != c.Kind {
			in.faults.add(p.at, "kind", "cannot be changed", "make a new connection, and remove this one")
		}
		if next.Credential != c.Credential {
			in.faults.add(p.at, "credential", "cannot be changed by a file", "replace the credential on the connection's page")
		}
	} else {
		next.usual()
	}
	profile := next.Profile
	profile.Consumer.HoldsCredential = connection.HeldByConsumer // whether it is kept here does not change
	in.wrong(p, connection.Check(next.Kind, profile, next.Credential, next.Tags))
	text, err := scheduleOf(next.Schedule)
	in.wrong(p, err)
	next.Schedule = text
}

// wrong takes in the faults of fields.
func (in *reading) wrong(p parsed, err error) {
	var list fault.List
	switch {
	case err == nil:
	case errors.As(err, &list):
		for _, f := range list {
			in.faults.add(p.at, columnOf(f.Field), f.Problem, f.Way)
		}
	default:
		in.faults.add(p.at, "", err.Error(), "")
	}
}

// once demands that no two rows mean the same connection.
func (in *reading) once(p parsed, tenantID, name string) {
	for _, key := range []string{"id " + p.values["id"], "name " + tenantID + "\n" + name} {
		if key == "id " {
			continue
		}
		if first, twice := in.seen[key]; twice {
			in.faults.add(p.at, "name", fmt.Sprintf("means the same connection as row %d", first), "remove one of the two")
			return
		}
		in.seen[key] = p.at
	}
}

// note adds a row without faults to the report.
func (in *reading) note(p parsed, r *Report, next row, c connection.Connection, exists bool, tenantID string) {
	slices.Sort(next.Tags)
	plan := planned{Kind: next.Kind, Credential: next.Credential, Profile: next.Profile, Tags: next.Tags, Schedule: next.Schedule}
	change := Change{Row: p.at, Action: Create, Name: next.Profile.Name, Columns: []string{}}
	item := batch.Item{TenantID: tenantID, Name: next.Profile.Name}
	if exists {
		change.Action, change.Tenant = Update, c.TenantName
		plan.ID, plan.Version, item.ObjectID = c.ID, c.Version, c.ID
		change.Columns = differ(c, next)
		if len(change.Columns) == 0 {
			change.Action = Unchanged
		}
	} else {
		change.Tenant = p.values["tenant"]
	}
	switch change.Action {
	case Create:
		r.Create++
	case Update:
		r.Update++
	default:
		r.Unchanged++
		item.Outcome = batch.Unchanged
	}
	if change.Action != Unchanged && len(r.Changes) < mostChanges {
		r.Changes = append(r.Changes, change)
	}
	plan.Columns = change.Columns
	item.Data, _ = json.Marshal(plan) // types of ours always encode
	if change.Action == Unchanged {
		item.Data = nil
	}
	r.items = append(r.items, item)
}

// differ names the columns in which a connection changes.
func differ(c connection.Connection, next row) []string {
	after := c
	p := next.Profile
	after.Name, after.Description, after.MFA, after.Username, after.ClientID, after.Services = p.Name, p.Description, p.MFA, p.Username, p.ClientID, p.Services
	after.Site, after.AdminURL, after.Environment, after.Company, after.Consumer, after.Tags, after.Schedule = p.Site, p.AdminURL, p.Environment, p.Company, p.Consumer, next.Tags, next.Schedule
	slices.Sort(after.Services)
	out := []string{}
	for _, col := range columns {
		if col.set != nil && col.get(c) != col.get(after) {
			out = append(out, col.name)
		}
	}
	return out
}
