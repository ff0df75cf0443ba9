package console_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/incident"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// incidentOf is the incident that affects a connection.
func (h *house) incidentOf(c connection.Connection) incident.Incident {
	h.t.Helper()
	i, err := h.incidents.Of(h.boss(), c.ID)
	if must(h.t, i, err) == nil {
		h.t.Fatalf("%s is part of no incident", c.Name)
	}
	return *i
}

// incidentsOf are the pages of the incidents of two connections, with a comment
// each, and of one that has ended, in which the software was not seen yet.
func (h *house) incidentsOf(stopped, parked connection.Connection) (first, second, ended string) {
	h.t.Helper()
	of := []incident.Incident{h.incidentOf(stopped), h.incidentOf(parked)}
	for _, i := range of {
		_, err := h.incidents.Comment(h.boss(), i.ID, "The administrator looks into it.")
		must(h.t, 0, err)
	}
	_, err := h.incidents.Acknowledge(h.boss(), of[1].ID)
	must(h.t, 0, err)
	mended := h.account(tenant.Tenant{ID: stopped.TenantID, Name: "Default Shield"}, "svc-plain", "Mended")
	mended, err = h.connections.Update(h.boss(), mended.ID, connection.UpdateRequest{Version: mended.Version, Profile: connection.Profile{Name: mended.Name, Username: mended.Username, Services: mended.Services, Consumer: connection.Consumer{Name: "Backup tool", HoldsCredential: connection.HeldByConsumer}}})
	must(h.t, 0, err)
	h.settle(mended, "failed")
	i := h.incidentOf(mended)
	h.settle(mended, "works")
	return "/incidents/" + of[0].ID, "/incidents/" + of[1].ID, "/incidents/" + i.ID
}

// settle is the end of a validation.
func (h *house) settle(c connection.Connection, verdict string) {
	h.t.Helper()
	err := h.db.Change(audit.AsSystem(h.t.Context(), "test"), func(ctx context.Context, tx *sqldb.Tx) error {
		return h.connections.Settle(ctx, tx, c.ID, connection.Settled{Verdict: verdict, Sentence: "The licence has ended", At: c.CreatedAt})
	})
	must(h.t, 0, err)
}

// TestIncidentPages walks from the overview to an incident with the keyboard,
// acknowledges it and writes about it; the page tells when it has ended, by itself.
func TestIncidentPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cookie := h.administrator()
	at := h.add("Open Harbour")
	c := h.account(at, "svc-backup", "Nightly backup", "graph")
	h.settle(c, "failed")
	i := h.incidentOf(c)
	b := h.browse(cookie)
	b.open("/")
	b.sees("1 incident stops 1 of 1 connection")
	b.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("i"))
	b.sees("The licence has ended")
	b.press("The licence has ended")
	b.sees("It stops 1 connection of ")
	b.press("Acknowledge")
	b.sees("You take care of it: others see that.")
	b.sees("Acknowledged by Ada Person")
	b.fill("Comment", "The licence is ordered.")
	b.press("Add the comment")
	b.sees("The licence is ordered.")
	b.open("/incidents/" + i.ID)
	b.press("See Nightly backup")
	b.sees("Part of the incident The licence has ended")
	b.open("/incidents/" + i.ID)
	h.settle(c, "works")
	b.sees("Ended by itself")
	b.open("/")
	b.sees("The one connection gets in")
	b.sees("Incident ended")

	v := h.visitor(cookie)
	v.post("/incidents/"+i.ID+"/comments", url.Values{"text": {" "}}).has(t, "Comment is missing: write something")
	if p := v.post("/incidents/"+i.ID+"/acknowledge", nil); p.Status != http.StatusConflict || !strings.Contains(p.Text, "the incident has ended") {
		t.Errorf("acknowledging what is over is answered %d: %s", p.Status, p.Text)
	}
	for _, path := range []string{"/incidents/none", "/incidents?state=odd"} {
		if p := v.get(path); p.Status != http.StatusNotFound {
			t.Errorf("%s is answered %d", path, p.Status)
		}
	}
}
