package lab

import (
	"fmt"
	"net/http"
	"time"

	"gatehouse/lab/internal/federation"
)

// WorkloadToken is what [Lab.WorkloadToken] shall say.
type WorkloadToken struct {
	// Issuer is any https address but the lab's sign-in hosts; empty means
	// [Lab.WorkloadIssuer], which serves discovery document and keys as well.
	Issuer   string
	Subject  string
	Audience string        // empty: api://AzureADTokenExchange
	Lifetime time.Duration // 0: ten minutes; below zero: over for that long
	Claims   map[string]any
}

// WorkloadIssuer is the address of an issuer of workload tokens that the lab
// serves itself.
func (l *Lab) WorkloadIssuer() string { return l.federation.Issuer("workloads") }

// WorkloadToken signs a token as an issuer outside Entra ID would, for a
// federated identity credential that names the same issuer and subject.
func (l *Lab) WorkloadToken(t WorkloadToken) (string, error) {
	if t.Issuer == "" {
		t.Issuer = l.WorkloadIssuer()
	}
	return l.federation.Mint(federation.WorkloadToken(t))
}

// manageFederation adds to the control port what stands for the world outside
// Entra ID.
func (l *Lab) manageFederation(mux *http.ServeMux) {
	mux.HandleFunc("GET /federation", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]string{"url": l.federation.Address(), "workload_issuer": l.WorkloadIssuer()})
	})
	mux.HandleFunc("POST /federation/tokens", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Issuer   string         `json:"issuer"`
			Subject  string         `json:"subject"`
			Audience string         `json:"audience"`
			Lifetime string         `json:"lifetime"`
			Claims   map[string]any `json:"claims"`
		}
		if !readJSON(w, r, &body) {
			return
		}
		t := WorkloadToken{Issuer: body.Issuer, Subject: body.Subject, Audience: body.Audience, Claims: body.Claims}
		if body.Lifetime != "" {
			var err error
			if t.Lifetime, err = time.ParseDuration(body.Lifetime); err != nil {
				http.Error(w, fmt.Sprintf("lifetime is %q, must be a duration such as 10m", body.Lifetime), http.StatusBadRequest)
				return
			}
		}
		token, err := l.WorkloadToken(t)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
		writeJSON(w, map[string]string{"token": token})
	})
}
