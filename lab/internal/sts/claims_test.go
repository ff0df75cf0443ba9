package sts_test

import (
	"net/url"
	"slices"
	"testing"
)

// TestClaimsParameter: authentication contexts, capabilities of the client, and
// challenges that it passes on.
func TestClaimsParameter(t *testing.T) {
	c := start(t, people)
	ask := func(user, claim string) map[string]any {
		_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {desktop}, "username": {user}, "password": {pw}, "scope": {"User.Read"}, "claims": {claim}})
		return body
	}
	capable := ask("plain@t.onmicrosoft.com", `{"access_token":{"xms_cc":{"values":["CP1"]},"nonsense":{"essential":true}}}`)
	if list, _ := claims(t, capable["access_token"])["xms_cc"].([]any); !slices.Equal(list, []any{"cp1"}) {
		t.Errorf("xms_cc %v", list)
	}
	if plain := claims(t, ask("plain@t.onmicrosoft.com", `{"access_token":{"xms_cc":{"values":["cp2"]},"acrs":null}}`)["access_token"]); plain["xms_cc"] != nil || plain["acrs"] != nil {
		t.Errorf("%v", plain)
	}
	for claim, want := range map[string]int{
		`{"access_token":{"acrs":{"essential":true,"value":"c25"}}}`:              50079,
		`{"id_token":{"acrs":{"essential":true,"values":["c1","c2"]}}}`:           50079,
		`{"access_token":{"capolids":{"essential":true,"values":["some-rule"]}}}`: 50079,
		`{"access_token":{"polids":{"essential":true,"values":["some-rule"]}}}`:   50079,
		`{"access_token":{"polids":{"values":[]}}}`:                               0,
		`{"access_token":{"acrs":{"value":"c0"}}}`:                                0,
		`{"access_token":{"acrs":[]}}`:                                            50117,
		`[]`:                                                                      50117,
		`{"access_token":1}`:                                                      50117,
	} {
		if body := ask("plain@t.onmicrosoft.com", claim); code(body) != want {
			t.Errorf("%s: %v", claim, body)
		}
	}
}
