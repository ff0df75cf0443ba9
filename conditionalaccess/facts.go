package conditionalaccess

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// The codes of values with few alternatives; facts hold them as masks, so that
// an unknown value is the mask of all.
const (
	clientBrowser = 1 << iota
	clientModern
	clientActiveSync
	clientOther
	allClients = 1<<iota - 1
	legacy     = clientActiveSync | clientOther
)

const (
	platformAndroid = 1 << iota
	platformIOS
	platformWindows
	platformWindowsPhone
	platformMacOS
	platformLinux
	platformOther // not recognised
	allPlatforms  = 1<<iota - 1
	// easPlatforms are those for which Exchange ActiveSync could report a device.
	easPlatforms = platformAndroid | platformIOS | platformWindows | platformMacOS
)

const (
	riskNone = 1 << iota
	riskLow
	riskMedium
	riskHigh
	riskHidden
	allRisks = 1<<iota - 1
)

const (
	insiderNone = 1 << iota
	insiderMinor
	insiderModerate
	insiderElevated
	allInsider = 1<<iota - 1
)

// The kinds of users by where they come from.
const (
	typeInternal = 1 << iota // a member of the tenant
	typeInternalGuest
	typeB2BGuest
	typeB2BMember
	typeDirectConnect
	typeOtherExternal
	typeServiceProvider
	allTypes      = 1<<iota - 1
	externalTypes = allTypes &^ (typeInternal | typeInternalGuest)
)

const (
	flowDeviceCode = 1 << iota
	flowTransfer
	allFlows = 1<<iota - 1
)

// The kinds of principals.
const (
	kindUser = 1 << iota
	kindServicePrincipal
	kindAgentIdentity
	kindAgentUser
	kindManaged
	kindUnknown = kindUser | kindServicePrincipal
)

var (
	clientCodes = words{
		{"browser", clientBrowser}, {"mobileAppsAndDesktopClients", clientModern},
		{"exchangeActiveSync", clientActiveSync}, {"other", clientOther},
	}
	platformCodes = words{
		{"android", platformAndroid}, {"iOS", platformIOS}, {"windows", platformWindows},
		{"windowsPhone", platformWindowsPhone}, {"macOS", platformMacOS}, {"linux", platformLinux},
	}
	riskCodes = words{
		{"none", riskNone}, {"low", riskLow}, {"medium", riskMedium}, {"high", riskHigh}, {"hidden", riskHidden},
	}
	insiderCodes = words{
		{"none", insiderNone}, {"minor", insiderMinor}, {"moderate", insiderModerate}, {"elevated", insiderElevated},
	}
	typeCodes = words{
		{"none", typeInternal}, {"internalGuest", typeInternalGuest}, {"b2bCollaborationGuest", typeB2BGuest},
		{"b2bCollaborationMember", typeB2BMember}, {"b2bDirectConnectUser", typeDirectConnect},
		{"otherExternalUser", typeOtherExternal}, {"serviceProvider", typeServiceProvider},
	}
	flowCodes = words{{"deviceCodeFlow", flowDeviceCode}, {"authenticationTransfer", flowTransfer}}
	kindCodes = words{
		{"user", kindUser}, {"servicePrincipal", kindServicePrincipal}, {"agentIdentity", kindAgentIdentity},
		{"agentUser", kindAgentUser}, {"managedIdentity", kindManaged},
	}
)

// fold looks a word up in a map with lower-case keys, without allocating.
func fold[V any](m map[string]V, s string) (V, bool) {
	v, ok := m[s]
	if ok {
		return v, true
	}
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			var buf [96]byte
			return foldSlow(m, s, &buf)
		}
	}
	return v, false
}

// anyCase adds the lower-case form of every key, so that the usual spelling is
// found at once.
func anyCase[V any](m map[string]V) map[string]V {
	for _, key := range slices.Collect(maps.Keys(m)) {
		m[strings.ToLower(key)] = m[key]
	}
	return m
}

func foldSlow[V any](m map[string]V, s string, buf *[96]byte) (V, bool) {
	if len(s) > len(buf) {
		v, ok := m[strings.ToLower(s)]
		return v, ok
	}
	for i := range len(s) {
		c := s[i]
		if c >= 0x80 {
			v, ok := m[strings.ToLower(s)]
			return v, ok
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	v, ok := m[string(buf[:len(s)])]
	return v, ok
}

// A target is what the token is for.
type target uint8

const (
	targetUnknown target = iota
	targetResource
	targetAction
	targetContext
)

// An id is a position among the ids that the policies name.
type id int32

const (
	idUnknown id = -2 // not given
	idOther   id = -1 // none that any policy names
)

// facts are a sign-in in the terms of a compiled set.
type facts struct {
	si *SignIn

	kinds int
	user  id
	types int
	// external says whether the grant controls take the user for an external one.
	external  bool
	tenant    id
	principal id
	multi     bool // a multi-tenant application

	groupsKnown, rolesKnown bool
	groups, roles           bitset

	target   target
	resource id
	known    suite // of the resource
	listed   bool  // the resource is in the table of suites
	scopes   scopeClass
	services []id // besides the resource, with service dependencies
	action   id   // of userActions
	context  id

	client, platform                                  int
	signInRisk, userRisk, insiderRisk, spRisk, agRisk int
	flows, flowsPossible                              int

	// locations holds those that contain the sign-in, locationsMaybe those for
	// which that is unknown.
	locations, locationsMaybe bitset
	locationsMissing          members // why

	satisfied satisfiedFacts
}

// scratch is what a Result keeps from one evaluation to the next.
type scratch struct {
	facts    facts
	certain  bitset
	possible bitset
	a, b     bitset
	groups   bitset
	roles    bitset
	places   bitset
	maybes   bitset
	services []id
	outcomes []outcome
	own      []string // names of unmet custom controls
}

// code gives the mask for an enumerated member: all if unknown, none's if null.
func code(m *Member[string], codes words, all, null int) int {
	switch m.State {
	case Null:
		return null
	case Given:
		if c, ok := codes.find(m.Value); ok {
			return c
		}
	}
	return all
}

// words are words with their codes. So few are faster compared than hashed.
type words []word

type word struct {
	text string
	code int
}

// find gives a word's code, whatever its case.
func (list words) find(s string) (int, bool) {
	for i := range list {
		if list[i].text == s {
			return list[i].code, true
		}
	}
	for i := range list {
		if strings.EqualFold(list[i].text, s) {
			return list[i].code, true
		}
	}
	return 0, false
}

// country gives the sign-in's country: "" if it maps to none.
func (c *Compiled) country(si *SignIn) (string, bool) {
	switch si.Country.State {
	case Given:
		return si.Country.Value, true
	case Null:
		return "", true
	}
	if !si.IPAddress.given() {
		return "", false
	}
	if private(si.IPAddress.Value) {
		return "", true // private addresses map to no country (§2.5)
	}
	if c.options.Country == nil {
		return "", false
	}
	country, ok := c.options.Country(si.IPAddress.Value)
	if !ok {
		country = ""
	}
	return country, true
}

func private(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified()
}
