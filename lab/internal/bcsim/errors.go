package bcsim

import (
	"fmt"
	"net/http"
)

// fault is an answer that refuses. Codes are those of the page "Error codes"
// (dynamics-error-codes); the prefix tells the class.
type fault struct {
	status  int
	code    string
	message string
	header  http.Header
	bare    bool // the layer in front: neither form of error
}

func (f *fault) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.code, f.message) }

// Codes of refusals.
const (
	codeCredentials = "Authentication_InvalidCredentials"
	codePermission  = "Authorization_PermissionDenied"
	codeCompany     = "Internal_CompanyNotFound"
	codeUnavailable = "Internal_TenantUnavailable"
	codeNoRecord    = "Internal_RecordNotFound"
	codeSameKey     = "Internal_EntityWithSameKeyExists"
	codeNoResource  = "BadRequest_ResourceNotFound"
	codeSyntax      = "BadRequest_NotFound"
	codeBadRequest  = "BadRequest"
	codeToken       = "BadRequest_InvalidToken"
	codeMethod      = "BadRequest_MethodNotAllowed"
	codeReadOnly    = "BadRequest_InvalidOperation"
	codeChanged     = "Request_EntityChanged"
	codeTooLong     = "Application_StringExceededLength"
	codeField       = "Application_FieldValidationException"
	codeDialog      = "Application_DialogException"
	codeGUID        = "Application_InvalidGUID"
	codeEnvironment = "NoEnvironment"
	codeUnknown     = "Unknown"
)

func refuse(status int, code, format string, args ...any) *fault {
	return &fault{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// rejected is the one answer to everybody who is not let in; the reasons all
// look alike from outside.
func rejected() *fault {
	return refuse(http.StatusUnauthorized, codeCredentials, "The server has rejected the client credentials.")
}

func forbidden(what string) *fault {
	return refuse(http.StatusForbidden, codePermission, "The current permission sets do not allow this: %s.", what)
}

// syntax is an address or an option that cannot be read.
func syntax(format string, args ...any) *fault {
	return refuse(http.StatusBadRequest, codeSyntax, format, args...)
}

func noResource(name string) *fault {
	return refuse(http.StatusNotFound, codeNoResource, "No resource is found for the segment '%s'.", clip(name))
}

func noMethod(method, name, allowed string) *fault {
	f := refuse(http.StatusMethodNotAllowed, codeMethod, "'%s' requests for '%s' are not allowed.", clip(method), clip(name))
	f.header = http.Header{"Allow": {allowed}}
	return f
}

// clip keeps a quoted value from filling the answer.
func clip(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
