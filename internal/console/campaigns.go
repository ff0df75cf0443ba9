package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/campaign"
)

// campaignList is what the page of all campaigns shows.
type campaignList struct {
	Campaigns []campaign.Campaign
	State     string
	Next      string
	May       bool // make one
}

func (c *console) campaigns(w http.ResponseWriter, r *http.Request, f *frame) error {
	state := r.URL.Query().Get("state")
	all, next, err := c.Campaigns.List(r.Context(), campaign.State(state), campaign.Page{After: r.URL.Query().Get("after")})
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Campaigns", "campaigns"
	return show(w, r, http.StatusOK, campaignsPage(f, campaignList{all, state, onward(r, next), f.may(audit.AllTenants, audit.ConnectionManage)}))
}

// campaignView is what the page of one campaign shows.
type campaignView struct {
	campaign.Campaign
	TenantList []campaign.Tenant
	NextTenant string
	People     []campaign.Person
	Next       string
	Query      url.Values
	Mail       bool // there is a mail server
	May        bool // change the whole
	Subject    string
	Letter     string
	Form       *form
}

// narrowed reports whether some tenants are left out.
func (v campaignView) narrowed() bool {
	return v.Query.Get("tenant") != "" || v.Query.Get("in") != "" || v.Query.Get("consent") != ""
}

// tenantsShown is how many tenants stand on the page: those that need somebody most.
const tenantsShown = 20

func (c *console) campaign(w http.ResponseWriter, r *http.Request, f *frame) error {
	one, err := c.Campaigns.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.showCampaign(w, r, f, one, &form{Values: url.Values{}}, http.StatusOK)
}

func (c *console) showCampaign(w http.ResponseWriter, r *http.Request, f *frame, one campaign.Campaign, typed *form, status int) (err error) {
	q := r.URL.Query()
	v := campaignView{Campaign: one, Query: q, Mail: c.Campaigns.HasMail(), May: f.may(audit.AllTenants, audit.ConnectionManage), Form: typed}
	next := ""
	if v.TenantList, next, err = c.Campaigns.Tenants(r.Context(), one.ID, campaign.TenantFilter{TenantID: q.Get("tenant"), Search: q.Get("in"), Consent: campaign.ConsentState(q.Get("consent"))}, campaign.Page{After: q.Get("tenants"), Limit: tenantsShown}); err != nil {
		return err
	}
	if next != "" {
		onward := copied(q)
		onward.Set("tenants", next)
		v.NextTenant = "/campaigns/" + one.ID + "?" + onward.Encode()
	}
	filter := campaign.PersonFilter{TenantID: q.Get("tenant"), State: campaign.PersonState(q.Get("state")), Search: q.Get("search"), OnOld: q.Get("app") == "old", OwnApp: q.Get("app") == "own"}
	if v.People, next, err = c.Campaigns.People(r.Context(), one.ID, filter, campaign.Page{After: q.Get("after")}); err != nil {
		return err
	}
	v.Next = onward(r, next)
	v.Subject, v.Letter = campaign.Letter(one, campaign.Person{ConnectionID: "any", Username: "person@tenant.example"})
	f.Title, f.Noun = one.Name, "campaigns"
	return show(w, r, status, campaignPage(f, v))
}

// copied is a copy of an address's parameters.
func copied(q url.Values) url.Values {
	out := url.Values{}
	for name, values := range q {
		out[name] = slices.Clone(values)
	}
	return out
}

// newCampaign begins with the settings that fit most.
func (c *console) newCampaign(w http.ResponseWriter, r *http.Request, f *frame) error {
	d := campaign.Defaults()
	typed := &form{Values: url.Values{"reason": {string(campaign.NewClientID)}, "remind": {"yes"}, "mail_usernames": {"yes"}, "remind_days": {dayList(d.Days)}, "remind_before": {dayList(d.Before)}, "zone": {d.Zone}}}
	for name, values := range r.URL.Query() {
		typed.Values[name] = values
	}
	return c.showNewCampaign(w, r, f, typed, http.StatusOK)
}

func (c *console) showNewCampaign(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	if err := c.Audit.Allow(r.Context(), audit.AllTenants, audit.ConnectionManage); err != nil {
		return err
	}
	all, err := c.Campaigns.Registrations(r.Context())
	if err != nil {
		return err
	}
	options := []option{{"", "An app that is not registered here"}}
	for _, one := range all {
		options = append(options, option{one.ID, one.Name})
	}
	f.Title, f.Noun, typed.Labels = "New campaign", "campaigns", campaignLabels
	return show(w, r, status, newCampaignPage(f, typed, options))
}

func dayList(days []int) string {
	words := make([]string, len(days))
	for i, d := range days {
		words[i] = strconv.Itoa(d)
	}
	return strings.Join(words, ", ")
}

// days reads a list of days; what is no number is a fault of its field.
func (f *form) days(name string) (out []int) {
	for _, word := range f.lines(name) {
		n, err := strconv.Atoi(word)
		if err != nil {
			f.Faults.Add(name, fmt.Sprintf("holds %.20q", word), "write days as numbers: 3, 7, 14")
			return nil
		}
		out = append(out, n)
	}
	return out
}

// campaignSettings reads the settings of a form. A deadline ends with its day.
func campaignSettings(typed *form) campaign.Settings {
	s := campaign.Settings{
		Note: typed.text("note"), SignInURL: typed.text("sign_in_url"), Remind: typed.on("remind"), MailUsernames: typed.on("mail_usernames"),
		Days: typed.days("remind_days"), Before: typed.days("remind_before"), Zone: typed.text("zone"),
	}
	if text := typed.text("deadline"); text != "" {
		day, err := time.ParseInLocation(time.DateOnly, text, zoneOf(s.Zone)) // one that is not known is refused
		if err != nil {
			typed.Faults.Add("deadline", "is no day", "write it as 2026-12-31")
		}
		end := day.AddDate(0, 0, 1).Add(-time.Minute)
		s.Deadline = &end
	}
	return s
}

func (c *console) createCampaign(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	in := campaign.Request{Name: typed.text("name"), RegistrationID: typed.Get("registration"), App: typed.text("app"), Reason: campaign.Reason(typed.Get("reason")), Old: typed.text("old"), New: typed.text("new"), Settings: campaignSettings(typed)}
	if len(typed.Faults) == 0 {
		made, err := c.Campaigns.Create(r.Context(), in)
		if err == nil {
			return to(w, r, "/campaigns/"+made.ID)
		}
		if err = typed.refused(err); err != nil {
			return err
		}
	}
	return c.showNewCampaign(w, r, f, typed, http.StatusUnprocessableEntity)
}

// campaignAct does what a button of the page says.
func (c *console) campaignAct(w http.ResponseWriter, r *http.Request, f *frame) error {
	id := r.PathValue("id")
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	switch r.PathValue("act") {
	case "start":
		_, err = c.Campaigns.Start(r.Context(), id)
	case "pause":
		_, err = c.Campaigns.Pause(r.Context(), id)
	case "resume":
		_, err = c.Campaigns.Resume(r.Context(), id)
	case "end":
		_, err = c.Campaigns.End(r.Context(), id, typed.text("confirm"))
	case "remind":
		return c.remindCampaign(w, r, f, id, typed)
	default:
		return campaign.ErrMissing
	}
	if err == nil {
		return back(w, r, "/campaigns/"+id, "campaign-"+r.PathValue("act"))
	}
	return c.campaignRefused(w, r, f, id, typed, err)
}

// campaignRefused shows the page with what is wrong with an act.
func (c *console) campaignRefused(w http.ResponseWriter, r *http.Request, f *frame, id string, typed *form, err error) error {
	if err = typed.refused(err); err != nil {
		return err
	}
	one, err := c.Campaigns.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return c.showCampaign(w, r, f, one, typed, http.StatusUnprocessableEntity)
}

func (c *console) remindCampaign(w http.ResponseWriter, r *http.Request, f *frame, id string, typed *form) error {
	sel := campaign.Selection{Filter: campaign.PersonFilter{TenantID: typed.Get("tenant"), State: campaign.PersonState(typed.Get("state")), Search: typed.Get("search")}}
	if person := typed.Get("person"); person != "" {
		sel.IDs = []string{person}
	}
	got, err := c.Campaigns.Remind(r.Context(), id, sel)
	if err != nil {
		return c.campaignRefused(w, r, f, id, typed, err)
	}
	f.Title, f.Noun = "Reminders", "campaigns"
	return show(w, r, http.StatusOK, remindedPage(f, id, got))
}
