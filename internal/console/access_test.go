package console_test

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/registration"
)

// person changes somebody of the loft in the lab.
func (h *house) person(upn, change string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPatch, h.lab.Ready().ControlURL+"/tenants/loomloft.onmicrosoft.com/users/"+upn, bytes.NewBufferString(change))
	must(h.t, r, err).Header.Set("Content-Type", "application/json")
	answer, err := h.lab.Client().Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		h.t.Fatal(answer.Status)
	}
}

var folds = regexp.MustCompile(`(?s)<details.*?</details>|<[^>]*>`)

// visible is what a page says before anything is unfolded.
func visible(page string) string { return folds.ReplaceAllString(page, " ") }

// The card Access of each state in which a person's connection can be: it says in
// words what is the matter, who acts and what helps, with the way there; and nothing
// in the names of members or in codes alone.
func TestAccessCard(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).browsable)
	if _, err := h.lab.AddTenants(strings.NewReader(loft(h.server.URL))); err != nil {
		t.Fatal(err)
	}
	at := h.add("Loom Loft")
	app := h.publicApp("Loom Link", h.at("Loom Loft").App("Loom Link").ClientID, registration.Permission{Resource: "graph", Name: "User.Read", Kind: registration.DelegatedPermission, Why: "to greet you"})
	const graph = "https://graph.microsoft.com"
	cookie := h.administrator()
	ada := h.visitor(cookie)
	var screens []screen
	for n, s := range []struct {
		name  string
		state string
		trip  func(c connection.Connection) // after a sign-in; nil: nobody signs in
		words []string
	}{
		{"never", broker.NeedsSignIn, nil, []string{"Not signed in yet", "Nobody has signed in yet", "/sign-in"}},
		{"ready", broker.Ready, func(connection.Connection) {}, []string{"Gives tokens"}},
		{"sign-in", broker.NeedsSignIn, func(c connection.Connection) { h.person(c.Username, `{"revoke_sessions":true}`) }, []string{"Needs a sign-in", "revoked by a password change", "/sign-in\""}},
		{"mfa", broker.NeedsMFA, func(c connection.Connection) { h.person(c.Username, `{"per_user_mfa":"enforced"}`) }, []string{"Needs a second factor", "/sign-in\""}},
		{"consent", broker.NeedsConsent, func(connection.Connection) {}, []string{"Needs consent", "Ask for consent"}},
		{"parked", broker.Parked, func(c connection.Connection) { h.person(c.Username, `{"enabled":false}`) }, []string{"Stands still", "The account is disabled"}},
		{"out", broker.NeedsSignIn, func(c connection.Connection) {
			_, err := h.signIns.Out(h.boss(), c.ID, false)
			must(t, 0, err)
		}, []string{"Needs a sign-in", "/sign-in"}},
	} {
		made, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.Delegated, Profile: connection.Profile{
			Name: "Loom " + s.name, RegistrationID: app.ID, Username: "person0" + string(rune('0'+n)) + "@loomloft.onmicrosoft.com", Services: []string{connection.Graph},
		}})
		c := must(t, made, err)
		if s.trip != nil {
			h.signsInAgain(c)
			h.lab.Advance(2 * time.Second)
			s.trip(c)
			resource := graph
			if s.name == "consent" {
				resource = "https://outlook.office365.com"
			}
			_, _ = h.tokens.Fresh(h.boss(), c.ID, resource) // the state tells
		}
		state, err := h.tokens.StateOf(h.boss(), c.ID)
		if got := must(t, state, err); got.State != s.state {
			t.Fatalf("%s is %s: %s", s.name, got.State, got.Reason)
		}
		path, text := "/connections/"+c.ID, ""
		if s.trip != nil && s.state != broker.Ready { // it is validated at once
			h.eventually("the validation has not ended", func() bool {
				now, err := h.connections.Get(h.boss(), c.ID)
				return must(t, now, err).ValidatedAt != nil
			})
			text = ada.get(path).Text
			if strings.Contains(text, "Rule: <strong></strong>") {
				t.Errorf("%s: a rule without a name", s.name)
			}
			for _, word := range []string{"Who must act", "What helps", "Part of the incident"} {
				if !strings.Contains(text, word) {
					t.Errorf("%s: %q is not on the page", s.name, word)
				}
			}
		}
		_, card, _ := strings.Cut(ada.get(path).Text, `id="access">`)
		card, _, _ = strings.Cut(card, "</section>")
		for _, word := range s.words {
			if !strings.Contains(card, word) {
				t.Errorf("%s: %q is not in the card: %s", s.name, word, card)
			}
		}
		body, _, _ := strings.Cut(ada.get(path).Text, `id="whole-result"`) // the raw answer may be raw
		for _, raw := range []string{"needs_sign_in", "needs_mfa", "needs_consent", "no_sign_in", "token_broker"} {
			if strings.Contains(card, raw) || strings.Contains(visible(body), raw) {
				t.Errorf("%s: %q is on the page", s.name, raw)
			}
		}
		screens = append(screens, screen{"access-" + s.name, path})
		if s.state == broker.Ready {
			screens = append(screens, screen{"access-data", path + "/data"}, screen{"access-sign-in-page", path + "/sign-in"})
		}
	}
	if flag.Lookup("test.artifacts").Value.String() != "true" && os.Getenv("GATEHOUSE_SOAK") == "" {
		return
	}
	b := h.browse(cookie)
	for _, s := range screens {
		b.look(s)
	}
}
