package conditionalaccess

import (
	"cmp"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// trustedIPs is the id under which policies name the addresses of the per-user
// MFA settings (conditional-access-evaluation §2.5).
const trustedIPs = "00000000-0000-0000-0000-000000000000"

// The positions of the locations that exist without being named.
const (
	placeTrusted = iota // AllTrusted
	placeMFA            // the MFA trusted IPs
	placePrivate        // addresses that map to no country (§2.5)
	placeNamed          // the first named location
)

// places are the locations of a set.
type places struct {
	named      []*NamedLocation
	byID       map[string]id // also of locations that policies name and nobody supplied
	byName     map[string]id
	count      int
	unsupplied bitset
	mfa        bool     // the MFA trusted IPs are known
	v4         []uint32 // where an interval begins, in order
	in4        []bitset // the locations that contain it
	v6         []interval
	maybeIP    bitset // locations of which some range could not be read
	byIP       bitset // locations that some address belongs to, or may
	// countries gives the locations of a country.
	countries map[string]bitset
	letters   [26 * 26]bitset // the same by the letters of its code
	country   bitset          // country locations
	unmapped  bitset          // those with addresses that map to no country
	network   bitset          // compliant network locations
	// regions are the different sets of locations that addresses lie in,
	// nations those of countries.
	regions, nations []bitset
}

// privateRanges hold addresses that map to no country, also as IPv6 writes
// IPv4.
var privateRanges = func() []Range {
	var list []Range
	for _, s := range [...]string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/32",
		"fc00::/7", "::1/128", "fe80::/10", "::/128",
	} {
		p := netip.MustParsePrefix(s)
		list = append(list, rangeOf(p))
		if p.Addr().Is4() && p.Bits() < 32 {
			list = append(list, rangeOf(netip.PrefixFrom(netip.AddrFrom16(p.Addr().As16()), 96+p.Bits())))
		}
	}
	return list
}()

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
	unknown bool // says more than is known
}

func compilePlaces(locations []*NamedLocation, mfa []netip.Prefix, policies []*Policy) places {
	p := places{
		named: locations, mfa: mfa != nil,
		byID: map[string]id{}, byName: map[string]id{}, countries: map[string]bitset{},
	}
	p.number(policies)
	width := wordCount(p.count)
	for _, b := range []*bitset{&p.maybeIP, &p.byIP, &p.country, &p.unmapped, &p.network, &p.unsupplied} {
		*b = make(bitset, width)
	}
	for place := placeNamed + len(locations); place < p.count; place++ {
		p.unsupplied.add(place)
	}
	var all []owned
	for _, r := range privateRanges {
		all = append(all, owned{r, placePrivate})
	}
	for _, prefix := range mfa {
		if prefix.Addr().Is4() { // these settings know no others (§2.5)
			r := rangeOf(prefix)
			all = append(all, owned{r, placeTrusted}, owned{r, placeMFA})
		}
	}
	for i, l := range locations {
		place := placeNamed + i
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
	p.classify(slices.Concat([]interval{{in: make(bitset, width)}}, v4, p.v6))
	return p
}

// number gives the named locations their positions, and those that policies
// name although nobody supplied them.
func (p *places) number(policies []*Policy) {
	for i, l := range p.named {
		if _, twice := p.byID[strings.ToLower(l.ID)]; !twice && l.ID != "" {
			p.byID[strings.ToLower(l.ID)] = id(placeNamed + i)
		}
		if _, twice := p.byName[strings.ToLower(l.DisplayName)]; !twice && l.DisplayName != "" {
			p.byName[strings.ToLower(l.DisplayName)] = id(placeNamed + i)
		}
	}
	p.count = placeNamed + len(p.named)
	for _, policy := range policies {
		l := policy.Conditions.Locations
		if l == nil {
			continue
		}
		for _, name := range slices.Concat(l.Include, l.Exclude) {
			key := strings.ToLower(name)
			if _, ok := p.find(key); !ok && key != "all" {
				p.byID[key] = id(p.count)
				p.count++
			}
		}
	}
}

// find gives the location of a name in lower case, as policies have it: an id,
// or a name where a tool wrote names.
func (p *places) find(key string) (id, bool) {
	switch key {
	case "alltrusted":
		return placeTrusted, true
	case trustedIPs:
		return placeMFA, true
	}
	if place, ok := p.byID[key]; ok {
		return place, true
	}
	place, ok := p.byName[key]
	return place, ok
}

// classify collects what addresses and countries can be told apart.
func (p *places) classify(all []interval) {
	add := func(list []bitset, b bitset) []bitset {
		if slices.ContainsFunc(list, func(have bitset) bool { return slices.Equal(have, b) }) {
			return list
		}
		return append(list, b)
	}
	for _, i := range all {
		p.regions = add(p.regions, i.in)
	}
	p.nations = append(p.nations, make(bitset, len(p.country))) // no location's
	for _, key := range slices.Sorted(maps.Keys(p.countries)) {
		p.nations = add(p.nations, p.countries[key])
	}
}

// of gives the locations of a country; "" is none.
func (p *places) of(country string) bitset {
	if country == "" {
		return p.unmapped
	}
	if i, ok := letters(country); ok {
		return p.letters[i]
	}
	b, _ := fold(p.countries, country)
	return b
}

// letters numbers a code of two letters, whatever their case.
func letters(code string) (int, bool) {
	if len(code) != 2 {
		return 0, false
	}
	a, b := (code[0]|0x20)-'a', (code[1]|0x20)-'a'
	return int(a)*26 + int(b), a < 26 && b < 26
}

// private reports whether a region's addresses map to no country.
func (p *places) private(region bitset) bool { return region != nil && region.has(placePrivate) }

func (p *places) addCountries(place int, l *NamedLocation, width int) {
	p.country.add(place)
	for _, code := range l.Countries {
		key := strings.ToLower(code)
		if p.countries[key] == nil {
			p.countries[key] = make(bitset, width)
			if i, ok := letters(key); ok {
				p.letters[i] = p.countries[key]
			}
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

// list resolves the locations that a policy names.
func (p *places) list(names []string, unknown bool) placeList {
	l := placeList{unknown: unknown}
	for _, n := range names {
		if key := strings.ToLower(n); key == "all" {
			l.all = true
		} else if place, ok := p.find(key); ok {
			l.ids = append(l.ids, place)
		}
	}
	return l
}

// locate finds the locations of a sign-in: those that contain it and those that
// may.
func (c *Compiled) locate(f *facts, s *scratch) {
	p := &c.places
	in, perhaps := f.locations, f.locationsMaybe
	clear(in)
	if f.addressed {
		copy(in, f.region)
		copy(perhaps, p.maybeIP)
	} else {
		copy(perhaps, p.byIP)
	}
	if !p.mfa {
		perhaps.add(placeMFA)
	}
	country, mapped := f.country, f.mapped
	if !mapped && p.private(f.region) {
		country, mapped = p.unmapped, true
	}
	for w := range in {
		perhaps[w] |= p.unsupplied[w]
		if !mapped {
			perhaps[w] |= p.country[w]
		} else if country != nil {
			in[w] |= country[w] & p.country[w]
		}
		switch f.network {
		case yes:
			in[w] |= p.network[w]
		case maybe:
			perhaps[w] |= p.network[w]
		}
		in[w] |= s.placeYes[w]
		perhaps[w] &^= in[w] | s.placeNo[w]
	}
}

// missingFor says what would tell whether a sign-in is in a location.
func (c *Compiled) missingFor(place id, f *facts) members {
	p := &c.places
	switch {
	case p.country.has(int(place)):
		return mCountry.set()
	case p.network.has(int(place)):
		return mCompliantNetwork.set()
	case place == placeMFA && !p.mfa:
		return mTrustedIPs.set()
	case !f.addressed && !p.unsupplied.has(int(place)):
		return mIPAddress.set()
	}
	return mNamedLocations.set()
}
