package microsoft

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"
)

// The claims of a challenge, and the authentication context that they ask for.
func TestChallenge(t *testing.T) {
	const asked = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	for header, want := range map[string]string{
		`Bearer realm="", error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(asked)) + `"`: asked,
		`Bearer error="insufficient_claims",claims="bm90IGpzb24="`:                                                        "",
		`Bearer error="insufficient_claims",claims="WzFd"`:                                                                "",
		`Bearer error="insufficient_claims"`:                                                                              "",
		"":                                                                                                                "",
	} {
		if got := Challenge([]string{header}); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	for claims, want := range map[string][]string{asked: {"c1"}, `{"access_token":{"acrs":{"values":["c2","c3"]}}}`: {"c2", "c3"}, `{"access_token":{"polids":{"values":["x"]}}}`: nil, `[]`: nil, "": nil} {
		if got := Contexts(claims); !slices.Equal(got, want) {
			t.Errorf("%s: %v", claims, got)
		}
	}
}

// FuzzChallenge: whatever a header says, what is read of it is JSON or nothing.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer error="insufficient_claims", claims="e30="`)
	f.Add(`Bearer claims="`)
	f.Fuzz(func(t *testing.T, header string) {
		got := Challenge([]string{header})
		if got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%q", got)
		}
		Contexts(got)
	})
}
