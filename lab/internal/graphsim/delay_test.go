package graphsim

import (
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// TestReplicationDelay: readers see a changed object as it was and a new one
// not at all until the delay is over; writers see what is.
func TestReplicationDelay(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ReplicationDelay = 10 * time.Second })
	ben := "/v1.0/users/ben@harbour.example"
	made := w.must(201, everything, "POST", caPath, policyBody)
	path := caPath + "/" + made.body["id"].(string)
	w.must(204, everything, "PATCH", ben, `{"department": "Deck"}`)
	w.pass(4 * time.Second)
	w.must(204, everything, "PATCH", ben, `{"department": "Bridge"}`)
	w.must(404, everything, "GET", path, "")
	if r := w.must(200, everything, "GET", caPath, ""); len(r.value()) != 0 {
		t.Errorf("a policy is listed too early: %s", r.text)
	}
	w.must(204, everything, "PATCH", path, `{"displayName": "Renamed"}`) // the first replica knows it
	if r := w.must(200, everything, "GET", ben+"?$select=department", ""); r.body["department"] != "Stores" {
		t.Errorf("after 4 s: %s", r.text)
	}
	filter := "/v1.0/users" + query("$filter", "department eq 'Stores'", "$select", "id")
	if r := w.must(200, everything, "GET", filter, ""); len(r.value()) != 2 {
		t.Errorf("the filter sees another replica than the answer: %s", r.text)
	}
	w.pass(6 * time.Second)
	if r := w.must(200, everything, "GET", ben+"?$select=department", ""); r.body["department"] != "Deck" {
		t.Errorf("after 10 s: %s", r.text)
	}
	if r := w.must(200, everything, "GET", path, ""); r.body["displayName"] != "Everyone, MFA" {
		t.Errorf("policy after 10 s: %s", r.text)
	}
	w.pass(4 * time.Second)
	if r := w.must(200, everything, "GET", ben+"?$select=department", ""); r.body["department"] != "Bridge" {
		t.Errorf("after 14 s: %s", r.text)
	}
	if r := w.must(200, everything, "GET", path, ""); r.body["displayName"] != "Renamed" {
		t.Errorf("policy after 14 s: %s", r.text)
	}
	w.must(204, everything, "DELETE", path, "")
	w.must(404, everything, "GET", path, "")
}

// TestLimits: logs and reports take five requests in ten seconds from an app,
// the directory counts resource units; both say how long to wait.
func TestLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Throttle = true })
	log := "/v1.0/auditLogs/directoryAudits"
	for i := range reportLimit {
		w.must(200, everything, "GET", log, "")
		if i == 0 {
			w.pass(3500 * time.Millisecond)
		}
	}
	r := w.must(429, everything, "GET", "/v1.0/reports/authenticationMethods/userRegistrationDetails", "")
	if r.header.Get("Retry-After") != "7" || !strings.HasPrefix(r.header.Get("X-Ms-Throttle-Scope"), "Tenant_Application/Reporting/"+w.ids["client Reader"]) {
		t.Errorf("refused with %v", r.header)
	}
	w.must(200, func(c *token.Claims) { everything(c); c.AppID = directory.NameID("another app") }, "GET", log, "")
	w.pass(7 * time.Second)
	w.must(200, everything, "GET", log, "")

	for path, cost := range map[string]string{
		"/v1.0/users": "2", "/v1.0/users?$select=id": "1", "/v1.0/users?$select=id&$top=5": "1", "/v1.0/users/ben@harbour.example": "1",
		"/v1.0/users/ben@harbour.example?$expand=memberOf": "2", "/v1.0/groups/" + w.ids["Everyone"] + "/transitiveMembers": "5", "/v1.0/subscribedSkus": "3",
	} {
		if r := w.must(200, everything, "GET", path, ""); r.header.Get("X-Ms-Resource-Unit") != cost {
			t.Errorf("%s costs %q, want %s", path, r.header.Get("X-Ms-Resource-Unit"), cost)
		}
	}
	if r := w.must(204, everything, "PATCH", "/v1.0/users/ben@harbour.example", `{"department": "Deck"}`); r.header.Get("X-Ms-Resource-Unit") != "2" {
		t.Errorf("a write: %v", r.header)
	}
	w.pass(unitWindow)
	members := "/v1.0/groups/" + w.ids["Everyone"] + "/transitiveMembers"
	near := ""
	for range unitLimit(5) / 5 {
		near = w.must(200, everything, "GET", members, "").header.Get("X-Ms-Throttle-Limit-Percentage")
	}
	refused := w.must(429, everything, "GET", members, "")
	if near != "1.0" || refused.header.Get("X-Ms-Throttle-Information") != "ResourceUnitLimitExceeded" || refused.header.Get("Retry-After") != "10" {
		t.Errorf("at the limit %q, over it %v", near, refused.header)
	}
}

// TestBatchThrottled: a part of a batch is refused by itself.
func TestBatchThrottled(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Throttle = true })
	r := w.must(200, everything, "POST", "/v1.0/$batch", `{"requests": [{"id": "1", "method": "GET", "url": "/identity/conditionalAccess/policies"}, {"id": "2", "method": "GET", "url": "/identity/conditionalAccess/namedLocations"},
		{"id": "3", "method": "GET", "url": "/organization", "dependsOn": ["2"]}]}`)
	want := map[string]float64{"1": 200, "2": 429, "3": 424}
	for _, v := range r.body["responses"].([]any) {
		part := v.(map[string]any)
		if part["status"] != want[part["id"].(string)] {
			t.Errorf("part %v: %v", part["id"], part["status"])
		}
	}
}

// TestCredentialDelay: secrets, certificates and federated credentials that are
// made become usable when the delay is over, and not before.
func TestCredentialDelay(t *testing.T) {
	const delay = 90 * time.Second
	w := newWorld(t, func(c *Config) { c.PropagationDelay = delay })
	w.must(200, everything, "POST", "/v1.0/servicePrincipals/"+w.ids["Reader"]+"/addPassword", "")
	w.must(200, everything, "POST", "/v1.0/applications/"+w.ids["app Reader"]+"/addPassword", "")
	w.must(201, everything, "POST", "/v1.0/applications/"+w.ids["app Reader"]+"/federatedIdentityCredentials", federatedBody)
	_, body := prepareKey(w, &route{pattern: "servicePrincipals/{id}/addKey", segments: []string{"servicePrincipals"}})
	w.must(200, everything, "POST", "/v1.0/servicePrincipals/"+w.ids["Reader"]+"/addKey", body)
	usable := testNow.Add(delay)
	w.store.View(harbour, func(d *directory.Tenant) {
		p, a := d.Principal(w.ids["Reader"]), d.Apps[0]
		for what, at := range map[string]time.Time{
			"secret of the principal": p.Secrets[len(p.Secrets)-1].Usable, "secret of the app": a.Secrets[len(a.Secrets)-1].Usable,
			"certificate": p.Certificates[len(p.Certificates)-1].Usable, "federated credential": a.Federated[0].Usable,
		} {
			if !at.Equal(usable) {
				t.Errorf("%s is usable at %v", what, at)
			}
		}
	})
}
