package console

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/tenant"
)

// ending is a credential that ends within the strip.
type ending struct {
	Name, Href string
	At         time.Time
	Days       int
}

// endings are the credentials that end within the strip, the first one first.
func endings(tenants []tenant.Tenant, all []connection.Connection, now time.Time) []ending {
	var out []ending
	add := func(name, href string, at time.Time) {
		if days := int(at.Sub(now).Hours() / 24); at.Before(now.AddDate(0, 0, stripDays)) {
			out = append(out, ending{name, href, at, max(0, days)})
		}
	}
	for _, c := range all {
		if c.CredentialNotAfter != nil {
			add(c.Name, "/connections/"+c.ID, *c.CredentialNotAfter)
		}
	}
	for _, t := range tenants {
		if t.Reader != nil {
			add("Reader of "+t.Name, "/tenants/"+t.ID+"/reader", t.Reader.NotAfter)
		}
	}
	slices.SortFunc(out, func(a, b ending) int { return a.At.Compare(b.At) })
	return out
}

// stripAt is where a day lies on the strip of 600 units.
func stripAt(e ending) string { return fmt.Sprint(10 + e.Days*580/stripDays) }

func stripTone(e ending) string {
	switch {
	case e.Days < 7:
		return "late"
	case e.Days < 14:
		return "soon"
	default:
		return "far"
	}
}
