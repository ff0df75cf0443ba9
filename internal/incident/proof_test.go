package incident_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/incident"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// prove lets some time pass and looks into the logs.
func (h *house) prove(c connection.Connection) *incident.Proof {
	h.t.Helper()
	h.later(7 * time.Hour)
	if err := h.incidents.Prove(audit.AsSystem(h.t.Context(), "test")); err != nil {
		h.t.Fatal(err)
	}
	p, err := h.incidents.Proof(h.boss(), c.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// The software is proved to get in by its own sign-in in the log alone: not by
// Gatehouse's, not from elsewhere, not by one of before.
func TestProofNeedsTheSoftwaresOwnSignIn(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	h := withLab(t, l)
	at := l.Tenant("openharbour")
	added := h.add(at)
	h.onboard(l, at, added.ID)
	user := at.User("svc-backup")
	tool := connection.Consumer{Name: "Backup tool", HoldsCredential: connection.HeldByConsumer, Addresses: []string{"203.0.113.0/24"}}
	c := h.signsIn(l, at, added.ID, "svc-backup", tool)
	from := func(address string) {
		if err := l.SetNetwork(lab.Network{Address: address}); err != nil {
			t.Fatal(err)
		}
	}
	signIn := func() { // as the software does
		client := l.Client()
		defer client.CloseIdleConnections()
		answer, err := client.PostForm(l.URL()+"/"+at.ID+"/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {"14d82eec-204b-4c2f-b7e8-296a70dab67e"}, "username": {user.UPN}, "password": {*user.Password}, "scope": {"https://graph.microsoft.com/.default"}})
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("signing in: %s", answer.Status)
		}
	}
	from("203.0.113.9")
	signIn() // before it worked
	h.settle(c, outcome{verdict: "failed", category: "license_missing", service: "sharepoint"})
	i := h.only()
	h.validate(c) // works, from the software's own address
	if i := h.only(); i.State != incident.Ended {
		t.Fatalf("incident %+v", i)
	}
	h.validate(c) // Gatehouse's own, once more
	from("198.51.100.7")
	signIn() // from elsewhere
	if p := h.prove(c); p == nil || p.State != incident.NotYetSeen || !p.Looks {
		t.Errorf("without the software: %+v", p)
	}
	from("203.0.113.9")
	signIn()
	p := h.prove(c)
	if p == nil || p.State != incident.Seen || p.SeenAt == nil || p.From != "203.0.113.9" || p.App == "" || p.Looks {
		t.Errorf("with the software: %+v", p)
	}
	members, _, err := h.incidents.Members(h.boss(), i.ID, tenant.Page{})
	if err != nil || len(members) != 1 || members[0].Proof == nil || members[0].Proof.State != incident.Seen {
		t.Errorf("on the incident: %+v %v", members, err)
	}
	h.settle(c, outcome{verdict: "failed", category: "license_missing", service: "sharepoint"})
	if p, err := h.incidents.Proof(h.boss(), c.ID); err != nil || p != nil {
		t.Errorf("when it is stopped again: %+v %v", p, err)
	}
}

// Where the log cannot be read, whether the software gets in is unknown, with the
// reason; where only Gatehouse has the credential, there is nothing to prove.
func TestProofUnknown(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	h := withLab(t, l)
	held := connection.Consumer{Name: "Backup tool", HoldsCredential: connection.HeldByConsumer}
	for _, of := range []struct {
		tenant, user, reason string
		consumer             connection.Consumer
		reader               bool
	}{
		{"openharbour", "svc-backup", "no reader", held, false},
		{"defaultshield", "svc-plain", "Entra ID P1", held, true},
		{"profilepark", "svc-common", "", connection.Consumer{Name: "Backup tool"}, false},
	} {
		at := l.Tenant(of.tenant)
		added := h.add(at)
		if of.reader {
			h.onboard(l, at, added.ID)
		}
		c := h.signsIn(l, at, added.ID, of.user, of.consumer)
		h.settle(c, outcome{verdict: "failed"})
		h.settle(c, works)
		p := h.prove(c)
		if of.reason == "" {
			if p != nil {
				t.Errorf("%s: %+v", of.tenant, p)
			}
			continue
		}
		if p == nil || p.State != incident.NotKnown || !strings.Contains(p.Reason, of.reason) || !p.Looks {
			t.Errorf("%s: %+v", of.tenant, p)
		}
	}
}
