package directory

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Bounds of what a policy or location may hold. 2000 ranges and 195 locations
// are the documented limits ("Network assignment"); the others are the lab's.
const (
	MaxLocations = 195
	MaxPolicies  = 240
	// MaxAgreements is how many terms of use a tenant may have (documented).
	MaxAgreements = 40
	maxRanges     = 2000
	maxListed     = 5000
	maxName       = 256
	maxNesting    = 12
)

// enumerations are the values that Graph's metadata allows, by member.
var enumerations = map[string][]string{
	"state":                      {"enabled", "disabled", "enabledForReportingButNotEnforced"},
	"clientAppTypes":             {"all", "browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "easSupported", "other"},
	"userRiskLevels":             {"low", "medium", "high", "hidden", "none"},
	"signInRiskLevels":           {"low", "medium", "high", "hidden", "none"},
	"servicePrincipalRiskLevels": {"low", "medium", "high", "hidden", "none"},
	"agentIdRiskLevels":          {"low", "medium", "high"},
	"insiderRiskLevels":          {"minor", "moderate", "elevated"},
	"includePlatforms":           {"android", "iOS", "windows", "windowsPhone", "macOS", "linux", "all"},
	"includeUserActions":         {"urn:user:registersecurityinfo", "urn:user:registerdevice"},
	"transferMethods":            {"none", "deviceCodeFlow", "authenticationTransfer"},
	"guestOrExternalUserTypes":   {"none", "internalGuest", "b2bCollaborationGuest", "b2bCollaborationMember", "b2bDirectConnectUser", "otherExternalUser", "serviceProvider"},
	"mode":                       {"include", "exclude"},
	"operator":                   {"AND", "OR"},
	"builtInControls":            {"block", "mfa", "compliantDevice", "domainJoinedDevice", "approvedApplication", "compliantApplication", "passwordChange", "riskRemediation"},
	"type":                       {"days", "hours"},
	"frequencyInterval":          {"timeBased", "everyTime"},
	"authenticationType":         {"primaryAndSecondaryAuthentication", "secondaryAuthentication"},
	"persistentBrowser":          {"always", "never"},
	"cloudAppSecurityType":       {"mcasConfigured", "monitorOnly", "blockDownloads"},
}

// known tells whether what a policy refers to exists. Kinds: "location",
// "strength", "name" (a user, group or app that a tenants file calls by name).
type known func(kind, id string) bool

// CheckPolicy holds a Conditional Access policy in Graph's JSON against the
// documented rules. Paths of faults count from the policy. exists, where not
// nil, is asked for the named locations ("location") and strengths ("strength")
// that it refers to.
func CheckPolicy(policy map[string]any, exists func(kind, id string) bool) Faults {
	c := &checker{exists: exists}
	c.policy(policy)
	return c.faults
}

// CheckLocation holds a named location in Graph's JSON against the documented
// rules.
func CheckLocation(location map[string]any) Faults {
	c := &checker{}
	c.location(location)
	return c.faults
}

type checker struct {
	faults Faults
	exists known
	names  bool // names may stand where Graph wants ids
}

//go:noinline
func (c *checker) fault(path, format string, args ...any) {
	if len(c.faults) < 50 {
		c.faults = append(c.faults, Fault{path, fmt.Sprintf(format, args...)})
	}
}

// block reads an object; nil and absent are alike.
func (c *checker) block(from map[string]any, path, name string) map[string]any {
	value, given := from[name]
	if !given || value == nil {
		return nil
	}
	block, isObject := value.(map[string]any)
	if !isObject {
		c.fault(join(path, name), "is %s, must be an object", kindOf(value))
	}
	return block
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list reads a list of strings.
func (c *checker) list(from map[string]any, path, name string) []string {
	value, given := from[name]
	if !given || value == nil {
		return nil
	}
	items, isList := value.([]any)
	if !isList {
		c.fault(join(path, name), "is %s, must be a list", kindOf(value))
		return nil
	}
	if len(items) > maxListed {
		c.fault(join(path, name), "has %d entries, %d are the most", len(items), maxListed)
		return nil
	}
	var out []string
	for i, item := range items {
		s, isText := item.(string)
		if !isText || s == "" {
			c.fault(fmt.Sprintf("%s[%d]", join(path, name), i), "is %s, must be a string that is not empty", kindOf(item))
			continue
		}
		out = append(out, s)
	}
	return out
}

// ids reads a list of GUIDs, keywords or, in a tenants file, names.
func (c *checker) ids(from map[string]any, path, name, kind string, keywords ...string) []string {
	list := c.list(from, path, name)
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", join(path, name), i)
		switch {
		case slices.ContainsFunc(keywords, func(k string) bool { return strings.EqualFold(k, s) }):
		case guidPattern.MatchString(strings.ToLower(s)):
			if kind == "location" && c.exists != nil && !c.exists(kind, strings.ToLower(s)) {
				c.fault(at, "is %q, which is no named location of the tenant", clip(s))
			}
		case c.names && c.exists(kind, strings.ToLower(s)):
		case c.names:
			c.fault(at, "is %q, which is neither an id nor a name of this tenant%s", clip(s), orKeyword(keywords))
		default:
			c.fault(at, "is %q, must be an id%s", clip(s), orKeyword(keywords))
		}
	}
	return list
}

func orKeyword(keywords []string) string {
	if len(keywords) == 0 {
		return ""
	}
	return " or one of " + strings.Join(keywords, ", ")
}

// choices reads a list whose values an enumeration has.
func (c *checker) choices(from map[string]any, path, name, enumeration string) []string {
	list := c.list(from, path, name)
	for i, s := range list {
		if !slices.Contains(enumerations[enumeration], s) {
			c.fault(fmt.Sprintf("%s[%d]", join(path, name), i), "is %q, must be one of %s", clip(s), strings.Join(enumerations[enumeration], ", "))
		}
	}
	return list
}

// choice reads a string that an enumeration has; "" if it is null or absent.
func (c *checker) choice(from map[string]any, path, name, enumeration string) string {
	value, given := from[name]
	if !given || value == nil {
		return ""
	}
	s, _ := value.(string)
	if !slices.Contains(enumerations[enumeration], s) {
		c.fault(join(path, name), "must be one of %s", strings.Join(enumerations[enumeration], ", "))
	}
	return s
}

// Flags takes a flag string apart: values joined by commas, with blanks or
// without. Files made by hand hold lists instead.
func Flags(value any) []string {
	var out []string
	switch v := value.(type) {
	case string:
		for s := range strings.SplitSeq(v, ",") {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
	case []any:
		for _, item := range v {
			s, _ := item.(string)
			out = append(out, s)
		}
	}
	return out
}

func (c *checker) flags(from map[string]any, path, name string) []string {
	value, given := from[name]
	if !given || value == nil {
		return nil
	}
	list := Flags(value)
	for _, s := range list {
		if !slices.Contains(enumerations[name], s) {
			c.fault(join(path, name), "names %q, must be one or more of %s, joined by commas", clip(s), strings.Join(enumerations[name], ", "))
		}
	}
	if len(list) == 0 {
		c.fault(join(path, name), "is empty or no string")
	}
	return list
}

// name checks displayName.
func (c *checker) name(from map[string]any) {
	s, isText := from["displayName"].(string)
	switch {
	case !isText || strings.TrimSpace(s) == "":
		c.fault("displayName", "is missing or no string")
	case len(s) > maxName:
		c.fault("displayName", "has %d characters, %d are the most", len(s), maxName)
	}
}

func (c *checker) policy(p map[string]any) {
	c.name(p)
	if c.choice(p, "", "state", "state") == "" && p["state"] == nil {
		c.fault("state", "is missing: one of %s", strings.Join(enumerations["state"], ", "))
	}
	if nesting(p) > maxNesting {
		c.fault("", "is nested too deeply")
		return
	}
	conditions := c.block(p, "", "conditions")
	if conditions == nil {
		c.fault("conditions", "is missing")
		return
	}
	c.conditions(conditions)
	c.grant(p, conditions)
	c.session(p)
	if c.block(p, "", "grantControls") == nil && empty(c.block(p, "", "sessionControls")) {
		c.fault("grantControls", "is missing: a policy needs a grant or a session control")
	}
}

func empty(block map[string]any) bool {
	for _, v := range block {
		if v != nil && v != false {
			return false
		}
	}
	return true
}

func nesting(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			deepest = max(deepest, nesting(inner))
		}
	case []any:
		for _, inner := range v {
			deepest = max(deepest, nesting(inner))
		}
	default:
		return 0
	}
	return deepest + 1
}

func (c *checker) conditions(from map[string]any) {
	const path = "conditions"
	const apps, users, clients = path + ".applications", path + ".users", path + ".clientApplications"
	if block := c.block(from, path, "applications"); block == nil {
		c.fault(apps, "is missing: a policy needs a rule on applications")
	} else {
		included := len(c.ids(block, apps, "includeApplications", "app", "All", "None", "Office365", "MicrosoftAdminPortals")) +
			len(c.choices(block, apps, "includeUserActions", "includeUserActions")) + len(c.list(block, apps, "includeAuthenticationContextClassReferences"))
		c.ids(block, apps, "excludeApplications", "app", "Office365", "MicrosoftAdminPortals")
		c.filter(block, apps, "applicationFilter")
		if included == 0 && c.block(block, apps, "applicationFilter") == nil {
			c.fault(apps+".includeApplications", "is empty: name applications, user actions or authentication contexts")
		}
	}
	people, workloads := c.block(from, path, "users"), c.block(from, path, "clientApplications")
	included := 0
	if people != nil {
		included += len(c.ids(people, users, "includeUsers", "user", "All", "None", "GuestsOrExternalUsers")) +
			len(c.ids(people, users, "includeGroups", "group")) + len(c.ids(people, users, "includeRoles", "role"))
		c.ids(people, users, "excludeUsers", "user", "GuestsOrExternalUsers")
		c.ids(people, users, "excludeGroups", "group")
		c.ids(people, users, "excludeRoles", "role")
		for _, name := range []string{"includeGuestsOrExternalUsers", "excludeGuestsOrExternalUsers"} {
			if guests := c.block(people, users, name); guests != nil {
				c.guests(guests, join(users, name))
				if name[0] == 'i' {
					included++
				}
			}
		}
	}
	if workloads != nil {
		included += len(c.ids(workloads, clients, "includeServicePrincipals", "principal", "ServicePrincipalsInMyTenant"))
		c.ids(workloads, clients, "excludeServicePrincipals", "principal")
		c.filter(workloads, clients, "servicePrincipalFilter")
		if c.block(workloads, clients, "servicePrincipalFilter") != nil {
			included++
		}
		for name := range workloads {
			if strings.Contains(name, "AgentId") || strings.HasPrefix(name, "agentId") {
				included++ // beta: agents
			}
		}
	}
	if included == 0 {
		c.fault(users, "names nobody: a policy needs users, groups, roles, guests or client applications")
	}
	c.choices(from, path, "clientAppTypes", "clientAppTypes")
	for _, name := range []string{"userRiskLevels", "signInRiskLevels", "servicePrincipalRiskLevels"} {
		c.choices(from, path, name, name)
	}
	c.flags(from, path, "insiderRiskLevels")
	if block := c.block(from, path, "platforms"); block != nil {
		if len(c.choices(block, path+".platforms", "includePlatforms", "includePlatforms")) == 0 {
			c.fault(path+".platforms.includePlatforms", "is empty")
		}
		c.choices(block, path+".platforms", "excludePlatforms", "includePlatforms")
	}
	if block := c.block(from, path, "locations"); block != nil {
		const trusted = "00000000-0000-0000-0000-000000000000" // trusted addresses of the older MFA settings
		if len(c.ids(block, path+".locations", "includeLocations", "location", "All", "AllTrusted", trusted)) == 0 {
			c.fault(path+".locations.includeLocations", "is empty")
		}
		c.ids(block, path+".locations", "excludeLocations", "location", "AllTrusted", trusted)
	}
	if block := c.block(from, path, "devices"); block != nil {
		c.filter(block, path+".devices", "deviceFilter")
	}
	if block := c.block(from, path, "authenticationFlows"); block != nil {
		c.flags(block, path+".authenticationFlows", "transferMethods")
	}
}

// filter checks a filter for devices, applications or service principals.
func (c *checker) filter(from map[string]any, path, name string) {
	block := c.block(from, path, name)
	if block == nil {
		return
	}
	path = join(path, name)
	if c.choice(block, path, "mode", "mode") == "" && block["mode"] == nil {
		c.fault(path+".mode", "is missing")
	}
	if rule, _ := block["rule"].(string); strings.TrimSpace(rule) == "" || len(rule) > 3072 {
		c.fault(path+".rule", "must be a rule of 1 to 3072 characters")
	}
}

func (c *checker) guests(block map[string]any, path string) {
	if c.flags(block, path, "guestOrExternalUserTypes") == nil {
		c.fault(path+".guestOrExternalUserTypes", "is missing")
	}
	if tenants := c.block(block, path, "externalTenants"); tenants != nil {
		kind, _ := tenants["membershipKind"].(string)
		switch members := c.ids(tenants, path+".externalTenants", "members", "tenant"); {
		case kind == "all" || kind == "" && strings.HasSuffix(fmt.Sprint(tenants["@odata.type"]), "AllExternalTenants"):
		case kind == "enumerated" && len(members) > 0:
		default:
			c.fault(path+".externalTenants.membershipKind", "must be all, or enumerated with members")
		}
	}
}

func (c *checker) grant(p, conditions map[string]any) {
	const path = "grantControls"
	block := c.block(p, "", path)
	if block == nil {
		return
	}
	operator := c.choice(block, path, "operator", "operator")
	if operator == "" {
		c.fault(path+".operator", "is missing: AND or OR")
	}
	controls := c.choices(block, path, "builtInControls", "builtInControls")
	others := len(c.list(block, path, "customAuthenticationFactors")) + len(c.ids(block, path, "termsOfUse", "agreement"))
	if strength := c.block(block, path, "authenticationStrength"); strength != nil {
		others++
		id, _ := strength["id"].(string)
		if id == "" || c.exists != nil && !c.exists("strength", strings.ToLower(id)) {
			c.fault(path+".authenticationStrength.id", "is %q, which is no authentication strength of the tenant", clip(id))
		}
		if slices.Contains(controls, "mfa") {
			c.fault(path+".authenticationStrength", "cannot stand beside the control mfa")
		}
	}
	if len(controls)+others == 0 {
		c.fault(path+".builtInControls", "is empty: name a control")
	}
	if slices.Contains(controls, "passwordChange") {
		risks, _ := conditions["userRiskLevels"].([]any)
		switch {
		case !slices.Contains(controls, "mfa") || operator != "AND":
			c.fault(path+".builtInControls", "passwordChange needs mfa beside it and the operator AND")
		case len(risks) == 0:
			c.fault("conditions.userRiskLevels", "is empty: passwordChange needs a user risk")
		}
	}
}

func (c *checker) session(p map[string]any) {
	const path = "sessionControls"
	block := c.block(p, "", path)
	if frequency := c.block(block, path, "signInFrequency"); frequency != nil {
		const path = path + ".signInFrequency"
		unit := c.choice(frequency, path, "type", "type")
		interval := c.choice(frequency, path, "frequencyInterval", "frequencyInterval")
		c.choice(frequency, path, "authenticationType", "authenticationType")
		switch {
		case interval == "everyTime" && (unit != "" || frequency["value"] != nil):
			c.fault(path+".value", "and type must be null where frequencyInterval is everyTime")
		case interval != "everyTime" && (unit == "" || !positive(frequency["value"])):
			c.fault(path+".value", "and type must say how many hours or days")
		}
	}
	if browser := c.block(block, path, "persistentBrowser"); browser != nil {
		c.choice(browser, path+".persistentBrowser", "mode", "persistentBrowser")
	}
	if apps := c.block(block, path, "cloudAppSecurity"); apps != nil {
		c.choice(apps, path+".cloudAppSecurity", "cloudAppSecurityType", "cloudAppSecurityType")
	}
}

func positive(v any) bool {
	n, isNumber := v.(float64)
	return isNumber && n >= 1 && n <= 365*24 && n == float64(int(n))
}

var countryPattern = regexp.MustCompile(`^[A-Za-z]{2}$`)

func (c *checker) location(l map[string]any) {
	c.name(l)
	if nesting(l) > maxNesting {
		c.fault("", "is nested too deeply")
		return
	}
	switch LocationType(l) {
	case "ipNamedLocation":
		ranges, _ := l["ipRanges"].([]any)
		if len(ranges) == 0 || len(ranges) > maxRanges {
			c.fault("ipRanges", "must have 1 to %d ranges", maxRanges)
			return
		}
		for i, r := range ranges {
			c.addresses(r, fmt.Sprintf("ipRanges[%d]", i))
		}
	case "countryNamedLocation":
		countries := c.list(l, "", "countriesAndRegions")
		if len(countries) == 0 && l["includeUnknownCountriesAndRegions"] != true {
			c.fault("countriesAndRegions", "is empty")
		}
		for i, s := range countries {
			if !countryPattern.MatchString(s) {
				c.fault(fmt.Sprintf("countriesAndRegions[%d]", i), "is %q, must be a country code of two letters", clip(s))
			}
		}
		if method, _ := l["countryLookupMethod"].(string); l["countryLookupMethod"] != nil && method != "clientIpAddress" && method != "authenticatorAppGps" {
			c.fault("countryLookupMethod", "must be clientIpAddress or authenticatorAppGps")
		}
	case "compliantNetworkNamedLocation":
	default:
		c.fault("@odata.type", "must be #microsoft.graph.ipNamedLocation, #microsoft.graph.countryNamedLocation or #microsoft.graph.compliantNetworkNamedLocation")
	}
	if trusted, given := l["isTrusted"]; given && trusted != nil && trusted != true && trusted != false {
		c.fault("isTrusted", "must be true or false")
	}
}

// LocationType is the type of a named location, without namespace.
func LocationType(l map[string]any) string {
	name, _ := l["@odata.type"].(string)
	return strings.TrimPrefix(strings.TrimPrefix(name, "#"), "microsoft.graph.")
}

func (c *checker) addresses(v any, path string) {
	r, _ := v.(map[string]any)
	kind := LocationType(r)
	if cidr, isText := r["cidrAddress"].(string); isText {
		prefix, err := netip.ParsePrefix(cidr)
		switch {
		case err != nil:
			c.fault(path+".cidrAddress", "is %q, must be an address range such as 192.0.2.0/24", clip(cidr))
		case kind != "" && kind != "iPv4CidrRange" && kind != "iPv6CidrRange", kind == "iPv4CidrRange" && !prefix.Addr().Is4(), kind == "iPv6CidrRange" && !prefix.Addr().Is6():
			c.fault(path+".@odata.type", "does not fit %s", clip(cidr))
		}
		return
	}
	lowest, lowErr := netip.ParseAddr(fmt.Sprint(r["lowerAddress"]))
	highest, highErr := netip.ParseAddr(fmt.Sprint(r["upperAddress"]))
	if lowErr != nil || highErr != nil || lowest.Is4() != highest.Is4() || highest.Less(lowest) {
		c.fault(path+".cidrAddress", "is missing; a range has cidrAddress, or lowerAddress and upperAddress")
	}
}

// without copies an object less some members.
func without(object map[string]any, names ...string) map[string]any {
	out := maps.Clone(object)
	for _, name := range names {
		delete(out, name)
	}
	return out
}
