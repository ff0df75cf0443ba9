package lab

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Exchange is a request that the lab answered, as the journal keeps it. It
// holds no secret: of a token request only the members that name who asks for
// what.
type Exchange struct {
	Time          time.Time `json:"time"`
	Service       string    `json:"service"`
	Method        string    `json:"method"`
	Host          string    `json:"host"`
	Path          string    `json:"path"`
	Query         string    `json:"query"` // without values that may be secret
	Status        int       `json:"status"`
	DurationMS    float64   `json:"duration_ms"`
	UserAgent     string    `json:"user_agent"`
	CorrelationID string    `json:"correlation_id"`
	GrantType     string    `json:"grant_type"`
	ClientID      string    `json:"client_id"`
	Username      string    `json:"username"` // as it was sent; of a refresh token or code its owner
	Scope         string    `json:"scope"`
	TenantID      string    `json:"tenant_id"` // of the access token, "" without one
	Fault         string    `json:"fault"`     // id of the fault that was applied, "" if none
}

// maxJournal is how many exchanges are kept unless the configuration says so.
const maxJournal = 10_000

type journal struct {
	most int
	mu   sync.Mutex
	list []Exchange
}

func (j *journal) add(e Exchange) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.list) >= 2*j.most {
		j.list = slices.Clone(j.list[j.most:])
	}
	j.list = append(j.list, e)
}

func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = nil
}

// find gives the exchanges that a filter lets through, oldest first.
func (j *journal) find(keep func(Exchange) bool) []Exchange {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := []Exchange{}
	for _, e := range j.list[max(0, len(j.list)-j.most):] {
		if keep(e) {
			out = append(out, e)
		}
	}
	return out
}

// Journal gives what the lab was asked, oldest first.
func (l *Lab) Journal() []Exchange { return l.journal.find(func(Exchange) bool { return true }) }

// AddFault puts a fault in force and gives it with its id.
func (l *Lab) AddFault(f Fault) (Fault, error) { return l.faults.add(f) }

// ClearFaults ends all faults.
func (l *Lab) ClearFaults() { l.faults.remove("") }

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush is for handlers that stream.
func (w *statusWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// observe writes the journal and applies faults around a service.
//
//go:noinline
func (l *Lab) observe(service string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		e := Exchange{Time: l.Now().UTC(), Service: service, Method: r.Method, Host: r.Host, Path: r.URL.Path, Query: publicQuery(r), UserAgent: r.UserAgent(), CorrelationID: r.Header.Get("client-request-id")}
		form := formOf(r)
		e.GrantType, e.ClientID, e.Username, e.Scope = clipText(form.Get("grant_type")), clipText(form.Get("client_id")), clipText(form.Get("username")), clipText(form.Get("scope"))
		e.TenantID = tenantOf(r)
		if service == loginService && e.Username == "" {
			e.Username = l.sts.Owner(form)
		}
		fault := l.faults.take(&e)
		if fault == nil {
			fault = addressedFault(userOf(e))
		}
		status := &statusWriter{ResponseWriter: w}
		defer func() {
			e.Status, e.DurationMS = status.status, float64(time.Since(begin).Microseconds())/1000
			l.journal.add(e)
		}()
		if fault != nil {
			e.Fault = fault.ID
			fault.apply(status, r, next)
			return
		}
		next.ServeHTTP(status, r)
	})
}

// tenantOf is the tenant that a request's access token names. Whether the token is
// any good is for the service to say.
func tenantOf(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if !ok || len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		TenantID string `json:"tid"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return clipText(claims.TenantID)
}

// userOf is the user name that a request is about: a token request's, or the
// one in a path such as /v1.0/users/name@domain.
func userOf(e Exchange) string {
	if e.Username != "" {
		return e.Username
	}
	for segment := range strings.SplitSeq(e.Path, "/") {
		if strings.Contains(segment, "@") {
			return segment
		}
	}
	return ""
}

// secretQuery are query members that must not be kept.
var secretQuery = []string{"code", "client_secret", "password", "access_token", "id_token", "refresh_token", "assertion", "client_assertion", "login_hint"}

func publicQuery(r *http.Request) string {
	query := r.URL.Query()
	for _, name := range secretQuery {
		if query.Has(name) {
			query.Set(name, "…")
		}
	}
	return clipText(query.Encode())
}

func clipText(s string) string {
	const most = 2000
	if len(s) > most {
		return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
	}
	return s
}
