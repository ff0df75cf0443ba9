package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/expiry"
	"gatehouse/internal/rotation"
	"gatehouse/internal/tenant"
)

// ends are what the pages of expiries show.
type ends struct{ secret, rotation string }

// forecast has a tenant read whose reader works, with a connection that uses the
// reader's app, and begins to replace the reader's certificate.
func (h *house) forecast(at tenant.Tenant) (out ends) {
	h.t.Helper()
	app := h.at(at.Name).App("Gatehouse reader")
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{
		TenantID: at.ID, Kind: connection.App, Profile: connection.Profile{Name: "Report tool", ClientID: app.ClientID, Services: []string{"graph"}, Consumer: connection.Consumer{Name: "Reports for Microsoft 365", HoldsCredential: connection.HeldByConsumer}},
		Credential: connection.CredentialRequest{Kind: connection.Secret},
	})
	must(h.t, made, err)
	if err := h.expiries.Refresh(h.boss(), at.ID); err != nil {
		h.t.Fatal(err)
	}
	h.eventually("the tenant was not read", func() bool {
		items, _, err := h.expiries.List(h.boss(), expiry.Filter{TenantID: at.ID, Kind: expiry.Secret}, expiry.Page{})
		for _, i := range must(h.t, items, err) {
			if i.ClientID == strings.ToLower(app.ClientID) && i.Holder == expiry.Application {
				out.secret = i.ID
			}
		}
		return out.secret != ""
	})
	begun, err := h.rotations.Begin(h.boss(), rotation.Target{TenantID: at.ID})
	out.rotation = must(h.t, begun, err).ID
	return out
}

// User story 13, on the page: which connection and software use the secret, and
// what to do.
func TestStory13OnThePage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Default Shield")
	v.get("/expiries").has(t, "Default Shield", "nknown (no reader)", "Not everything is known")
	h.onboard(at)
	shown := h.forecast(at)
	v.get("/expiries").has(t, "Client secret of Gatehouse reader", "Report tool", "on the application", "Reader certificate")
	v.get("/expiries/"+shown.secret).has(t, "Where it is used", "Report tool", "Reports for Microsoft 365", "Perhaps: it uses one of this app", "app&#39;s owner", "and no other")
	v.get("/expiries/r-"+at.ID).has(t, "Gatehouse itself", "Reader of Default Shield")
	v.get("/expiries?within=past").has(t, "No credential fits")
	v.get("/tenants/"+at.ID).has(t, "is being replaced", "Credentials of this tenant")
	v.get("/rotations/"+shown.rotation).has(t, "What it touches", "What it leaves alone", "Take it back")
	if page := v.get("/expiries/nothing"); page.Status != http.StatusNotFound {
		t.Errorf("nothing is answered %d", page.Status)
	}
}

var feedAddress = regexp.MustCompile(`/calendar/[A-Za-z0-9_-]{43}\.ics`)

// A calendar address is shown once, opens a calendar without a session, and nothing
// once it is revoked.
func TestCalendarAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v, program := h.visitor(h.administrator()), h.visitor()
	h.onboard(h.add("Default Shield"))
	v.post("/expiries/calendar", map[string][]string{"name": {" "}}).has(t, "is missing")
	made := v.post("/expiries/calendar", map[string][]string{"name": {"Outlook"}})
	address := feedAddress.FindString(made.Text)
	if address == "" {
		t.Fatalf("no address is shown: %s", made.Text)
	}
	again := v.get("/expiries/calendar")
	again.has(t, "Outlook", "Revoke")
	if feedAddress.MatchString(again.Text) {
		t.Error("the address is shown again")
	}
	program.get(address).has(t, "BEGIN:VCALENDAR", "Reader certificate")
	file := v.get("/expiries/calendar.ics")
	file.has(t, "BEGIN:VEVENT")
	for _, wrong := range []string{"/calendar/" + strings.Repeat("A", 43) + ".ics", strings.TrimSuffix(address, ".ics"), "/calendar/.ics"} {
		if got := program.get(wrong); got.Status != http.StatusNotFound {
			t.Errorf("%s is answered %d", wrong, got.Status)
		}
	}
	id := regexp.MustCompile(`/expiries/calendar/([0-9a-f-]{36})/revoke`).FindStringSubmatch(again.Text)
	if id == nil {
		t.Fatal("there is no button to revoke it")
	}
	v.post(id[0], nil)
	if got := program.get(address); got.Status != http.StatusNotFound {
		t.Errorf("revoked, it is answered %d", got.Status)
	}
}

// Who may only look sees no button, and is refused without one.
func TestExpiriesOfAViewer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.administrator()
	at := h.add("Default Shield")
	h.onboard(at)
	shown := h.forecast(at)
	v := h.member(audit.Viewer, at.ID)
	page := v.get("/rotations/" + shown.rotation)
	page.has(t, "What it touches")
	if strings.Contains(page.Text, "Take it back") {
		t.Error("a viewer is offered to take it back")
	}
	for _, path := range []string{"/rotations/" + shown.rotation + "/undo", "/tenants/" + at.ID + "/reader/rotate", "/tenants/" + at.ID + "/expiries"} {
		if got := v.post(path, nil); got.Status != http.StatusForbidden {
			t.Errorf("%s is answered %d", path, got.Status)
		}
	}
}
