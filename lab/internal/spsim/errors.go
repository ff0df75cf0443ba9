package spsim

import (
	"fmt"
	"net/http"
)

// fault is an answer that refuses.
type fault struct {
	status  int
	code    string // SharePoint's number and exception class
	message string
	header  http.Header
	// body stands instead of the OData form: plain text or JSON as it is.
	body     string
	bodyType string
	bare     bool // no OData form: body, even if it is empty
}

func (f *fault) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.code, f.message) }

// Codes: HRESULT or -1, and the class of the exception on the server.
const (
	codeAccess   = "-2147024891, System.UnauthorizedAccessException"
	codeArgument = "-2147024809, System.ArgumentException"
	codeMissing  = "-2130575338, System.ArgumentException"
	codeNoList   = "-1, System.ArgumentException"
	codeNoFile   = "-2147024894, System.IO.FileNotFoundException"
	codeResource = "-1, Microsoft.SharePoint.Client.ResourceNotFoundException"
	codeClient   = "-1, Microsoft.SharePoint.Client.ClientServiceException"
	codeQuery    = "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"
)

func refuse(status int, code, format string, args ...any) *fault {
	return &fault{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func denied(why string) *fault {
	return refuse(http.StatusForbidden, codeAccess, "Access denied. %s", why)
}

func badQuery(format string, args ...any) *fault {
	return refuse(http.StatusBadRequest, codeQuery, format, args...)
}

// noResource is a path that names no object or call of the interface.
func noResource(name string) *fault {
	return refuse(http.StatusNotFound, codeResource, "Cannot find resource for the request %s.", clip(name))
}

func noMethod(method, name string, allowed string) *fault {
	f := refuse(http.StatusMethodNotAllowed, codeClient, "The HTTP method '%s' does not fit '%s'; use %s.", clip(method), clip(name), allowed)
	f.header = http.Header{"Allow": {allowed}}
	return f
}

// noSite is what an address without site gives: not in OData's form, because no
// web answers there.
func noSite() *fault {
	return &fault{status: http.StatusNotFound, code: "site", bare: true, body: "404 FILE NOT FOUND", bodyType: "text/plain; charset=utf-8"}
}

// clip keeps a quoted value from filling the answer.
func clip(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
