package sts

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// refusal is an answer of the token endpoint other than a token. Its members
// are those of entra-sign-in §4.1; texts are the lab's own, as Microsoft says
// that programs must not read them.
type refusal struct {
	status   int    // HTTP status; 0 means 400
	oauth    string // "error"
	suberror string
	code     int // AADSTS number
	text     string
	claims   string
	more     map[string]any // further members of the v1 endpoint
	policies []string       // names of the Conditional Access policies that it comes from
}

//go:noinline
func refuse(oauth string, code int, format string, args ...any) *refusal {
	return &refusal{oauth: oauth, code: code, text: fmt.Sprintf(format, args...)}
}

func (r *refusal) sub(suberror string) *refusal {
	r.suberror = suberror
	return r
}

func (r *refusal) with(status int) *refusal {
	r.status = status
	return r
}

// Refusals that more than one place gives.
func missingParameter(name string) *refusal {
	return refuse("invalid_request", 900144, "The request body must contain the parameter '%s'.", name)
}

func unknownTenant(name string) *refusal {
	return refuse("invalid_request", 90002, "No tenant '%s' was found. It may have no active subscription, or belong to another cloud.", name)
}

func unknownApp(client, tenant string) *refusal {
	return refuse("unauthorized_client", 700016, "The application '%s' was not found in the directory '%s'. Nobody there has installed it or consented to it, or the request went to the wrong tenant.", client, tenant)
}

func unknownResource(resource, tenant string) *refusal {
	return refuse("invalid_resource", 500011, "The resource principal named '%s' was not found in the tenant '%s'.", resource, tenant)
}

// unauthorised refuses a client's credential.
func unauthorised(code int, format string, args ...any) *refusal {
	return refuse("invalid_client", code, format, args...).with(http.StatusUnauthorized)
}

func unavailable(err error) *refusal {
	return refuse("server_error", 90033, "The service is temporarily unavailable: %v.", err).with(http.StatusServiceUnavailable)
}

func badCredentials() *refusal {
	return refuse("invalid_grant", 50126, "The user name or the password is not valid.")
}

type errorBody struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri,omitempty"`
	Suberror      string `json:"suberror,omitempty"`
	Claims        string `json:"claims,omitempty"`
}

// answerRefusal writes the refusal with the headers that recordings of the
// real service show.
func (s *Server) answerRefusal(w http.ResponseWriter, r *http.Request, ids requestIDs, refused *refusal) {
	now := s.cfg.Store.Now().UTC()
	stamp := now.Format("2006-01-02 15:04:05Z")
	description := fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s", refused.code, refused.text, ids.trace, ids.correlation, stamp)
	body := errorBody{
		Error: refused.oauth, Description: description, Codes: []int{refused.code}, Timestamp: stamp,
		TraceID: ids.trace, CorrelationID: ids.correlation, URI: fmt.Sprintf("%s/error?code=%d", s.cfg.Root(r), refused.code),
		Suberror: refused.suberror, Claims: refused.claims,
	}
	w.Header().Set("x-ms-clitelem", fmt.Sprintf("1,%d,0,,", refused.code))
	status := refused.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	if len(refused.more) == 0 {
		s.answer(w, ids, status, body)
		return
	}
	// The v1 endpoint adds members of its own for some refusals.
	merged := map[string]any{}
	encoded, _ := json.Marshal(body)
	_ = json.Unmarshal(encoded, &merged)
	for k, v := range refused.more {
		merged[k] = v
	}
	s.answer(w, ids, status, merged)
}

func (s *Server) answer(w http.ResponseWriter, ids requestIDs, status int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store, no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("P3P", `CP="DSP CUR OTPi IND OTRi ONL FIN"`)
	h.Set("x-ms-request-id", ids.trace)
	h.Set("x-ms-ests-server", "2.1.lab - LAB ProdSlices")
	h.Set("client-request-id", ids.correlation)
	encoded, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "encoding the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(encoded)
}

// requestIDs are the ids that join request, answer and sign-in log.
type requestIDs struct{ trace, correlation string }

// idsOf takes the caller's client-request-id, from header, query or body, as
// correlation id, if it is a GUID; otherwise it makes one.
func idsOf(r *http.Request) requestIDs {
	ids := requestIDs{trace: directory.RandomID()}
	for _, candidate := range []string{r.Header.Get("client-request-id"), r.URL.Query().Get("client-request-id"), r.PostForm.Get("client-request-id")} {
		if candidate = strings.ToLower(candidate); isGUID(candidate) {
			ids.correlation = candidate
			return ids
		}
	}
	ids.correlation = directory.RandomID()
	return ids
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash && c != '-' || !dash && !hex {
			return false
		}
	}
	return true
}

func unixString(t time.Time) string { return fmt.Sprint(t.Unix()) }
