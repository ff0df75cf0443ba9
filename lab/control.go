package lab

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // TOTP as authenticator apps use it (RFC 6238) is HMAC-SHA-1
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"time"

	"gatehouse/lab/internal/directory"
)

const controlHelp = `The lab's control port.

GET    /health                        answers ok once everything is up
GET    /ready                         the ready file
GET    /clock                         the lab's time
POST   /clock                         {"advance":"48h"} moves it
GET    /phone                         what people's phones show
GET    /faults                        faults in force
POST   /faults                        {"kind":"status","status":429,"retry_after":"2","service":"graph","path":"/v1.0/users/**","times":3}
DELETE /faults, /faults/{id}          ends them
GET    /journal                       what was asked; filters service, method, path, status, client_id, username, grant_type
GET    /journal/assert                the same filters with count, at_least or at_most: 200 if it holds, 409 if not
DELETE /journal                       forgets it
POST   /tenants                       a tenants file: adds its tenants
PATCH  /tenants/{tenant}              {"security_defaults":true,"mandatory_mfa":false,"consent":{"users":"none"}}
PATCH  /tenants/{tenant}/users/{upn}  {"enabled":false,"per_user_mfa":"enforced","password":"…","locked":true}
GET    /state                         the whole directory, without secrets in the clear
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
	l.manage(mux)
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

var phonePage = template.Must(template.New("phone").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="10">
<title>Phones of the lab</title>
<style>:root{color-scheme:light dark}body{font:15px/22px system-ui,sans-serif;margin:24px auto;max-width:48rem;padding:0 16px}
h2{font-size:17px;margin:32px 0 8px}p{margin:0 0 8px}ul{list-style:none;padding:0;margin:0}li{border-top:1px solid color-mix(in srgb,currentColor 20%,transparent);padding:8px 0;display:flex;flex-wrap:wrap;gap:4px 16px;justify-content:space-between}
code{font:600 17px/22px ui-monospace,monospace;font-variant-numeric:tabular-nums}small{opacity:.75}</style></head>
<body><h1>Phones of the lab</h1>
<p>The code apps of the lab's people, at {{.Now}}. A code is good for {{.Left}} more seconds. This is a simulation.</p>
{{range .Tenants}}<h2>{{.Name}}</h2><ul>{{range .People}}<li><span>{{.Name}}<br><small>{{.UPN}}</small></span><code>{{.Code}}</code></li>{{end}}</ul>
{{else}}<p>Nobody in this lab has a code app.</p>{{end}}</body></html>
`))

// phone shows what the phones of the lab's people show: the codes of their
// code apps.
func (l *Lab) phone(w http.ResponseWriter, _ *http.Request) {
	type person struct{ Name, UPN, Code string }
	type tenant struct {
		Name   string
		People []person
	}
	now := l.Now()
	page := struct {
		Now     string
		Left    int64
		Tenants []tenant
	}{Now: now.UTC().Format("15:04:05 UTC"), Left: 30 - now.Unix()%30}
	l.store.Tenants(func(t *directory.Tenant) {
		shown := tenant{Name: t.Name}
		for _, u := range t.Users {
			for _, m := range u.Methods {
				if m.Type == directory.SoftwareOATH {
					shown.People = append(shown.People, person{u.Name, u.UPN, totp(m.Secret, now)})
				}
			}
		}
		if len(shown.People) > 0 {
			page.Tenants = append(page.Tenants, shown)
		}
	})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_ = phonePage.Execute(w, page)
}

// totp is the six-digit code of RFC 6238 with its usual parameters.
func totp(secret string, now time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil { // the tenants file was checked
		return "------"
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(now.Unix()/30))
	mac := hmac.New(sha1.New, key)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:offset+4])&0x7fffffff%1_000_000)
}
