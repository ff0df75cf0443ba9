package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
)

// TestWrongPassword parks a connection after one refused password: nothing that
// can be pressed sends it again, until the right one is entered.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")
	right := h.at("Open Harbour").User("svc-backup")
	one := h.account(at, "svc-backup", "Nightly backup", "graph")
	changed, err := h.connections.SetCredential(h.boss(), one.ID, connection.CredentialRequest{Password: secrets.New("not the password")})
	page := "/connections/" + must(t, changed, err).ID
	sent := func() (n int) {
		for _, e := range h.lab.Journal() {
			if e.Method == http.MethodPost && strings.HasSuffix(e.Path, "/token") {
				n++
			}
		}
		return n
	}
	v.post(page+"/validate", nil)
	v.eventually("the connection was not parked", func() bool { return strings.Contains(v.get(page).Text, "What helps") }) // the run has ended as well
	once := sent()
	parked := v.get(page)
	parked.has(t, "AADSTS50126", "Parked", "is not tried again until you enter the right one", "Enter the right password", "Who must act: <strong>you</strong>")
	if strings.Contains(parked.Text, "Validate now") {
		t.Error("a parked connection can be validated")
	}
	if again := v.post(page+"/validate", nil); again.Status != http.StatusConflict || sent() != once || once != 1 {
		t.Errorf("validating a parked connection is answered %d, and %d passwords were sent", again.Status, sent())
	}
	v.get("/").has(t, "1 incident stops 1 of 1 connection", "Enter the right password")
	v.post(page+"/credential", url.Values{"kind": {"service_account"}, "password": {*right.Password}}).has(t, "The new credential is stored", "Validate now")
	v.post(page+"/validate", nil)
	v.eventually("it does not work", func() bool { return strings.Contains(v.get(page).Text, "It works.") })
}

// TestLocked says that nobody can do anything but wait, or unlock the account.
func TestLocked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	one := h.account(h.add("Open Harbour"), "svc-backup", "Nightly backup", "graph")
	h.lock("Open Harbour", "svc-backup", true)
	h.validate(one)
	v.get("/connections/"+one.ID).has(t, "AADSTS50053", "What helps", "Who must act", "locked")
	h.lock("Open Harbour", "svc-backup", false)
}
