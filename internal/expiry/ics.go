package expiry

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// contentLine is how long a line of a calendar may be, in bytes without its end
// (RFC 5545 §3.1).
const contentLine = 75

// calendar writes a calendar (RFC 5545). Every time is UTC.
type calendar struct{ b strings.Builder }

// line writes a line, folded where it is too long: never within a character.
func (c *calendar) line(name, value string) {
	text, room := name+":"+value, contentLine
	for len(text) > room {
		cut := room
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		c.b.WriteString(text[:cut] + "\r\n ")
		text, room = text[cut:], contentLine-1 // the blank counts
	}
	c.b.WriteString(text + "\r\n")
}

// text writes a property of type TEXT, escaped (§3.3.11). Control characters, which
// no text may hold, become blanks.
func (c *calendar) text(name, value string) {
	value = strings.ToValidUTF8(value, "\uFFFD")
	value = strings.NewReplacer("\\", "\\\\", ";", "\\;", ",", "\\,", "\r\n", "\\n", "\n", "\\n", "\r", "\\n").Replace(value)
	c.line(name, strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, value))
}

func (c *calendar) time(name string, t time.Time) { c.line(name, t.UTC().Format("20060102T150405Z")) }

// alarms are how long before an end a calendar reminds of it.
var alarms = []string{"-P30D", "-P7D"}

// event writes one end.
func (c *calendar) event(i Item, now time.Time, address string) {
	steps, _ := Remedy(i)
	summary := Words(i.Kind) + " of " + i.Name + " ends"
	if i.TenantName != "" {
		summary += " (" + i.TenantName + ")"
	}
	c.line("BEGIN", "VEVENT")
	c.line("UID", i.ID+"@gatehouse") // the same in each calendar that shows it
	c.time("DTSTAMP", now)
	c.time("DTSTART", *i.NotAfter)
	c.line("DURATION", "PT15M")
	c.text("SUMMARY", summary)
	description := strings.Join(steps, "\n")
	for _, u := range i.Uses {
		description += "\nUsed by: " + u.Name
	}
	c.text("DESCRIPTION", description)
	c.text("CATEGORIES", string(i.Kind))
	c.line("TRANSP", "TRANSPARENT")
	if address != "" {
		c.line("URL", address+"/expiries/"+i.ID)
	}
	for _, before := range alarms {
		c.line("BEGIN", "VALARM")
		c.line("ACTION", "DISPLAY")
		c.text("DESCRIPTION", summary)
		c.line("TRIGGER", before)
		c.line("END", "VALARM")
	}
	c.line("END", "VEVENT")
}

// Words name a kind for people.
func Words(k Kind) string {
	switch k {
	case Secret:
		return "Client secret"
	case Certificate:
		return "Certificate"
	case SAMLKey:
		return "SAML signing key"
	case Password:
		return "Password"
	case Reader:
		return "Reader certificate"
	}
	return string(k)
}

// Calendar writes items as a calendar. Those without an end are left out. The
// address is that of the console, for links; "" for none.
func Calendar(items []Item, now time.Time, address string) string {
	c := &calendar{}
	c.line("BEGIN", "VCALENDAR")
	c.line("VERSION", "2.0")
	c.line("PRODID", "-//Gatehouse//Expiries//EN")
	c.line("CALSCALE", "GREGORIAN")
	c.line("METHOD", "PUBLISH")
	c.text("X-WR-CALNAME", "Gatehouse: what ends")
	c.line("REFRESH-INTERVAL;VALUE=DURATION", "PT12H") // RFC 7986 §5.7
	for _, i := range items {
		if i.NotAfter != nil {
			c.event(i, now, address)
		}
	}
	c.line("END", "VCALENDAR")
	return c.b.String()
}
