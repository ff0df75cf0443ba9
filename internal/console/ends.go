package console

import (
	"fmt"
	"time"

	"gatehouse/internal/expiry"
)

// ending is a credential that ends within the strip.
type ending struct {
	Name, Href string
	At         time.Time
	Days       int
}

// endings are what ends within the strip, the first one first.
func endings(items []expiry.Item, now time.Time) []ending {
	var out []ending
	for _, i := range items {
		out = append(out, ending{expiry.Words(i.Kind) + " of " + i.Name, "/expiries/" + i.ID, *i.NotAfter, max(0, int(i.NotAfter.Sub(now).Hours()/24))})
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
