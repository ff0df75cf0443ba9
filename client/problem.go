package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The types of problems. They are stable; the sentences beside them are not.
const (
	ProblemBadRequest  = "urn:gatehouse:problem:bad-request"     // 400, 406, 413, 415: cannot be read
	ProblemInvalid     = "urn:gatehouse:problem:invalid"         // 422: faults name the fields
	ProblemNotSignedIn = "urn:gatehouse:problem:not-signed-in"   // 401: no session, or one that has ended
	ProblemSignIn      = "urn:gatehouse:problem:sign-in-refused" // 401: e-mail, password, code or link are wrong
	ProblemStale       = "urn:gatehouse:problem:sign-in-again"   // 403: the sign-in is too long ago for this
	ProblemRefused     = "urn:gatehouse:problem:refused"         // 403: the role is missing
	ProblemNotFound    = "urn:gatehouse:problem:not-found"       // 404: not there, or not to be seen
	ProblemMethod      = "urn:gatehouse:problem:method"          // 405
	ProblemConflict    = "urn:gatehouse:problem:conflict"        // 409: does not fit what is there
	ProblemRepeated    = "urn:gatehouse:problem:repeated"        // 409, 422: an idempotency key was used before
	ProblemMisdirected = "urn:gatehouse:problem:misdirected"     // 421: the server has another address
	ProblemLimited     = "urn:gatehouse:problem:too-many"        // 429
	ProblemInternal    = "urn:gatehouse:problem:internal"        // 500
	ProblemMicrosoft   = "urn:gatehouse:problem:microsoft"       // 502: Microsoft said no; see diagnosis
	ProblemBusy        = "urn:gatehouse:problem:busy"            // 503: later
	ProblemNoToken     = "urn:gatehouse:problem:no-token"        // 409, 503: the connection gives no token; see state
)

// Problem is what the server answers when it does not do what was asked
// (RFC 9457).
type Problem struct {
	Type       string     `json:"type" doc:"Which kind of problem; stable"`
	Title      string     `json:"title" doc:"The kind in words"`
	Status     int        `json:"status" doc:"HTTP status"`
	Detail     string     `json:"detail" doc:"What is the matter, and the way out"`
	Faults     []Fault    `json:"faults,omitempty" doc:"What is wrong with the request, field by field"`
	Diagnosis  *Diagnosis `json:"diagnosis,omitempty" doc:"What stopped it, where Microsoft said no"`
	RequestID  string     `json:"request_id,omitempty" doc:"Names the request in the server's log"`
	RetryAfter int        `json:"retry_after,omitempty" doc:"Seconds after which trying again makes sense"`
	// Of [ProblemNoToken]:
	State  string `json:"state,omitempty" enum:"ready,needs_sign_in,needs_mfa,needs_consent,parked" doc:"Where a connection gives no token: what it needs"`
	Link   string `json:"link,omitempty" doc:"The page where it can be mended"`
	Claims string `json:"claims,omitempty" doc:"What the next sign-in has to answer"`
}

// Fault is what is wrong with one field of a request.
type Fault struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
	Way     string `json:"way,omitempty" doc:"The way out"`
}

// Error tells the problem with its faults, one a line.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	if p.Detail == "" {
		b.WriteString(p.Title)
	}
	for _, f := range p.Faults {
		fmt.Fprintf(&b, "\n  %s: %s", f.Field, f.Problem)
		if f.Way != "" {
			b.WriteString("; " + f.Way)
		}
	}
	if p.Diagnosis != nil {
		b.WriteString("\n  " + p.Diagnosis.Title)
		if len(p.Diagnosis.Remedies) > 0 {
			b.WriteString("\n  first: " + p.Diagnosis.Remedies[0].Title)
		}
	}
	return b.String()
}

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are headers that go with the problem.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}

// ContentType is the media type of problems.
func (*Problem) ContentType(string) string { return "application/problem+json" }

// readProblem reads a refused answer, whoever gave it.
func readProblem(response *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	p := &Problem{}
	if err != nil || json.Unmarshal(data, p) != nil || p.Type == "" {
		p = &Problem{Type: "about:blank", Title: http.StatusText(response.StatusCode), Detail: "the answer is not from Gatehouse: is a proxy in between, or the address wrong?"}
	}
	p.Status = response.StatusCode
	return p
}
