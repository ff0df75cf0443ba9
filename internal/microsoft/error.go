package microsoft

import (
	"fmt"
	"strings"
	"time"
)

// Service names used in [Error.Service].
const (
	ServiceLogin           = "login"
	ServiceGraph           = "graph"
	ServiceSharePoint      = "sharepoint"
	ServiceBusinessCentral = "business_central"
)

// Error is what a Microsoft service, or the way to it, answered instead of
// what was asked for. Every client in the packages below returns it, so that
// one diagnosis can read them all, and nothing the service said is lost on the
// way up.
//
// With Status 0 no HTTP answer arrived and Err holds the transport's cause
// (name look-up, connection, certificate, time-out).
type Error struct {
	Service string // one of the Service constants
	Op      string // what was attempted, in the gerund: "signing in with a password"
	Status  int    // HTTP status, 0 if no answer arrived

	// Code is the service's own code: "AADSTS50076" for the sign-in service,
	// the deepest error code for Graph ("Authorization_RequestDenied"); empty
	// if the answer had none.
	Code     string
	OAuth    string // the OAuth "error" member: invalid_grant, interaction_required …
	Suberror string // the sign-in service's "suberror": basic_action, message_only …
	Message  string // the service's sentence, first line, without ids
	Claims   string // claims challenge as JSON, decoded from whatever carried it

	// Realm is the id of the tenant that the refusing host says it belongs to
	// (sharepoint §3); "" where it does not say.
	Realm string

	CorrelationID string // joins the answer to the tenant's sign-in log
	RequestID     string // trace id of the sign-in service, request-id of Graph
	Timestamp     string // the service's own time, as sent; see entra-sign-in §4.1
	RetryAfter    time.Duration
	ContentType   string
	Body          []byte // raw answer, cut at [MaxErrorBody]

	Err error // underlying cause where there is one; may be nil
}

// MaxErrorBody is how much of a refused answer is kept, in bytes.
const MaxErrorBody = 64 << 10

// Error tells what was attempted and how it was answered, in one line and
// without the raw body.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	switch {
	case e.Code != "" && e.Message != "" && !strings.HasPrefix(e.Message, e.Code):
		fmt.Fprintf(&b, "%s: %s", e.Code, e.Message)
	case e.Message != "":
		b.WriteString(e.Message)
	case e.Code != "":
		b.WriteString(e.Code)
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	default:
		fmt.Fprintf(&b, "%s answered with status %d", e.Service, e.Status)
	}
	return b.String()
}

// Unwrap gives the underlying cause.
func (e *Error) Unwrap() error { return e.Err }
