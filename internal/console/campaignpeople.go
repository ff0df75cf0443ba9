package console

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/campaign"
)

// linksView is what the page shows that hands out links, once.
type linksView struct {
	Campaign campaign.Campaign
	Title    string
	For      string // who is to have it
	Links    []campaign.Link
}

func (c *console) showLinks(w http.ResponseWriter, r *http.Request, f *frame, v linksView) (err error) {
	if v.Campaign, err = c.Campaigns.Get(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	f.Title, f.Noun = v.Title, "campaigns"
	w.Header().Set("Cache-Control", "no-store")
	return show(w, r, http.StatusOK, campaignLinksPage(f, v))
}

// campaignLink hands out the link of one person.
func (c *console) campaignLink(w http.ResponseWriter, r *http.Request, f *frame) error {
	l, err := c.Campaigns.SignInLink(r.Context(), r.PathValue("id"), r.PathValue("person"))
	if err != nil {
		return err
	}
	return c.showLinks(w, r, f, linksView{Title: "Sign-in link", For: "the person alone", Links: []campaign.Link{l}})
}

// campaignLinks hands out the links of a tenant's people.
func (c *console) campaignLinks(w http.ResponseWriter, r *http.Request, f *frame) error {
	links, err := c.Campaigns.SignInLinks(r.Context(), r.PathValue("id"), r.PathValue("tenant"))
	if err != nil {
		return c.campaignRefused(w, r, f, r.PathValue("id"), &form{Values: url.Values{}}, err)
	}
	return c.showLinks(w, r, f, linksView{Title: "Sign-in links", For: "each person alone", Links: links})
}

// campaignConsent hands out the consent link of a tenant.
func (c *console) campaignConsent(w http.ResponseWriter, r *http.Request, f *frame) error {
	l, err := c.Campaigns.ConsentLink(r.Context(), r.PathValue("id"), r.PathValue("tenant"))
	if err != nil {
		return c.campaignRefused(w, r, f, r.PathValue("id"), &form{Values: url.Values{}}, err)
	}
	return c.showLinks(w, r, f, linksView{Title: "Consent link", For: "an administrator of the tenant", Links: []campaign.Link{l}})
}

// peopleView is what the page shows on which people are added.
type peopleView struct {
	Campaign campaign.Campaign
	Form     *form
	Added    *campaign.Added
	Text     string // of the file, carried on
}

func (c *console) campaignPeople(w http.ResponseWriter, r *http.Request, f *frame) (err error) {
	v := peopleView{Form: &form{Values: url.Values{}}}
	if v.Campaign, err = c.Campaigns.Get(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	f.Title, f.Noun = "Add people", "campaigns"
	return show(w, r, http.StatusOK, campaignPeoplePage(f, v))
}

// addCampaignPeople shows what a file would add, then adds it.
func (c *console) addCampaignPeople(w http.ResponseWriter, r *http.Request, f *frame) (err error) {
	r.Body = http.MaxBytesReader(w, r.Body, campaign.MaxFile+campaign.MaxFile/2)
	v := peopleView{Form: &form{Values: url.Values{}}}
	if v.Campaign, err = c.Campaigns.Get(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	f.Title, f.Noun = "Add people", "campaigns"
	data, _, err := upload(r)
	if err != nil && strings.TrimSpace(r.FormValue("typed")) != "" {
		data, err = []byte(r.FormValue("typed")), nil
	}
	if err != nil {
		v.Form.Faults.Add("file", "is missing or too large", "choose a CSV file of 8 MB at most, or write the lines below")
		return show(w, r, http.StatusUnprocessableEntity, campaignPeoplePage(f, v))
	}
	rows, faults := campaign.ReadPeople(data)
	do := c.Campaigns.Look
	if r.FormValue("apply") != "" {
		do = c.Campaigns.Add
	}
	added, err := do(r.Context(), v.Campaign.ID, rows, faults)
	if err = v.Form.refused(err); err != nil {
		return err
	}
	v.Added = &added
	if len(data) <= carried {
		v.Text = string(data)
	}
	switch {
	case added.Faults.Count > 0 || len(v.Form.Faults) > 0:
		return show(w, r, http.StatusUnprocessableEntity, campaignPeoplePage(f, v))
	case r.FormValue("apply") != "":
		return back(w, r, "/campaigns/"+v.Campaign.ID, "campaign-people")
	}
	return show(w, r, http.StatusOK, campaignPeoplePage(f, v))
}

func (c *console) dropCampaignPerson(w http.ResponseWriter, r *http.Request, f *frame) error {
	id := r.PathValue("id")
	if err := c.Campaigns.Drop(r.Context(), id, r.PathValue("person")); err != nil {
		return c.campaignRefused(w, r, f, id, &form{Values: url.Values{}}, err)
	}
	return back(w, r, "/campaigns/"+id, "campaign-dropped")
}

// exportCampaign sends the people of a campaign as a file.
func (c *console) exportCampaign(w http.ResponseWriter, r *http.Request, _ *frame) error {
	one, err := c.Campaigns.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	format, kind := "csv", "text/csv; charset=utf-8"
	if r.URL.Query().Get("format") == "json" {
		format, kind = "json", "application/json"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="campaign.`+format+`"`)
	if err := c.Campaigns.Export(r.Context(), one.ID, campaign.PersonFilter{}, format, w); err != nil {
		panic(http.ErrAbortHandler) // the answer is under way
	}
	return nil
}
