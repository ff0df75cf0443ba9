package console

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/expiry"
	"gatehouse/internal/incident"
	"gatehouse/internal/posture"
	"gatehouse/internal/tenant"
)

// tenantList is what the page of all tenants shows.
type tenantList struct {
	Tenants      []tenant.Tenant
	Search, Show string
	Next         string
}

func (c *console) tenants(w http.ResponseWriter, r *http.Request, f *frame) error {
	q := r.URL.Query()
	filter := tenant.Filter{Search: q.Get("search")}
	if show := q.Get("show"); show == "paused" || show == "active" {
		paused := show == "paused"
		filter.Paused = &paused
	}
	all, next, err := c.Tenants.List(r.Context(), filter, tenant.Page{After: q.Get("after")})
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Tenants", "tenants"
	return show(w, r, http.StatusOK, tenantsPage(f, tenantList{all, q.Get("search"), q.Get("show"), onward(r, next)}))
}

// onward is this page's address with the cursor of the next one; "" at the end.
func onward(r *http.Request, next string) string {
	if next == "" {
		return ""
	}
	q := r.URL.Query()
	q.Set("after", next)
	return r.URL.Path + "?" + q.Encode()
}

// adding is what the form for a new tenant shows.
type adding struct {
	Form     *form
	Detected *tenant.Detected // once it was looked up
}

func (c *console) newTenantPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showAdding(w, r, f, adding{Form: &form{Values: url.Values{}}}, http.StatusOK)
}

func (c *console) showAdding(w http.ResponseWriter, r *http.Request, f *frame, v adding, status int) error {
	f.Title, f.Noun = "Add a tenant", "tenants"
	return show(w, r, status, addTenantPage(f, v))
}

// newTenant looks the tenant up, shows what was found, and adds it once the
// person has agreed.
func (c *console) newTenant(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if typed.Get("do") == "add" {
		added, err := c.Tenants.Add(r.Context(), tenant.AddRequest{NameOrID: typed.text("tenant"), Name: typed.text("name")})
		if err == nil {
			return back(w, r, "/tenants/"+added.ID, "tenant-added")
		}
		if errors.Is(err, tenant.ErrTaken) {
			typed.Faults.Add("tenant", "has been added already", "find it in the list of tenants")
		} else if err := typed.unreachable(err); err != nil {
			return err
		}
		return c.showAdding(w, r, f, adding{Form: typed}, http.StatusUnprocessableEntity)
	}
	found, err := c.Tenants.Detect(r.Context(), typed.text("tenant"))
	if err != nil {
		if err := typed.unreachable(err); err != nil {
			return err
		}
		return c.showAdding(w, r, f, adding{Form: typed}, http.StatusUnprocessableEntity)
	}
	return c.showAdding(w, r, f, adding{typed, &found}, http.StatusOK)
}

// tenantView is what the page of one tenant shows.
type tenantView struct {
	tenant.Tenant
	Snapshot    *posture.Snapshot // nil: none
	Connections []connection.Connection
	Line        string // the state of the connections in a line
	State       state
	Incidents   incident.Summary
	Form        *form
	Schedules   connection.Schedules
	Rotation    rotationView // of the reader's certificate
	Drift       []expiry.ConsentChange
	Consents    []consent.Status
	Apps        []option // registrations that consent was not asked for yet
}

func (c *console) tenant(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showTenant(w, r, f, &form{Values: url.Values{}}, http.StatusOK)
}

func (c *console) showTenant(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	t, err := c.Tenants.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := tenantView{Tenant: t, Form: typed}
	if v.Schedules, err = c.Connections.Schedules(r.Context()); err != nil {
		return err
	}
	if t.SnapshotAt != nil {
		if v.Snapshot, err = c.Tenants.Snapshot(r.Context(), t.ID); err != nil && !errors.Is(err, tenant.ErrNoSnapshot) {
			return err
		}
	}
	if v.Connections, _, err = c.Connections.List(r.Context(), connection.Filter{TenantID: t.ID}, connection.Page{Limit: 200}); err != nil {
		return err
	}
	tally, err := c.Connections.Tally(r.Context(), t.ID)
	if err != nil {
		return err
	}
	if v.Incidents, err = c.Incidents.Summary(r.Context(), t.ID, mostCards); err != nil {
		return err
	}
	v.Line, v.State = stateLine(tally, v.Incidents)
	if t.Reader != nil {
		if v.Rotation, err = c.rotationOf(r, t.ID, t.Reader.NotAfter); err != nil {
			return err
		}
	}
	if v.Drift, err = c.Expiries.ConsentChanges(r.Context(), t.ID, fewChanges); err != nil {
		return err
	}
	if v.Consents, v.Apps, err = c.consentsOf(r, t.ID); err != nil {
		return err
	}
	f.Title, f.Noun = t.Name, "tenants"
	return show(w, r, status, tenantPage(f, v))
}

func (c *console) renameTenant(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if err := typed.refused(c.Tenants.Rename(r.Context(), r.PathValue("id"), typed.text("name"))); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showTenant(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/tenants/"+r.PathValue("id"), "renamed")
}

func (c *console) pauseTenant(w http.ResponseWriter, r *http.Request, _ *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	paused := typed.Get("paused") == "true"
	if err := c.Tenants.Pause(r.Context(), r.PathValue("id"), paused); err != nil {
		return err
	}
	what := "resumed"
	if paused {
		what = "paused"
	}
	return back(w, r, "/tenants/"+r.PathValue("id"), what)
}

func (c *console) refreshTenant(w http.ResponseWriter, r *http.Request, f *frame) error {
	err := c.Tenants.Refresh(r.Context(), r.PathValue("id"))
	if errors.Is(err, tenant.ErrNoReader) || errors.Is(err, tenant.ErrPaused) {
		return c.showTenant(w, r, f, &form{Values: url.Values{}, Problem: err.Error()}, http.StatusConflict)
	}
	if err != nil {
		return err
	}
	return back(w, r, "/tenants/"+r.PathValue("id"), "refreshing")
}

// maxSnapshot bounds an uploaded snapshot.
const maxSnapshot = 32 << 20

func (c *console) uploadSnapshot(w http.ResponseWriter, r *http.Request, f *frame) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxSnapshot)
	typed := &form{Values: url.Values{}}
	file, _, err := r.FormFile("snapshot")
	if err != nil {
		typed.Faults.Add("snapshot", "is missing or larger than 32 MiB", "choose the file that gatehouse posture snapshot wrote")
		return c.showTenant(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		return errNoForm
	}
	if err := typed.refused(c.Tenants.UploadSnapshot(r.Context(), r.PathValue("id"), data)); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showTenant(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/tenants/"+r.PathValue("id"), "uploaded")
}

// leaving is what the page before removing a tenant shows.
type leaving struct {
	tenant.Tenant
	Removal tenant.Removal
	Form    *form
}

func (c *console) removeTenantPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showLeaving(w, r, f, &form{Values: url.Values{}}, http.StatusOK)
}

func (c *console) showLeaving(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	t, err := c.Tenants.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	what, err := c.Tenants.Removal(r.Context(), t.ID)
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Remove "+t.Name, "tenants"
	return show(w, r, status, removeTenantPage(f, leaving{t, what, typed}))
}

func (c *console) removeTenant(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if err := typed.refused(c.Tenants.Remove(r.Context(), r.PathValue("id"), typed.text("confirm"))); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showLeaving(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/tenants", "tenant-removed")
}

// securityDefaults is the state of Security Defaults in a snapshot.
func securityDefaults(s *posture.Snapshot) state {
	switch {
	case s == nil || s.SecurityDefaults == nil:
		return state{none, "question", "Unknown"}
	case *s.SecurityDefaults:
		return state{good, "check", "On"}
	default:
		return state{none, "ring", "Off"}
	}
}

// demanding counts the enabled policies that grant access only with MFA, and
// those that only report.
func demanding(s *posture.Snapshot) (enabled, mfa, reporting int) {
	for _, p := range s.Policies {
		switch p.State {
		case "enabled":
			enabled++
			if demandsMFA(p.Raw) {
				mfa++
			}
		case "enabledForReportingButNotEnforced":
			reporting++
		}
	}
	return enabled, mfa, reporting
}

// staleAfter is the age from which a snapshot is called old.
const staleAfter = 24 * time.Hour

func snapshotState(t tenant.Tenant, now time.Time) state {
	switch {
	case t.SnapshotAt == nil:
		return state{none, "question", "None"}
	case now.Sub(*t.SnapshotAt) > staleAfter:
		return state{warn, "warning", "Old"}
	default:
		return state{good, "check", "Fresh"}
	}
}

// demandsMFA reports whether a policy's grant controls name MFA or a strength.
func demandsMFA(policy json.RawMessage) bool {
	var p struct {
		Grant *struct {
			BuiltIn  []string        `json:"builtInControls"`
			Strength json.RawMessage `json:"authenticationStrength"`
		} `json:"grantControls"`
	}
	if err := json.Unmarshal(policy, &p); err != nil || p.Grant == nil {
		return false
	}
	return slices.Contains(p.Grant.BuiltIn, "mfa") || len(p.Grant.Strength) > 0 && string(p.Grant.Strength) != "null"
}
