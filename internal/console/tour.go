package console

import "strings"

// stop is one station of the demo's tour.
type stop struct {
	Href, Words string
	Here, Next  bool // the page shown, and the one to see after it
}

// stations stand in the order in which a person who comes worried
// would look.
var stations = []stop{
	{Href: "/", Words: "What is wrong"},
	{Href: "/connections?verdict=blocked", Words: "What a rule stops"},
	{Href: "/connections?kind=delegated", Words: "Who signed in"},
	{Href: "/tenants", Words: "What a tenant permits"},
	{Href: "/explain", Words: "What an error means"},
	{Href: "/audit", Words: "Who did what"},
}

// tour marks the station at which a page stands, and the next one. A page
// between stations belongs to the first one of its noun.
func tour(f *frame) []stop {
	out := append([]stop{}, stations...)
	at := -1
	for i := range out {
		path, _, _ := strings.Cut(out[i].Href, "?")
		if out[i].Href == f.Here {
			at = i
			break
		}
		if at < 0 && (path == "/" && f.Noun == "overview" || path == "/"+f.Noun) {
			at = i
		}
	}
	if at >= 0 {
		out[at].Here = true
	}
	out[(at+1)%len(out)].Next = true
	return out
}
