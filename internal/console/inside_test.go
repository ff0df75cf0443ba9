package console

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzInside holds the guard of where a sign-in leads against how browsers read
// addresses: the host is always ours.
func FuzzInside(f *testing.F) {
	for _, next := range []string{"/", "/tenants?search=a#b", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "javascript:alert(1)", "/..//evil.example", "/%2f/evil.example", "\\\\evil.example", "/\n/evil.example", " //evil.example", "/./..//x"} {
		f.Add(next)
	}
	ours := &url.URL{Scheme: "https", Host: "gatehouse.example", Path: "/sign-in"}
	f.Fuzz(func(t *testing.T, next string) {
		to := inside(next)
		// Browsers drop line ends and tabs, and read \ as / (WHATWG URL, basic URL parser).
		read := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimLeft(to, "\x00 "))
		if !strings.HasPrefix(read, "/") || strings.HasPrefix(read, "//") {
			t.Fatalf("%q leads to %q", next, to)
		}
		u, err := ours.Parse(read)
		if err != nil || u.Host != ours.Host || u.Scheme != ours.Scheme {
			t.Fatalf("%q leads to %q: %v, %v", next, to, u, err)
		}
	})
}
