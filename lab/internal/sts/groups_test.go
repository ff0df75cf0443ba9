package sts_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
)

// TestGroupClaims: an id token names the person's groups if the registration asks
// for them, nested ones too, but no more than 200, and fewer than 6 where it goes
// through the browser; the rest is to be asked for.
func TestGroupClaims(t *testing.T) {
	c := start(t, people)
	var user, role string
	set := func(n int, wanted string) {
		c.tenant(t, func(at *directory.Tenant) {
			user = at.User("plain@t.onmicrosoft.com").ID
			at.Groups = nil
			for i := range n {
				g := &directory.Group{ID: directory.NameID("group", fmt.Sprint(i)), Name: fmt.Sprint(i), Members: []string{user}}
				if i > 0 { // one in the other, to the last
					g.Members = []string{directory.NameID("group", fmt.Sprint(i-1))}
				}
				at.AddGroup(g)
			}
			at.App(desktop).GroupClaims = wanted
			role = ""
			if wanted == "All" {
				role = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b" // Directory Readers
				at.User(user).Roles = []string{role}
			}
		})
	}
	redeemed := func() map[string]any {
		code := c.browser(t).get(ask("nonce", "n")).signIn("plain@t.onmicrosoft.com").answer().Get("code")
		_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {desktop}, "code": {code}, "redirect_uri": {"http://localhost:51234"}})
		return claims(t, body["id_token"])
	}
	direct := func() map[string]any {
		return claims(t, c.browser(t).get(ask("response_type", "id_token", "nonce", "n")).signIn("plain@t.onmicrosoft.com").answer().Get("id_token"))
	}
	count := func(id map[string]any) int { groups, _ := id["groups"].([]any); return len(groups) }

	set(200, "SecurityGroup")
	if id := redeemed(); count(id) != 200 || id["_claim_names"] != nil {
		t.Errorf("of 200 groups %d are named", count(id))
	}
	set(201, "SecurityGroup")
	id := redeemed()
	names, _ := id["_claim_names"].(map[string]any)
	source := fmt.Sprint(id["_claim_sources"])
	if id["groups"] != nil || names["groups"] != "src1" || !strings.Contains(source, "/users/"+user+"/getMemberObjects") || id["hasgroups"] != nil {
		t.Errorf("201 groups: %v", id)
	}
	if id := direct(); id["groups"] != nil || id["hasgroups"] != true || id["_claim_names"] != nil {
		t.Errorf("201 groups through the browser: %v", id)
	}
	set(5, "SecurityGroup")
	if id := direct(); count(id) != 5 || id["hasgroups"] != nil {
		t.Errorf("5 groups through the browser: %v", id)
	}
	set(6, "SecurityGroup")
	if id := direct(); id["groups"] != nil || id["hasgroups"] != true {
		t.Errorf("6 groups through the browser: %v", id)
	}
	set(1, "All")
	if id := redeemed(); count(id) != 2 || !slices.Contains(id["groups"].([]any), any(role)) {
		t.Errorf("with roles: %v", id["groups"])
	}
	set(3, "")
	if id := redeemed(); id["groups"] != nil {
		t.Errorf("groups that nobody asked for: %v", id["groups"])
	}
	set(0, "SecurityGroup")
	if id := redeemed(); id["groups"] != nil || id["hasgroups"] != nil {
		t.Errorf("no groups: %v", id)
	}
}
