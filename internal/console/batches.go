package console

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/connection"
)

// batchActions are what can be done to many connections, in words.
var batchActions = []option{
	{batch.Validate, "Validate"}, {batch.AddTag, "Add a tag"}, {batch.RemoveTag, "Remove a tag"}, {batch.SetSchedule, "Set the schedule"},
	{batch.SetConsumer, "Name the software"}, {batch.Remove, "Remove"},
}

// filterNames are the members of a filter of connections in an address.
var filterNames = []string{"search", "tenant", "verdict", "kind", "tag", "service", "parked"}

// narrowing is what of an address narrows a list of connections.
func narrowing(q url.Values) url.Values {
	out := url.Values{}
	for _, name := range filterNames {
		if v := q.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	return out
}

// bulkView is what the page before a batch shows.
type bulkView struct {
	Form   *form
	Plan   batch.Plan
	Wanted batch.Wanted
	Query  url.Values // of the filter
}

// wantedOf reads what somebody wants done to many connections.
func wantedOf(typed *form) (batch.Wanted, error) {
	w := batch.Wanted{Action: typed.Get("action"), Value: typed.text("value"), Confirm: typed.text("confirm")}
	if typed.Get("scope") == "chosen" {
		w.IDs = typed.Values["ids"]
		if len(w.IDs) == 0 {
			typed.Faults.Add("ids", "are not chosen", "tick connections, or choose all that fit")
		}
		return w, nil
	}
	var err error
	w.Filter, err = connection.ParseFilter(typed.Values)
	return w, err
}

// bulk shows what would be done, before it is.
func (c *console) bulk(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	return c.showBulk(w, r, f, typed, http.StatusOK)
}

func (c *console) showBulk(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	v := bulkView{Form: typed, Query: narrowing(typed.Values)}
	var err error
	v.Wanted, err = wantedOf(typed)
	if err == nil && len(typed.Faults) == 0 {
		v.Plan, err = c.Batches.Look(r.Context(), v.Wanted)
	}
	if err = typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		status = http.StatusUnprocessableEntity
	}
	f.Title, f.Noun = "Change many connections", "connections"
	return show(w, r, status, bulkPage(f, v))
}

// startBatch does what the page before showed.
func (c *console) startBatch(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	wanted, err := wantedOf(typed)
	if err == nil && len(typed.Faults) == 0 {
		var b batch.Batch
		if b, err = c.Batches.Begin(r.Context(), wanted); err == nil {
			return to(w, r, "/batches/"+b.ID)
		}
	}
	if err = typed.refused(err); err != nil {
		return err
	}
	return c.showBulk(w, r, f, typed, http.StatusUnprocessableEntity)
}

// batchList is what the page of all batches shows.
type batchList struct {
	Batches []batch.Batch
	Next    string
}

func (c *console) batches(w http.ResponseWriter, r *http.Request, f *frame) error {
	all, next, err := c.Batches.List(r.Context(), connection.Page{After: r.URL.Query().Get("after")})
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Batches", "connections"
	return show(w, r, http.StatusOK, batchesPage(f, batchList{all, onward(r, next)}))
}

// batchView is what the page of one batch shows.
type batchView struct {
	batch.Batch
	Items   []batch.Item
	Outcome string // that the items are narrowed to
	Next    string
	May     bool // call it off
}

func (c *console) batch(w http.ResponseWriter, r *http.Request, f *frame) error {
	b, err := c.Batches.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := batchView{Batch: b, Outcome: r.URL.Query().Get("outcome")}
	next := ""
	if v.Items, next, err = c.Batches.Items(r.Context(), b.ID, v.Outcome, connection.Page{After: r.URL.Query().Get("after")}); err != nil {
		return err
	}
	v.Next, v.May = onward(r, next), f.may(b.TenantID, audit.ConnectionValidate)
	f.Title, f.Noun = b.Words, "connections"
	return show(w, r, http.StatusOK, batchPage(f, v))
}

func (c *console) cancelBatch(w http.ResponseWriter, r *http.Request, _ *frame) error {
	b, err := c.Batches.Cancel(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return back(w, r, "/batches/"+b.ID, "batch-cancelled")
}

func batchState(s string) state {
	switch s {
	case batch.Running:
		return state{none, "half", "Running"}
	case batch.Cancelled:
		return state{none, "pause", "Called off"}
	default:
		return state{good, "check", "Done"}
	}
}

// itemState is the state of what became of one connection.
func itemState(outcome string) state {
	switch outcome {
	case "":
		return state{none, "ring", "Waiting"}
	case batch.Changed:
		return state{good, "check", "Changed"}
	case batch.Unchanged:
		return state{none, "ring", "Was so already"}
	case batch.Refused:
		return state{bad, "stop", "Not allowed"}
	case batch.Skipped:
		return state{none, "pause", "Left alone"}
	case batch.Failed:
		return state{bad, "cross", "Error"}
	case batch.CalledOff:
		return state{none, "pause", "Called off"}
	}
	return verdictState(outcome)
}

// outcomesOf are the outcomes of a batch, the most frequent first.
func outcomesOf(b batch.Batch) []string {
	all := slices.Sorted(maps.Keys(b.Outcomes))
	slices.SortStableFunc(all, func(x, y string) int { return b.Outcomes[y] - b.Outcomes[x] })
	return all
}

func rateWords(b batch.Batch, now time.Time) string {
	if b.Done == 0 {
		return ""
	}
	text := fmt.Sprintf("%.1f a second", b.Rate(now))
	if left := b.Left(now); left > 0 {
		text += ", about " + strings.TrimSuffix(left.Round(time.Second).String(), "0s") + " left"
	}
	return text
}

// noteWords is a note as a sentence; "" for none.
func noteWords(note string) string {
	if note == "" {
		return ""
	}
	return sentence(note)
}

func sum(b batch.Batch) string { return fmt.Sprintf("%d of %d", b.Done, b.Total) }
