package egress

import "net/netip"

// special are ranges that are no public hosts, by IANA's registries of
// special-purpose addresses, with how to call them. IPv6 outside 2000::/3 is
// special as a whole.
var special = ranges(map[string]string{
	"0.0.0.0/8":          "is the unspecified address or this network",
	"10.0.0.0/8":         "is a private address",
	"100.64.0.0/10":      "is an address of a provider's own network (CGNAT)",
	"127.0.0.0/8":        "is this machine",
	"169.254.0.0/16":     "is a link-local address",
	"172.16.0.0/12":      "is a private address",
	"192.0.0.0/24":       "is reserved for protocols",
	"192.0.2.0/24":       "is an address for documentation",
	"192.88.99.0/24":     "is a relay's address",
	"192.168.0.0/16":     "is a private address",
	"198.18.0.0/15":      "is an address for measurements",
	"198.51.100.0/24":    "is an address for documentation",
	"203.0.113.0/24":     "is an address for documentation",
	"224.0.0.0/4":        "is a multicast address",
	"240.0.0.0/4":        "is a reserved address",
	"::/128":             "is the unspecified address",
	"::1/128":            "is this machine",
	"fc00::/7":           "is a private address",
	"fe80::/10":          "is a link-local address",
	"fec0::/10":          "is a private address",
	"ff00::/8":           "is a multicast address",
	"64:ff9b:1::/48":     "leads through a translator (NAT64) into the own network",
	"2001::/32":          "leads through a tunnel (Teredo)",
	"2001::/23":          "is reserved for protocols",
	"2001:db8::/32":      "is an address for documentation",
	"3fff::/20":          "is an address for documentation",
	"2620:4f:8000::/48":  "is reserved for protocols",
	"168.63.129.16/32":   "is a metadata service",
	"169.254.169.254/32": "is a metadata service",
	"fd00:ec2::254/128":  "is a metadata service",
})

type named struct {
	prefix netip.Prefix
	why    string
}

func ranges(names map[string]string) []named {
	out := make([]named, 0, len(names))
	for text, why := range names {
		out = append(out, named{netip.MustParsePrefix(text), why})
	}
	return out
}

// metadataServices are where clouds hand credentials to the machines they run,
// inside ranges that somebody may have reason to allow. Azure's has a public
// address.
var metadataServices = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // AWS, Azure, Google and others
	netip.MustParseAddr("169.254.170.2"),   // AWS, containers
	netip.MustParseAddr("169.254.170.23"),  // AWS, Kubernetes
	netip.MustParseAddr("168.63.129.16"),   // Azure, the host
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("192.0.0.192"),     // Oracle
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd00:ec2::23"),    // AWS, Kubernetes
	netip.MustParseAddr("fd20:ce::254"),    // Google
}

func metadata(a netip.Addr) bool {
	for _, m := range metadataServices {
		if a == m {
			return true
		}
	}
	return false
}

var (
	publicIPv6 = netip.MustParsePrefix("2000::/3")
	sixToFour  = netip.MustParsePrefix("2002::/16")    // RFC 3056
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
)

// forbidden says why an address is not to be reached, "" if it may be.
func forbidden(a netip.Addr) string {
	if a.Zone() != "" {
		return "is an address of one network interface"
	}
	a = a.Unmap()
	if metadata(a) {
		return "is a metadata service"
	}
	if inner, ok := embedded(a); ok {
		if why := forbidden(inner); why != "" {
			return "leads to " + inner.String() + ", which " + why
		}
		if nat64.Contains(a) { // which is outside 2000::/3
			return ""
		}
	}
	longest, why := -1, ""
	for _, s := range special {
		if s.prefix.Contains(a) && s.prefix.Bits() > longest {
			longest, why = s.prefix.Bits(), s.why
		}
	}
	if why == "" && a.Is6() && !publicIPv6.Contains(a) {
		why = "is a reserved address"
	}
	return why
}

// embedded finds the IPv4 address to which an IPv6 address leads: 6to4, NAT64,
// and ISATAP's interface identifiers (RFC 5214 §6.1).
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return netip.Addr{}, false
	}
	b := a.As16()
	switch {
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case nat64.Contains(a), b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe:
		return netip.AddrFrom4([4]byte(b[12:16])), true
	}
	return netip.Addr{}, false
}
