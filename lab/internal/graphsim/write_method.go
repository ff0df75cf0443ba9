package graphsim

import (
	"crypto/rand"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// Limits of the temporary access pass policy ("Configure Temporary Access
// Pass": ten minutes to thirty days; the tenant's policy stands in
// configurations).
const (
	passLeast, passMost = 10, 43_200
	passStandard        = 60
)

var phonePattern = regexp.MustCompile(`^\+[0-9]{1,4} ?[0-9][0-9 ()-]{3,18}(x[0-9]{1,8})?$`)

// phones: phoneType → the directory's method type and the fixed id.
var phones = map[string]struct{ typ, id string }{
	"mobile": {directory.Phone, directory.PhoneMobileID}, "alternateMobile": {directory.AlternatePhone, directory.PhoneAlternateID}, "office": {directory.OfficePhone, directory.PhoneOfficeID},
}

func methodActivity(name string) activity { return activity{name, userManagement, methodService} }

// register adds a method to a user and answers with it.
func (r *request) register(u *directory.User, m *directory.Method) (*answer, error) {
	m.Created = r.now
	it := item{methodTypes[m.Type], m}
	u.Methods = append(slices.Clone(u.Methods), m)
	r.methodChanged(u, "Admin registered security info")
	if u.PerUserMFA == "enabled" && u.Registered() {
		u.PerUserMFA = "enforced"
	}
	return r.created("users('"+u.ID+"')/authentication/"+r.segments[3], it)
}

// methodChanged writes the log; methods are no part of what delta reports.
func (r *request) methodChanged(u *directory.User, name string) {
	r.changes = append(r.changes, &change{activity: methodActivity(name), operation: "Update", it: item{requirementsType, u}, before: r.plainly(item{requirementsType, u})})
}

// replace puts a changed copy of a method in its place.
func (r *request) replace(u *directory.User, old, changed *directory.Method) {
	u.Methods = slices.Clone(u.Methods)
	u.Methods[slices.Index(u.Methods, old)] = changed
	r.methodChanged(u, "Admin updated security info")
}

// methodHere finds the path's method among those of its segment.
func (r *request) methodHere(u *directory.User) (*directory.Method, error) {
	only := methodSegments[strings.ToLower(r.segments[3])]
	for _, m := range u.Methods {
		if methodTypes[m.Type] == only && strings.EqualFold(m.ID, r.segments[4]) {
			return m, nil
		}
	}
	return nil, refuse(404, "itemNotFound", "The user has no such method.")
}

// guardedMethods is a handler that changes a user's methods.
func guardedMethods(fn func(*request, *directory.User) (*answer, error)) func(*request) (*answer, error) {
	return ofUser(func(r *request, u *directory.User) (*answer, error) {
		if err := r.mayChange(u); err != nil {
			return nil, err
		}
		return fn(r, u)
	})
}

// addPhone: POST …/phoneMethods.
func addPhone(r *request, u *directory.User) (*answer, error) {
	var number, kind string
	if _, err := r.decode(map[string]any{"phoneNumber": &number, "phoneType": &kind}); err != nil {
		return nil, err
	}
	as, known := phones[kind]
	switch {
	case !known:
		return nil, badRequest("phoneType must be mobile, alternateMobile or office.")
	case !phonePattern.MatchString(number):
		return nil, badRequest("phoneNumber must have the form +{country code} {number}x{extension}.")
	case hasMethod(u, as.typ):
		return nil, badRequest("The user has a phone of the type '%s' already.", kind)
	case kind == "alternateMobile" && !hasMethod(u, directory.Phone):
		return nil, badRequest("An alternate mobile phone needs a mobile phone first.")
	}
	return r.register(u, &directory.Method{ID: as.id, Type: as.typ, Phone: number})
}

// patchPhone: PATCH …/phoneMethods/{id}; the type follows the id.
func patchPhone(r *request, u *directory.User) (*answer, error) {
	m, err := r.methodHere(u)
	if err != nil {
		return nil, err
	}
	var number, kind string
	if _, err := r.decode(map[string]any{"phoneNumber": &number, "phoneType": &kind}); err != nil {
		return nil, err
	}
	switch {
	case kind != "" && phones[kind].typ != m.Type:
		return nil, badRequest("phoneType cannot change; delete the phone and add another.")
	case !phonePattern.MatchString(number):
		return nil, badRequest("phoneNumber must have the form +{country code} {number}x{extension}.")
	}
	changed := *m
	changed.Phone = number
	r.replace(u, m, &changed)
	return r.single("users('"+u.ID+"')/authentication/phoneMethods", item{phoneMethodType, &changed})
}

func readAddress(r *request) (string, error) {
	var address string
	if _, err := r.decode(map[string]any{"emailAddress": &address}); err != nil {
		return "", err
	}
	if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address || len(address) > 320 {
		return "", badRequest("emailAddress must be an e-mail address.")
	}
	return address, nil
}

// addEmail: POST …/emailMethods.
func addEmail(r *request, u *directory.User) (*answer, error) {
	address, err := readAddress(r)
	if err != nil {
		return nil, err
	}
	if hasMethod(u, directory.Email) {
		return nil, badRequest("The user has an e-mail address already.")
	}
	a, err := r.register(u, &directory.Method{ID: directory.EmailMethodID, Type: directory.Email, Email: address})
	if err == nil {
		a.status = statusOK(r)
	}
	return a, err
}

// patchEmail: PATCH, and PUT in the older form, …/emailMethods/{id}.
func patchEmail(r *request, u *directory.User) (*answer, error) {
	m, err := r.methodHere(u)
	if err != nil {
		return nil, err
	}
	address, err := readAddress(r)
	if err != nil {
		return nil, err
	}
	changed := *m
	changed.Email = address
	r.replace(u, m, &changed)
	return r.single("users('"+u.ID+"')/authentication/emailMethods", item{emailMethodType, &changed})
}

// addPass: POST …/temporaryAccessPassMethods. The pass is in this answer only.
func addPass(r *request, u *directory.User) (*answer, error) {
	var minutes *int
	var once *bool
	var start *time.Time
	if len(r.body) > 0 {
		if _, err := r.decode(map[string]any{"lifetimeInMinutes": &minutes, "isUsableOnce": &once, "startDateTime": &start}); err != nil {
			return nil, err
		}
	}
	m := &directory.Method{ID: r.newID("pass", u.ID), Type: directory.TAP, TAPLife: passStandard * time.Minute, TAPOnce: once != nil && *once}
	switch {
	case minutes != nil && (*minutes < passLeast || *minutes > passMost):
		return nil, badRequest("lifetimeInMinutes must be from %d to %d.", passLeast, passMost)
	case start != nil && (start.Before(r.now.Add(-5*time.Minute)) || start.After(r.now.AddDate(0, 0, 30))):
		return nil, badRequest("startDateTime must lie in the next thirty days.")
	}
	if minutes != nil {
		m.TAPLife = time.Duration(*minutes) * time.Minute
	}
	// One pass at a time; one that is over makes room.
	for _, other := range u.Methods {
		if other.Type == directory.TAP && usability(r, other) != "Expired" {
			return nil, badRequest("The user has a temporary access pass already; delete it first.")
		}
	}
	u.Methods = slices.DeleteFunc(slices.Clone(u.Methods), func(other *directory.Method) bool { return other.Type == directory.TAP })
	a, err := r.register(u, m)
	if err != nil {
		return nil, err
	}
	if start != nil {
		m.Created = start.UTC()
		a.body.(map[string]any)["startDateTime"] = m.Created
		a.body.(map[string]any)["isUsable"], a.body.(map[string]any)["methodUsabilityReason"] = usability(r, m) == "EnabledByPolicy", usability(r, m)
	}
	a.body.(map[string]any)["temporaryAccessPass"] = rand.Text()[:12]
	return a, nil
}

// deleteMethod: DELETE of any method. The default one stays while there are
// others to choose.
func deleteMethod(r *request, u *directory.User) (*answer, error) {
	m, err := r.methodHere(u)
	if err != nil {
		return nil, err
	}
	rest := slices.DeleteFunc(slices.Clone(u.Methods), func(o *directory.Method) bool { return o == m })
	without := &directory.User{Methods: rest}
	lost := hasMethod(u, defaults[u.DefaultMethod]...) && !hasMethod(without, defaults[u.DefaultMethod]...)
	if lost && without.Registered() {
		return nil, badRequest("This is the user's default method; choose another default before it is deleted.")
	}
	if lost {
		u.DefaultMethod = ""
	}
	u.Methods = rest
	r.methodChanged(u, "Admin deleted security info")
	return noContent(), nil
}

// defaults: userPreferredMethodForSecondaryAuthentication → the methods that
// serve it.
var defaults = map[string][]string{
	"push": {directory.Authenticator}, "oath": {directory.Authenticator, directory.SoftwareOATH}, "sms": {directory.Phone}, "voiceMobile": {directory.Phone},
	"voiceAlternateMobile": {directory.AlternatePhone}, "voiceOffice": {directory.OfficePhone},
}
