package console_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gatehouse/internal/audit"
	"gatehouse/internal/campaign"
	"gatehouse/internal/tenant"
)

const campaignApp = "00000000-0000-4000-8000-0000000000ca"

// asked are campaigns with something in them.
type asked struct{ running, draft string }

// asking makes a campaign that runs, with people in each state, and a draft.
func (h *house) asking(t tenant.Tenant) asked {
	h.t.Helper()
	h.harbourApp = h.publicApp("Harbour Reports", campaignApp).ID
	begin := func(name string) campaign.Campaign {
		c, err := h.campaigns.Create(h.boss(), campaign.Request{Name: name, RegistrationID: h.harbourApp, Reason: campaign.NewClientID, Old: "00000000-0000-4000-8000-0000000000cb", Settings: campaign.Defaults()})
		must(h.t, c, err)
		rows := []campaign.Row{{Line: 2, Tenant: t.ID, Username: "mira@openharbour.example", Name: "Mira"}, {Line: 3, Tenant: t.ID, Username: "noor@openharbour.example"}, {Line: 4, Tenant: t.ID, Username: "otto@openharbour.example"}}
		a, err := h.campaigns.Add(h.boss(), c.ID, rows, campaign.Faults{})
		must(h.t, a, err)
		return c
	}
	draft, c := begin("New permissions of Harbour Reports"), begin("New app id of Harbour Reports")
	started, err := h.campaigns.Start(h.boss(), c.ID)
	must(h.t, started, err)
	at := *started.StartedAt
	r, err := h.campaigns.Report(h.boss(), c.ID, []campaign.SignIn{
		{Tenant: t.ID, Person: "mira@openharbour.example", ClientID: campaignApp, At: at},
		{Tenant: t.ID, Person: "noor@openharbour.example", ClientID: campaignApp, Failed: true, Reason: "An administrator has to approve the app (AADSTS90094)", At: at},
	})
	must(h.t, r, err)
	return asked{"/campaigns/" + c.ID, "/campaigns/" + draft.ID}
}

// The wizard makes a draft that says whom it reaches and what they are written; people
// are added after a look at what is wrong; it is started, and ended with its name.
func TestCampaignPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")
	h.harbourApp = h.publicApp("Harbour Reports", campaignApp).ID
	v.get("/campaigns/new").has(t, "Harbour Reports", "3, 7, 14")
	v.post("/campaigns", url.Values{"registration": {h.harbourApp}, "reason": {"client_id"}, "zone": {"UTC"}, "remind_days": {"soon"}}).has(t, "Days after the start holds &#34;soon&#34;: write days as numbers")
	v.post("/campaigns", url.Values{"registration": {h.harbourApp}, "reason": {"client_id"}, "zone": {"Nowhere/At all"}, "remind_days": {"3"}}).has(t, "Name is missing", "Time zone is")
	v.post("/campaigns", url.Values{"name": {"Autumn"}, "reason": {"by_hand"}, "zone": {"UTC"}}).has(t, "choose one of the app registrations")
	made := v.post("/campaigns", url.Values{"name": {"Autumn"}, "registration": {h.harbourApp}, "reason": {"client_id"}, "old": {"00000000-0000-4000-8000-0000000000cb"}, "zone": {"Europe/Berlin"}, "deadline": {"2099-12-31"}, "remind": {"yes"}, "remind_days": {"3, 7"}})
	made.has(t, "It reaches nobody yet", "No connection is changed", "Please sign in to Harbour Reports again", "Discard the draft")
	people := made.Path + "/people/add"
	v.post(people, url.Values{"typed": {"tenant,username\nnowhere,x\n"}}).has(t, "1 fault to correct", "Is no user name")
	file := "tenant,username,name\n" + at.ID + ",mira@openharbour.example,Mira\n" + at.ID + ",noor@openharbour.example,Noor\n"
	v.post(people, url.Values{"typed": {file}}).has(t, "2 rows without a fault", "2 people join", "Add them")
	v.get(made.Path).has(t, "It reaches nobody yet")
	v.post(people, url.Values{"typed": {file}, "apply": {"yes"}}).has(t, "The people were added", "It reaches 2 people of 1 tenant")
	v.post(made.Path+"/start", nil).has(t, "The campaign runs", "2 people still to sign in", "Leave the old app in place")
	id := strings.TrimPrefix(made.Path, "/campaigns/")
	v.post(made.Path+"/tenants/"+at.ID+"/consent-link", nil).has(t, h.server.URL+"/consent/", "Shown once, for an administrator of the tenant")
	v.get(made.Path).has(t, "Asked for", "2 people still to sign in; in 1 tenant the administrator has to consent first")
	v.post(made.Path+"/tenants/"+at.ID+"/links", nil).has(t, "Nobody of this tenant needs a link")
	v.post(made.Path+"/remind", nil).has(t, "2 wait for the administrator of their tenant")
	v.get(made.Path+"?search=mira&state=pending").has(t, "mira@<wbr>openharbour.<wbr>example", "The app keeps its own tokens")
	if got := v.get(made.Path + "/export?format=csv"); got.Status != http.StatusOK || strings.Count(got.Text, "\n") != 3 || strings.Contains(got.Text, "/consent/") {
		t.Errorf("%d %s", got.Status, got.Text)
	}
	v.post(made.Path+"/pause", nil).has(t, "Reminders are paused")
	v.post(made.Path+"/resume", nil).has(t, "Reminders go on")
	one, err := h.campaigns.Get(h.boss(), id)
	r, err2 := h.campaigns.Report(h.boss(), id, []campaign.SignIn{{Tenant: at.ID, Person: "mira@openharbour.example", ClientID: campaignApp, At: *must(t, one, err).StartedAt}})
	must(t, r, err2)
	v.get(made.Path).has(t, "1 of 2 signed in (50 %)")
	v.post(made.Path+"/end", url.Values{"confirm": {"Spring"}}).has(t, "is not the campaign&#39;s name")
	v.post(made.Path+"/end", url.Values{"confirm": {"Autumn"}}).has(t, "The campaign has ended", "It was ended with 1 of 2 people signed in")
	v.get("/campaigns").has(t, "Autumn", "Ended early", "1 of 2")
	v.get("/campaigns/nothing").has(t, "Not here")
	v.post(made.Path+"/burn", nil).has(t, "Not here")
}

// The settings of a draft are stored at once, those of a campaign that runs after a
// look at what changes; what is wrong is said by field, in the words of the page, and
// nobody writes over what somebody else has stored meanwhile.
func TestCampaignChange(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cookie := h.administrator()
	v := h.visitor(cookie)
	at := h.add("Open Harbour")
	asked := h.asking(at)
	version := func(path string) string {
		t.Helper()
		one, err := h.campaigns.Get(h.boss(), strings.TrimPrefix(path, "/campaigns/"))
		return strconv.FormatInt(must(t, one, err).Version, 10)
	}
	settings := func(path string, more ...string) url.Values {
		out := url.Values{"version": {version(path)}, "name": {"Autumn"}, "zone": {"Europe/Berlin"}, "deadline": {"2099-12-31"}, "note": {"Call 4711."}, "remind": {"yes"}, "mail_usernames": {"yes"}, "remind_days": {"3, 7, 14"}, "remind_before": {"2"}}
		for i := 0; i < len(more); i += 2 {
			out.Set(more[i], more[i+1])
		}
		return out
	}
	v.get(asked.draft).has(t, `href="`+asked.draft+`/edit"`)
	v.get(asked.draft+"/edit").has(t, "New permissions of Harbour Reports", "3, 7, 14", "Store")
	v.post(asked.draft+"/edit", settings(asked.draft, "remind_days", "soon")).has(t, "1 field to correct", `href="#remind_days">Days after the start holds &#34;soon&#34;: write days as numbers`)
	wrong := v.post(asked.draft+"/edit", settings(asked.draft, "name", "", "remind_before", "0", "sign_in_url", "http://app.example", "zone", "Nowhere/At all", "deadline", "2001-01-01"))
	wrong.has(t, "5 fields to correct", ">Days before the deadline are no days that fit", ">Where people of other apps sign in is no address that begins with https://", ">Deadline has passed", ">Time zone is", ">Name is missing", "Call 4711.")
	if wrong.Status != http.StatusUnprocessableEntity || strings.Contains(wrong.Text, ">Remind_") || strings.Contains(wrong.Text, ">Sign_in") {
		t.Errorf("%d, with raw names: %s", wrong.Status, wrong.Text)
	}
	v.post(asked.draft+"/edit", settings(asked.draft)).has(t, "The campaign is changed", "<h1 id=\"what\">Autumn", "Call 4711.", "by 31 December 2099, 23:59 CET")

	// One that runs.
	v.get(asked.running+"/edit").has(t, "Look what changes")
	before := version(asked.running)
	look := v.post(asked.running+"/edit", settings(asked.running))
	look.has(t, "Change the campaign?", "New app id of Harbour Reports", "Autumn", "31 December 2099, 23:59 CET", "The reminders of 2 people who have not signed in are planned anew", "Call 4711.")
	if version(asked.running) != before {
		t.Error("looking stored something")
	}
	v.post(asked.running+"/edit", settings(asked.running, "again", "yes")).has(t, "Look what changes", "Call 4711.", "2099-12-31")
	v.post(asked.running+"/edit", settings(asked.running, "apply", "yes", "remind", "")).has(t, "The campaign is changed", "Autumn")
	one, err := h.campaigns.Get(h.boss(), strings.TrimPrefix(asked.running, "/campaigns/"))
	if must(t, one, err); one.Remind || one.Note != "Call 4711." || one.State != campaign.Running || len(one.Days) != 3 {
		t.Errorf("%+v", one)
	}
	v.post(asked.running+"/edit", settings(asked.running, "remind", "")).has(t, "Nothing: all is as it was.")
	// Somebody else was quicker: what was typed stays, and is stored if it is meant.
	late := v.post(asked.running+"/edit", settings(asked.running, "version", before, "apply", "yes", "note", "Call 4712."))
	late.has(t, "The campaign was changed meanwhile", "Call 4712.", `name="version" value="`+version(asked.running)+`"`)
	if late.Status != http.StatusUnprocessableEntity {
		t.Errorf("a conflict is answered %d", late.Status)
	}
	// Whoever may only look finds no form.
	viewer := h.member(audit.Viewer, at.ID)
	if got := viewer.get(asked.running); strings.Contains(got.Text, asked.running+"/edit") {
		t.Error("a viewer is offered the form")
	}
	for _, got := range []page{viewer.get(asked.running + "/edit"), viewer.post(asked.running+"/edit", settings(asked.running, "apply", "yes"))} {
		if got.Status != http.StatusForbidden {
			t.Errorf("a viewer is answered %d", got.Status)
		}
	}

	// With the keyboard, and as axe-core wants it.
	b := h.browse(cookie)
	b.open(asked.running + "/edit")
	b.tabTo("remind_days")
	evaluate[chromedp.Void](b, `document.activeElement.select()`)
	b.keys("5", kb.Enter)
	b.sees("What changes")
	b.look(screen{"campaign-edit", asked.running + "/edit"})
	b.size(1280, 900)
	b.open(asked.running + "/edit")
	b.fill("remind_days", "5")
	b.press("Look what changes")
	b.sees("What changes")
	b.glance("campaign-change-1280-light")
	b.size(390, 900)
	b.clean("campaign-change")
	b.tabTo("Change the campaign")
	b.keys(kb.Enter)
	b.sees("The campaign is changed")
	v.post(asked.running+"/end", url.Values{"confirm": {"Autumn"}})
	if got := v.get(asked.running + "/edit"); got.Status != http.StatusConflict {
		t.Errorf("the form of a campaign that has ended is answered %d", got.Status)
	}
}
