package console_test

import (
	"html"
	"strings"
	"testing"

	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
)

// Each of the three messages of the old validation test is told with what it offered
// and what is safe today, and beside it why the password is refused here and works in
// the browser; where nothing is refused, neither is.
func TestOldMessages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	wrong := func(c connection.Connection) connection.Connection {
		changed, err := h.connections.SetCredential(h.boss(), c.ID, connection.CredentialRequest{Password: secrets.New("not the password")})
		return must(t, changed, err)
	}
	shield := h.add("Default Shield")
	for _, c := range []struct {
		name    string
		of      connection.Connection
		has     []string
		lacking []string
	}{
		{"a policy", h.account(h.add("Policy Pier"), "svc-nightly", "Nightly"), []string{
			"This is message 1 of three", "The organisation has access policies that block the validation.", "Delete or disable the policies, exclude the account from them, or exclude the product's own addresses.",
			"Convert to an app with a certificate: policies for people do not see it.", "Delete or disable no policy.",
			"Refused here, works in the browser?", "A policy looks at the place or the device. The browser's are other than this server's.", "which condition decides",
		}, []string{"This is message 2", "This is message 3"}},
		{"a wrong password", wrong(h.account(h.add("Open Harbour"), "svc-backup", "Harbour")), []string{
			"This is message 2 of three", "or whether an app password was entered.", "Without: check the password.", "An app password is no way any more.",
			"Refused here, works in the browser?", "The password arrived otherwise than it was typed", "Set a password of plain letters",
		}, []string{"This is message 1", "This is message 3"}},
		{"MFA", h.account(shield, "svc-connection", "Admin tool"), []string{
			"This is message 3 of three", "The account has MFA enabled.", "For the user: set the flag, or disable it. By Conditional Access: as the first message.",
			"take this account out of that rule alone", "exempt nobody",
			"Refused here, works in the browser?", "A second factor is demanded. The browser asks for it", "No password helps.",
		}, []string{"This is message 1", "This is message 2"}},
		{"nothing", h.account(h.add("Profile Park"), "svc-common", "Common"), nil, []string{"In the words of the old validation test", "Refused here, works in the browser?"}},
	} {
		h.validate(c.of)
		text := html.UnescapeString(v.get("/connections/" + c.of.ID).Text)
		for _, want := range c.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the page does not say %q", c.name, want)
			}
		}
		for _, not := range c.lacking {
			if strings.Contains(text, not) {
				t.Errorf("%s: the page says %q", c.name, not)
			}
		}
	}
}
