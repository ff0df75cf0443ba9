package console

import (
	"net/http"
	"net/url"

	"gatehouse/internal/search"
)

// searchView is what the page of a search shows.
type searchView struct {
	Form   *form
	Answer *search.Answer // nil: nothing was looked for
}

func (c *console) searchPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	f.Title, f.Noun = "Search", "search"
	return show(w, r, http.StatusOK, searchPage(f, searchView{Form: &form{Values: url.Values{}}}))
}

// search answers at once: the text may hold what must not stand in an address.
func (c *console) search(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	v, status := searchView{Form: typed}, http.StatusOK
	found, err := c.Search.Look(r.Context(), typed.Get("text"))
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		status = http.StatusUnprocessableEntity
	} else {
		v.Answer = &found
	}
	f.Title, f.Noun = "Search", "search"
	return show(w, r, status, searchPage(f, v))
}

var groupNames = map[string]string{
	search.Tenants: "Tenants", search.Connections: "Connections", search.Incidents: "Incidents", search.People: "People", search.Filters: "Saved filters", search.Tags: "Tags", search.Pages: "Pages", search.Accounts: "Accounts in tenants", search.Audit: "Audit",
}

// groupName is a kind of hits in words.
func groupName(kind string) string {
	if name := groupNames[kind]; name != "" {
		return name
	}
	return sentenceCase(kind)
}

// hitName is a hit in words.
func hitName(kind string, h search.Hit) string {
	if kind == search.Audit {
		return actionWords(h.Name)
	}
	return h.Name
}
