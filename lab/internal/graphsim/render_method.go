package graphsim

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// password is the method that every account with a password has.
type password struct{ user *directory.User }

// methodEntity is a type of authentication method: an id, the time it was
// registered, and more. Its answers name the type.
func methodEntity(name string, parts ...members) *entity {
	parts = append([]members{
		prop("id", func(_ *request, m *directory.Method) any { return m.ID }),
		prop("createdDateTime", func(_ *request, m *directory.Method) any { return when(m.Created) }),
	}, parts...)
	e := newEntity(name+"AuthenticationMethod", parts...)
	e.typed = true
	return e
}

func methodName(_ *request, m *directory.Method) any { return text(m.Name) }

var (
	passwordMethodType = func() *entity {
		e := newEntity("passwordAuthenticationMethod",
			constant(directory.PasswordMethodID, "id"),
			prop("createdDateTime", func(_ *request, p password) any { return when(p.user.PasswordChanged) }),
			null("password"), null("lastUsedDateTime").inBeta())
		e.typed = true
		return e
	}()
	phoneMethodType = methodEntity("phone",
		prop("phoneNumber", phoneNumber),
		prop("phoneType", func(_ *request, m *directory.Method) any {
			return map[string]string{directory.Phone: "mobile", directory.AlternatePhone: "alternateMobile", directory.OfficePhone: "office"}[m.Type]
		}),
		prop("smsSignInState", func(_ *request, m *directory.Method) any {
			switch {
			case m.Type != directory.Phone:
				return "notSupported"
			case m.SMSSignIn:
				return "ready"
			}
			return "notConfigured"
		}))
	emailMethodType         = methodEntity("email", prop("emailAddress", func(_ *request, m *directory.Method) any { return m.Email }))
	authenticatorMethodType = methodEntity("microsoftAuthenticator", prop("displayName", methodName), constant("SoftwareTokenActivated", "deviceTag"), constant("6.8.40", "phoneAppVersion"),
		constant("microsoftAuthenticator", "clientAppName").inBeta(), null("lastUsedDateTime").inBeta())
	oathMethodType  = methodEntity("softwareOath", null("secretKey"), null("lastUsedDateTime").inBeta())
	fido2MethodType = methodEntity("fido2", prop("displayName", methodName), constant("90a3ccdf-635c-4729-a248-9b709135078f", "aaGuid"), constant("Lab security key", "model"),
		constant("attested", "attestationLevel"), constant("deviceBound", "passkeyType"),
		prop("attestationCertificates", func(_ *request, m *directory.Method) any { return texts(opaque("attestation", m.ID)[:40]) }),
		null("publicKeyCredential"), null("lastUsedDateTime").inBeta())
	helloMethodType = methodEntity("windowsHelloForBusiness", prop("displayName", methodName), constant("normal", "keyStrength"))
	passMethodType  = methodEntity("temporaryAccessPass",
		null("temporaryAccessPass"), // shown once, when it is made
		prop("startDateTime", func(_ *request, m *directory.Method) any { return when(m.Created) }),
		prop("lifetimeInMinutes", func(_ *request, m *directory.Method) any { return int(m.TAPLife / time.Minute) }),
		prop("isUsableOnce", func(_ *request, m *directory.Method) any { return m.TAPOnce }),
		prop("isUsable", func(r *request, m *directory.Method) any { return usability(r, m) == "EnabledByPolicy" }),
		prop("methodUsabilityReason", func(r *request, m *directory.Method) any { return usability(r, m) }))
)

// methodTypes: the directory's method types as Graph knows them.
var methodTypes = map[string]*entity{
	directory.Authenticator: authenticatorMethodType, directory.Phone: phoneMethodType, directory.AlternatePhone: phoneMethodType, directory.OfficePhone: phoneMethodType,
	directory.SoftwareOATH: oathMethodType, directory.FIDO2: fido2MethodType, directory.HelloBusiness: helloMethodType, directory.Email: emailMethodType, directory.TAP: passMethodType,
}

// methodSegments: path segment → type.
var methodSegments = map[string]*entity{
	"passwordmethods": passwordMethodType, "phonemethods": phoneMethodType, "emailmethods": emailMethodType, "microsoftauthenticatormethods": authenticatorMethodType,
	"softwareoathmethods": oathMethodType, "fido2methods": fido2MethodType, "windowshelloforbusinessmethods": helloMethodType, "temporaryaccesspassmethods": passMethodType,
}

// usability: temporaryAccessPassAuthenticationMethod, methodUsabilityReason.
func usability(r *request, m *directory.Method) string {
	switch {
	case r.now.Before(m.Created):
		return "NotYetValid"
	case !r.now.Before(m.Created.Add(m.TAPLife)):
		return "Expired"
	}
	return "EnabledByPolicy"
}

// phoneNumber is masked for those who may reset but not know it
// (graph-mfa-posture §7: Authentication Administrator).
func phoneNumber(r *request, m *directory.Method) any {
	n := []rune(m.Phone)
	if r.app() || r.self || r.hasRole(privilegedAuthentication, globalReader) || len(n) < 4 {
		return m.Phone
	}
	country := slices.Index(n, ' ') + 1
	for i := country; i < len(n)-2; i++ {
		n[i] = 'X'
	}
	return string(n)
}

func (r *request) methodsOf(u *directory.User, only *entity) []item {
	var out []item
	if u.PasswordHash != nil && (only == nil || only == passwordMethodType) {
		out = append(out, item{passwordMethodType, password{u}})
	}
	for _, m := range u.Methods {
		if typ := methodTypes[m.Type]; typ != nil && (only == nil || only == typ) {
			out = append(out, item{typ, m})
		}
	}
	return out
}

// listMethods serves …/authentication/methods and the typed segments, lists
// and items: vars are user, segment and id.
func listMethods(r *request, u *directory.User) (*answer, error) {
	set := "users('" + u.ID + "')/authentication/" + r.segments[3]
	var only *entity
	types := []*entity{passwordMethodType, phoneMethodType, emailMethodType, authenticatorMethodType, oathMethodType, fido2MethodType, helloMethodType, passMethodType,
		platformMethodType, hardwareMethodType, externalMethodType, qrMethodType}
	if !strings.EqualFold(r.segments[3], "methods") {
		if only = methodSegments[strings.ToLower(r.segments[3])]; only == nil {
			return nil, badRequest("Nothing is known under the segment '%s'.", clip(r.segments[3]))
		}
		types = []*entity{only}
	}
	all := r.methodsOf(u, only)
	if len(r.segments) == 4 {
		return r.list(listing{set: set, types: types, bare: true}, all)
	}
	for _, it := range all {
		if strings.EqualFold(r.idOf(it), r.segments[4]) {
			return r.single(set, it)
		}
	}
	return nil, refuse(http.StatusNotFound, "itemNotFound", "The user has no such method.")
}

// requirementsType: beta, strongAuthenticationRequirements.
var requirementsType = newEntity("strongAuthenticationRequirements", prop("perUserMfaState", func(_ *request, u *directory.User) any { return u.PerUserMFA }))

// preferencesType: beta, signInPreferences.
var preferencesType = newEntity("signInPreferences",
	prop("isSystemPreferredAuthenticationMethodEnabled", func(_ *request, u *directory.User) any { return u.SystemPreferred }),
	// Unset is "" here; the documents do not say (docs/parity.md).
	prop("userPreferredMethodForSecondaryAuthentication", func(_ *request, u *directory.User) any { return u.DefaultMethod }))

func getRequirements(r *request, u *directory.User) (*answer, error) {
	return r.single("users('"+u.ID+"')/authentication/requirements", item{requirementsType, u})
}

func getPreferences(r *request, u *directory.User) (*answer, error) {
	a, err := r.single("users('"+u.ID+"')/authentication/signInPreferences", item{preferencesType, u})
	if err == nil && u.DefaultMethod == "" && r.server.cfg.Random.Chance(2) {
		delete(a.body.(map[string]any), "userPreferredMethodForSecondaryAuthentication")
	}
	return a, err
}

// registrationType: resource type userRegistrationDetails.
var registrationType = newEntity("userRegistrationDetails",
	prop("id", func(_ *request, u *directory.User) any { return u.ID }),
	prop("userPrincipalName", func(_ *request, u *directory.User) any { return u.UPN }),
	prop("userDisplayName", func(_ *request, u *directory.User) any { return u.Name }),
	prop("userType", func(_ *request, u *directory.User) any { return strings.ToLower(u.Type) }),
	prop("isAdmin", func(r *request, u *directory.User) any { return administers(r.tenant, u) }),
	prop("isMfaRegistered", func(_ *request, u *directory.User) any { return u.Registered() }),
	prop("isMfaCapable", func(_ *request, u *directory.User) any { return u.Registered() && u.Enabled }),
	prop("isPasswordlessCapable", func(_ *request, u *directory.User) any { return hasMethod(u, directory.FIDO2, directory.HelloBusiness) }),
	prop("isSsprRegistered", func(_ *request, u *directory.User) any {
		return hasMethod(u, directory.Phone, directory.AlternatePhone, directory.OfficePhone, directory.Email, directory.Authenticator, directory.SoftwareOATH)
	}),
	// Administrators may always reset their own password.
	prop("isSsprEnabled", func(r *request, u *directory.User) any { return administers(r.tenant, u) }),
	prop("isSsprCapable", func(r *request, u *directory.User) any { return administers(r.tenant, u) && u.Registered() }),
	prop("methodsRegistered", func(_ *request, u *directory.User) any { return texts(registeredNames(u)...) }),
	prop("isSystemPreferredAuthenticationMethodEnabled", func(_ *request, u *directory.User) any { return u.SystemPreferred }),
	prop("systemPreferredAuthenticationMethods", func(_ *request, u *directory.User) any { return texts(systemPreferred(u)...) }),
	prop("userPreferredMethodForSecondaryAuthentication", func(_ *request, u *directory.User) any {
		if u.DefaultMethod == "" {
			return "none"
		}
		return u.DefaultMethod
	}),
	prop("defaultMfaMethod", func(_ *request, u *directory.User) any {
		return map[string]string{"push": "microsoftAuthenticatorPush", "oath": "softwareOneTimePasscode", "sms": "mobilePhone", "voiceMobile": "mobilePhone", "voiceAlternateMobile": "alternateMobilePhone", "voiceOffice": "officePhone", "": "none"}[u.DefaultMethod]
	}).inBeta(),
	prop("lastUpdatedDateTime", func(r *request, _ *directory.User) any {
		if r.server.cfg.ReportLag > 0 {
			return when(r.report().at)
		}
		return r.now.Truncate(time.Hour)
	}),
)

func hasMethod(u *directory.User, types ...string) bool {
	return slices.ContainsFunc(u.Methods, func(m *directory.Method) bool { return slices.Contains(types, m.Type) })
}

func registeredNames(u *directory.User) []string {
	names := map[string]string{
		directory.Phone: "mobilePhone", directory.AlternatePhone: "alternateMobilePhone", directory.OfficePhone: "officePhone", directory.Email: "email", directory.FIDO2: "fido2",
		directory.Authenticator: "microsoftAuthenticatorPush", directory.SoftwareOATH: "softwareOneTimePasscode", directory.HelloBusiness: "windowsHelloForBusiness", directory.TAP: "temporaryAccessPass",
		directory.HardwareOATH: "hardwareOneTimePasscode", directory.PlatformCredential: "macOsSecureEnclaveKey", directory.External: "externalAuthMethod", directory.QRCodePIN: "qrCodePin",
	}
	var out []string
	for _, m := range u.Methods {
		if name := names[m.Type]; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// systemPreferred is the strongest registered method ("System-preferred
// multifactor authentication": pass, passkey, push, TOTP, telephony).
func systemPreferred(u *directory.User) []string {
	for _, rank := range []struct{ method, name string }{
		{directory.TAP, "temporaryAccessPass"}, {directory.FIDO2, "fido2"}, {directory.Authenticator, "push"}, {directory.SoftwareOATH, "oath"},
		{directory.Phone, "sms"}, {directory.AlternatePhone, "voiceAlternateMobile"}, {directory.OfficePhone, "voiceOffice"},
	} {
		if u.SystemPreferred && hasMethod(u, rank.method) {
			return []string{rank.name}
		}
	}
	return nil
}

var registrationPages = listing{set: "reports/authenticationMethods/userRegistrationDetails", types: []*entity{registrationType}, page: 1000, most: 1000}

// report is the snapshot that answers: [Config.ReportLag].
func (r *request) report() *report {
	return r.server.reports.refresh(r.tenant, r.now, r.server.cfg.ReportLag)
}

func listRegistrations(r *request) (*answer, error) {
	return r.list(registrationPages, items(registrationType, r.report().users))
}

func getRegistration(r *request) (*answer, error) {
	for _, u := range r.report().users {
		if strings.EqualFold(u.ID, r.vars[0]) {
			return r.single(registrationPages.set, item{registrationType, u})
		}
	}
	return nil, notFound(r.vars[0])
}
