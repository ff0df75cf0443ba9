package lab

import (
	"fmt"
	"net/http"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/sts"
)

// Network is where requests seem to come from: Conditional Access asks for
// places, and the lab is on loopback. What is left empty of Tenant (domain or
// id), User and Client stands for all; of several entries the one that names
// most decides. Country is two letters, "" maps to no country.
type Network struct {
	Address          string `json:"address"` // IP address; "" takes the entry away
	Country          string `json:"country,omitempty"`
	CompliantNetwork bool   `json:"compliant_network,omitempty"` // through Global Secure Access
	Tenant           string `json:"tenant,omitempty"`
	User             string `json:"user,omitempty"` // user principal name
	Client           string `json:"client_id,omitempty"`
}

// SetNetwork puts a network in force. The error is about addresses, countries
// and tenants that do not exist.
func (l *Lab) SetNetwork(n Network) error {
	if n.Tenant != "" {
		id := ""
		if l.store.View(n.Tenant, func(t *directory.Tenant) { id = t.ID }); id == "" {
			return fmt.Errorf("tenant is %q, which the lab does not have", n.Tenant)
		}
		n.Tenant = id
	}
	return l.sts.SetNetwork(sts.Network(n))
}

// manageNetwork adds the networks to the control port.
func (l *Lab) manageNetwork(mux *http.ServeMux) {
	mux.HandleFunc("GET /network", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"networks": l.sts.Networks()})
	})
	mux.HandleFunc("PUT /network", func(w http.ResponseWriter, r *http.Request) {
		var n Network
		if !readJSON(w, r, &n) {
			return
		}
		if err := l.SetNetwork(n); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}
