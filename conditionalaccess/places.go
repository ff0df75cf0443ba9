package conditionalaccess

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// trustedIPs is the id under which policies name the addresses of the per-user
// MFA settings (conditional-access-evaluation §2.5).
const trustedIPs = "00000000-0000-0000-0000-000000000000"

// The positions of the two locations that exist without being named.
const (
	placeTrusted = iota // AllTrusted
	placeMFA            // the MFA trusted IPs
	placeNamed          // the first named location
)

// places are the locations of a set.
type places struct {
	named   []*NamedLocation
	byID    map[string]id
	byName  map[string]id
	count   int
	mfa     bool     // the MFA trusted IPs are known
	v4      []uint32 // where an interval begins, in order
	in4     []bitset // the locations that contain it
	v6      []interval
	maybeIP bitset // locations of which some range could not be read
	byIP    bitset // locations that some address belongs to, or may
	// countries gives the locations of a country.
	countries map[string]bitset
	country   bitset // country locations
	unmapped  bitset // those with addresses that map to no country
	network   bitset // compliant network locations
}

// An interval begins at an address and reaches to the next one's; in holds the
// locations that contain it.
type interval struct {
	from netip.Addr
	in   bitset
}

// placeList is one side of a location condition.
type placeList struct {
	all     bool
	ids     []id
	unknown bool // names locations that were not supplied, or says more than is known
	missing members
}

func compilePlaces(locations []*NamedLocation, mfa []netip.Prefix) places {
	p := places{
		named: locations, count: placeNamed + len(locations), mfa: mfa != nil,
		byID: map[string]id{}, byName: map[string]id{}, countries: map[string]bitset{},
	}
	width := wordCount(p.count)
	for _, b := range []*bitset{&p.maybeIP, &p.byIP, &p.country, &p.unmapped, &p.network} {
		*b = make(bitset, width)
	}
	var all []owned
	for _, prefix := range mfa {
		r := rangeOf(prefix)
		all = append(all, owned{r, placeTrusted}, owned{r, placeMFA})
	}
	for i, l := range locations {
		place := placeNamed + i
		if _, twice := p.byID[strings.ToLower(l.ID)]; !twice && l.ID != "" {
			p.byID[strings.ToLower(l.ID)] = id(place)
		}
		if _, twice := p.byName[strings.ToLower(l.DisplayName)]; !twice && l.DisplayName != "" {
			p.byName[strings.ToLower(l.DisplayName)] = id(place)
		}
		switch l.Kind {
		case CompliantNetworkLocation:
			p.network.add(place)
		case CountryLocation:
			p.addCountries(place, l, width)
		default:
			for _, r := range l.Ranges {
				all = append(all, owned{r, place})
				if l.Trusted {
					all = append(all, owned{r, placeTrusted})
				}
			}
			if l.Unreadable {
				p.maybeIP.add(place)
				p.byIP.add(place)
				if l.Trusted {
					p.maybeIP.add(placeTrusted)
					p.byIP.add(placeTrusted)
				}
			}
		}
	}
	for _, o := range all {
		p.byIP.add(o.place)
	}
	var v4 []interval
	v4, p.v6 = intervals(all, width)
	for _, i := range v4 {
		p.v4 = append(p.v4, number(i.from))
		p.in4 = append(p.in4, i.in)
	}
	return p
}

func (p *places) addCountries(place int, l *NamedLocation, width int) {
	p.country.add(place)
	for _, code := range l.Countries {
		key := strings.ToLower(code)
		if p.countries[key] == nil {
			p.countries[key] = make(bitset, width)
			p.countries[strings.ToUpper(code)] = p.countries[key]
		}
		p.countries[key].add(place)
	}
	if l.UnknownCountries {
		p.unmapped.add(place)
	}
}

// owned is a range with its location.
type owned struct {
	Range
	place int
}

// intervals cuts the address space at the ends of all ranges. Neighbours with
// the same locations share one bitset.
func intervals(all []owned, width int) (v4, v6 []interval) {
	type edge struct {
		at    netip.Addr
		place int
		step  int
	}
	var edges []edge
	for _, o := range all {
		edges = append(edges, edge{o.From, o.place, 1})
		if next := o.To.Next(); next.IsValid() {
			edges = append(edges, edge{next, o.place, -1})
		}
	}
	// IPv4 sorts before IPv6.
	slices.SortFunc(edges, func(a, b edge) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.place, b.place))
	})
	depth := map[int]int{}
	shared := map[string]bitset{}
	current := make(bitset, width)
	key := make([]byte, 0, width*8)
	was4 := true
	for i := 0; i < len(edges); {
		at := edges[i].at
		if was4 && !at.Is4() { // ranges up to the last IPv4 address have no end
			was4 = false
			clear(depth)
			clear(current)
		}
		for ; i < len(edges) && edges[i].at == at; i++ {
			e := edges[i]
			depth[e.place] += e.step
			if depth[e.place] > 0 {
				current.add(e.place)
			} else {
				current.remove(e.place)
			}
		}
		key = key[:0]
		for _, w := range current {
			for shift := 0; shift < 64; shift += 8 {
				key = append(key, byte(w>>shift))
			}
		}
		in, ok := shared[string(key)]
		if !ok {
			in = slices.Clone(current)
			shared[string(key)] = in
		}
		if at.Is4() {
			v4 = append(v4, interval{at, in})
		} else {
			v6 = append(v6, interval{at, in})
		}
	}
	return v4, v6
}

// number gives an IPv4 address as a number.
func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// containing gives the locations that contain an address, or nil. IPv4 inside
// IPv6 is IPv6 (§2.5: compared by family).
func (p *places) containing(a netip.Addr) bitset {
	if a.Is4() {
		n := number(a)
		lo, hi := 0, len(p.v4)
		for lo < hi {
			if mid := int(uint(lo+hi) / 2); n < p.v4[mid] {
				hi = mid
			} else {
				lo = mid + 1
			}
		}
		if lo == 0 {
			return nil
		}
		return p.in4[lo-1]
	}
	i := sort.Search(len(p.v6), func(i int) bool { return a.Less(p.v6[i].from) })
	if i == 0 {
		return nil
	}
	return p.v6[i-1].in
}

// list resolves the locations that a policy names: by id, or by name where a
// tool wrote names.
func (p *places) list(names []string, unknown bool) placeList {
	l := placeList{unknown: unknown}
	if unknown {
		l.missing = mPolicy.set()
	}
	for _, n := range names {
		key := strings.ToLower(n)
		place, ok := p.byID[key]
		if !ok {
			place, ok = p.byName[key]
		}
		switch {
		case key == "all":
			l.all = true
		case key == "alltrusted":
			l.ids = append(l.ids, placeTrusted)
		case key == trustedIPs:
			l.ids = append(l.ids, placeMFA)
		case ok:
			l.ids = append(l.ids, place)
		default:
			l.unknown = true
			l.missing |= mNamedLocations.set()
		}
	}
	return l
}

// locate finds the locations of a sign-in: those that contain it, those that
// may, and what is missing for the latter.
func (c *Compiled) locate(si *SignIn, in, perhaps bitset) members {
	p := &c.places
	clear(in)
	clear(perhaps)
	var missing members
	if si.IPAddress.given() {
		copy(in, p.containing(si.IPAddress.Value))
		for w := range perhaps {
			perhaps[w] = p.maybeIP[w] &^ in[w]
		}
	} else {
		missing |= mIPAddress.set()
		copy(perhaps, p.byIP)
	}
	if !p.mfa && !in.has(placeMFA) {
		perhaps.add(placeMFA)
	}
	country, known := c.country(si)
	belongs := p.unmapped
	if known && country != "" {
		belongs, _ = fold(p.countries, country)
	}
	for w := range in {
		if known {
			if belongs != nil {
				in[w] |= belongs[w] & p.country[w]
			}
		} else {
			perhaps[w] |= p.country[w]
		}
		if si.CompliantNetwork.given() {
			if si.CompliantNetwork.Value {
				in[w] |= p.network[w]
			}
		} else {
			perhaps[w] |= p.network[w]
		}
	}
	return missing
}

// missingFor says what would tell whether a sign-in is in a location.
func (c *Compiled) missingFor(place id, ipMissing members) members {
	p := &c.places
	switch {
	case p.country.has(int(place)):
		return mCountry.set()
	case p.network.has(int(place)):
		return mCompliantNetwork.set()
	case place == placeMFA && !p.mfa:
		return mTrustedIPs.set()
	case ipMissing != 0:
		return ipMissing
	}
	return mNamedLocations.set()
}
