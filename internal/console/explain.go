package console

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/tenant"
)

// explaining is what the explain page shows.
type explaining struct {
	Form        *form
	Answer      *diagnosis.Diagnosis // nil: nothing was asked, or it was a name
	Tenants     []tenant.Tenant
	Connections []connection.Connection
}

// maxName is up to how many characters a text may also be a name to search for.
const maxName = 100

func (c *console) explainPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	f.Title, f.Noun = "Explain", "explain"
	return show(w, r, http.StatusOK, explainPage(f, explaining{Form: &form{Values: url.Values{}}}))
}

// explain answers at once: the text may hold what must not stand in an address.
func (c *console) explain(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	v := explaining{Form: typed}
	text := typed.text("text")
	if text == "" {
		typed.Faults.Add("text", "is missing", "paste the error as the program shows it")
		f.Title, f.Noun = "Explain", "explain"
		return show(w, r, http.StatusUnprocessableEntity, explainPage(f, v))
	}
	if len(text) <= maxName && !strings.Contains(text, "\n") {
		if v.Tenants, _, err = c.Tenants.List(r.Context(), tenant.Filter{Search: text}, tenant.Page{Limit: 5}); err != nil {
			return err
		}
		if v.Connections, _, err = c.Connections.List(r.Context(), connection.Filter{Search: text}, connection.Page{Limit: 5}); err != nil {
			return err
		}
	}
	// Where the text is a name, nothing known about errors is no answer to it.
	answer := diagnosis.Explain(text)
	if answer.Category != "other" || len(v.Tenants)+len(v.Connections) == 0 {
		v.Answer = &answer
	}
	f.Title, f.Noun = "Explain", "explain"
	return show(w, r, http.StatusOK, explainPage(f, v))
}

func (c *console) apiPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	f.Title, f.Noun = "API", "developers"
	return show(w, r, http.StatusOK, apiPage(f, c.PublicURL))
}
