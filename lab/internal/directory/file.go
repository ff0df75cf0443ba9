package directory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// MaxFile is the largest tenants file that is read, in bytes.
const MaxFile = 32 << 20

// File is a tenants file, checked and with defaults filled in. docs/lab.md
// documents the members.
type File struct{ Tenants []TenantSpec }

// MaxRememberDays is the longest that MFA can be remembered (documented).
const MaxRememberDays = 365

// TenantSpec is one tenant of a tenants file.
type TenantSpec struct {
	ID, Name, Domain, Story string
	Domains                 []Domain
	Licences                []string
	SecurityDefaults        bool
	MandatoryMFA            bool
	AppPasswords            bool
	RememberDays            int
	Lockout                 Lockout
	Consent                 ConsentSettings
	Users                   []UserSpec
	Groups                  []GroupSpec
	Apps                    []AppSpec
	Grants                  []GrantSpec
	Partners                []PartnerSpec
	// ConditionalAccess, NamedLocations and Agreements are objects in Graph's
	// JSON. [Store.AddPolicies] puts them into the tenant.
	ConditionalAccess, NamedLocations, Agreements []map[string]any
	InboundTrust                                  map[string]InboundTrust
	SharePoint                                    SharePoint
}

// UserSpec is one user of a tenants file. Password "" stands for a generated
// one, unless Passwordless.
type UserSpec struct {
	User
	Password     string
	Passwordless bool
	AppPasswords []string
	GuestOf      string // domain of the home tenant
	Locked       bool
}

// GroupSpec is one group of a tenants file.
type GroupSpec struct {
	Group
	MemberNames []string // UPNs, group names and app names
}

// AppSpec is one app of a tenants file: a registration and its service
// principal in the same tenant, or, with From, only the service principal of
// a multi-tenant app that another tenant of the file registered.
type AppSpec struct {
	App
	From               string // domain of the tenant that registered it
	Enabled            bool
	AssignmentRequired bool
	AssignedNames      []string
	Roles              []string            // directory roles of the service principal
	Secret             *SecretSpec         // nil: none
	Certificate        *SecretSpec         // nil: none; Value unused
	Granted            map[string][]string // application permissions granted, by resource alias
}

// SecretSpec is a credential of an app. Value "" stands for a generated one.
type SecretSpec struct {
	Value string
	Start time.Time
	End   time.Time
}

// GrantSpec is a delegated grant. User "" grants for everybody.
type GrantSpec struct {
	App      string // app name or client id
	Resource string // resource alias
	Scopes   []string
	User     string // UPN
}

// PartnerSpec is a partner with delegated administration (GDAP).
type PartnerSpec struct {
	Domain string // initial domain of the partner's tenant, in the same file
	Until  time.Time
	Access map[string][]string // group name in the partner's tenant → role names here
}

var (
	guidPattern   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	domainPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$`)
	upnPattern    = regexp.MustCompile(`^[^@\s/\\"<>]{1,113}@([a-z0-9.-]+)$`)
)

// Parse reads a tenants file. Times given as durations count from now. The
// error is [Faults] with every mistake found, or a read or syntax error.
func Parse(r io.Reader, now time.Time) (*File, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading tenants file: %w", err)
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("tenants file is larger than %d MB", MaxFile>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var top any
	if err := decoder.Decode(&top); err != nil {
		offset := decoder.InputOffset()
		if syntax, ok := err.(*json.SyntaxError); ok { //nolint:errorlint // the decoder returns it unwrapped
			offset = syntax.Offset
		}
		line, column := position(data, offset)
		return nil, fmt.Errorf("tenants file is not JSON: line %d, column %d: %w", line, column, err)
	}
	if rest := bytes.TrimSpace(data[decoder.InputOffset():]); len(rest) > 0 {
		line, _ := position(data, decoder.InputOffset())
		return nil, fmt.Errorf("tenants file has more after its end in line %d", line)
	}
	faults := Faults{}
	p := parser{now: now}
	file := p.file(node{"", top, &faults})
	if len(faults) == 0 {
		checkReferences(file, &faults)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return file, nil
}

func position(data []byte, offset int64) (line, column int) {
	before := data[:min(int(offset), len(data))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, len(before) - bytes.LastIndexByte(before, '\n')
}

type parser struct {
	now  time.Time
	apis apis
}

func (p parser) file(n node) *File {
	get := n.object("tenants")
	tenants := get("tenants").list()
	if len(tenants) == 0 {
		get("tenants").fault("is missing or empty: at least one tenant is needed")
	}
	file := &File{}
	p.apis = findAPIs(tenants)
	for _, t := range tenants {
		file.Tenants = append(file.Tenants, p.tenant(t))
	}
	return file
}

func (p parser) tenant(n node) TenantSpec {
	get := n.object("id", "name", "domain", "domains", "story", "licences", "security_defaults", "mandatory_mfa", "app_passwords", "remember_mfa_days",
		"lockout", "consent", "users", "groups", "apps", "grants", "partners",
		"conditional_access", "named_locations", "terms_of_use", "inbound_trust", "sharepoint")
	t := TenantSpec{
		ID: guid(get("id")), Name: get("name").required(), Domain: domain(get("domain")), Story: get("story").str(),
		SecurityDefaults: get("security_defaults").flag(false),
		MandatoryMFA:     get("mandatory_mfa").flag(true),
		AppPasswords:     get("app_passwords").flag(false),
		RememberDays:     get("remember_mfa_days").integer(0, 0, MaxRememberDays),
		Licences:         skus(get("licences")),
	}
	if t.Domain != "" && !strings.HasSuffix(t.Domain, ".onmicrosoft.com") {
		get("domain").fault("is %q, must end in .onmicrosoft.com: it is the domain a tenant is made with; others go into domains", clip(t.Domain))
	}
	t.Domains = []Domain{{Name: t.Domain, Initial: true}}
	for _, d := range get("domains").list() {
		t.Domains = append(t.Domains, p.domain(d))
	}
	if !slices.ContainsFunc(t.Domains, func(d Domain) bool { return d.Default }) {
		t.Domains[len(t.Domains)-1].Default = true
	}
	lockout := get("lockout").object("threshold", "duration_seconds")
	t.Lockout = Lockout{
		Threshold: lockout("threshold").integer(10, 1, 1000),
		Duration:  time.Duration(lockout("duration_seconds").integer(60, 1, 86400)) * time.Second,
	}
	consent := get("consent").object("users", "admin_requests")
	t.Consent = ConsentSettings{
		Users:         consent("users").oneOf("managed", "all", "low_risk", "managed", "none"),
		AdminRequests: consent("admin_requests").flag(false),
	}
	for _, u := range get("users").list() {
		t.Users = append(t.Users, p.user(u))
	}
	for _, g := range get("groups").list() {
		t.Groups = append(t.Groups, p.group(g))
	}
	for _, a := range get("apps").list() {
		t.Apps = append(t.Apps, p.app(a))
	}
	for _, g := range get("grants").list() {
		t.Grants = append(t.Grants, p.grant(g))
	}
	for _, partner := range get("partners").list() {
		t.Partners = append(t.Partners, p.partner(partner))
	}
	t.InboundTrust = inboundTrust(get("inbound_trust"))
	t.SharePoint = sharePoint(get("sharepoint"))
	policies(&t, get("named_locations"), get("terms_of_use"), get("conditional_access"))
	return t
}

func aliases() []string {
	out := make([]string, len(Resources))
	for i, r := range Resources {
		out[i] = r.Alias
	}
	return out
}

func values(list []Permission) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.Value
	}
	return out
}

func roles(n node) []string {
	var out []string
	for _, item := range n.list() {
		name := item.required()
		role, ok := RoleByName(name)
		if !ok {
			if name != "" {
				names := make([]string, len(Roles))
				for i, r := range Roles {
					names[i] = r.Name
				}
				item.fault("unknown directory role %q%s", clip(name), suggest(name, names))
			}
			continue
		}
		out = append(out, role.ID)
	}
	return out
}

func skus(n node) []string {
	var out []string
	for _, item := range n.list() {
		name := item.required()
		sku, ok := SKUByPartNumber(name)
		if !ok {
			if name != "" {
				names := make([]string, len(SKUs))
				for i, s := range SKUs {
					names[i] = s.PartNumber
				}
				item.fault("unknown licence %q%s (known: %s)", clip(name), suggest(name, names), strings.Join(names, ", "))
			}
			continue
		}
		out = append(out, sku.PartNumber)
	}
	return out
}

func guid(n node) string {
	s := strings.ToLower(n.str())
	if s != "" && !guidPattern.MatchString(s) {
		n.fault("is %q, must be a GUID", clip(s))
	}
	return s
}

func domain(n node) string {
	s := strings.ToLower(n.required())
	if s != "" && !domainPattern.MatchString(s) {
		n.fault("is %q, must be a domain name", clip(s))
	}
	return s
}

func httpsURL(n node) string {
	s := n.required()
	if s != "" && !strings.HasPrefix(s, "https://") {
		n.fault("is %q, must be an https address", clip(s))
	}
	return s
}
