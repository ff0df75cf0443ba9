// Package page has what the pages of the lab's servers share.
package page

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate

// URL makes an address, which may come from anybody, fit for href and action:
// only relative ones and those of the web pass, as a browser would run others
// (javascript:). What belongs in no address is encoded, so that it means the
// same to all who read it: a browser takes "\" for "/", for example.
func URL(address string) templ.SafeURL {
	scheme, _, ok := strings.Cut(address, ":")
	if ok && !strings.Contains(scheme, "/") && !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return templ.FailedSanitizationURL
	}
	var b strings.Builder
	for i := range len(address) {
		c := address[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&*+,/:;=?@[]-._~", c) >= 0,
			c == '%' && i+2 < len(address) && isHex(address[i+1]) && isHex(address[i+2]):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return templ.SafeURL(b.String())
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// names are sorted, so that a page is the same each time.
func names(values url.Values) []string { return slices.Sorted(maps.Keys(values)) }
