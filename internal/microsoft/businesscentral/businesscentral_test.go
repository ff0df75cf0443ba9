package businesscentral

import (
	"net/http"
	"testing"

	"gatehouse/internal/microsoft"
)

func refused(body string) *microsoft.Error {
	e := &microsoft.Error{Service: microsoft.ServiceBusinessCentral, Status: http.StatusUnauthorized, Body: []byte(body)}
	refusal(e, &http.Response{Header: http.Header{"Ms-Correlation-X": {"c-1"}, "Request-Id": {"r-1"}}})
	return e
}

// The two families of errors (business-central §3), and what is neither.
func TestRefusal(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"error":{"code":"Authentication_InvalidCredentials","message":"The server has rejected the client credentials.  CorrelationId:  1."}}`: {"Authentication_InvalidCredentials", "The server has rejected the client credentials."},
		`{"code":"EnvironmentNotFound","message":"No."}`:                {"EnvironmentNotFound", "No."},
		`{"Message":"Authorization has been denied for this request."}`: {"", "Authorization has been denied for this request."},
		`<html>`: {"", ""}, `[]`: {"", ""}, ``: {"", ""}, `{"error":"text"}`: {"", ""},
	} {
		if e := refused(body); e.Code != want[0] || e.Message != want[1] || e.CorrelationID != "c-1" || e.RequestID != "r-1" {
			t.Errorf("%s: %+v", body, e)
		}
	}
}

// FuzzRefusal: no answer breaks the reading of it.
func FuzzRefusal(f *testing.F) {
	f.Add(`{"error":{"code":"x","message":"y"}}`)
	f.Add(`{"code":"x"}`)
	f.Fuzz(func(t *testing.T, body string) {
		if e := refused(body); len(e.Code)+len(e.Message) > 6*len(body) {
			t.Errorf("more than was said: %+v", e)
		}
	})
}

// The class of a refusal is told by the prefix of its code, also of a code that is
// not known.
func TestClass(t *testing.T) {
	for code, want := range map[string]string{
		"Authentication_InvalidCredentials": "credentials", "Authorization_SomethingNew": "permissions", "Internal_CompanyNotFound": "server or data", "BadRequest_NotFound": "request",
		"Application_DialogException": "business logic", "Request_EntityChanged": "conflict", "Unknown": "", "": "sign-in layer",
	} {
		if got := Class(&microsoft.Error{Status: http.StatusUnauthorized, Code: code}); got != want {
			t.Errorf("%s: %q", code, got)
		}
	}
	if e := refused(`{"error":{"code":"Internal_ServerError","message":"It broke.  CorrelationId:  0d1c."}}`); e.Message != "It broke." || e.CorrelationID != "c-1" {
		t.Errorf("%+v", e)
	}
}
