package console

import (
	"fmt"
	"time"

	"gatehouse/internal/connection"
)

// ending is a credential that ends within the strip.
type ending struct {
	Name, Href string
	At         time.Time
	Days       int
}

// endings are the credentials that end within the strip, the first one first.
func endings(ends []connection.End, now time.Time) []ending {
	var out []ending
	for _, e := range ends {
		one := ending{e.Name, "/connections/" + e.ID, e.At, max(0, int(e.At.Sub(now).Hours()/24))}
		if e.Reader {
			one.Name, one.Href = "Reader of "+e.TenantName, "/tenants/"+e.ID+"/reader"
		}
		out = append(out, one)
	}
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
