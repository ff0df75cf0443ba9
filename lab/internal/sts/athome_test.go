package sts_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestAtHome: the id token of a guest names the tenant that vouches for them, that of
// the tenant's own people does not.
func TestAtHome(t *testing.T) {
	c := start(t, governed)
	redeemed := func(user string) string {
		code := c.browser(t).get(ask("nonce", "n")).signIn(user).answer().Get("code")
		_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {desktop}, "code": {code}, "redirect_uri": {"http://localhost:51234"}})
		idp, _ := claims(t, body["id_token"])["idp"].(string)
		return idp
	}
	if idp := redeemed("bare@t.onmicrosoft.com"); idp != "" {
		t.Errorf("of the tenant's own person: %s", idp)
	}
	if idp := redeemed("far@far.onmicrosoft.com"); !strings.HasPrefix(idp, "https://sts.windows.net/") {
		t.Errorf("of a guest: %q", idp)
	}
}
