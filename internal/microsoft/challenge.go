package microsoft

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// InsufficientClaims is the OAuth error of a claims challenge: the token is good,
// but does not prove what the resource asks for.
const InsufficientClaims = "insufficient_claims"

// Challenge finds the claims that WWW-Authenticate headers ask for, as JSON: base64
// of a JSON object in quotes (entra-sign-in §10); "" if they ask for none.
func Challenge(headers []string) string {
	for _, header := range headers {
		_, rest, ok := strings.Cut(header, `claims="`)
		if !ok {
			continue
		}
		encoded, _, _ := strings.Cut(rest, `"`)
		var asked map[string]json.RawMessage
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && json.Unmarshal(decoded, &asked) == nil {
			return string(decoded)
		}
	}
	return ""
}

// Contexts are the authentication contexts that a claims challenge asks for, such as
// c1; none where it asks for something else.
func Contexts(claims string) []string {
	var asked map[string]map[string]json.RawMessage
	if json.Unmarshal([]byte(claims), &asked) != nil {
		return nil
	}
	var wanted struct {
		Value  string   `json:"value"`
		Values []string `json:"values"`
	}
	if json.Unmarshal(asked["access_token"]["acrs"], &wanted) != nil {
		return nil
	}
	out := []string{}
	for _, c := range append(wanted.Values, wanted.Value) {
		if c != "" && len(c) <= 100 {
			out = append(out, c)
		}
	}
	return out
}
