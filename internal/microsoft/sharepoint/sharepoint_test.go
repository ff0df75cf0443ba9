package sharepoint

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/internal/microsoft"
)

func refused(status int, contentType, body, authenticate, diagnostics string) *microsoft.Error {
	e := &microsoft.Error{Service: microsoft.ServiceSharePoint, Status: status, ContentType: contentType, Body: []byte(body)}
	refusal(e, &http.Response{Header: http.Header{"Www-Authenticate": {authenticate}, "X-Ms-Diagnostics": {diagnostics}, "Sprequestguid": {"guid-1"}}})
	return e
}

// What SharePoint says in each of its forms (sharepoint §3).
func TestRefusal(t *testing.T) {
	const realm = "8eed4ce0-0957-5c75-aa0c-c07e54872101"
	for name, test := range map[string]struct {
		e                    *microsoft.Error
		code, message, realm string
	}{
		"old OData":    {refused(403, "application/json", `{"odata.error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"lang":"en-US","value":"Access denied."}}}`, "", ""), "-2147024891, System.UnauthorizedAccessException", "Access denied.", ""},
		"new OData":    {refused(403, "application/json", `{"error":{"code":"-1, X","message":{"value":"No."}}}`, "", ""), "-1, X", "No.", ""},
		"description":  {refused(401, "application/json", `{"error_description":"Invalid issuer or signature."}`, "", ""), "", "Invalid issuer or signature.", ""},
		"text":         {refused(401, "text/plain; charset=utf-8", "Unsupported app only token.\nmore", "", ""), "", "Unsupported app only token.", ""},
		"only headers": {refused(401, "application/json", `{}`, `Bearer realm="`+strings.ToUpper(realm)+`",client_id="x"`, `3000003;reason="Invalid audience Uri 'x'.";category="invalid_client"`), "", "Invalid audience Uri 'x'.", strings.ToUpper(realm)},
		"no site":      {refused(404, "text/plain", "404 FILE NOT FOUND", "", ""), "site_not_found", "there is no site at this address, or none that the identity may know of", ""},
		"no realm":     {refused(401, "", "", `Bearer realm="contoso",client_id="x"`, ""), "", "", ""},
	} {
		if test.e.Code != test.code || test.e.Message != test.message || test.e.Realm != test.realm || test.e.CorrelationID != "guid-1" {
			t.Errorf("%s: %+v", name, test.e)
		}
	}
}

// FuzzRefusal: no answer breaks the reading of it, or says more than it was cut to.
func FuzzRefusal(f *testing.F) {
	f.Add(401, "application/json", `{"error":{"code":"x","message":{"value":"y"}}}`, `Bearer realm="8eed4ce0-0957-5c75-aa0c-c07e54872101"`, `1;reason="z"`)
	f.Add(404, "text/plain", "404", "", "")
	f.Fuzz(func(t *testing.T, status int, contentType, body, authenticate, diagnostics string) {
		e := refused(status, contentType, body, authenticate, diagnostics)
		if e.Realm != "" && (len(e.Realm) != 36 || !utf8.ValidString(e.Realm)) {
			t.Errorf("realm %q", e.Realm)
		}
		if len(e.Message) > len(body)+len(diagnostics)+len("there is no site at this address, or none that the identity may know of")+3*len(body) {
			t.Errorf("a message of %d bytes", len(e.Message))
		}
	})
}
