package notify

import "strings"

// letter is what a mail shows.
type letter struct {
	Title    string
	Tenant   string // "" for the whole server
	Text     []string
	WhoActs  string
	At       string
	Link     string // page of the console, or the link of an invitation; "" for none
	LinkText string
	Until    string // when the link ends
	Server   string // address of the console
	Choose   string // page where notices are chosen; "" where there is nothing to choose
}

// plain is a letter for those who read mail as text.
func (l letter) plain() string {
	var b strings.Builder
	write := func(lines ...string) { b.WriteString(strings.Join(lines, "\n") + "\n") }
	write(l.Title, "")
	if l.Tenant != "" {
		write("Tenant: " + l.Tenant)
	}
	if l.WhoActs != "" {
		write("Who acts: " + l.WhoActs)
	}
	write("When: "+l.At, "")
	write(l.Text...)
	if l.Link != "" {
		write("", l.LinkText+": "+l.Link)
	}
	if l.Until != "" {
		write("", l.Until)
	}
	write("", "-- ", "Gatehouse at "+l.Server)
	if l.Choose != "" {
		write("Change what you get (you sign in there): " + l.Choose)
	}
	return b.String()
}
