package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

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
