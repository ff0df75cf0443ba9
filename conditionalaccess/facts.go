package conditionalaccess

import (
	"maps"
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
	// easPlatforms are those that easSupported takes in: all that are recognised.
	easPlatforms = allPlatforms &^ platformOther
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

// facts are a sign-in in the terms of a compiled set. Deciding by cases (see
// settle) assumes one after another what is not known.
type facts struct {
	si *SignIn

	kinds int
	user  id
	types int
	// external says whether the grant controls take the user for an external
	// one, direct for one of direct connect, and deviceCode whether they take
	// the flow for one that passes no device state. These follow from what was
	// given, and are not assumed.
	external, direct, deviceCode bool

	tenant    id
	principal id
	multi     bool // a multi-tenant application

	groups, groupsMaybe, roles, rolesMaybe bitset

	target                target
	mayBeAction, mayBeCtx bool // of an unknown target
	resource              id
	behind                bool // the services count instead of the resource
	scopes                scopeClass
	services              []id // besides the resource, with service dependencies
	action                id   // of userActions
	security              bool // the action is the registration of security information
	context               id
	guesses               [suiteGuesses]suite // of applications whose suites are uncertain

	client, platform                                  int
	signInRisk, userRisk, insiderRisk, spRisk, agRisk int
	flows, flowsPossible                              int

	addressed bool   // the address is known
	region    bitset // the locations that contain it
	// mapped says whether the country is known; country holds its locations.
	mapped, abroad bool // abroad: it was assumed to be some country
	country        bitset
	network        tri
	// locations holds those that contain the sign-in, locationsMaybe those for
	// which that is unknown.
	locations, locationsMaybe bitset

	device    *Member[Device]
	satisfied satisfiedFacts
}

// scratch is what a Result keeps from one evaluation to the next.
type scratch struct {
	set                                    *Compiled // the lengths fit
	facts                                  facts
	certain                                bitset
	possible                               bitset
	a, b                                   bitset
	groups, groupsMaybe, roles, rolesMaybe bitset
	places, maybes                         bitset
	placeYes, placeNo                      bitset // assumed
	services                               []id
	outcomes                               []outcome
	own                                    []string // names of unmet custom controls
	cases                                  cases
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
