package signin

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/microsoft"
)

// answer is what Microsoft sent a browser back with (entra-sign-in §3).
type answer struct {
	code, state, issuer           string
	oauth, description, sub, host string
}

// maxAnswer bounds what is read of an answer, in bytes; codes are about a tenth of
// that. maxParameters bounds how many members it has.
const (
	maxAnswer     = 16 << 10
	maxParameters = 40
)

// readAnswer reads an answer. A member that comes twice makes it none: whoever
// looks at the first and whoever looks at the last would see different ones.
func readAnswer(q url.Values) (answer, error) {
	var a answer
	size := 0
	for name, values := range q {
		size += len(name)
		for _, v := range values {
			size += len(v)
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return answer{}, refuse(Malformed, "The answer cannot be read", "a member is no text")
			}
		}
	}
	if size > maxAnswer || len(q) > maxParameters {
		return answer{}, refuse(Malformed, "The answer cannot be read", "it is too long")
	}
	for name, into := range map[string]*string{
		"code": &a.code, "state": &a.state, "iss": &a.issuer, "error": &a.oauth, "error_description": &a.description, "error_subcode": &a.sub, "cloud_instance_host_name": &a.host,
	} {
		values := q[name]
		if len(values) > 1 {
			return answer{}, refuse(Malformed, "The answer cannot be read", "%s is there %d times", name, len(values))
		}
		if len(values) == 1 {
			*into = values[0]
		}
	}
	switch {
	case a.state == "":
		return answer{}, refuse(State, "This is no answer to a sign-in that was begun here", "it has no state")
	case (a.code == "") == (a.oauth == ""):
		return answer{}, refuse(Malformed, "The answer cannot be read", "it has neither a code nor an error, or both")
	}
	return a, nil
}

// refused is what Microsoft's own page said no with.
func (a answer) refused() *microsoft.Error {
	text, _, _ := strings.Cut(strings.ReplaceAll(a.description, "\r\n", "\n"), "\n")
	e := &microsoft.Error{Service: microsoft.ServiceLogin, Op: "signing in", Status: 400, OAuth: clip(a.oauth, 100), Suberror: clip(a.sub, 100), Message: clip(text, 1000)}
	if code, _, ok := strings.Cut(e.Message, ":"); ok && strings.HasPrefix(code, "AADSTS") && len(code) < 20 {
		e.Code = code
	}
	for line := range strings.Lines(strings.ReplaceAll(a.description, "\r\n", "\n")) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "Correlation ID: "); ok {
			e.CorrelationID = clip(id, 64)
		}
	}
	return e
}

// clip bounds a text, in bytes.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
