package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// TestActs walks what forms alone can do, on each database.
func TestActs(t *testing.T) {
	t.Parallel()
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		var stuck atomic.Bool
		stuck.Store(true)
		var kind *jobs.Kind[struct{}]
		h := newHouse(t, func(h *house) {
			h.address = address
			h.register = func(q *jobs.Queue) {
				kind = jobs.Register(q, jobs.Kind[struct{}]{Name: "counting_boats", Attempts: 20, Work: func(context.Context, struct{}) error {
					if stuck.Load() {
						return errors.New("counting boats: the harbour is closed until noon")
					}
					return nil
				}})
			}
		})
		v := h.visitor(h.administrator())
		t.Run("jobs", func(t *testing.T) { v.in(t).jobs(kind, &stuck) })
		t.Run("operators", func(t *testing.T) { v.in(t).operatorActs() })
		t.Run("factors", func(t *testing.T) { v.in(t).factorActs() })
		t.Run("reader", func(t *testing.T) { v.in(t).readerActs() })
		t.Run("snapshot", func(t *testing.T) { v.in(t).snapshotActs() })
		t.Run("server", func(t *testing.T) { v.in(t).serverActs() })
		t.Run("audit", func(t *testing.T) { v.in(t).auditActs() }) // breaks the log
	})
}

// in is the visitor within a part of a test.
func (v *visitor) in(t *testing.T) *visitor { return &visitor{v.house.in(t), v.client} }

// jobs shows a job that fails with its error, cancels one, and starts one by hand.
func (v *visitor) jobs(kind *jobs.Kind[struct{}], stuck *atomic.Bool) {
	add := func() string {
		var added jobs.Added
		err := v.db.Change(v.boss(), func(ctx context.Context, tx *sqldb.Tx) (err error) {
			added, err = kind.Add(ctx, tx, struct{}{}, jobs.Options{})
			return err
		})
		if err != nil {
			v.t.Fatal(err)
		}
		return fmt.Sprintf("/jobs/%d", added.ID)
	}
	v.get("/jobs").has(v.t, "No job.")
	first, second := add(), add()
	v.eventually("the failures are not shown", func() bool {
		return strings.Count(v.get("/jobs").Text, "the harbour is closed until noon") >= 4
	})
	v.post(first+"/cancel", nil).has(v.t, "The job was cancelled", "Cancelled")
	stuck.Store(false)
	v.post(second+"/retry", nil).has(v.t, "The job begins at once")
	v.eventually("the job was not done", func() bool { return strings.Contains(v.get("/jobs?state=done").Text, "Counting boats") })
	again := v.post(second+"/cancel", nil)
	if again.has(v.t, "This cannot be done"); again.Status != http.StatusConflict {
		v.t.Errorf("cancelling a finished job is answered %d", again.Status)
	}
	for _, path := range []string{"/jobs/9999999/cancel", "/jobs/none/cancel", first + "/paint"} {
		if p := v.post(path, nil); p.Status != http.StatusNotFound {
			v.t.Errorf("%s is answered %d", path, p.Status)
		}
	}
}

var shownLink = regexp.MustCompile(`<pre id="link"[^>]*>([^<]+)<`)

// operatorActs invites an operator, who signs in, gets another role, is disabled,
// enabled, given a new link and removed.
func (v *visitor) operatorActs() {
	t := v.t
	at := v.add("Open Harbour")
	wrong := v.post("/operators/new", url.Values{"email": {"not an address"}, "name": {"Eve"}, "tenant": {at.ID}, "role": {"viewer"}})
	wrong.has(t, "is no e-mail address", `value="not an address"`)
	v.post("/operators/new", url.Values{"email": {"eve@gatehouse.example"}, "name": {" "}, "tenant": {at.ID}, "role": {"viewer"}}).has(t, "Name is missing")
	v.post("/operators/new", url.Values{"email": {adaEmail}, "name": {"Eve"}, "tenant": {at.ID}, "role": {"viewer"}}).has(t, "belongs to another operator")
	v.post("/operators/new", url.Values{"email": {"eve@gatehouse.example"}, "name": {"Eve"}, "tenant": {at.ID}, "role": {"king"}}).has(t, "choose one of the four")
	made := v.post("/operators/new", url.Values{"email": {"eve@gatehouse.example"}, "name": {"Eve Person"}, "tenant": {at.ID}, "role": {"viewer"}})
	made.has(t, "Link for Eve Person", "is shown only now")
	eve := v.visitor()
	link := strings.TrimPrefix(shownLink.FindStringSubmatch(made.Text)[1], v.server.URL)
	eve.join(link)
	eve.get("/tenants").has(t, "Open Harbour")
	if p := eve.get("/tenants/new"); p.Status != http.StatusOK {
		t.Errorf("the form for a tenant is answered %d", p.Status)
	}
	if p := eve.post("/tenants/new", url.Values{"do": {"add"}, "tenant": {v.at("Azure Quay").Domain}, "name": {"Azure Quay"}}); p.Status != http.StatusForbidden {
		t.Errorf("a viewer adds a tenant: %d", p.Status)
	}
	if p := eve.get(link); p.Status != http.StatusNotFound {
		t.Errorf("the link opens again: %d", p.Status)
	}

	page := regexp.MustCompile(`/operators/[0-9a-f-]{36}`).FindString(made.Text)
	v.post(page+"/role", url.Values{"tenant": {at.ID}, "role": {"engineer"}}).has(t, "Engineer in Open Harbour")
	v.get(page+"/disable").has(t, "signed out everywhere at once", "Leave it enabled")
	v.post(page+"/disable", nil).has(t, "Disabled", "signed out everywhere")
	if p := eve.get("/tenants"); p.Path != "/sign-in" {
		t.Errorf("a disabled operator sees %s", p.Path)
	}
	v.post(page+"/enable", nil).has(t, "may sign in again")
	relinked := v.post(page+"/link", nil)
	eve.join(strings.TrimPrefix(shownLink.FindStringSubmatch(relinked.Text)[1], v.server.URL))
	v.post(page+"/sign-out", nil).has(t, "Signed in nowhere")
	v.get(page+"/remove").has(t, "cannot be undone")
	v.post(page+"/remove", nil).has(t, "The operator was removed")
	if p := v.get(page); p.Status != http.StatusNotFound {
		t.Errorf("a removed operator is answered %d", p.Status)
	}
	id := strings.TrimPrefix(page, "/operators/")
	v.get("/audit?actor="+id).has(t, "Eve Person", "Erase this person")
	v.get("/audit/people/"+id+"/erase").has(t, "cannot be undone", "Keep the name")
	v.post("/audit/people/"+id+"/erase", nil).has(t, "The name was erased")
	if p := v.get("/audit?actor=" + id); strings.Contains(p.Text, "Eve Person") || strings.Contains(p.Text, "No entry fits") {
		t.Error("the name is still there, or what they did is gone")
	}
	if p := v.post("/audit/people/"+id+"/erase", nil); p.Status != http.StatusNotFound {
		t.Errorf("erasing twice is answered %d", p.Status)
	}
	ada := regexp.MustCompile(`/operators/[0-9a-f-]{36}`).FindString(v.get("/operators").Text)
	last := v.post(ada+"/disable", nil)
	last.has(t, "the last administrator")
}

// join sets an account up by its link and signs it in.
func (v *visitor) join(link string) {
	v.t.Helper()
	factor := v.post(link, url.Values{"name": {"Eve Person"}, "password": {goodPassword}, "again": {goodPassword}})
	factor.has(v.t, "Add a second factor")
	v.enrol(factor)
}

// factorActs adds a second factor and removes one, but never the last.
func (v *visitor) factorActs() {
	t := v.t
	only := regexp.MustCompile(`/settings/factors/[0-9a-f-]{36}/remove`)
	if strings.Contains(v.get("/settings").Text, "/settings/factors/") {
		t.Error("the only second factor can be removed")
	}
	v.enrol(v.get("/factors/new"))
	remove := only.FindString(v.get("/settings").Text)
	v.get(remove).has(t, "You keep 1 other second factor", "Keep it")
	v.post(remove, nil).has(t, "The second factor was removed", "The only one")
	if p := v.get(remove); p.Status != http.StatusNotFound {
		t.Errorf("what was removed is answered %d", p.Status)
	}
	v.post("/settings/password", url.Values{"old": {"wrong"}, "password": {goodPassword + " more"}, "again": {goodPassword + " more"}}).has(t, "is not your password")
	v.post("/settings/password", url.Values{"old": {goodPassword}, "password": {"short"}, "again": {"short"}}).has(t, "fewer than 12 characters")
	v.post("/settings/password", url.Values{"old": {goodPassword}, "password": {"one thing"}, "again": {"another"}}).has(t, "is not the same password")
}

// readerActs onboards a reader, finds it broken, then working, and removes it.
func (v *visitor) readerActs() {
	t := v.t
	at := v.add("Default Shield")
	page := "/tenants/" + at.ID + "/reader"
	client := v.at("Default Shield").App("Gatehouse reader").ClientID
	v.post(page, url.Values{"client_id": {"reader"}}).has(t, "is no application (client) id", `value="reader"`)
	shown := v.post(page, url.Values{"client_id": {client}})
	shown.has(t, "What the tenant's administrator does next", "-----BEGIN CERTIFICATE-----", v.at("Default Shield").ID+"/adminconsent?client_id="+client, `download="gatehouse-reader.pem"`)
	if strings.Contains(shown.Text, "PRIVATE KEY") {
		t.Error("the page shows the private key")
	}
	v.get(page).has(t, "Waiting for the tenant&#39;s administrator", "What the tenant's administrator does next", `value="`+client+`"`)
	v.post(page+"/check", nil).has(t, "cannot be read", "Broken") // the certificate was not uploaded
	v.get("/tenants/"+at.ID).has(t, "Broken", "these answers stay unknown")
	v.onboard(at)
	v.post(page+"/check", nil).has(t, "The rules of this tenant can be read")
	v.get("/tenants/"+at.ID).has(t, "by the reader", "What it permits, who consents, what stays", "Policy.Read.All", "Seen consented by")
	v.get(page+"/remove").has(t, "This stays in the tenant", "cannot be undone")
	v.post(page+"/remove", nil).has(t, "The reader was removed here", "these answers stay unknown")
	if p := v.get(page + "/remove"); p.Status != http.StatusConflict {
		t.Errorf("removing a reader that is not there: %d", p.Status)
	}
}

// snapshotActs uploads a snapshot where no reader is.
func (v *visitor) snapshotActs() {
	t := v.t
	at := v.add("Profile Park")
	v.onboard(at)
	taken, err := v.tenants.Snapshot(v.boss(), at.ID)
	text, err := json.Marshal(must(t, taken, err))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.tenants.RemoveReader(v.boss(), at.ID); err != nil {
		t.Fatal(err)
	}
	page := "/tenants/" + at.ID
	v.get(page).has(t, "these answers stay unknown")
	v.upload(page+"/snapshot", []byte("no snapshot")).has(t, "cannot be read")
	v.upload(page+"/snapshot", text).has(t, "The snapshot is stored", "uploaded", "Security Defaults")
	other := v.add("Azure Quay")
	v.upload("/tenants/"+other.ID+"/snapshot", text).has(t, "is of tenant")
}

// upload sends a file as the form of a tenant's page does.
func (v *visitor) upload(path string, data []byte) page {
	v.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("snapshot", "snapshot.json")
	if _, err := must(v.t, file, err).Write(data); err != nil {
		v.t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		v.t.Fatal(err)
	}
	response, err := v.client.Post(v.server.URL+path, form.FormDataContentType(), &body) //nolint:bodyclose // read closes it
	return v.read(response, err)
}

// auditActs filters the log, verifies it, and finds what somebody changed in it.
// serverActs makes a backup, which the page then tells of, and which is whole.
func (v *visitor) serverActs() {
	t := v.t
	v.get("/server").has(t, "No backup was ever made", "90 s off", "Set the machine")
	made := v.post("/server/backup", nil)
	if report, err := backup.Check(strings.NewReader(made.Text)); err != nil || report.Rows == 0 || made.Header.Get("Content-Type") != "application/gzip" || !strings.Contains(made.Header.Get("Content-Disposition"), ".backup.gz") {
		t.Errorf("%+v %v %v", report, err, made.Header)
	}
	v.get("/server").has(t, "Last made")
}

func (v *visitor) auditActs() {
	t := v.t
	v.get("/audit?action=operator.set_up").has(t, "Operator set up", "Ada Person")
	v.get("/audit?from=yesterday").has(t, "write it as 2026-11-22")
	v.get("/audit?from=2020-01-01&to=2020-01-02").has(t, "No entry fits")
	v.post("/audit/verify", nil).has(t, "entries, none changed, removed or inserted")
	err := v.db.Change(v.boss(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw("UPDATE audit SET action = 'operator.praised' WHERE seq = 2").Exec(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	v.post("/audit/verify", nil).has(t, "Entry 2 is not what was written.")
}

// member is somebody with a role in one tenant, or in all.
func (h *house) member(role audit.Role, tenantID string) *visitor {
	h.t.Helper()
	_, token, err := h.operators.Invite(h.boss(), role.String()+"@gatehouse.example", "Eve Person", map[string]audit.Role{tenantID: role})
	v := h.visitor()
	v.join("/setup/" + must(h.t, token, err).Reveal())
	return v
}

// TestRoles holds what each role is shown and refused against its permissions.
func TestRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	own, foreign := h.add("Default Shield"), h.add("Open Harbour")
	mine, theirs := h.account(own, "svc-connection", "Admin tool"), h.account(foreign, "svc-backup", "Nightly backup")
	people := map[audit.Role]*visitor{}
	for _, role := range []audit.Role{audit.Viewer, audit.Technician, audit.Engineer, audit.Administrator} {
		people[role] = h.member(role, own.ID)
	}
	for role, v := range people {
		for _, path := range []string{"/tenants/" + foreign.ID, "/tenants/" + foreign.ID + "/reader", "/tenants/" + foreign.ID + "/remove", "/connections/" + theirs.ID, "/connections/" + theirs.ID + "/edit", "/connections/" + theirs.ID + "/remove"} {
			p := v.get(path)
			if p.has(t, "Not here"); p.Status != http.StatusNotFound || strings.Contains(p.Text, "Nightly backup") || strings.Contains(p.Text, "Open Harbour") {
				t.Errorf("%s sees %s: %d", role, path, p.Status)
			}
		}
		for _, path := range []string{"/", "/tenants", "/connections", "/jobs"} {
			if p := v.get(path); p.Status != http.StatusOK || strings.Contains(p.Text, "Open Harbour") || strings.Contains(p.Text, "Nightly backup") {
				t.Errorf("%s is shown what is foreign on %s: %d", role, path, p.Status)
			}
		}
		may := func(least audit.Role, p page, what string) {
			if got, want := p.Status < 400, role >= least; got != want {
				t.Errorf("%s %s: %d", role, what, p.Status)
			}
			if p.Status == http.StatusForbidden {
				p.has(t, "Your role does not allow this", "This needs the role")
			}
		}
		page := v.get("/connections/" + mine.ID)
		if got := strings.Contains(page.Text, "Validate now"); got != (role >= audit.Technician) {
			t.Errorf("%s is offered a validation: %t", role, got)
		}
		if got := strings.Contains(page.Text, "Replace the credential"); got != (role >= audit.Engineer) {
			t.Errorf("%s is offered a change: %t", role, got)
		}
		may(audit.Technician, v.post("/connections/"+mine.ID+"/validate", nil), "validates")
		may(audit.Engineer, v.post("/tenants/"+own.ID+"/name", url.Values{"name": {"Default Shield"}}), "renames")
		if p := v.get("/tenants/" + own.ID + "/reader/remove"); (p.Status == http.StatusForbidden) != (role < audit.Engineer) {
			t.Errorf("%s asks to remove a reader that is not there: %d", role, p.Status)
		}
		may(audit.Engineer, v.get("/audit"), "reads the log")
		may(audit.Administrator, v.get("/operators"), "lists operators")
		if p := v.post("/audit/verify", nil); p.Status != http.StatusForbidden {
			t.Errorf("%s of one tenant verifies the log of all: %d", role, p.Status)
		}
	}
}

// TestBadAddress asks for what nobody was ever given.
func TestBadAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	for _, path := range []string{"/tenants?after=x", "/connections?after=x", "/jobs?after=x", "/audit?after=x", "/tenants/x", "/connections/x", "/operators/x", "/tenants/%00", "/connections?tenant=x", "/settings/factors/x/remove", "/connections?search=%00", "/audit?actor=%FF%00"} {
		if p := v.get(path); p.Status >= 500 {
			t.Errorf("%s is answered %d", path, p.Status)
		}
	}
	if p := v.post("/explain", url.Values{"text": {"a\x00b"}}); p.Status != http.StatusBadRequest {
		t.Errorf("a text with a NUL is answered %d", p.Status)
	}
}
