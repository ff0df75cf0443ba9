package lab

import (
	"net/http"

	"gatehouse/lab/internal/directory"
)

// dataSources are the ways to change what stands behind a token: an environment's
// state, a person in Business Central.
func (l *Lab) dataSources(mux *http.ServeMux) {
	mux.HandleFunc("PUT /tenants/{tenant}/environments", l.setEnvironment)
	mux.HandleFunc("PUT /tenants/{tenant}/bc-users", l.setBusinessUser)
}

func (l *Lab) setEnvironment(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Environment string `json:"environment"`
		Status      string `json:"status"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	if in.Environment == "" || in.Status == "" {
		http.Error(w, "environment and status must be given", http.StatusBadRequest)
		return
	}
	id := l.tenantID(r)
	if id != "" {
		l.businessCentral.SetStatus(id, in.Environment, in.Status)
	}
	answerChange(w, id != "", "tenant")
}

func (l *Lab) setBusinessUser(w http.ResponseWriter, r *http.Request) {
	var in struct {
		User           string   `json:"user"`
		Licensed       bool     `json:"licensed"`
		PermissionSets []string `json:"permission_sets"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	id, user := l.tenantID(r), ""
	l.store.View(id, func(t *directory.Tenant) {
		if u := t.User(in.User); u != nil {
			user = u.ID
		}
	})
	if user != "" {
		l.businessCentral.SetUser(id, user, in.Licensed, in.PermissionSets)
	}
	answerChange(w, user != "", "user")
}
