package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/expiry"
	"gatehouse/internal/rotation"
)

// expiryList is what the page of all ends shows.
type expiryList struct {
	Items   []expiry.Item
	Strip   []ending
	More    int // that end within the strip and are not on it
	Past    int // of those that were asked for
	Soon    int
	Tenants []option
	Query   url.Values
	Next    string
	Poor    []expiry.Reading // tenants that could not be read, some of them
	PoorAll int
	Sees    bool // the person sees some tenant
}

// filtered reports whether the list is narrowed.
func (l expiryList) filtered() bool {
	return slices.ContainsFunc([]string{"search", "tenant", "kind", "within", "all"}, func(name string) bool { return l.Query.Get(name) != "" })
}

// fewReadings is how many tenants that could not be read are named.
const fewReadings = 5

func (c *console) expiries(w http.ResponseWriter, r *http.Request, f *frame) error {
	q := r.URL.Query()
	items, next, err := c.Expiries.List(r.Context(), expiry.Filter{
		TenantID: q.Get("tenant"), Kind: expiry.Kind(q.Get("kind")), Within: q.Get("within"), All: q.Get("all") != "", Search: q.Get("search"),
	}, expiry.Page{After: q.Get("after")})
	if err != nil {
		return err
	}
	v := expiryList{Items: items, Query: q, Next: onward(r, next)}
	strip, count, err := c.Expiries.Strip(r.Context(), f.Now.AddDate(0, 0, stripDays), mostEnds)
	if err != nil {
		return err
	}
	v.Strip = endings(strip, f.Now)
	for _, i := range strip {
		if !i.NotAfter.After(f.Now) {
			v.Past++
		}
	}
	v.Soon, v.More = count, count-len(strip)
	readings, poor, err := c.Expiries.Readings(r.Context(), q.Get("tenant"), fewReadings)
	if err != nil {
		return err
	}
	v.Sees, v.PoorAll, v.Poor = len(readings) > 0, poor, readings[:min(poor, len(readings))]
	if v.Tenants, err = c.tenantOptions(r, q.Get("tenant")); err != nil {
		return err
	}
	f.Title, f.Noun = "What ends", "expiries"
	return show(w, r, http.StatusOK, expiriesPage(f, v))
}

// verdict of the page in one sentence.
func (l expiryList) verdict() (state, string) {
	switch {
	case l.Past > 0:
		return state{bad, "cross", "Ended"}, count(l.Past, "credential") + " that software uses " + hasHave(l.Past) + " ended."
	case l.Soon > 0:
		return state{warn, "warning", "Soon"}, count(l.Soon, "credential") + " that software uses " + endEnds(l.Soon) + " within 30 days."
	case l.PoorAll > 0:
		return state{none, "question", "Unknown"}, "Nothing that is known ends within 30 days. Not everything is known."
	default:
		return state{good, "check", "Fine"}, "Nothing that software uses ends within 30 days."
	}
}

func hasHave(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

func endEnds(n int) string {
	if n == 1 {
		return "ends"
	}
	return "end"
}

func (c *console) expiry(w http.ResponseWriter, r *http.Request, f *frame) error {
	i, err := c.Expiries.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f.Title, f.Noun = expiry.Words(i.Kind)+" of "+i.Name, "expiries"
	return show(w, r, http.StatusOK, expiryPage(f, i))
}

func (c *console) refreshExpiries(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Expiries.Refresh(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/expiries", "expiries-reading")
}

// expiryState is how near an end is.
func expiryState(f *frame, i expiry.Item) state {
	switch {
	case i.State == expiry.Never:
		return state{good, "check", "Does not end"}
	case i.NotAfter == nil:
		return state{none, "question", "Unknown"}
	}
	switch i.Level(f.Now) {
	case expiry.Past:
		return state{bad, "cross", "Ended"}
	case expiry.In7:
		return state{bad, "stop", "Within 7 days"}
	case expiry.In30:
		return state{warn, "warning", "Within 30 days"}
	case expiry.In90:
		return state{none, "half", "Within 90 days"}
	default:
		return state{good, "check", "Later"}
	}
}

func holderWords(i expiry.Item) string {
	switch i.Holder {
	case expiry.Application:
		return "on the application"
	case expiry.ServicePrincipal:
		return "on the service principal"
	case expiry.User:
		return "of the account"
	default:
		return "kept in Gatehouse"
	}
}

func expiryActor(i expiry.Item) string {
	_, actor := expiry.Remedy(i)
	switch actor {
	case expiry.ActorGatehouse:
		return "Gatehouse itself"
	case expiry.ActorOperator:
		return "you"
	case expiry.ActorAppOwner:
		return "the app's owner"
	default:
		return "the tenant's administrator"
	}
}

func expirySteps(i expiry.Item) []string {
	steps, _ := expiry.Remedy(i)
	return steps
}

func useHref(u expiry.Use) string {
	if u.Kind == "reader" {
		return "/tenants/" + u.ID + "/reader"
	}
	return "/connections/" + u.ID
}

func withinOptions() []option {
	return []option{{"", "All"}, {"past", "Ended"}, {"7", "7 days"}, {"30", "30 days"}, {"90", "90 days"}, {"unknown", "Unknown"}, {"never", "Never"}}
}

func expiryKinds() []option {
	out := []option{{"", "All"}}
	for _, k := range expiry.Kinds {
		out = append(out, option{string(k), expiry.Words(k)})
	}
	return out
}

// calendarView is the page of one's own calendar addresses.
type calendarView struct {
	Feeds   []expiry.Feed
	Form    *form
	Address string // of a feed that was made right now
}

func (c *console) calendarPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showCalendar(w, r, f, calendarView{Form: &form{Values: url.Values{}}}, http.StatusOK)
}

func (c *console) showCalendar(w http.ResponseWriter, r *http.Request, f *frame, v calendarView, status int) (err error) {
	if v.Feeds, err = c.Expiries.Feeds(r.Context()); err != nil {
		return err
	}
	f.Title, f.Noun = "Calendar of what ends", "expiries"
	return show(w, r, status, calendarPage(f, v))
}

// newFeed shows the address in its answer, and nowhere again.
func (c *console) newFeed(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	_, token, err := c.Expiries.NewFeed(r.Context(), typed.Get("name"))
	if errors.Is(err, expiry.ErrMany) {
		typed.Problem, err = err.Error(), nil
	}
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showCalendar(w, r, f, calendarView{Form: typed}, http.StatusUnprocessableEntity)
	}
	w.Header().Set("Cache-Control", "no-store")
	return c.showCalendar(w, r, f, calendarView{Form: &form{Values: url.Values{}}, Address: c.PublicURL + "/calendar/" + token.Reveal() + ".ics"}, http.StatusOK)
}

func (c *console) revokeFeed(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Expiries.RevokeFeed(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/expiries/calendar", "calendar-revoked")
}

// downloadCalendar gives the calendar as a file.
func (c *console) downloadCalendar(w http.ResponseWriter, r *http.Request, _ *frame) error {
	text, err := c.Expiries.CalendarText(r.Context(), c.PublicURL)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="gatehouse-expiries.ics"`)
	return sendCalendar(w, text)
}

func sendCalendar(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err := w.Write([]byte(text)) //nolint:gosec // a calendar, which no browser shows
	return err
}

// calendarFeed answers a calendar program, which knows a secret address and has no
// session. Nobody is told why an address does not open anything.
func (c *console) calendarFeed(w http.ResponseWriter, r *http.Request, _ *frame) error {
	token, ok := strings.CutSuffix(r.PathValue("file"), ".ics")
	if !ok {
		return errNoPage
	}
	text, err := c.Expiries.ReadFeed(r.Context(), token, visit(r).Address, c.PublicURL)
	if errors.Is(err, expiry.ErrMissing) {
		return errNoPage
	}
	if err != nil {
		return err
	}
	return sendCalendar(w, text)
}

func (c *console) rotation(w http.ResponseWriter, r *http.Request, f *frame) error {
	one, err := c.Rotations.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Replacing the certificate of "+rotatedName(one), "tenants"
	if one.ConnectionID != "" {
		f.Noun = "connections"
	}
	return show(w, r, http.StatusOK, rotationPage(f, one))
}

func (c *console) rotateReader(w http.ResponseWriter, r *http.Request, _ *frame) error {
	return c.begin(w, r, rotation.Target{TenantID: r.PathValue("id")})
}

func (c *console) rotateConnection(w http.ResponseWriter, r *http.Request, _ *frame) error {
	return c.begin(w, r, rotation.Target{ConnectionID: r.PathValue("id")})
}

func (c *console) begin(w http.ResponseWriter, r *http.Request, t rotation.Target) error {
	begun, err := c.Rotations.Begin(r.Context(), t)
	if err != nil {
		return err
	}
	return back(w, r, "/rotations/"+begun.ID, "rotating")
}

func (c *console) undoRotation(w http.ResponseWriter, r *http.Request, _ *frame) error {
	undone, err := c.Rotations.Undo(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return back(w, r, "/rotations/"+undone.ID, "undoing")
}

func rotatedName(r rotation.Rotation) string {
	if r.ConnectionID == "" {
		return "the reader of " + r.TenantName
	}
	return r.Name
}

func rotatedHref(r rotation.Rotation) string {
	if r.ConnectionID == "" {
		return "/tenants/" + r.TenantID + "/reader"
	}
	return "/connections/" + r.ConnectionID
}

func rotatedPermission(r rotation.Rotation) audit.Permission {
	if r.ConnectionID == "" {
		return audit.ConsentManage
	}
	return audit.ConnectionManage
}

// rotationState is how far a rotation is, and what that means in a sentence.
func rotationState(r rotation.Rotation) (state, string) {
	switch r.State {
	case rotation.Planned:
		return state{none, "turning", "Beginning"}, "A new certificate is made. Nothing was changed at Microsoft yet."
	case rotation.Adding:
		return state{none, "turning", "Adding"}, "The app adds the new key to itself."
	case rotation.Proving:
		return state{none, "turning", "Proving"}, fmt.Sprintf("The new key is there. %d of %d sign-ins in a row were accepted; until then the old certificate is used.", r.Successes, rotation.Successes)
	case rotation.Switched:
		return state{good, "turning", "In use"}, "The new certificate is used. The old key stays a while for whoever still holds it."
	case rotation.Removing:
		return state{good, "turning", "Removing"}, "The new certificate is used. The old key is being removed."
	case rotation.Withdrawing:
		return state{none, "turning", "Taking back"}, "The new key is being removed again. The old certificate is used."
	case rotation.Done:
		return state{good, "check", "Done"}, "The new certificate is used, and the old key is gone."
	case rotation.Undone:
		return state{none, "ring", "Taken back"}, "The old certificate is used."
	default:
		return state{bad, "cross", "Needs a person"}, "Gatehouse cannot replace it by itself. The old certificate is used."
	}
}

// rotationView is how the certificate of a reader stands.
type rotationView struct {
	Latest *rotation.Rotation
	From   time.Time // when it is replaced by itself
}

// rotationOf is the rotation of a tenant's reader that ends at a moment.
func (c *console) rotationOf(r *http.Request, tenantID string, ends time.Time) (rotationView, error) {
	latest, err := c.Rotations.Latest(r.Context(), rotation.Target{TenantID: tenantID})
	return rotationView{Latest: latest, From: ends.Add(-expiry.RenewBefore)}, err
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func spaced(s string) string { return strings.ReplaceAll(s, "_", " ") }
