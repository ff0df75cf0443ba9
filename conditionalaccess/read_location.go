package conditionalaccess

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// A Range is a range of addresses of one family, both ends included.
type Range struct {
	From, To netip.Addr
}

// location reads a named location. Its kind follows from the type or, where
// tools leave that out, from its members.
func (r *reader) location(n *node) {
	l := &NamedLocation{
		ID:          n.get("id").string(),
		DisplayName: n.get("displayName").string(),
		File:        r.current.Name,
		Line:        line(r.data, n.start),
		Trusted:     n.get("isTrusted").kind == 't',
		Raw:         bytes.Clone(r.data[n.start:n.end]),
	}
	d := decoder{wrong: func(at *node, reason string) {
		l.Unreadable = true
		pos := at.start
		if at == nothing {
			pos = n.start
		}
		r.set.fault(l.File, line(r.data, pos), reason)
	}}
	t := n.get("@odata.type").string()
	switch {
	case strings.HasSuffix(t, "compliantNetworkNamedLocation"), n.get("compliantNetworkType").kind == '"':
		l.Kind = CompliantNetworkLocation
	case strings.HasSuffix(t, "countryNamedLocation"),
		!strings.HasSuffix(t, "ipNamedLocation") && n.get("countriesAndRegions").kind == '[':
		l.Kind = CountryLocation
		l.Trusted = false // only IP locations can be trusted (§2.5)
		countries, _ := d.strings(n.get("countriesAndRegions"), "countriesAndRegions")
		for _, c := range countries {
			l.Countries = append(l.Countries, strings.ToUpper(c))
		}
		l.UnknownCountries = n.get("includeUnknownCountriesAndRegions").kind == 't'
	case strings.HasSuffix(t, "ipNamedLocation"), t == "", n.get("ipRanges").kind == '[':
		d.ranges(n.get("ipRanges"), l)
	default:
		d.wrong(n.get("@odata.type"), "a named location of the unknown type "+clip(t))
	}
	r.addLocation(l)
}

// addLocation adds a location, but not a second time the same one: some tools
// repeat it in every policy's file.
func (r *reader) addLocation(l *NamedLocation) {
	r.current.Locations++
	if key := strings.ToLower(l.ID); key != "" {
		if r.locationIDs[key] {
			return
		}
		if r.locationIDs == nil {
			r.locationIDs = map[string]bool{}
		}
		r.locationIDs[key] = true
	}
	if len(r.set.Locations) == maxLocations {
		r.set.fault(l.File, l.Line, fmt.Sprintf("more than %d named locations; a tenant has at most 195", maxLocations))
	}
	if len(r.set.Locations) < maxLocations {
		r.set.Locations = append(r.set.Locations, l)
	}
}

func (d *decoder) ranges(n *node, l *NamedLocation) {
	if n.kind != '[' {
		if !n.null() {
			d.wrong(n, "ipRanges is no list")
		}
		return
	}
	for i := range n.items {
		item := &n.items[i]
		text := item.string()
		if item.kind == '{' {
			text = item.get("cidrAddress").string()
		}
		var rg Range
		var err error
		if from := item.get("lowerAddress").string(); text == "" && from != "" {
			rg, err = parseEnds(from, item.get("upperAddress").string())
		} else {
			rg, err = parseCIDR(text)
		}
		if err != nil {
			d.wrong(item, fmt.Sprintf("the range %q of the location %q: %v", clip(text), clip(l.DisplayName), err))
			continue
		}
		l.Ranges = append(l.Ranges, rg)
	}
}

func parseEnds(from, to string) (Range, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(from))
	if err != nil {
		return Range{}, fmt.Errorf("the lower address %q is none", clip(from))
	}
	b, err := netip.ParseAddr(strings.TrimSpace(to))
	if err != nil {
		return Range{}, fmt.Errorf("the upper address %q is none", clip(to))
	}
	if a.Is4() != b.Is4() || b.Less(a) {
		return Range{}, fmt.Errorf("from %s to %s is no range", a, b)
	}
	return Range{a, b}, nil
}

// parseCIDR reads 192.0.2.0/24; bits beyond the mask do not matter, and a bare
// address stands for itself.
func parseCIDR(s string) (Range, error) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return Range{a, a}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return Range{}, fmt.Errorf("not an address with a mask, such as 192.0.2.0/24")
	}
	return rangeOf(p), nil
}

// rangeOf gives the first and last address of a prefix.
func rangeOf(p netip.Prefix) Range {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	to, _ := netip.AddrFromSlice(last)
	return Range{p.Addr(), to}
}
