package lab

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

const controlHelp = `The lab's control port.

GET    /health                        answers ok once everything is up
GET    /ready                         the ready file
GET    /clock                         the lab's time
POST   /clock                         {"advance":"48h"} moves it
GET    /phone                         what people's phones show: approve, deny, report, codes, texts
GET    /phone/prompts                 pushes that wait, as JSON
POST   /phone/{id}                    {"action":"approve","number":42}, "deny" or "report"
POST   /signin                        {"address":"https://…/authorize?…","upn":"…","factor":true,"consent":true}: signs somebody in without a browser
GET    /faults                        faults in force
POST   /faults                        {"kind":"status","status":429,"retry_after":"2","service":"graph","path":"/v1.0/users/**","times":3}
DELETE /faults, /faults/{id}          ends them
GET    /settings                      delays and limits
PATCH  /settings                      {"credential_delay":"30s","replication_delay":"5s","report_lag":"24h","throttle":true,"single_use":true}
GET    /journal                       what was asked; filters service, method, path, status, client_id, username, grant_type
GET    /journal/assert                the same filters with count, at_least or at_most: 200 if it holds, 409 if not
GET    /journal/tally                 the same filters: how often, by grant, client, user and status
DELETE /journal                       forgets it
POST   /tenants                       a tenants file: adds its tenants
PATCH  /tenants/{tenant}              {"security_defaults":true,"mandatory_mfa":false,"remember_mfa_days":14,"consent":{"users":"none"}}
PATCH  /tenants/{tenant}/users/{upn}  {"enabled":false,"per_user_mfa":"enforced","password":"…","reset_in":"azure_portal","locked":true,
                                      "user_risk":"high","sign_in_risk":"medium","device":{"isCompliant":true},"forget_terms":true}
PATCH  /tenants/{tenant}/apps/{id}    {"secrets_end":"-1h","secret":"…","verified_publisher":true,"delegated_permissions":{"graph":["User.Read"]},
                                      "redirect_uris":["…"],"multi_tenant":true,"enabled":true,"assignment_required":true}
DELETE /tenants/{tenant}/apps/{id}    deletes a registration where it was made
POST   /tenants/{tenant}/apps/{id}/replacement  registers it anew under another client id
PUT    /tenants/{tenant}/sites        {"site":"/sites/finance","client_id":"…","role":"read"}: a grant of Sites.Selected;
                                      {"site":"/sites/finance","context":"c1"}: the authentication context that it wants of people
PUT    /tenants/{tenant}/cards        {"environment":"Production","client_id":"…","enabled":true,"permission_sets":["D365 BUS FULL ACCESS"]}
PUT    /tenants/{tenant}/environments {"environment":"Production","status":"Upgrading"}: the state of a Business Central environment
PUT    /tenants/{tenant}/bc-users     {"user":"…","licensed":true,"permission_sets":["D365 BUS FULL ACCESS"]}: what a person has in Business Central
GET    /network                       where requests seem to come from
PUT    /network                       {"address":"203.0.113.7","country":"NO","tenant":"…","user":"…","client_id":"…"}; "address":"" takes an entry away
GET    /federation                    address of the federation servers and of the lab's own workload issuer
POST   /federation/tokens             {"issuer":"https://…","subject":"…","audience":"…","lifetime":"10m"}: a token of a workload issuer
GET    /state                         the whole directory, with hashes for passwords and secrets
PUT    /state                         puts it back
`

// control is the lab's second port, for tests and for the person in front of
// it: state of the lab, its clock, and the phone page.
func (l *Lab) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprint(w, controlHelp)
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]string{"status": "ok"}) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, l.Ready()) })
	mux.HandleFunc("GET /clock", func(w http.ResponseWriter, _ *http.Request) { l.writeClock(w) })
	mux.HandleFunc("POST /clock", l.moveClock)
	mux.HandleFunc("GET /phone", l.phone)
	mux.HandleFunc("GET /phone/prompts", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"prompts": l.phonePrompts()})
	})
	mux.HandleFunc("POST /phone/{id}", l.answerPhone)
	l.manage(mux)
	l.manageFederation(mux)
	l.manageNetwork(mux)
	l.manageSettings(mux)
	l.manageApps(mux)
	l.manageVisits(mux)
	// The port asks for no credentials, so pages of other sites must not reach
	// it: neither by a cross-site form nor by a name that resolves to loopback.
	return onlyAddressed(http.NewCrossOriginProtection().Handler(mux))
}

// onlyAddressed refuses requests whose Host is a name other than localhost:
// DNS rebinding arrives under a name.
func onlyAddressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if host != "localhost" && net.ParseIP(host) == nil {
			http.Error(w, "Reach the control port by its address.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (l *Lab) writeClock(w http.ResponseWriter) {
	writeJSON(w, map[string]string{"now": l.Now().UTC().Format(time.RFC3339Nano), "offset": time.Duration(l.offset.Load()).String()})
}

func (l *Lab) moveClock(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Advance string `json:"advance"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		http.Error(w, `The body must be {"advance":"48h"}: `+err.Error(), http.StatusBadRequest)
		return
	}
	d, err := time.ParseDuration(body.Advance)
	if err != nil {
		http.Error(w, fmt.Sprintf("advance: %v; use a duration such as 48h or -30m", err), http.StatusBadRequest)
		return
	}
	l.Advance(d)
	l.writeClock(w)
}
