package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/operator"
)

// daily gives the furnished house tags, a saved filter that somebody shares, and a
// batch that has ended, of which it gives the id.
func (h *house) daily(c connection.Connection, of *operator.Operator) string {
	h.t.Helper()
	if err := h.connections.SetTags(h.boss(), c.ID, []string{"finance", "tier:1"}); err != nil {
		h.t.Fatal(err)
	}
	ctx := audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: of.ID, Name: of.Name, Roles: map[string]audit.Role{audit.AllTenants: audit.Viewer}})
	if _, err := h.connections.SaveFilter(ctx, "Finance", connection.Filter{Tag: "finance"}, true); err != nil {
		h.t.Fatal(err)
	}
	return h.swept(batch.Wanted{Action: batch.Validate})
}

// swept waits for a batch and gives its id.
func (h *house) swept(w batch.Wanted) string {
	h.t.Helper()
	b, err := h.batches.Begin(h.boss(), w)
	if err != nil {
		h.t.Fatal(err)
	}
	h.ended(b.ID)
	return b.ID
}

func (h *house) ended(id string) {
	h.t.Helper()
	h.eventually("a batch has not ended", func() bool {
		b, err := h.batches.Get(h.boss(), id)
		return err == nil && b.State != batch.Running
	})
}

var batchAddress = regexp.MustCompile(`/batches/([0-9a-f-]{36})`)

// begun is the id of the batch whose page was come to.
func (h *house) begun(p page) string {
	h.t.Helper()
	found := batchAddress.FindStringSubmatch(p.Path)
	if found == nil {
		h.t.Fatalf("no batch was begun: %d %.2000s", p.Status, p.Text)
	}
	h.ended(found[1])
	return found[1]
}

// TestMany changes many connections without scripts: chosen ones and all that fit,
// with what it does shown before, and removal only when it is typed.
func TestMany(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")
	one, two := h.account(at, "svc-backup", "First"), h.account(at, "svc-admin", "Second")
	v.get("/connections").has(t, "First", "Second", "All 2 that fit", "Show what it does")

	shown := v.post("/connections/bulk", url.Values{"action": {"add_tag"}, "value": {" Finance  Dept "}, "scope": {"chosen"}, "ids": {one.ID}})
	shown.has(t, "Add the tag finance-dept", "This is done to 1 connection.")
	done := h.begun(v.post("/batches", url.Values{"action": {"add_tag"}, "value": {"finance-dept"}, "scope": {"chosen"}, "ids": {one.ID}}))
	v.get("/batches/"+done).has(t, "Done", "1 of 1", "Changed")
	v.get("/connections?tag=finance-dept").has(t, "First", "All 1 that fit", "Keep this filter as")

	v.post("/filters", url.Values{"name": {"Money"}, "tag": {"finance-dept"}, "shared": {"yes"}}).has(t, "The filter is kept.", "Money", "This is your filter")
	v.post("/connections/bulk", url.Values{"action": {"validate"}, "scope": {"all"}}).has(t, "2 connections will be validated")
	done = h.begun(v.post("/batches", url.Values{"action": {"validate"}, "scope": {"all"}}))
	v.get("/batches/"+done).has(t, "2 of 2", "Works")

	for _, wrong := range []url.Values{
		{"action": {"add_tag"}, "value": {"<b>"}, "scope": {"all"}}, {"action": {"set_schedule"}, "value": {"sometimes"}, "scope": {"all"}},
		{"action": {"validate"}, "scope": {"chosen"}}, {"action": {"nothing"}, "scope": {"all"}}, {"action": {"remove"}, "scope": {"all"}, "confirm": {"remove 1"}},
	} {
		if p := v.post("/batches", wrong); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%v is answered %d", wrong, p.Status)
		}
	}
	v.post("/connections/bulk", url.Values{"action": {"remove"}, "scope": {"all"}}).has(t, "Type remove 2 to confirm", "This cannot be undone")
	h.begun(v.post("/batches", url.Values{"action": {"remove"}, "scope": {"all"}, "confirm": {"remove 2"}}))
	if left, err := h.connections.Matching(h.boss(), connection.Filter{}); err != nil || left != 0 {
		t.Errorf("%d are left: %v", left, err)
	}
	if _, err := h.connections.Get(h.boss(), two.ID); err == nil {
		t.Error("a connection was not removed")
	}
}

// TestManyRefused lets somebody change only what they may: the rest is named, and
// stays as it is.
func TestManyRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.administrator()
	own, other := h.add("Open Harbour"), h.add("Azure Quay")
	mine, theirs := h.account(own, "svc-backup", "Mine"), h.account(other, "svc-deploy", "Theirs")
	engineer := map[string]audit.Role{own.ID: audit.Engineer, other.ID: audit.Viewer}
	ctx := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "eve", Name: "Eve", Roles: engineer})
	p, err := h.batches.Look(ctx, batch.Wanted{Action: batch.AddTag, Value: "x"})
	if err != nil || p.Total != 1 || p.Refused != 1 || fmt.Sprint(p.RefusedNames) != "[Theirs]" {
		t.Fatalf("%+v %v", p, err)
	}
	b, err := h.batches.Begin(ctx, batch.Wanted{Action: batch.AddTag, Value: "x"})
	if err != nil {
		t.Fatal(err)
	}
	h.ended(b.ID)
	tags := func(c connection.Connection) []string {
		got, err := h.connections.Get(h.boss(), c.ID)
		return must(t, got, err).Tags
	}
	if len(tags(mine)) != 1 || len(tags(theirs)) != 0 {
		t.Errorf("%v %v", tags(mine), tags(theirs))
	}
	// Who loses the role meanwhile is refused at each connection, too.
	if changed, err := h.connections.AddTag(ctx, theirs.ID, "x"); err == nil || changed {
		t.Error("a viewer tags")
	}
	// Who may see nothing of it does not find the batch.
	blind := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "max", Roles: map[string]audit.Role{"other": audit.Administrator}})
	if _, err := h.batches.Get(blind, b.ID); err == nil {
		t.Error("a batch of other tenants is shown")
	}
	if _, err := h.batches.Cancel(audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "vic", Roles: map[string]audit.Role{own.ID: audit.Viewer}}), b.ID); err == nil {
		t.Error("a viewer calls a batch off")
	}
}

// TestCancelMidway calls a batch off while it runs: what was begun is done and keeps
// its outcome, nothing else is begun, and it stays so.
func TestCancelMidway(t *testing.T) {
	t.Parallel()
	var queue *jobs.Queue
	h := newHouse(t, func(h *house) { h.register = func(q *jobs.Queue) { queue = q } })
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")
	begun, release := make(chan int64, 8), make(chan struct{})
	h.batches.Register(batch.Kind{Name: "held", Permission: audit.ConnectionManage, Together: 2, Begin: func(json.RawMessage, string) (func(context.Context, batch.Item) (string, string, error), error) {
		return func(_ context.Context, i batch.Item) (string, string, error) {
			begun <- i.Seq
			<-release
			return batch.Changed, "", nil
		}, nil
	}})
	b, err := h.batches.Start(h.boss(), batch.Request{Kind: "held", Words: "Hold", Items: slices.Repeat([]batch.Item{{TenantID: at.ID, Name: "one"}}, 6)})
	must(t, b, err)
	first := []int64{<-begun, <-begun}
	v.post("/batches/"+b.ID+"/cancel", nil).has(t, "Called off")
	close(release)
	h.eventually("the batch's job has not ended", func() bool {
		all, _, err := queue.List(h.boss(), jobs.Filter{AllTenants: true, Kinds: []string{"batch"}, States: []jobs.State{jobs.Done}}, "", 10)
		return len(must(t, all, err)) == 1
	})
	items, _, err := h.batches.Items(h.boss(), b.ID, "", connection.Page{})
	for _, i := range must(t, items, err) {
		want := batch.CalledOff
		if slices.Contains(first, i.Seq) {
			want = batch.Changed
		}
		if i.Outcome != want {
			t.Errorf("item %d came out as %q, want %q", i.Seq, i.Outcome, want)
		}
	}
	if len(items) != 6 || len(begun) > 0 {
		t.Errorf("%d items, %d begun after it was called off", len(items), len(begun))
	}
	if now, err := h.batches.Get(h.boss(), b.ID); must(t, now, err).State != batch.Cancelled {
		t.Errorf("the batch is %s", now.State)
	}
}

// sendFile uploads an import.
func (v *visitor) sendFile(name, text string, fields ...string) page {
	v.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if name != "" {
		part, err := form.CreateFormFile("file", name)
		if err == nil {
			_, err = part.Write([]byte(text))
		}
		must(v.t, 0, err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		must(v.t, 0, form.WriteField(fields[i], fields[i+1]))
	}
	must(v.t, 0, form.Close())
	r, err := http.NewRequestWithContext(context.WithoutCancel(v.t.Context()), http.MethodPost, v.server.URL+"/connections/import", &body)
	must(v.t, r, err).Header.Set("Content-Type", form.FormDataContentType())
	response, err := v.client.Do(r) //nolint:bodyclose // read closes it
	return v.read(response, err)
}

// TestImportPage checks a file, names what is wrong, and makes the connections.
func TestImportPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	h.add("Open Harbour")
	v.sendFile("list.csv", "tenant;name;username\r\nOpen Harbour;First;nobody\r\nNowhere;Second;a@b.example\r\n").
		has(t, "2 faults to correct", "s no user name", "is no tenant that you may see")
	good := "\ufefftenant;name;username;tags\r\nOpen Harbour;First;svc@openharbour.example;finance tier:1\r\n"
	v.sendFile("list.csv", good).has(t, "1 row without a fault", "1 to make, 0 to change", "Import 1 connection")
	h.begun(v.sendFile("", "", "text", good, "format", "csv", "apply", "yes"))
	v.get("/connections?tag=finance").has(t, "First", "tier:1")
	out := v.get("/connections/export?format=csv")
	out.has(t, "svc@openharbour.example", "finance tier:1")
	v.sendFile("again.csv", out.Text).has(t, "0 to make, 0 to change, 1 as they are")
	v.sendFile("nothing.csv", "").has(t, "no heading that can be read")
}

// TestDailyForms sets schedule and tags of a connection, a tenant and the server.
func TestDailyForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")
	c := h.account(at, "svc-backup", "First")
	v.post("/connections/"+c.ID+"/daily", url.Values{"schedule": {"every 6h"}, "tags": {"finance, tier:1"}}).has(t, "Schedule and tags are stored.", "Every 6h", "tier:1")
	v.post("/connections/"+c.ID+"/daily", url.Values{"schedule": {"now and then"}, "tags": {""}}).has(t, "is no schedule")
	v.post("/tenants/"+at.ID+"/schedule", url.Values{"schedule": {"daily 02:30 Europe/Berlin"}}).has(t, "Daily 02:30 Europe/Berlin")
	v.post("/tenants/"+at.ID+"/schedule", url.Values{"schedule": {"every 0h"}}).has(t, "must be between 1 and 168 hours")
	v.post("/settings/schedule", url.Values{"schedule": {"off"}}).has(t, "Never")
}

// TestSweepInBrowser begins a sweep, sees how far it is and what came out, at the
// width of a phone, in both themes.
func TestSweepInBrowser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.browse(h.administrator())
	at := h.add("Open Harbour")
	h.account(at, "svc-backup", "First")
	h.account(at, "svc-admin", "Second")
	b.size(390, 844)
	b.open("/connections")
	evaluate[string](b, `document.querySelector("#scope").value = "all"`)
	b.press("Show what it does")
	b.sees("2 connections will be validated")
	b.clean("bulk")
	b.press("Validate connections")
	b.sees("2 of 2 done")
	b.clean("batch")
	if !strings.Contains(evaluate[string](b, `document.querySelector("#batch").textContent`), "Done") {
		t.Error("the page does not say that it is over")
	}
}

// clean demands of a page that was come to by a form what [tab.look] does of others.
func (b *tab) clean(name string) {
	b.t.Helper()
	evaluate[chromedp.Void](b, axe(b.t))
	for _, theme := range []string{"light", "dark"} {
		evaluate[chromedp.Void](b, fmt.Sprintf(`document.documentElement.dataset.theme = %q`, theme))
		b.photograph(name + "-390-" + theme)
		b.accessible(name+", "+theme, allRules)
	}
	if wide := evaluate[int64](b, `document.documentElement.scrollWidth`); wide > 390 {
		b.t.Errorf("%s is %d wide: %s", name, wide, evaluate[string](b, fmt.Sprintf(widest, 390)))
	}
}

// TestSearchKeys searches from any page and walks through what was found, with the
// keyboard alone; an error pasted whole is explained.
func TestSearchKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cookie := h.administrator()
	b := h.browse(cookie)
	h.account(h.add("Open Harbour"), "svc-backup", "Harbour backup")
	v := h.visitor(cookie)
	v.post("/search", url.Values{"text": {"harbour"}}).has(t, "Open Harbour", "Harbour backup")
	b.size(1280, 900)
	b.open("/tenants")
	b.keys("/")
	if at := evaluate[string](b, `document.activeElement.id`); at != "ask" {
		t.Errorf("the key / leads to %q", at)
	}
	// The tests' keyboard types the key although the page took it; a person's does not.
	evaluate[string](b, `document.activeElement.value = ""`)
	b.keys("harbour", kb.Enter)
	b.sees("Harbour backup")
	evaluate[bool](b, `new Promise(done => document.readyState === "complete" ? done(true) : addEventListener("load", () => done(true)))`, chromedp.EvalAwaitPromise) // the keys are the script's
	b.keys(kb.ArrowDown)
	b.keys(kb.ArrowDown, kb.Enter)
	b.sees("Nobody has looked yet")
	v.post("/search", url.Values{"text": {"schedule"}}).has(t, "Pages", "/settings/schedule")
	v.post("/search", url.Values{"text": {"AADSTS50076: Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication\r\nTrace ID: 1"}}).has(t, "Who must act", "AADSTS50076")
	if p := v.post("/search", url.Values{"text": {" "}}); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("an empty text is answered %d", p.Status)
	}
}
