package graphsim

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// change is what a writing handler says it does to an object. Once the handler
// has succeeded the change goes into the audit log and the journal that delta
// queries read.
type change struct {
	activity  activity
	operation string // Add, Update or Delete
	it        item
	before    map[string]any
	after     map[string]any
	// member, where set, joins or (left) leaves the object.
	member *item
	left   bool
}

// activity is a kind of audit entry ("Audit activity reference").
type activity struct{ name, category, service string }

// Categories and services of the audit log.
const (
	userManagement  = "UserManagement"
	groupManagement = "GroupManagement"
	appManagement   = "ApplicationManagement"
	roleManagement  = "RoleManagement"
	policyCategory  = "Policy"

	coreDirectory     = "Core Directory"
	conditionalAccess = "Conditional Access"
	methodService     = "Authentication Methods"
)

//go:noinline
func core(name, category string) activity { return activity{name, category, coreDirectory} }

// adds, updates and deletes announce a change. They are called when all checks
// are done: updates and deletes before the object changes, adds with the object
// as it will be.
func (r *request) adds(a activity, it item) {
	r.changes = append(r.changes, &change{activity: a, operation: "Add", it: it})
}

//go:noinline
func (r *request) updates(a activity, it item) {
	r.changes = append(r.changes, &change{activity: a, operation: "Update", it: it, before: r.plainly(it)})
}

func (r *request) deletes(a activity, it item) {
	r.changes = append(r.changes, &change{activity: a, operation: "Delete", it: it, before: r.plainly(it)})
}

// joins and leaves announce a change of members.
func (r *request) joins(a activity, it, member item) {
	r.changes = append(r.changes, &change{activity: a, operation: "Assign", it: it, before: r.plainly(it), member: &member})
}

func (r *request) leaves(a activity, it, member item) {
	r.changes = append(r.changes, &change{activity: a, operation: "Unassign", it: it, before: r.plainly(it), member: &member, left: true})
}

// plainly gives all members of an object that cost nothing to find out, whoever
// asks.
func (r *request) plainly(it item) map[string]any {
	out := map[string]any{}
	for _, m := range it.typ.members {
		if !m.rare {
			out[m.name] = m.get(r, it.value)
		}
	}
	return out
}

// record writes down what the handler announced. Objects of the journal are
// those that delta queries know.
func (r *request) record() {
	for _, c := range r.changes {
		c.after = map[string]any{}
		if c.operation != "Delete" {
			c.after = r.plainly(c.it)
		}
		r.tenant.Audit(r.entry(c))
		if c.it.typ.byName["id"] == nil {
			continue // part of another object
		}
		note := directory.Change{Kind: c.it.typ.name, ID: r.idOf(c.it), Gone: c.operation == "Delete"}
		if c.member != nil {
			note.Member, note.Left = r.idOf(*c.member), c.left
		}
		r.tenant.Touch(note)
		r.lags(c)
	}
	r.changes = nil
}

func (r *request) entry(c *change) *directory.Audit {
	e := &directory.Audit{
		ID: directory.RandomID(), CorrelationID: directory.RandomID(), Time: r.now, Activity: c.activity.name, Category: c.activity.category, Service: c.activity.service,
		Operation: c.operation, IPAddress: r.address, UserAgent: clip(r.header.Get("User-Agent")),
		Targets: []directory.AuditTarget{r.target(c.it, c.before, modified(c.before, c.after))},
	}
	if r.server.cfg.Deterministic {
		number := itoa(len(r.tenant.Audits))
		e.ID, e.CorrelationID = directory.NameID("audit", r.tenant.ID, number), directory.NameID("audit correlation", r.tenant.ID, number)
	}
	if c.member != nil {
		e.Targets = append([]directory.AuditTarget{r.target(*c.member, nil, nil)}, e.Targets...)
	}
	if p := r.tenant.Principal(r.claims.AppID); p != nil {
		e.Client, e.ClientName = p.ID, r.appOf(p).Name
	}
	e.ClientID = r.claims.AppID
	if !r.app() {
		e.UserID, e.UPN = r.claims.ObjectID, r.claims.UPN
		if u := r.tenant.User(r.claims.ObjectID); u != nil {
			e.UPN, e.UserName = u.UPN, u.Name
		}
	}
	return e
}

func (r *request) target(it item, before map[string]any, changes []directory.AuditChange) directory.AuditTarget {
	if _, isUser := it.value.(*directory.User); isUser {
		it.typ = userType // a part of the user was changed
	}
	id := it.typ.name // of a policy that a tenant has one of
	if it.typ.byName["id"] != nil {
		id = r.idOf(it)
	}
	t := directory.AuditTarget{ID: id, Type: targetType(it.typ), Modified: changes}
	t.Name, _ = r.plainly(it)["displayName"].(string)
	if t.Name == "" { // it may be gone
		t.Name, _ = before["displayName"].(string)
	}
	if u, isUser := it.value.(*directory.User); isUser {
		t.UPN = u.UPN
	}
	return t
}

// targetType: targetResource, type.
func targetType(typ *entity) string {
	switch typ {
	case userType:
		return "User"
	case groupType:
		return "Group"
	case servicePrincipalType:
		return "ServicePrincipal"
	case applicationType:
		return "Application"
	case directoryRoleType, roleAssignmentType:
		return "Role"
	}
	if strings.HasSuffix(typ.name, "olicy") || strings.HasSuffix(typ.name, "amedLocation") {
		return "Policy"
	}
	return "Other"
}

// modified lists the members that differ, with their values as JSON.
func modified(before, after map[string]any) []directory.AuditChange {
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if _, both := before[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []directory.AuditChange
	for _, name := range names {
		if was, is := before[name], after[name]; !reflect.DeepEqual(was, is) {
			out = append(out, directory.AuditChange{Name: name, Old: asText(was), New: asText(is)})
		}
	}
	return out
}

// asText is a value's JSON, cut to a length that a log bears.
func asText(v any) string {
	if v == nil {
		return ""
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	const most = 4096
	if len(data) > most {
		return string(data[:most]) + "…"
	}
	return string(data)
}
