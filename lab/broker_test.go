package lab_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/lab"
)

// renewal redeems a refresh token of Graph Command Line Tools at openharbour.
func renewal(t *testing.T, l *lab.Lab, value string) answer {
	t.Helper()
	return post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {graphCLI}, "refresh_token": {value}, "scope": {graphDefault + " offline_access"}})
}

// What a broker has to survive at the token endpoint: tokens of the past that
// are owned up to or not, 200 without a body, 403 with a page; each for one
// person only.
func TestTokenFaults(t *testing.T) {
	l := lab.Start(t)
	first := signIn(t, l, "openharbour", "svc-backup", graphCLI)
	u := l.Tenant("openharbour").User("svc-backup")
	after := func(f lab.Fault) answer {
		f.Grant, f.User, f.Times = "refresh_token", u.UPN, 1
		if _, err := l.AddFault(f); err != nil {
			t.Fatal(err)
		}
		a := renewal(t, l, first.text("refresh_token"))
		if next := renewal(t, l, first.text("refresh_token")); next.status != http.StatusOK {
			t.Errorf("%+v: the refresh after it: %s", f, next.raw)
		}
		return a
	}
	ends := func(a answer) time.Time {
		exp, _ := claimsOf(t, a.text("access_token"))["exp"].(float64)
		return time.Unix(int64(exp), 0)
	}
	if a := after(lab.Fault{Kind: "expired"}); a.status != http.StatusOK || a.body["expires_in"] != 0.0 || ends(a).After(l.Now()) || a.text("refresh_token") == "" {
		t.Errorf("expired: %s", a.raw)
	} else if used := get(t, l, l.URL()+"/v1.0/me", a.text("access_token")); used.status != http.StatusUnauthorized {
		t.Errorf("Graph takes an expired token: %s", used.raw)
	}
	if a := after(lab.Fault{Kind: "stale"}); a.status != http.StatusOK || a.body["expires_in"].(float64) < 3000 || ends(a).After(l.Now()) {
		t.Errorf("stale: %s", a.raw)
	}
	if a := after(lab.Fault{Kind: "empty"}); a.status != http.StatusOK || a.raw != "" {
		t.Errorf("empty: %d %q", a.status, a.raw)
	}
	if a := after(lab.Fault{Kind: "html", Status: http.StatusForbidden}); a.status != http.StatusForbidden || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("html: %d %s", a.status, a.raw)
	}
	for _, wrong := range []lab.Fault{{Kind: "html", Status: 302}, {Kind: "stale", Service: "graph"}} {
		if _, err := l.AddFault(wrong); err == nil {
			t.Errorf("%+v is accepted", wrong)
		}
	}
	if _, err := l.AddFault(lab.Fault{Kind: "empty", User: "somebody@else.example", Grant: "refresh_token"}); err != nil {
		t.Fatal(err)
	}
	if a := renewal(t, l, first.text("refresh_token")); a.status != http.StatusOK || a.raw == "" {
		t.Errorf("a fault for another person: %d %q", a.status, a.raw)
	}
}

// Where refresh tokens serve once only, a second use takes the whole family
// along, also the token that a use at the same time has earned.
func TestSingleUse(t *testing.T) {
	l := lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.Settings.SingleUse = true }))
	first, other := signIn(t, l, "openharbour", "svc-backup", graphCLI), signIn(t, l, "openharbour", "svc-backup", graphCLI)
	second := renewal(t, l, first.text("refresh_token"))
	third := renewal(t, l, second.text("refresh_token"))
	if third.status != http.StatusOK {
		t.Fatalf("each used once: %s", third.raw)
	}
	if a := renewal(t, l, first.text("refresh_token")); a.code() != 70000 || a.text("suberror") != "bad_token" {
		t.Errorf("used again: %s", a.raw)
	}
	if a := renewal(t, l, third.text("refresh_token")); a.code() != 70000 {
		t.Errorf("its grandchild: %s", a.raw)
	}
	// A refusal uses nothing up.
	u := l.Tenant("openharbour").User("svc-backup")
	enable := func(on string) {
		if status, _, body := ask(t, l, http.MethodPatch, "/tenants/openharbour.onmicrosoft.com/users/"+u.UPN, `{"enabled":`+on+`}`); status != http.StatusNoContent {
			t.Fatal(body)
		}
	}
	enable("false")
	if a := renewal(t, l, other.text("refresh_token")); a.code() != 50057 {
		t.Errorf("disabled: %s", a.raw)
	}
	enable("true")
	if other = renewal(t, l, other.text("refresh_token")); other.status != http.StatusOK {
		t.Fatalf("a refusal has used the token up: %s", other.raw)
	}
	var work sync.WaitGroup
	answers := make([]answer, 8)
	for i := range answers {
		work.Go(func() { answers[i] = renewal(t, l, other.text("refresh_token")) })
	}
	work.Wait()
	good := 0
	for _, a := range answers {
		if a.status != http.StatusOK {
			continue
		}
		good++
		if next := renewal(t, l, a.text("refresh_token")); next.code() != 70000 {
			t.Errorf("a token of a family that is revoked: %s", next.raw)
		}
	}
	if good > 1 {
		t.Errorf("one token was redeemed %d times", good)
	}
	if err := l.SetSettings(lab.Settings{}); err != nil {
		t.Fatal(err)
	}
	again := signIn(t, l, "openharbour", "svc-backup", graphCLI)
	for range 2 {
		if a := renewal(t, l, again.text("refresh_token")); a.status != http.StatusOK {
			t.Errorf("switched off: %s", a.raw)
		}
	}
}

// The journal knows whose refresh token was redeemed, and counts.
func TestRefreshJournal(t *testing.T) {
	l := lab.Start(t)
	first := signIn(t, l, "openharbour", "svc-backup", graphCLI)
	u := l.Tenant("openharbour").User("svc-backup")
	for range 3 {
		renewal(t, l, first.text("refresh_token"))
	}
	renewal(t, l, "unknown")
	if all, hers, others := l.Refreshes("", ""), l.Refreshes(graphCLI, u.UPN), l.Refreshes(azureCLI, u.UPN); all != 4 || hers != 3 || others != 0 {
		t.Errorf("%d refreshes, %d of %s, %d of another app", all, hers, u.UPN, others)
	}
	if status, _, body := ask(t, l, http.MethodGet, "/journal/assert?grant_type=refresh_token&username="+u.UPN+"&count=3", ""); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	_, _, data := ask(t, l, http.MethodGet, "/journal/tally?grant_type=refresh_token", "")
	var got struct{ Calls []lab.Tally }
	if err := json.Unmarshal([]byte(data), &got); err != nil || len(got.Calls) != 2 || got.Calls[1] != (lab.Tally{Service: "login", GrantType: "refresh_token", ClientID: graphCLI, Username: u.UPN, Status: 200, Count: 3}) {
		t.Errorf("%v %s", err, data)
	}
	if status, _, _ := ask(t, l, http.MethodGet, "/journal/tally?nonsense=1", ""); status != http.StatusBadRequest {
		t.Errorf("an unknown filter: %d", status)
	}
}
