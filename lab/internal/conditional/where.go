package conditional

import (
	"net/netip"
	"strings"

	"gatehouse/lab/internal/directory"
)

// mfaTrustedIPs stands for the trusted addresses of the older MFA settings.
const mfaTrustedIPs = "00000000-0000-0000-0000-000000000000"

// where asks for the location. Source: "Conditional Access: Network assignment".
func (e *evaluation) where(conditions map[string]any) truth {
	locations, torn := block(conditions, "locations")
	if torn {
		return e.unreadable("locations")
	}
	include, exclude := e.list(locations, "includeLocations"), e.list(locations, "excludeLocations")
	strangeIn, strangeOut := e.strange(locations, "includeLocations", "excludeLocations")
	in := or(strangeIn, include.without(exclude).any(e.location))
	if include.empty() {
		in = yes
	}
	return and(in, not(or(strangeOut, exclude.any(e.location))))
}

func (e *evaluation) location(value string) truth {
	switch {
	case same(value, "All"):
		return yes
	case same(value, "AllTrusted"):
		return e.trustedAddress()
	case value == mfaTrustedIPs:
		if !e.w.TrustedIPs.Known {
			return e.whether("MFA trusted IPs")
		}
		return e.inTrustedIPs()
	}
	for _, l := range e.w.Locations {
		if same(l.ID, value) {
			return e.inLocation(l)
		}
	}
	return e.whether("namedLocation " + strings.ToLower(value))
}

// trustedAddress: the IP locations that are marked trusted, and the trusted
// addresses of the older settings, where these are known.
func (e *evaluation) trustedAddress() truth {
	out := no
	if e.w.TrustedIPs.Known {
		out = e.inTrustedIPs()
	}
	for _, l := range e.w.Locations {
		if locationKind(l.Members) != "ipNamedLocation" {
			continue // no other kind can be trusted
		}
		switch l.Members["isTrusted"] {
		case nil, false:
		case true:
			out = or(out, e.inLocation(l))
		default:
			out = or(out, and(e.unreadable("isTrusted"), e.inLocation(l)))
		}
	}
	return out
}

// address is the address that the request came from.
func (e *evaluation) address() (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSpace(e.s.IPAddress.Value))
	if err != nil {
		e.lack("ipAddress")
	}
	return addr, err == nil
}

// inTrustedIPs: these settings know IPv4 only.
func (e *evaluation) inTrustedIPs() truth {
	if len(e.w.TrustedIPs.Value) == 0 {
		return no
	}
	addr, known := e.address()
	if !known {
		return maybe
	}
	for _, prefix := range e.w.TrustedIPs.Value {
		if addr.Is4() && prefix.Contains(addr) {
			return yes
		}
	}
	return no
}

// locationKind is the type of a named location; where a file made by hand names
// none, its members tell.
func locationKind(l map[string]any) string {
	if kind := directory.LocationType(l); kind != "" {
		return kind
	}
	switch {
	case l["ipRanges"] != nil:
		return "ipNamedLocation"
	case l["countriesAndRegions"] != nil:
		return "countryNamedLocation"
	case l["compliantNetworkType"] != nil:
		return "compliantNetworkNamedLocation"
	}
	return ""
}

func (e *evaluation) inLocation(l *directory.Object) truth {
	switch locationKind(l.Members) {
	case "ipNamedLocation":
		return e.inRanges(l.Members)
	case "countryNamedLocation":
		return e.inCountries(l.Members)
	case "compliantNetworkNamedLocation":
		if !e.s.CompliantNetwork.Known {
			return e.lack("compliantNetwork")
		}
		return of(e.s.CompliantNetwork.Value)
	}
	return e.unreadable("namedLocation " + l.ID)
}

func (e *evaluation) inRanges(l map[string]any) truth {
	ranges, isList := l["ipRanges"].([]any)
	switch {
	case l["ipRanges"] != nil && !isList:
		return e.unreadable("ipRanges")
	case len(ranges) == 0:
		return no
	}
	addr, known := e.address()
	if !known {
		return maybe
	}
	out := no
	for _, r := range ranges {
		out = or(out, e.inRange(addr, r))
	}
	return out
}

// inRange holds an address against a CIDR range, or one from a lower to an upper
// address. Families are kept apart: an IPv4 address written as IPv6 is an IPv6
// address.
func (e *evaluation) inRange(addr netip.Addr, r any) truth {
	members, _ := r.(map[string]any)
	if cidr, isText := members["cidrAddress"].(string); isText {
		if prefix, err := netip.ParsePrefix(cidr); err == nil {
			return of(prefix.Contains(addr))
		}
		return e.unreadable("cidrAddress")
	}
	lower, _ := members["lowerAddress"].(string)
	upper, _ := members["upperAddress"].(string)
	from, fromErr := netip.ParseAddr(lower)
	to, toErr := netip.ParseAddr(upper)
	if fromErr != nil || toErr != nil || from.BitLen() != to.BitLen() {
		return e.unreadable("ipRanges")
	}
	return of(from.Compare(addr) <= 0 && addr.Compare(to) <= 0) // all IPv4 addresses sort before IPv6
}

// nowhere: private addresses map to no country.
func nowhere(addr netip.Addr) bool {
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()
}

// inCountries: private addresses map to no country.
func (e *evaluation) inCountries(l map[string]any) truth {
	country, known := e.s.Country.Value, e.s.Country.Known
	if addr, err := netip.ParseAddr(e.s.IPAddress.Value); !known && err == nil && l["countryLookupMethod"] != "authenticatorAppGps" {
		known = nowhere(addr)
	}
	if !known {
		return e.lack("country")
	}
	if country != "" {
		return e.list(l, "countriesAndRegions").has(country)
	}
	switch l["includeUnknownCountriesAndRegions"] {
	case true:
		return yes
	case nil, false:
		return no
	}
	return e.unreadable("includeUnknownCountriesAndRegions")
}
