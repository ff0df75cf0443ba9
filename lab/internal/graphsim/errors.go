package graphsim

import (
	"fmt"
	"net/http"
)

// fault is an answer that refuses. Codes follow Graph's "Error responses and
// resource types" page where it lists them; others are what the service is
// known to send (docs/parity.md grades them).
type fault struct {
	status  int
	code    string
	message string
	header  http.Header
}

func (f *fault) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.code, f.message) }

//go:noinline
func refuse(status int, code, format string, args ...any) *fault {
	return &fault{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// badRequest is the gateway's 400: the address or an option makes no sense.
//
//go:noinline
func badRequest(format string, args ...any) *fault {
	return refuse(http.StatusBadRequest, "BadRequest", format, args...)
}

// badBody is the directory's 400: what was sent cannot be stored.
//
//go:noinline
func badBody(format string, args ...any) *fault {
	return refuse(http.StatusBadRequest, "Request_BadRequest", format, args...)
}

// unsupported is a query that the resource does not answer.
func unsupported(format string, args ...any) *fault {
	return refuse(http.StatusBadRequest, "Request_UnsupportedQuery", format, args...)
}

func notFound(name string) *fault {
	return refuse(http.StatusNotFound, "Request_ResourceNotFound", "Nothing here is called '%s', nor do any of its references exist.", clip(name))
}

func conflict(format string, args ...any) *fault {
	return refuse(http.StatusConflict, "Request_MultipleObjectsWithSameKeyValue", format, args...)
}

func unauthenticated(authority, message string) *fault {
	f := refuse(http.StatusUnauthorized, "InvalidAuthenticationToken", "%s", message)
	// Form: Microsoft identity platform, "Claims challenges, claims requests".
	f.header = http.Header{"Www-Authenticate": {fmt.Sprintf(`Bearer realm="", authorization_uri="%s/common/oauth2/authorize", client_id="%s"`, authority, graphID)}}
	return f
}

// clip keeps a quoted value from filling the answer.
//
//go:noinline
func clip(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
