package console_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/incident"
	"gatehouse/internal/registration"
	"gatehouse/internal/signin"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

const loftPeople = 20

// loft is a tenant of twenty people who use one app. Nobody reads its rules.
func loft(address string) string {
	var people []string
	for n := range loftPeople {
		people = append(people, fmt.Sprintf(`{"upn":"person%02d@loomloft.onmicrosoft.com","name":"Person %02d","methods":[{"type":"oath"}]}`, n, n))
	}
	return `{"tenants":[{"name":"Loom Loft","domain":"loomloft.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E3"],"users":[` + strings.Join(people, ",") + `],
 "apps":[{"name":"Loom Link","public":true,"redirect_uris":["` + address + `/signin/callback"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"]}}],
 "grants":[{"app":"Loom Link","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]}]}]}`
}

// signsInAgain signs the person of a connection in.
func (h *house) signsInAgain(c connection.Connection) {
	h.t.Helper()
	begun, err := h.signIns.Begin(h.boss(), c.ID, signin.Options{Prompt: "login"})
	attempt := must(h.t, begun, err)
	answer, err := h.lab.SignIn(attempt.URL, lab.Person{UPN: c.Username, Factor: true})
	done, err := h.signIns.Finish(h.boss(), must(h.t, answer, err).Query(), attempt.Cookie.Reveal())
	if err != nil {
		h.t.Fatalf("signing %s in: %+v %v", c.Username, done, err)
	}
}

// asked has the sign-in service asked for a new token of each connection, and demands
// that nobody gets one. The token before is given out while it is good.
func (h *house) asked(all []connection.Connection, state string) {
	h.t.Helper()
	for _, c := range all {
		_, err := h.tokens.Fresh(h.boss(), c.ID, "https://graph.microsoft.com")
		if refused, is := errors.AsType[*broker.Refused](err); err != nil && !is {
			h.t.Fatal(err, refused)
		}
		now, err := h.tokens.StateOf(h.boss(), c.ID)
		if got := must(h.t, now, err); got.State != state || got.Diagnosis == nil {
			h.t.Fatalf("%s is %s: %s", c.Name, got.State, got.Reason)
		}
	}
}

// standing waits until there are so many incidents of which one has so many
// connections, and gives that one.
func (h *house) standing(connections int) incident.Incident {
	h.t.Helper()
	var all []incident.Incident
	h.eventually("the incident is not as it has to be", func() bool {
		list, _, err := h.incidents.List(h.boss(), incident.Filter{State: incident.Current}, tenant.Page{})
		all = must(h.t, list, err)
		return len(all) > 0 && all[0].Connections == connections || connections == 0 && len(all) == 0
	})
	if len(all) > 1 {
		h.t.Errorf("%d incidents of one cause: %+v", len(all), all)
	}
	return append(all, incident.Incident{})[0]
}

// Everybody in a tenant is refused for one reason that is no rule with a name: that is
// one incident, with its reach, who acts and what helps, made as soon as the sign-in
// service says so. It ends by itself when the last of them works again. An app that is
// gone is one incident as well, and another one.
func TestOutageOfPeople(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if _, err := h.lab.AddTenants(strings.NewReader(loft(h.server.URL))); err != nil {
		t.Fatal(err)
	}
	at, client := h.add("Loom Loft"), h.at("Loom Loft").App("Loom Link").ClientID
	app := h.publicApp("Loom Link", client, registration.Permission{Resource: "graph", Name: "User.Read", Kind: registration.DelegatedPermission})
	var all []connection.Connection
	for n := range loftPeople {
		made, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.Delegated, Profile: connection.Profile{
			Name: fmt.Sprintf("Loom of person %02d", n), RegistrationID: app.ID, Username: fmt.Sprintf("person%02d@loomloft.onmicrosoft.com", n), Services: []string{connection.Graph},
		}})
		c := must(t, made, err)
		h.signsInAgain(c)
		all = append(all, c)
	}

	// The administrator revokes everybody's sessions, a moment later: they count in
	// seconds.
	h.lab.Advance(2 * time.Second)
	for _, c := range all {
		h.person(c.Username, `{"revoke_sessions":true}`)
	}
	h.asked(all, broker.NeedsSignIn)
	i := h.standing(loftPeople)
	if i.Kind != incident.KindSignIns || i.Headline() != "Loom Link: people's sign-ins were revoked or have ended" || i.Tenants != 1 || i.First.TenantID != at.ID || i.Actor != "end_user" || i.Help == "" || i.Code != "AADSTS50173" || i.Since.IsZero() {
		t.Errorf("%+v", i)
	}
	ada := h.visitor(h.administrator())
	ada.get("/incidents/"+i.ID).has(t, "Loom Link: people&#39;s sign-ins were revoked or have ended", "It stops 20 connections of Loom Loft", "Who must act", "Ask everybody to sign in again")
	for n, c := range all {
		h.signsInAgain(c)
		if n == 0 {
			h.standing(loftPeople - 1)
		}
	}
	h.standing(0)
	if got, err := h.incidents.Get(h.boss(), i.ID); err != nil || got.State != incident.Ended {
		t.Errorf("%+v %v", got, err)
	}

	// The page tells of it, to who may see the log, and nothing of it as a change.
	told := ada.get("/connections/" + all[0].ID)
	told.has(t, "Renewal refused (AADSTS50173)", "Signed in")
	for _, not := range []string{"Token refreshed", "Token refused", "Connection signed in", "Validation requested"} {
		if strings.Contains(told.Text, not) {
			t.Errorf("the timeline says %q", not)
		}
	}

	// Story 1: MFA is demanded of everybody. One incident says so, and is over when all
	// have signed in with a second factor.
	h.lab.Advance(2 * time.Second)
	for _, c := range all {
		h.person(c.Username, `{"per_user_mfa":"enforced"}`)
	}
	h.asked(all, broker.NeedsMFA)
	mfa := h.standing(loftPeople)
	if mfa.ID == i.ID || mfa.Kind != incident.KindSignIns || mfa.Subject != "Loom Link: people have to sign in with a second factor" || mfa.Actor != "end_user" || mfa.Help == "" || mfa.First.Name != "Loom of person 00" {
		t.Errorf("%+v", mfa)
	}
	for _, c := range all {
		h.signsInAgain(c)
	}
	h.standing(0)

	// The app is deleted.
	if err := h.lab.DeleteApp("loomloft.onmicrosoft.com", client); err != nil {
		t.Fatal(err)
	}
	h.asked(all, broker.Parked)
	if gone := h.standing(loftPeople); gone.ID == i.ID || gone.Kind != incident.KindApp || gone.Actor == "" || gone.Help == "" {
		t.Errorf("%+v", gone)
	}
}
