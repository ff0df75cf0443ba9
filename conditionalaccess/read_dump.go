package conditionalaccess

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The older directory API (Azure AD Graph), which dumps of whole directories
// still come from, keeps a policy as JSON inside a string and calls everything
// by other names. This file turns that into the form of today.

// isDump recognises an object of the older directory: with its detail in
// strings, or the detail itself.
func isDump(n *node) bool {
	if n.get("policyDetail").kind == '[' {
		return true
	}
	c := n.get("conditions")
	return c.kind == '{' && (!c.get("users").get("Include").null() || !c.get("applications").get("Include").null())
}

// The kinds of policy objects of the older directory.
const (
	dumpLocation = "6"
	dumpPolicy   = "18"
)

func (r *reader) dump(n *node) bool {
	details := n.get("policyDetail")
	if details.kind != '[' {
		r.dumpedPolicy(n, n, n.start)
		return true
	}
	kind := n.get("policyType").text
	if kind != dumpLocation && kind != dumpPolicy {
		r.ignore("a directory policy of another kind")
		return false
	}
	found := false
	for i := range details.items {
		s := scanner{data: []byte(details.items[i].string())}
		detail, err := s.node()
		if err != nil || detail.kind != '{' {
			r.set.fault(r.current.Name, line(r.data, details.items[i].start), "policyDetail is not JSON")
			continue
		}
		if kind == dumpPolicy {
			r.dumpedPolicy(n, &detail, details.items[i].start)
		} else {
			r.dumpedLocation(n, &detail)
		}
		found = true
	}
	return found
}

// dumpClients maps client types.
var dumpClients = map[string]string{
	"all": "all", "browser": "browser", "native": "mobileAppsAndDesktopClients", "modern": "mobileAppsAndDesktopClients",
	"easunsupported": "exchangeActiveSync", "eassupported": "exchangeActiveSync", "otherlegacy": "other",
	"legacysmtp": "other", "legacypop": "other", "legacyimap": "other", "legacymapi": "other", "legacyoffice": "other",
}

// dumpControls maps controls.
var dumpControls = map[string]string{
	"block": "block", "mfa": "mfa", "requirecompliantdevice": "compliantDevice",
	"requiredomainjoineddevice": "domainJoinedDevice", "requireapprovedapp": "approvedApplication",
	"requirecompliantapp": "compliantApplication", "requirepasswordchange": "passwordChange",
	"passwordchange": "passwordChange", "requireriskremediation": "riskRemediation",
}

func (r *reader) dumpedPolicy(outer, detail *node, pos int) {
	p := &Policy{
		ID:          outer.get("policyIdentifier").string(),
		DisplayName: outer.get("displayName").string(),
		File:        r.current.Name,
		Line:        line(r.data, pos),
		Raw:         bytes.Clone(r.data[outer.start:outer.end]),
	}
	if p.ID == "" {
		p.ID = outer.get("objectId").string()
	}
	switch state := detail.get("State").string(); {
	case strings.EqualFold(state, "Reporting"):
		p.State = ReportOnly
	default:
		p.State = parseState(state)
	}
	d := &dumpDecoder{decoder{wrong: func(_ *node, reason string) {
		r.set.fault(p.File, p.Line, reason)
	}}}
	d.conditions(detail.get("Conditions"), &p.Conditions)
	p.Grant = d.controls(detail.get("Controls"))
	names, _ := d.strings(detail.get("SessionControls"), "SessionControls")
	for _, name := range names {
		p.Session = append(p.Session, SessionControl{Name: strings.ToLower(name[:1]) + name[1:]})
	}
	r.set.Policies = append(r.set.Policies, p)
	r.current.Policies++
}

type dumpDecoder struct{ decoder }

// criteria reads {"Include":[{"Users":[…]},{"Groups":[…]}],"Exclude":[…]} and
// gives each kind of criterion with its values.
func (d *dumpDecoder) criteria(n *node, use func(kind string, value *node, exclude bool)) {
	for _, side := range [...]string{"Include", "Exclude"} {
		list := n.get(side)
		for i := range list.items {
			for j, kind := range list.items[i].names {
				use(strings.ToLower(kind), &list.items[i].items[j], side == "Exclude")
			}
		}
	}
}

// both reads criteria of one kind into a choice.
func (d *dumpDecoder) both(n *node, kind string) *Choice {
	if n.empty() {
		return nil
	}
	var c Choice
	d.criteria(n, func(have string, value *node, exclude bool) {
		d.into(&c, have == strings.ToLower(kind), value, exclude)
	})
	return &c
}

func (d *dumpDecoder) into(c *Choice, known bool, value *node, exclude bool) {
	list, ok := d.strings(value, "policyDetail")
	switch {
	case exclude:
		c.Exclude = append(c.Exclude, list...)
		c.UnknownExclude = c.UnknownExclude || !ok || !known
	default:
		c.Include = append(c.Include, list...)
		c.UnknownInclude = c.UnknownInclude || !ok || !known
	}
}

func (d *dumpDecoder) conditions(n *node, c *Conditions) {
	c.Users = d.users(n.get("Users"))
	c.Applications = d.applications(n.get("Applications"))
	d.servicePrincipals(n.get("ServicePrincipals"), c)
	c.Platforms = d.both(n.get("DevicePlatforms"), "DevicePlatforms")
	c.Locations = d.both(n.get("Locations"), "Locations")
	d.devices(n.get("Devices"), c)
	d.criteria(n.get("ClientTypes"), func(_ string, value *node, _ bool) {
		list, _ := d.strings(value, "ClientTypes")
		for _, t := range list {
			name, ok := dumpClients[strings.ToLower(t)]
			if !ok {
				name = t
			}
			c.ClientAppTypes = append(c.ClientAppTypes, name)
		}
	})
	for _, risk := range []struct {
		name string
		to   *[]string
	}{
		{"SignInRisks", &c.SignInRiskLevels},
		{"UserRisks", &c.UserRiskLevels},
		{"ServicePrincipalRisks", &c.ServicePrincipalRiskLevels},
		{"InsiderRisks", &c.InsiderRiskLevels},
		{"AuthFlows", &c.TransferMethods},
	} {
		if levels := d.both(n.get(risk.name), risk.name); levels != nil {
			*risk.to = levels.Include
		}
	}
	n.rest([]string{
		"Users", "Applications", "ServicePrincipals", "DevicePlatforms", "Locations", "Devices", "ClientTypes",
		"SignInRisks", "UserRisks", "ServicePrincipalRisks", "InsiderRisks", "AuthFlows",
	}, func(name string, _ *node) { c.Unknown = append(c.Unknown, "Conditions."+name) })
}

func (d *dumpDecoder) users(n *node) *Users {
	if n.empty() {
		return nil
	}
	u := &Users{}
	d.criteria(n, func(kind string, value *node, exclude bool) {
		switch kind {
		case "users":
			d.into(&u.Users, true, value, exclude)
		case "groups":
			d.into(&u.Groups, true, value, exclude)
		case "roles":
			d.into(&u.Roles, true, value, exclude)
		case "guestsorexternalusers":
			g := d.guests(value, "GuestsOrExternalUsers")
			if exclude {
				u.ExcludeGuests = g
			} else {
				u.IncludeGuests = g
			}
		default:
			u.UnknownInclude = u.UnknownInclude || !exclude
			u.UnknownExclude = u.UnknownExclude || exclude
		}
	})
	for _, list := range [][]string{u.Users.Include, u.Users.Exclude} {
		for i, s := range list {
			if strings.EqualFold(s, "Guests") {
				list[i] = "GuestsOrExternalUsers"
			}
		}
	}
	return u
}

func (d *dumpDecoder) applications(n *node) *Applications {
	if n.empty() {
		return nil
	}
	a := &Applications{}
	d.criteria(n, func(kind string, value *node, exclude bool) {
		switch {
		case kind == "applications":
			d.into(&a.Choice, true, value, exclude)
		case kind == "acrs" && !exclude:
			list, _ := d.strings(value, "Acrs")
			for _, s := range list {
				if strings.HasPrefix(strings.ToLower(s), "urn:") {
					a.UserActions = append(a.UserActions, s)
				} else {
					a.AuthenticationContexts = append(a.AuthenticationContexts, s)
				}
			}
		case kind == "networkaccess":
			a.Traffic = true
		default:
			a.UnknownInclude = a.UnknownInclude || !exclude
			a.UnknownExclude = a.UnknownExclude || exclude
		}
	})
	return a
}

func (d *dumpDecoder) servicePrincipals(n *node, c *Conditions) {
	if n.empty() {
		return
	}
	c.ClientApplications = &ClientApplications{}
	d.criteria(n, func(kind string, value *node, exclude bool) {
		if kind != "serviceprincipals" {
			value = nothing
		}
		d.into(&c.ClientApplications.ServicePrincipals, kind == "serviceprincipals", value, exclude)
	})
	for i, s := range c.ClientApplications.ServicePrincipals.Include {
		if strings.EqualFold(s, "All") {
			c.ClientApplications.ServicePrincipals.Include[i] = "ServicePrincipalsInMyTenant"
		}
	}
}

func (d *dumpDecoder) devices(n *node, c *Conditions) {
	var states Choice
	d.criteria(n, func(kind string, value *node, exclude bool) {
		switch {
		case kind == "devicestates":
			d.into(&states, true, value, exclude)
		case kind == "devicerule" && strings.EqualFold(value.string(), "All"):
		case kind == "devicerule" && value.string() != "":
			c.DeviceFilter = &Filter{Exclude: exclude, Rule: value.text}
			var err error
			if c.DeviceFilter.expression, err = parseFilter(value.text); err != nil {
				d.wrong(value, fmt.Sprintf("DeviceRule: %v", err))
			}
		default:
			c.Unknown = append(c.Unknown, "Conditions.Devices")
		}
	})
	if len(states.Include)+len(states.Exclude) > 0 {
		c.DeviceStates = &states
	}
}

// controls reads a list whose elements must all be met; within an element one
// is enough.
func (d *dumpDecoder) controls(n *node) *GrantControls {
	g := &GrantControls{All: len(n.items) > 1}
	for i := range n.items {
		item := &n.items[i]
		names, _ := d.strings(item.get("Control"), "Control")
		strengths, _ := d.strings(item.get("AuthStrengthIds"), "AuthStrengthIds")
		for _, name := range names {
			if known, ok := dumpControls[strings.ToLower(name)]; ok {
				g.BuiltIn = append(g.BuiltIn, known)
			} else {
				g.Unknown = append(g.Unknown, name)
			}
		}
		for _, id := range strengths {
			if g.Strength != nil {
				g.Unknown = append(g.Unknown, "AuthStrengthIds")
			}
			g.Strength = &AuthenticationStrength{ID: id}
		}
		item.rest([]string{"Control", "AuthStrengthIds"}, func(name string, _ *node) { g.Unknown = append(g.Unknown, name) })
		if g.All && len(names)+len(strengths) > 1 {
			g.Unknown = append(g.Unknown, "Controls") // alternatives among which all: no form for that today
		}
	}
	if g.controls() == 0 {
		return nil
	}
	return g
}

func (r *reader) dumpedLocation(outer, detail *node) {
	if old := detail.get("KnownNetworkPolicies"); old.kind == '{' {
		detail = old
	}
	l := &NamedLocation{
		ID:          detail.get("NetworkId").string(),
		DisplayName: detail.get("NetworkName").string(),
		File:        r.current.Name,
		Line:        line(r.data, outer.start),
		Raw:         bytes.Clone(r.data[outer.start:outer.end]),
	}
	if l.ID == "" {
		l.ID = outer.get("policyIdentifier").string()
	}
	if l.DisplayName == "" {
		l.DisplayName = outer.get("displayName").string()
	}
	wrong := func(_ *node, reason string) {
		l.Unreadable = true
		r.set.fault(l.File, l.Line, reason)
	}
	d := decoder{wrong: wrong}
	countries, _ := d.strings(detail.get("CountryIsoCodes"), "CountryIsoCodes")
	ranges, _ := d.strings(detail.get("CidrIpRanges"), "CidrIpRanges")
	categories, _ := d.strings(detail.get("Categories"), "Categories")
	if packed := detail.get("CompressedCidrIpRanges").string(); packed != "" {
		more, err := unpack(packed)
		if err != nil {
			wrong(nil, "CompressedCidrIpRanges: "+err.Error())
		}
		ranges = append(ranges, more...)
	}
	if len(countries) > 0 {
		l.Kind = CountryLocation
		for _, c := range countries {
			l.Countries = append(l.Countries, strings.ToUpper(c))
		}
		l.UnknownCountries = detail.get("ApplyToUnknownCountry").kind == 't'
	} else {
		l.Trusted = containsFold(categories, "trusted")
	}
	for _, text := range ranges {
		rg, err := parseCIDR(text)
		if err != nil {
			wrong(nil, fmt.Sprintf("the range %q of the location %q: %v", clip(text), clip(l.DisplayName), err))
			continue
		}
		l.Ranges = append(l.Ranges, rg)
	}
	r.addLocation(l)
}

// maxUnpacked bounds a packed list of ranges: 2000 ranges of at most 43 bytes
// are 90 kB.
const maxUnpacked = 1 << 20

// unpack reads base64 of a deflated list.
func unpack(packed string) ([]string, error) {
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		return nil, errors.New("not base64")
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), maxUnpacked+1))
	if err != nil || len(text) > maxUnpacked {
		return nil, errors.New("not a packed list of ranges")
	}
	return strings.Split(string(text), ","), nil
}
