package directory

import (
	"crypto/sha1" //nolint:gosec // x5t is defined as SHA-1 (RFC 7515 §4.1.7)
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sample is what somebody who tries the lab needs to know of a tenant, with
// the credentials in the clear. The store itself keeps only hashes.
type Sample struct {
	TenantID, Domain, Name, Story string
	SharePoint                    string // name in its SharePoint hosts
	Users                         []SampleUser
	Apps                          []SampleApp
}

// SampleUser is a user with credentials.
type SampleUser struct{ ID, UPN, Password, AppPassword, TOTPSecret, Story string }

// SampleApp is an app with credentials. CertificateName is what
// Config.NewCertificate was called with, "" without a certificate.
type SampleApp struct {
	ClientID, Name, Purpose, Story string
	Public                         bool
	Secret                         string
	CertificateName                string
}

// New builds the tenants of a file.
func New(file *File, cfg Config) (*Store, []Sample, error) {
	s := newStore(cfg)
	samples, err := s.build(file)
	return s, samples, err
}

// build adds the tenants of a file. The caller holds the lock or is alone.
func (s *Store) build(file *File) ([]Sample, error) {
	b := builder{store: s, gen: generator{s.cfg.Seed}, cfg: s.cfg, now: s.now().UTC().Truncate(time.Second), hashes: map[string][]byte{}}
	samples := make([]Sample, len(file.Tenants))
	// Registrations and people of all tenants come first: guests, partners and
	// multi-tenant apps refer across.
	tenants := make([]*Tenant, len(file.Tenants))
	for i := range file.Tenants {
		var err error
		if tenants[i], err = b.tenant(&file.Tenants[i], &samples[i]); err != nil {
			return nil, err
		}
	}
	for i := range file.Tenants {
		b.connect(tenants[i], &file.Tenants[i])
		for _, a := range file.Tenants[i].Apps {
			if a.From != "" {
				registered := tenants[i].App(b.names(tenants[i], &file.Tenants[i])[strings.ToLower(a.Name)])
				samples[i].Apps = append(samples[i].Apps, SampleApp{ClientID: registered.ClientID, Name: a.Name, Purpose: a.Purpose, Story: a.Story, Public: registered.Public})
			}
		}
		for _, f := range firstParty {
			samples[i].Apps = append(samples[i].Apps, SampleApp{ClientID: f.id, Name: f.name, Purpose: "delegated", Public: true})
		}
	}
	s.addPolicies(file)
	return samples, nil
}

type builder struct {
	store  *Store
	gen    generator
	cfg    Config
	now    time.Time
	hashes map[string][]byte // by password
}

// hash hashes each password once: a crowd that shares one is there at once.
func (b builder) hash(password string) []byte {
	if b.hashes[password] == nil {
		b.hashes[password] = HashPassword(password)
	}
	return b.hashes[password]
}

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

func (b builder) tenant(spec *TenantSpec, sample *Sample) (*Tenant, error) {
	t := &Tenant{
		ID: or(spec.ID, b.gen.id("tenant", spec.Domain)), Name: spec.Name, Story: spec.Story, Created: b.now.AddDate(-3, 0, 0), Domains: spec.Domains,
		SecurityDefaults: spec.SecurityDefaults, MandatoryMFA: spec.MandatoryMFA, AppPasswords: spec.AppPasswords, RememberDays: spec.RememberDays, Lockout: spec.Lockout, Consent: spec.Consent,
		InboundTrust: spec.InboundTrust, SharePoint: spec.SharePoint,
	}
	for _, name := range spec.Licences {
		sku, _ := SKUByPartNumber(name)
		t.Licences = append(t.Licences, sku)
	}
	b.store.add(t)
	*sample = Sample{TenantID: t.ID, Domain: spec.Domain, Name: spec.Name, Story: spec.Story, SharePoint: t.SharePointName()}
	for i := range spec.Users {
		b.user(t, &spec.Users[i], sample)
	}
	for i := range spec.Groups {
		g := spec.Groups[i].Group
		g.ID = or(g.ID, b.gen.id(t.ID, "group", g.Name))
		g.Created = t.Created
		t.AddGroup(&g)
	}
	for i := range spec.Apps {
		if spec.Apps[i].From == "" {
			if err := b.app(t, &spec.Apps[i], sample); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func (b builder) user(t *Tenant, spec *UserSpec, sample *Sample) {
	u := spec.User
	u.ID = or(u.ID, b.gen.id(t.ID, "user", strings.ToLower(u.UPN)))
	u.Created = t.Created
	if u.Mail == "" && len(u.Licences) > 0 {
		u.Mail = u.UPN
	}
	if u.GivenName == "" && u.Surname == "" {
		if first, last, ok := strings.Cut(u.Name, " "); ok {
			u.GivenName, u.Surname = first, last
		}
	}
	if spec.Locked {
		u.LockedUntil = b.now.AddDate(10, 0, 0) // until somebody unlocks it
	}
	shown := SampleUser{ID: u.ID, UPN: u.UPN, Story: u.Story}
	// A guest's password belongs to the home tenant.
	if !spec.Passwordless && u.Type == Member {
		shown.Password = or(spec.Password, b.gen.password(t.ID, strings.ToLower(u.UPN)))
		u.PasswordHash = b.hash(shown.Password)
	}
	for i, p := range spec.AppPasswords {
		if p == "generate" {
			p = b.gen.appPassword(t.ID, strings.ToLower(u.UPN), strconv.Itoa(i))
		}
		shown.AppPassword = or(shown.AppPassword, p)
		u.AppPasswordHashes = append(u.AppPasswordHashes, HashPassword(p))
	}
	u.Methods = nil
	for i, method := range spec.Methods {
		m := *method
		m.ID = or(m.ID, b.gen.id(t.ID, u.ID, "method", m.Type, strconv.Itoa(i)))
		switch m.Type {
		case SoftwareOATH:
			m.Secret = or(m.Secret, b.gen.totp(t.ID, u.ID, strconv.Itoa(i)))
			shown.TOTPSecret = or(shown.TOTPSecret, m.Secret)
		case Phone:
			m.ID = PhoneMobileID
		case AlternatePhone:
			m.ID = PhoneAlternateID
		case OfficePhone:
			m.ID = PhoneOfficeID
		case Email:
			m.ID = EmailMethodID
		}
		u.Methods = append(u.Methods, &m)
	}
	t.AddUser(&u)
	sample.Users = append(sample.Users, shown)
}

// Method ids that are the same for every user (graph-mfa-posture §7).
const (
	PasswordMethodID = "28c10230-6103-485e-b985-444c60001490"
	PhoneMobileID    = "3179e48a-750b-4051-897c-87b9720928f7"
	PhoneAlternateID = "b6332ec1-7057-4abe-9331-3d72feddfe41"
	PhoneOfficeID    = "e37fc753-ff3b-4958-9484-eaa9425c82bc"
	EmailMethodID    = "3ddfcfc8-9383-446f-83cc-3ab9be4be18f"
)

func (b builder) app(t *Tenant, spec *AppSpec, sample *Sample) error {
	a := spec.App
	a.ClientID = or(a.ClientID, b.gen.id(t.ID, "client", a.Name))
	a.ID = b.gen.id(t.ID, "app", a.Name)
	a.Created = t.Created
	b.finishAPI(t, &a)
	shown := SampleApp{ClientID: a.ClientID, Name: a.Name, Purpose: a.Purpose, Story: a.Story, Public: a.Public}
	if s := spec.Secret; s != nil {
		shown.Secret = or(s.Value, b.gen.secret(t.ID, a.Name))
		a.Secrets = append(a.Secrets, b.store.NewSecret(b.gen.id(t.ID, a.Name, "secret"), "lab", shown.Secret, s.Start, s.End))
	}
	if s := spec.Certificate; s != nil {
		shown.CertificateName = a.Name + " of " + t.Initial()
		certificate, err := b.cfg.NewCertificate(shown.CertificateName, s.Start, s.End)
		if err != nil {
			return fmt.Errorf("making the certificate of app %q: %w", a.Name, err)
		}
		c := &Certificate{
			KeyID: b.gen.id(t.ID, a.Name, "certificate"), Name: "CN=" + a.Name, Certificate: certificate,
			SHA1: sha1.Sum(certificate.Raw), SHA256: sha256.Sum256(certificate.Raw), //nolint:gosec // see the import
		}
		a.Certificates = append(a.Certificates, c)
	}
	t.AddApp(&a)
	sample.Apps = append(sample.Apps, shown)
	return nil
}

// NewSecret makes the record of a client secret.
func (s *Store) NewSecret(keyID, name, value string, start, end time.Time) *Secret {
	return &Secret{KeyID: keyID, Name: name, Hint: value[:min(3, len(value))], Hash: s.HashSecret(value), Start: start, End: end}
}

// connect makes everything that refers to other objects.
func (b builder) connect(t *Tenant, spec *TenantSpec) {
	named := b.names(t, spec)
	b.connectAPIs(t, spec, named)
	for i := range spec.Users {
		if home := spec.Users[i].GuestOf; home != "" {
			t.User(spec.Users[i].UPN).HomeTenant = b.store.byName[strings.ToLower(home)].ID
		}
	}
	for _, f := range firstParty {
		b.principal(t, f.id)
	}
	for _, r := range Resources {
		if !onDemand[r.ClientID] || uses(spec, r.Alias) {
			b.principal(t, r.ClientID)
		}
	}
	for i := range spec.Apps {
		a := &spec.Apps[i]
		p := b.principal(t, named[strings.ToLower(a.Name)])
		p.Enabled, p.AssignmentRequired, p.Roles = a.Enabled, a.AssignmentRequired, a.Roles
		for _, name := range a.AssignedNames {
			id := b.object(t, named, name)
			p.Assigned = append(p.Assigned, id)
		}
		for _, wanted := range t.Requests(byClient(a.Granted, named)) {
			r := wanted.Resource
			b.principal(t, r.ClientID)
			for _, value := range wanted.Values {
				role, _ := r.Role(value)
				t.AppRoles = append(t.AppRoles, &AppRoleAssignment{
					ID: b.gen.id(t.ID, p.ID, r.ClientID, role.ID), Principal: p.ID, PrincipalType: "ServicePrincipal",
					Resource: t.Principal(r.ClientID).ID, Role: role.ID, Created: t.Created,
				})
			}
		}
	}
	for i := range spec.Groups {
		g := t.Group(named[strings.ToLower(spec.Groups[i].Name)])
		for _, name := range spec.Groups[i].MemberNames {
			g.Members = append(g.Members, b.object(t, named, name))
		}
	}
	for i, g := range spec.Grants {
		grant := &Grant{
			ID: b.gen.id(t.ID, "grant", strconv.Itoa(i)), Client: t.Principal(named[strings.ToLower(g.App)]).ID,
			Resource: b.principal(t, clientOf(g.Resource, named)).ID, Scopes: g.Scopes,
		}
		if g.User != "" {
			grant.User = t.User(g.User).ID
		}
		t.Grants = append(t.Grants, grant)
	}
	for _, partner := range spec.Partners {
		owner := b.store.byName[strings.ToLower(partner.Domain)]
		p := Partnership{Partner: owner.ID, Until: partner.Until, Access: map[string][]string{}}
		for group, roles := range partner.Access {
			i := slices.IndexFunc(owner.Groups, func(g *Group) bool { return g.Name == group })
			p.Access[owner.Groups[i].ID] = roles
		}
		t.Partners = append(t.Partners, p)
		b.principal(owner, PartnerCenterID)
	}
}

func uses(spec *TenantSpec, alias string) bool {
	return slices.ContainsFunc(spec.Apps, func(a AppSpec) bool {
		return len(a.Delegated[alias])+len(a.Application[alias])+len(a.Granted[alias]) > 0
	}) ||
		slices.ContainsFunc(spec.Grants, func(g GrantSpec) bool { return g.Resource == alias })
}

// names maps the lower-case names of a tenants file to what identifies the
// object: user and group ids, client ids of apps.
func (b builder) names(t *Tenant, spec *TenantSpec) map[string]string {
	names := map[string]string{}
	for _, f := range firstParty {
		names[strings.ToLower(f.name)] = f.id
		names[f.id] = f.id
	}
	for _, a := range spec.Apps {
		owner := t
		if a.From != "" {
			owner = b.store.byName[strings.ToLower(a.From)]
		}
		for _, registered := range owner.Apps {
			if registered.Name == a.Name {
				names[strings.ToLower(a.Name)] = registered.ClientID
				names[registered.ClientID] = registered.ClientID
			}
		}
	}
	for _, u := range t.Users {
		names[strings.ToLower(u.UPN)] = u.ID
	}
	for _, g := range t.Groups {
		names[strings.ToLower(g.Name)] = g.ID
	}
	return names
}

// object gives the object id behind a name; an app's is its principal's.
func (b builder) object(t *Tenant, named map[string]string, name string) string {
	id := named[strings.ToLower(name)]
	if t.User(id) == nil && t.Group(id) == nil {
		return b.principal(t, id).ID
	}
	return id
}

// principal gives the service principal of an app, made if it is missing.
func (b builder) principal(t *Tenant, clientID string) *Principal {
	if p := t.Principal(clientID); p != nil {
		return p
	}
	p := &Principal{ID: b.gen.id(t.ID, "principal", clientID), ClientID: clientID, Enabled: true, Created: t.Created}
	t.AddPrincipal(p)
	return p
}
