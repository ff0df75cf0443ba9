package bcsim

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// Permission sets. Sets that set a company up open no data in it.
const (
	fullAccess = "D365 BUS FULL ACCESS"
	readOnly   = "D365 READ"
)

var setupOnly = []string{"D365 AUTOMATION", "EXTEN. MGT. - ADMIN", "LOGIN"}

// administrators of the product come in without a licence.
var administrators = []string{
	"62e90394-69f5-4237-9190-012177145e10", // Global Administrator
	"44367163-eba1-44c3-98af-f5787879f96a", // Dynamics 365 Administrator
	"963797fb-eb3b-4cde-8ce3-5878b3f32a3f", // Dynamics 365 Business Central Administrator
}

func (r *request) administrator() bool {
	return !r.app() && slices.ContainsFunc(r.claims.WIDs, func(id string) bool { return slices.Contains(administrators, id) })
}

// enter passes the doors of an environment: permission, environment, card or
// licence. It leaves the caller's permission sets.
func (r *request) enter(name string, roles ...string) error {
	if !r.role(roles...) && !r.delegated() {
		return rejected()
	}
	environment, ok := r.findEnvironment(name)
	if !ok {
		return refuse(http.StatusNotFound, codeEnvironment, "The environment '%s' does not exist.", clip(name))
	}
	r.environment = environment
	if environment.status != active {
		f := refuse(http.StatusServiceUnavailable, codeUnavailable, "The environment '%s' is not accessible: its status is %s.", environment.name, clip(environment.status))
		if slices.Contains(passing, environment.status) {
			f.header = http.Header{"Retry-After": {"120"}}
		}
		return f
	}
	if r.app() {
		card := r.server.card(at(r.tenant.id, name, r.claims.AppID))
		if !card.enabled {
			return rejected()
		}
		r.sets = card.sets
		return nil
	}
	sets, ok := r.person()
	if !ok {
		return rejected()
	}
	r.sets = sets
	return nil
}

// person gives the signed-in person's permission sets; false without licence.
func (r *request) person() ([]string, bool) {
	if u, ok := r.server.user(at(r.tenant.id, "", r.claims.ObjectID)); ok {
		return u.sets, u.licensed
	}
	licensed := r.administrator()
	r.server.cfg.Store.View(r.tenant.id, func(t *directory.Tenant) {
		if u := t.User(r.claims.ObjectID); u != nil {
			licensed = u.Enabled && (licensed || len(u.Licences) > 0)
		}
	})
	return []string{fullAccess}, licensed
}

// opens reports whether one of the caller's sets gives data, for reading or
// for writing.
func (r *request) opens(writing bool) bool {
	return slices.ContainsFunc(r.sets, func(set string) bool {
		set = strings.ToUpper(set)
		return !slices.Contains(setupOnly, set) && (!writing || set != readOnly)
	})
}
