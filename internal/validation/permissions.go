package validation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
)

// permissions holds what the identity has on each service against what the
// service asks for: what is missing, what would suffice, what is too much.
func (r *run) permissions(ctx context.Context) {
	for _, service := range r.services() {
		r.probe(ProbePermissions, func(p *Probe) {
			if service != ServiceGraph {
				p.Evidence["service"] = service
			}
			if r.scope(service) == nil {
				p.set(NotKnown, "no token for %s was asked for, so what the identity holds there is not known", words(service))
				r.needed(p, service)
				return
			}
			token, err := r.tokenFor(ctx, service)
			switch {
			case err != nil:
				p.set(NotKnown, "there is no token for %s, which would tell", words(service))
				r.needed(p, service)
			case !token.Claims.Readable():
				p.set(NotKnown, "the access token cannot be read")
			default:
				held := token.Claims.Roles
				if !r.facts.AppOnly {
					held = strings.Fields(token.Claims.Scopes)
				}
				r.compare(ctx, p, service, append([]string{}, held...))
				r.manifest(p, service, held)
			}
		})
	}
}

// needed shows what a service asks for where what is held is not known.
func (r *run) needed(p *Probe, service string) {
	tasks := []task{}
	for _, d := range known().of(service, r.facts.AppOnly, r.Place) {
		t := task{Task: d.Task, OneOf: d.names(), Held: []string{}, Open: "not known: there is no token that would tell"}
		if len(d.OneOf) > 0 {
			t.Least = d.OneOf[0].words()
		}
		tasks = append(tasks, t)
	}
	p.Evidence["needed"] = tasks
}

// words are a service's name for people.
func words(service string) string {
	return map[string]string{ServiceGraph: "Microsoft Graph", ServiceSharePoint: "SharePoint", ServiceBusinessCentral: "Business Central", ServiceExchange: "Exchange Online"}[service]
}

// task is how a task stands, as evidence.
type task struct {
	Task  string   `json:"task"`
	OneOf []string `json:"one_of"` // the least first; null where any will do
	Held  []string `json:"held"`   // those of them that the identity has
	Least string   `json:"least"`  // what suffices, with what it needs beside it
	Open  string   `json:"open"`   // what is missing or not known; "" if nothing is
}

// compare judges what is held on a service.
func (r *run) compare(ctx context.Context, p *Probe, service string, held []string) {
	p.set(Passed, "")
	p.Evidence["held"] = held
	roles, unread := r.roles(ctx, service, held)
	if roles != nil {
		p.Evidence["roles"] = roles
	} else if unread != "" {
		p.Evidence["roles_unread"] = unread
	}
	tasks := []task{}
	for _, d := range known().of(service, r.facts.AppOnly, r.Place) {
		tasks = append(tasks, r.task(ctx, p, d, service, held, roles, unread))
	}
	p.Evidence["needed"] = tasks
	if p.State == Passed {
		surplus(p, service, held, roles)
	}
}

// task judges one task, and the probe by it.
func (r *run) task(ctx context.Context, p *Probe, d need, service string, held, roles []string, unread string) task {
	t := task{Task: d.Task, Held: []string{}}
	var openers []opener
	for _, o := range d.OneOf {
		t.OneOf = append(t.OneOf, o.Name)
		if slices.Contains(held, o.Name) {
			openers, t.Held = append(openers, o), append(t.Held, o.Name)
		}
	}
	if len(d.OneOf) > 0 {
		t.Least = d.OneOf[0].words()
	}
	switch {
	case d.Any && len(held) > 0:
	case len(openers) == 0:
		r.missing(p, &t, d, service, held)
	case slices.ContainsFunc(openers, func(o opener) bool { return o.open(roles) }):
		if least := d.OneOf[0]; p.State == Passed && !slices.Contains(held, least.Name) {
			p.set(Passed, "To %s %s would suffice; the tool itself may need more", d.Task, least.words())
		}
	case roles == nil:
		t.Open = "whether one of the directory roles " + strings.Join(openers[0].Roles, ", ") + " is held is not known: " + unread
		p.worse(NotKnown, "%s is there; %s", openers[0].Name, t.Open)
	default:
		t.Open = "none of the directory roles " + strings.Join(openers[0].Roles, ", ") + " is held"
		if name := r.eligible(ctx, openers[0].Roles); name != "" {
			t.Open += " (the app is eligible for " + name + ", which an app cannot activate: assign it as active)"
		}
		standIn := ""
		if service == ServiceExchange {
			standIn = "; a role group of Exchange's own can stand in for it"
		}
		p.worse(Warning, "%s is there, but %s, without which it opens nothing here%s", openers[0].Name, t.Open, standIn)
	}
	return t
}

// open reports whether the permission's roles, if it needs any, are held.
func (o opener) open(roles []string) bool {
	return len(o.Roles) == 0 || slices.ContainsFunc(o.Roles, func(name string) bool { return slices.Contains(roles, name) }) || slices.Contains(roles, "Global Administrator")
}

// missing says what opens a task for which nothing is held. It is a failure
// where the service itself refused, or where nothing at all is held; a service
// that let the identity in knows better than the list.
func (r *run) missing(p *Probe, t *task, d need, service string, held []string) {
	t.Open = "none of these permissions is granted"
	text := "to " + d.Task + ", any permission on " + words(service) + " is needed, and none is granted"
	if len(d.OneOf) > 0 {
		text = fmt.Sprintf("to %s, one of %s is needed, and none of them is granted; %s suffices", d.Task, strings.Join(d.names(), ", "), t.Least)
	}
	switch {
	case r.refused[service] == nil && len(held) > 0 && service == ServiceExchange: // never called
		p.worse(NotKnown, "%s", text+"; other permissions are there, which may open something else")
	case r.refused[service] == nil && service != ServiceExchange:
		p.worse(Warning, "%s", text+"; yet the service let the identity in")
	default:
		p.worse(Fail, "%s", text)
		facts := r.withRule()
		facts.Rule = nil
		diagnosed := diagnosis.Of(&microsoft.Error{Service: service, Op: "comparing permissions", Code: "no_permission", Message: text}, facts)
		p.Diagnosis = &diagnosed
	}
}

// severity orders the states of the permissions probe.
var severity = []State{Passed, Warning, NotKnown, Fail}

// worse sets a state with its reason unless there is a worse one already.
func (p *Probe) worse(state State, format string, args ...any) {
	if slices.Index(severity, state) > slices.Index(severity, p.State) {
		p.set(state, format, args...)
	}
}

// surplus warns of what no one tool needs.
func surplus(p *Probe, service string, held, roles []string) {
	if name := broadRole(roles); name != "" {
		p.set(Warning, "the identity holds the directory role %s, far more than software needs", name)
		return
	}
	for _, b := range known().Broad {
		if b.Service == service && slices.Contains(held, b.Name) {
			p.set(Warning, "the identity holds %s, which lets it %s, more than a tool should: use %s", b.Name, b.Opens, b.Instead)
			return
		}
	}
}

// roles gives the directory roles of the identity by name; nil with the reason
// where they could not be read. Those of an account stand in its token; those of
// an app are read only where a permission asks for one.
func (r *run) roles(ctx context.Context, service string, held []string) (names []string, unread string) {
	if r.facts.AppOnly {
		asked := slices.ContainsFunc(known().of(service, true, r.Place), func(d need) bool {
			return slices.ContainsFunc(d.OneOf, func(o opener) bool { return len(o.Roles) > 0 && slices.Contains(held, o.Name) })
		})
		if !asked {
			return nil, ""
		}
		return r.appRoles(ctx)
	}
	if r.snapshot != nil {
		if a, ok := r.snapshot.Account(r.Username); ok && a.Roles != nil {
			names = []string{}
			for _, role := range a.Roles {
				if role.Counts() && role.Name != "" {
					names = append(names, role.Name)
				}
			}
			return names, ""
		}
	}
	if r.token.Claims.WIDs == nil {
		return nil, "the token does not list them, and there is no reader"
	}
	return rolesOf(r.token.Claims.WIDs), ""
}

// rolesOf names the roles that a token lists; those without a name here are
// left out.
func rolesOf(wids []string) []string {
	names := []string{}
	for _, id := range wids {
		if name := roleName(id); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// appRoles reads the directory roles of the app with the reader.
func (r *run) appRoles(ctx context.Context) ([]string, string) {
	if r.reader == nil {
		return nil, "without a reader an app's directory roles cannot be read"
	}
	id := r.token.Claims.ObjectID
	assignments, err := r.assignmentsOf(ctx, id)
	if err != nil {
		return nil, err.Error()
	}
	names := heldRoles(assignments)
	groups, err := graph.List[assignable](ctx, r.reader, "/v1.0/servicePrincipals/"+graph.PathKey(id)+"/transitiveMemberOf/microsoft.graph.group?$select=id,isAssignableToRole")
	if err != nil && len(names) == 0 {
		return nil, "the groups through which the app may hold roles were not read: " + err.Error()
	}
	for _, g := range groups {
		if !g.Assignable {
			continue
		}
		assignments, err := r.assignmentsOf(ctx, g.ID)
		if err != nil {
			return nil, err.Error()
		}
		names = append(names, heldRoles(assignments)...)
	}
	slices.Sort(names)
	return slices.Compact(names), ""
}

// assignable is a group with whether it can hold directory roles.
type assignable struct {
	ID         string `json:"id"`
	Assignable bool   `json:"isAssignableToRole"`
}

func (r *run) assignmentsOf(ctx context.Context, id string) ([]graph.RoleAssignment, error) {
	return graph.List[graph.RoleAssignment](ctx, r.reader, "/v1.0/roleManagement/directory/roleAssignments?$filter="+graph.QueryValue("principalId eq '"+strings.ReplaceAll(id, "'", "''")+"'")+"&$expand=roleDefinition")
}

// heldRoles names the roles that count.
func heldRoles(assignments []graph.RoleAssignment) []string {
	names := []string{}
	for _, a := range assignments {
		role := posture.Role{ID: a.RoleDefinitionID}
		if a.DirectoryScopeID != nil {
			role.Scope = *a.DirectoryScopeID
		}
		if role.Counts() && roleName(role.ID) != "" {
			names = append(names, roleName(role.ID))
		}
	}
	return names
}

// eligible tells for which of some roles an app is eligible, by itself or by a
// group; "" if for none, or that was not read. An app cannot activate a role.
func (r *run) eligible(ctx context.Context, roles []string) string {
	if r.reader == nil || !r.facts.AppOnly {
		return ""
	}
	found, err := graph.List[graph.RoleAssignment](ctx, r.reader, "/v1.0/roleManagement/directory/roleEligibilityScheduleInstances?$filter="+graph.QueryValue("principalId eq '"+strings.ReplaceAll(r.token.Claims.ObjectID, "'", "''")+"'"))
	if err != nil {
		return "" // needs Entra ID P2, and is no more than a hint
	}
	for _, name := range heldRoles(found) {
		if slices.Contains(roles, name) {
			return name
		}
	}
	return ""
}

// exchangeService asks for a token for Exchange Online and goes no further: it is
// known whether the identity is let towards Exchange, never that it gets in.
func (r *run) exchangeService(ctx context.Context, p *Probe) error {
	if r.scope(ServiceExchange) == nil {
		p.set(NotKnown, "%s", notExchange)
		return nil
	}
	if _, err := r.tokenFor(ctx, ServiceExchange); err != nil {
		return err
	}
	p.set(NotKnown, "a token for Exchange Online was issued; %s", notExchange)
	return nil
}

const notExchange = "this release does not call Exchange Online itself, so whether the identity gets in there is not known: try it with Connect-ExchangeOnline, or with the tool"
