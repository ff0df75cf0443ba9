package console

import (
	"net/http"

	"gatehouse/internal/expiry"
	"gatehouse/internal/tenant"
)

// fewChanges is how many changes of consents a tenant's page shows, and mostDrift
// how many their own page does.
const (
	fewChanges = 3
	mostDrift  = 200
)

// driftView is what the page of a tenant's changed consents shows.
type driftView struct {
	Tenant  tenant.Tenant
	Changes []expiry.ConsentChange
	Reading *expiry.Reading // nil: the tenant is not listed
}

func (c *console) drift(w http.ResponseWriter, r *http.Request, f *frame) error {
	t, err := c.Tenants.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := driftView{Tenant: t}
	if v.Changes, err = c.Expiries.ConsentChanges(r.Context(), t.ID, mostDrift); err != nil {
		return err
	}
	readings, _, err := c.Expiries.Readings(r.Context(), t.ID, 1)
	if err != nil {
		return err
	}
	if len(readings) > 0 {
		v.Reading = &readings[0]
	}
	f.Title, f.Noun = "Changed consents of "+t.Name, "tenants"
	return show(w, r, http.StatusOK, driftPage(f, v))
}

// verdict says first whether anything is known, and whether anything changed.
func (v driftView) verdict() (state, string) {
	switch {
	case v.Reading == nil || v.Reading.At == nil:
		return state{none, "question", "Unknown"}, "The permissions of this tenant's apps were not read yet."
	case len(v.Changes) > 0:
		return state{warn, "warning", "Changed"}, "Permissions of apps came or went."
	case len(v.Reading.Unread) > 0:
		return state{none, "question", "Not all known"}, "No change is known, and not everything could be read."
	}
	return state{good, "check", "Unchanged"}, "No permission came or went since the first reading."
}

// consentKind is what sort of permission changed.
func consentKind(k expiry.ConsentKind) string {
	switch k {
	case expiry.OfDelegated:
		return "delegated, for everybody"
	case expiry.OfPeople:
		return "delegated, by single people for themselves"
	default:
		return "of the app itself"
	}
}

// changeState is whether a permission came or went.
func changeState(c expiry.ConsentChange) state {
	if c.Change == "added" {
		return state{warn, "warning", "Appeared"}
	}
	return state{warn, "cross", "Vanished"}
}
