package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/campaign"
)

// campaignLabels are what the fields of a campaign are called.
var campaignLabels = map[string]string{
	"name": "Name", "registration": "App registration", "app": "Or the name of an app", "reason": "Why", "old": "Client id before", "new": "Client id after",
	"deadline": "Deadline", "note": "A sentence of your own", "sign_in_url": "Where people of other apps sign in", "remind_days": "Days after the start", "remind_before": "Days before the deadline", "zone": "Time zone",
}

// campaignEdited are the fields that may be changed while a campaign runs, and the
// version that they were read in.
var campaignEdited = []string{"version", "name", "deadline", "note", "sign_in_url", "remind", "mail_usernames", "remind_days", "remind_before", "zone"}

// campaignEdit is what the pages show on which a campaign is changed.
type campaignEdit struct {
	Now             campaign.Campaign
	Form            *form
	Changes         []settingChange
	Effects         []string
	Subject, Letter string
}

// settingChange is a setting before and after.
type settingChange struct{ What, Before, After string }

// editable loads a campaign for whoever may change it.
func (c *console) editable(r *http.Request) (campaign.Campaign, error) {
	one, err := c.Campaigns.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return one, err
	}
	if err := c.Audit.Allow(r.Context(), audit.AllTenants, audit.ConnectionManage); err != nil {
		return one, err
	}
	if one.State == campaign.Done || one.State == campaign.Ended {
		return one, campaign.ErrState
	}
	return one, nil
}

func (c *console) editCampaignPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	one, err := c.editable(r)
	if err != nil {
		return err
	}
	values := url.Values{
		"version": {strconv.FormatInt(one.Version, 10)}, "name": {one.Name}, "note": {one.Note}, "sign_in_url": {one.SignInURL}, "deadline": {dayOf(one.Deadline, one.Zone)},
		"remind_days": {dayList(one.Days)}, "remind_before": {dayList(one.Before)}, "zone": {one.Zone},
	}
	for name, on := range map[string]bool{"remind": one.Remind, "mail_usernames": one.MailUsernames} {
		if on {
			values.Set(name, "yes")
		}
	}
	return c.showEditCampaign(w, r, f, campaignEdit{Now: one, Form: &form{Values: values}}, http.StatusOK)
}

func (c *console) showEditCampaign(w http.ResponseWriter, r *http.Request, f *frame, v campaignEdit, status int) error {
	f.Title, f.Noun, v.Form.Labels = "Change "+v.Now.Name, "campaigns", campaignLabels
	return show(w, r, status, editCampaignPage(f, v))
}

// editCampaign changes a draft at once; of one that has begun it shows first what that
// does.
func (c *console) editCampaign(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	one, err := c.editable(r)
	if err != nil {
		return err
	}
	v := campaignEdit{Now: one, Form: typed}
	if typed.on("again") {
		return c.showEditCampaign(w, r, f, v, http.StatusOK)
	}
	version, _ := strconv.ParseInt(typed.Get("version"), 10, 64) // none: a conflict
	name, set := typed.text("name"), campaignSettings(typed)
	if one.Deadline != nil && set.Zone == one.Zone && typed.text("deadline") == dayOf(one.Deadline, one.Zone) {
		set.Deadline = one.Deadline // it may end at another hour of that day
	}
	if len(typed.Faults) == 0 {
		then, err := c.Campaigns.Preview(r.Context(), one.ID, version, name, set)
		if err == nil && one.State != campaign.Draft && !typed.on("apply") {
			return c.confirmCampaign(w, r, f, v, then)
		}
		if err == nil {
			_, err = c.Campaigns.Update(r.Context(), one.ID, version, name, set)
		}
		if err == nil {
			return back(w, r, "/campaigns/"+one.ID, "campaign-changed")
		}
		if errors.Is(err, campaign.ErrConflict) {
			// What was typed stays, to be held against what the other one stored.
			typed.Problem, err = "The campaign was changed meanwhile. Look at it in another window, then store again what is to be as it is here", nil
			typed.Set("version", strconv.FormatInt(one.Version, 10))
		}
		if err = typed.refused(err); err != nil {
			return err
		}
	}
	return c.showEditCampaign(w, r, f, v, http.StatusUnprocessableEntity)
}

func (c *console) confirmCampaign(w http.ResponseWriter, r *http.Request, f *frame, v campaignEdit, then campaign.Campaign) error {
	v.Changes, v.Effects = settingChanges(v.Now, then), settingEffects(v.Now, then)
	v.Subject, v.Letter = campaign.Letter(then, campaign.Person{ConnectionID: "any", Username: "person@tenant.example"})
	f.Title, f.Noun = "Change "+v.Now.Name, "campaigns"
	return show(w, r, http.StatusOK, confirmCampaignPage(f, v))
}

// dayOf is the day of a deadline in its zone; "" for none.
func dayOf(at *time.Time, zone string) string {
	if at == nil {
		return ""
	}
	return at.In(zoneOf(zone)).Format(time.DateOnly)
}

// zoneOf is a time zone; UTC where this machine does not know it.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

func settingChanges(now, then campaign.Campaign) (out []settingChange) {
	for _, c := range []settingChange{
		{campaignLabels["name"], now.Name, then.Name}, {campaignLabels["deadline"], deadlineWords(now), deadlineWords(then)}, {campaignLabels["note"], orNone(now.Note), orNone(then.Note)},
		{campaignLabels["sign_in_url"], orNone(now.SignInURL), orNone(then.SignInURL)}, {"Reminders by mail", onWords(now.Remind), onWords(then.Remind)}, {"User names as addresses", onWords(now.MailUsernames), onWords(then.MailUsernames)},
		{campaignLabels["remind_days"], orNone(dayList(now.Days)), orNone(dayList(then.Days))}, {campaignLabels["remind_before"], orNone(dayList(now.Before)), orNone(dayList(then.Before))}, {campaignLabels["zone"], now.Zone, then.Zone},
	} {
		if c.Before != c.After {
			out = append(out, c)
		}
	}
	return out
}

// settingEffects say what a change does for the people who have not signed in.
func settingEffects(now, then campaign.Campaign) []string {
	left := peopleWords(now.People - now.Done)
	effects := []string{"Who has signed in stays done, and links that were sent go on working."}
	switch {
	case now.State == campaign.Paused:
		effects = append(effects, "Reminders are paused: the change counts once the campaign goes on.")
	case !then.Remind:
		effects = append(effects, "Nobody is reminded by itself any more: "+left+" still to sign in.")
	default:
		effects = append(effects, "The reminders of "+left+" who have not signed in are planned anew by these settings; nobody is written to twice on one day.")
	}
	if !then.MailUsernames && now.MailUsernames {
		effects = append(effects, "Whoever has no address of their own is not written to: hand out their links.")
	}
	return effects
}

func deadlineWords(c campaign.Campaign) string {
	if c.Deadline == nil {
		return "None"
	}
	return c.Deadline.In(zoneOf(c.Zone)).Format("2 January 2006, 15:04 MST")
}

func orNone(text string) string {
	if text == "" {
		return "None"
	}
	return text
}

func onWords(on bool) string {
	if on {
		return "On"
	}
	return "Off"
}
