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

// TenantSpec is one tenant of a tenants file.
type TenantSpec struct {
	ID, Name, Domain, Story string
	Domains                 []Domain
	Licences                []string
	SecurityDefaults        bool
	MandatoryMFA            bool
	AppPasswords            bool
	Lockout                 Lockout
	Consent                 ConsentSettings
	Users                   []UserSpec
	Groups                  []GroupSpec
	Apps                    []AppSpec
	Grants                  []GrantSpec
	Partners                []PartnerSpec
	// ConditionalAccess and NamedLocations are objects in Graph's JSON.
	// [Store.AddPolicies] puts them into the tenant.
	ConditionalAccess, NamedLocations []map[string]any
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

type parser struct{ now time.Time }

func (p parser) file(n node) *File {
	get := n.object("tenants")
	tenants := get("tenants").list()
	if len(tenants) == 0 {
		get("tenants").fault("is missing or empty: at least one tenant is needed")
	}
	file := &File{}
	for _, t := range tenants {
		file.Tenants = append(file.Tenants, p.tenant(t))
	}
	return file
}

func (p parser) tenant(n node) TenantSpec {
	get := n.object("id", "name", "domain", "domains", "story", "licences", "security_defaults", "mandatory_mfa", "app_passwords",
		"lockout", "consent", "users", "groups", "apps", "grants", "partners",
		"conditional_access", "named_locations")
	t := TenantSpec{
		ID: guid(get("id")), Name: get("name").required(), Domain: domain(get("domain")), Story: get("story").str(),
		SecurityDefaults: get("security_defaults").flag(false),
		MandatoryMFA:     get("mandatory_mfa").flag(true),
		AppPasswords:     get("app_passwords").flag(false),
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
	policies(&t, get("named_locations"), get("conditional_access"))
	return t
}

func (p parser) domain(n node) Domain {
	get := n.object("name", "default", "federation")
	d := Domain{Name: domain(get("name")), Default: get("default").flag(false)}
	if f := get("federation"); f.value != nil {
		fget := f.object("protocol", "metadata_url", "active_url", "brand")
		d.Federation = &Federation{
			Protocol:    fget("protocol").oneOf("WSTrust", "WSTrust", "SAMLP"),
			MetadataURL: httpsURL(fget("metadata_url")),
			ActiveURL:   httpsURL(fget("active_url")),
			Brand:       fget("brand").str(),
		}
	}
	return d
}

func (p parser) user(n node) UserSpec {
	get := n.object("id", "upn", "name", "given_name", "surname", "type", "guest_of", "mail", "department", "job_title", "story", "password",
		"passwordless", "app_passwords", "enabled", "locked", "password_expired", "password_changed", "synced", "roles", "licences",
		"per_user_mfa", "registration_grace", "methods", "default_method", "system_preferred")
	u := UserSpec{
		User: User{
			ID: guid(get("id")), UPN: get("upn").required(), Name: get("name").str(), GivenName: get("given_name").str(), Surname: get("surname").str(),
			Mail: get("mail").str(), Department: get("department").str(), JobTitle: get("job_title").str(), Story: get("story").str(),
			Type:              map[string]string{"member": Member, "guest": Guest}[get("type").oneOf("member", "member", "guest")],
			Enabled:           get("enabled").flag(true),
			PasswordExpired:   get("password_expired").flag(false),
			PasswordChanged:   get("password_changed").moment(p.now, p.now.AddDate(0, -2, 0)),
			Synced:            get("synced").flag(false),
			Roles:             roles(get("roles")),
			Licences:          skus(get("licences")),
			PerUserMFA:        get("per_user_mfa").oneOf("disabled", "disabled", "enabled", "enforced"),
			RegistrationGrace: get("registration_grace").moment(p.now, time.Time{}),
			DefaultMethod:     get("default_method").oneOf("", "push", "oath", "sms", "voiceMobile", "voiceAlternateMobile", "voiceOffice"),
			SystemPreferred:   get("system_preferred").flag(true),
		},
		Password:     get("password").str(),
		Passwordless: get("passwordless").flag(false),
		AppPasswords: get("app_passwords").strings(),
		GuestOf:      get("guest_of").str(),
		Locked:       get("locked").flag(false),
	}
	if u.UPN != "" && !upnPattern.MatchString(strings.ToLower(u.UPN)) {
		get("upn").fault("is %q, must look like name@domain", clip(u.UPN))
	}
	if u.Name == "" {
		u.Name, _, _ = strings.Cut(u.UPN, "@")
	}
	if len(u.Password) > 256 {
		get("password").fault("has %d characters, 256 are the most", len(u.Password))
	}
	if strings.TrimSpace(u.Password) != u.Password {
		get("password").fault("begins or ends with a blank, which the password grant cannot carry")
	}
	if u.Passwordless && u.Password != "" {
		get("password").fault("is given although passwordless is true")
	}
	if (u.Type == Guest) != (u.GuestOf != "") {
		get("guest_of").fault("names a guest's home tenant: give it exactly where type is guest")
	}
	for _, m := range get("methods").list() {
		u.Methods = append(u.Methods, p.method(m))
	}
	return u
}

func (p parser) method(n node) *Method {
	get := n.object("id", "type", "name", "phone", "email", "secret", "created", "once", "minutes")
	m := &Method{
		ID: get("id").str(), Name: get("name").str(), Phone: get("phone").str(), Email: get("email").str(), Secret: get("secret").str(),
		Type:    get("type").oneOf("", Authenticator, Phone, AlternatePhone, OfficePhone, SoftwareOATH, FIDO2, HelloBusiness, Email, TAP),
		Created: get("created").moment(p.now, p.now.AddDate(0, -1, 0)),
		TAPOnce: get("once").flag(true),
		TAPLife: time.Duration(get("minutes").integer(60, 10, 43200)) * time.Minute,
	}
	switch {
	case m.Type == "" && get("type").value == nil:
		get("type").fault("is missing")
	case strings.HasSuffix(m.Type, Phone) && m.Phone == "":
		get("phone").fault("is missing: a %s method needs a number", m.Type)
	case m.Type == Email && m.Email == "":
		get("email").fault("is missing: an email method needs an address")
	}
	if m.Secret != "" {
		if _, err := decodeSecret(m.Secret); err != nil {
			get("secret").fault("is not base32: letters A to Z and digits 2 to 7")
		}
	}
	return m
}

func (p parser) group(n node) GroupSpec {
	get := n.object("id", "name", "members", "role_assignable", "roles")
	g := GroupSpec{
		Group:       Group{ID: guid(get("id")), Name: get("name").required(), RoleAssignable: get("role_assignable").flag(false), Roles: roles(get("roles"))},
		MemberNames: get("members").strings(),
	}
	if len(g.Roles) > 0 && !g.RoleAssignable {
		get("roles").fault("need role_assignable to be true")
	}
	return g
}

func (p parser) app(n node) AppSpec {
	get := n.object("client_id", "name", "purpose", "story", "from", "public", "multi_tenant", "verified_publisher", "enabled", "assignment_required",
		"assigned", "roles", "secret", "certificate", "redirect_uris", "delegated_permissions", "application_permissions", "granted")
	a := AppSpec{
		App: App{
			ClientID: guid(get("client_id")), Name: get("name").required(), Story: get("story").str(),
			Purpose:      get("purpose").oneOf("service", "reader", "service", "delegated", "admin"),
			Public:       get("public").flag(false),
			MultiTenant:  get("multi_tenant").flag(false),
			Verified:     get("verified_publisher").flag(false),
			RedirectURIs: get("redirect_uris").strings(),
			Delegated:    permissions(get("delegated_permissions"), (*Resource).Scope),
			Application:  permissions(get("application_permissions"), (*Resource).Role),
		},
		From:               get("from").str(),
		Enabled:            get("enabled").flag(true),
		AssignmentRequired: get("assignment_required").flag(false),
		AssignedNames:      get("assigned").strings(),
		Roles:              roles(get("roles")),
		Granted:            permissions(get("granted"), (*Resource).Role),
		Secret:             p.credential(get("secret")),
		Certificate:        p.credential(get("certificate")),
	}
	if a.Public && (a.Secret != nil || a.Certificate != nil) {
		get("public").fault("is true: a public client can have neither secret nor certificate")
	}
	if a.From != "" && (a.Secret != nil || a.Certificate != nil) {
		get("from").fault("names the tenant that registered the app: credentials belong there")
	}
	return a
}

// credential reads a secret or certificate: an object, or true for one with
// all defaults.
func (p parser) credential(n node) *SecretSpec {
	if n.value == nil || n.value == false {
		return nil
	}
	s := &SecretSpec{Start: p.now.AddDate(0, -1, 0), End: p.now.AddDate(1, 0, 0)}
	if n.value == true {
		return s
	}
	get := n.object("value", "starts", "expires")
	s.Value = get("value").str()
	s.End = get("expires").moment(p.now, s.End)
	s.Start = get("starts").moment(p.now, s.End.AddDate(-1, -1, 0))
	if !s.End.After(s.Start) {
		get("expires").fault("lies before starts")
	}
	if s.Value != "" && len(s.Value) < 16 {
		get("value").fault("has %d characters, at least 16 are needed", len(s.Value))
	}
	return s
}

func (p parser) grant(n node) GrantSpec {
	get := n.object("app", "resource", "scopes", "user")
	g := GrantSpec{App: get("app").required(), Resource: get("resource").oneOf("graph", aliases()...), Scopes: get("scopes").strings(), User: get("user").str()}
	if len(g.Scopes) == 0 {
		get("scopes").fault("is missing or empty")
	}
	if r := ResourceByAlias(g.Resource); r != nil {
		for _, s := range get("scopes").list() {
			if _, ok := r.Scope(s.str()); !ok && s.str() != "" {
				s.fault("is %q, which %s does not have%s", clip(s.str()), r.Name, suggest(s.str(), values(r.Scopes)))
			}
		}
	}
	return g
}

func (p parser) partner(n node) PartnerSpec {
	get := n.object("domain", "until", "access")
	s := PartnerSpec{Domain: get("domain").required(), Until: get("until").moment(p.now, time.Time{}), Access: map[string][]string{}}
	access := get("access")
	members, _ := access.value.(map[string]any)
	if access.value == nil || len(members) == 0 {
		access.fault("is missing: an object from the partner's group names to lists of roles")
	}
	for group, value := range members {
		s.Access[group] = roles(node{access.path + "." + clip(group), value, access.faults})
	}
	return s
}

// permissions reads an object from resource aliases to permission names.
func permissions(n node, find func(*Resource, string) (Permission, bool)) map[string][]string {
	if n.value == nil {
		return nil
	}
	out := map[string][]string{}
	get := n.object(aliases()...)
	for _, r := range Resources {
		for _, item := range get(r.Alias).list() {
			value := item.str()
			if _, ok := find(r, value); !ok && value != "" {
				item.fault("is %q, which %s does not have%s", clip(value), r.Name, suggest(value, append(values(r.Roles), values(r.Scopes)...)))
				continue
			}
			out[r.Alias] = append(out[r.Alias], value)
		}
	}
	return out
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
