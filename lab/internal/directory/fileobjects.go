package directory

import (
	"strings"
	"time"
)

// The objects of a tenant in a tenants file: domains, people, groups, apps and
// what was granted.

func (p parser) domain(n node) Domain {
	get := n.object("name", "default", "federation", "password_days")
	d := Domain{Name: domain(get("name")), Default: get("default").flag(false), PasswordDays: get("password_days").integer(0, 0, 100_000)}
	if f := get("federation"); f.value != nil {
		fget := f.object("protocol", "metadata_url", "active_url", "brand", "passive_url", "issuer")
		d.Federation = &Federation{
			Protocol:    fget("protocol").oneOf("WSTrust", "WSTrust", "SAMLP"),
			MetadataURL: httpsURL(fget("metadata_url")),
			ActiveURL:   httpsURL(fget("active_url")),
			Brand:       fget("brand").str(),
			PassiveURL:  optionalURL(fget("passive_url")),
			Issuer:      fget("issuer").str(),
		}
		d.Federation.complete()
	}
	return d
}

func (p parser) user(n node) UserSpec {
	get := n.object("id", "upn", "name", "given_name", "surname", "type", "guest_of", "mail", "department", "job_title", "story", "password",
		"passwordless", "app_passwords", "enabled", "locked", "password_expired", "password_changed", "synced", "roles", "licences",
		"per_user_mfa", "registration_grace", "methods", "default_method", "system_preferred", "user_risk", "sign_in_risk", "device")
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
			SignInRisk:        get("sign_in_risk").oneOf("", riskLevels...),
			Device:            device(get("device")),
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
	if level := get("user_risk").oneOf("", riskLevels...); level != "" {
		u.SetRisk(level, "atRisk", "none", "", p.now)
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
		"assigned", "roles", "secret", "certificate", "redirect_uris", "delegated_permissions", "application_permissions", "granted",
		"spa_redirect_uris", "id_tokens", "group_claims", "federated_credentials", "identifier_uris", "scopes", "app_roles", "token_version", "known_clients", "preauthorized")
	a := AppSpec{
		App: App{
			ClientID: guid(get("client_id")), Name: get("name").required(), Story: get("story").str(),
			Purpose:      get("purpose").oneOf("service", "reader", "service", "delegated", "admin"),
			Public:       get("public").flag(false),
			MultiTenant:  get("multi_tenant").flag(false),
			Verified:     get("verified_publisher").flag(false),
			RedirectURIs: get("redirect_uris").strings(),
			Delegated:    p.permissions(get("delegated_permissions"), (*Resource).Scope),
			Application:  p.permissions(get("application_permissions"), (*Resource).Role),
			IDTokens:     get("id_tokens").flag(false),
			GroupClaims:  groupClaims[get("group_claims").oneOf("none", "none", "security_groups", "all")],
			Federated:    federatedCredentials(get("federated_credentials")),
		},
		From:               get("from").str(),
		Enabled:            get("enabled").flag(true),
		AssignmentRequired: get("assignment_required").flag(false),
		AssignedNames:      get("assigned").strings(),
		Roles:              roles(get("roles")),
		Granted:            p.permissions(get("granted"), (*Resource).Role),
		Secret:             p.credential(get("secret")),
		Certificate:        p.credential(get("certificate")),
	}
	a.spaRedirects(get("spa_redirect_uris").strings())
	a.readAPI(get)
	if a.Public && (a.Secret != nil || a.Certificate != nil || len(a.Federated) > 0) {
		get("public").fault("is true: a public client can have neither secret nor certificate nor federated credential")
	}
	if a.From != "" && (a.Secret != nil || a.Certificate != nil || len(a.Federated) > 0 || a.API != nil) {
		get("from").fault("names the tenant that registered the app: credentials and scopes belong there")
	}
	return a
}

// groupClaims are the values of groupMembershipClaims that the lab knows, by the
// words of the tenants file.
var groupClaims = map[string]string{"security_groups": "SecurityGroup", "all": "All"}

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
	g := GrantSpec{App: get("app").required(), Resource: get("resource").oneOf("graph", p.apis.names()...), Scopes: get("scopes").strings(), User: get("user").str()}
	if len(g.Scopes) == 0 {
		get("scopes").fault("is missing or empty")
	}
	if r := p.apis.find(g.Resource); r != nil {
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

// permissions reads an object from resource aliases, or names of apps that are
// APIs themselves, to permission names.
func (p parser) permissions(n node, find func(*Resource, string) (Permission, bool)) map[string][]string {
	if n.value == nil {
		return nil
	}
	out := map[string][]string{}
	get := n.object(p.apis.names()...)
	for _, name := range p.apis.names() {
		r := p.apis.find(name)
		for _, item := range get(name).list() {
			value := item.str()
			if _, ok := find(r, value); !ok && value != "" {
				item.fault("is %q, which %s does not have%s", clip(value), r.Name, suggest(value, append(values(r.Roles), values(r.Scopes)...)))
				continue
			}
			out[name] = append(out[name], value)
		}
	}
	return out
}
