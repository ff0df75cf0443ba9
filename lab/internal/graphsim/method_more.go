package graphsim

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

func detail(name string) func(*request, *directory.Method) any {
	return func(_ *request, m *directory.Method) any { return text(m.Details[name]) }
}

var (
	platformMethodType = methodEntity("platformCredential", prop("displayName", methodName), prop("platform", func(_ *request, m *directory.Method) any { return text2(m.Details["platform"], "macOS") }),
		constant("normal", "keyStrength"))
	hardwareMethodType = methodEntity("hardwareOath", prop("device", func(_ *request, m *directory.Method) any {
		return object("id", m.ID, "displayName", text(m.Name), "serialNumber", text(m.Details["serialNumber"]), "manufacturer", text(m.Details["manufacturer"]), "model", text(m.Details["model"]),
			"secretKey", nil, "timeIntervalInSeconds", 30, "status", "activated", "hashFunction", "hmacsha1", "lastUsedDateTime", nil)
	}))
	externalMethodType = methodEntity("external", prop("displayName", methodName), prop("configurationId", detail("configurationId")))
	qrMethodType       = methodEntity("qrCodePin",
		prop("standardQRCode", func(_ *request, m *directory.Method) any {
			return object("id", m.ID, "createdDateTime", when(m.Created), "startDateTime", when(m.Created), "expireDateTime", when(m.Created.Add(m.TAPLife)), "lastUsedDateTime", nil, "image", nil)
		}),
		null("temporaryQRCode"),
		prop("pin", func(_ *request, m *directory.Method) any {
			return object("code", nil, "forceChangePinNextSignIn", true, "createdDateTime", when(m.Created), "updatedDateTime", when(m.Created))
		}))
)

func init() {
	for method, typ := range map[string]*entity{directory.PlatformCredential: platformMethodType, directory.HardwareOATH: hardwareMethodType, directory.External: externalMethodType, directory.QRCodePIN: qrMethodType} {
		methodTypes[method] = typ
	}
	for segment, typ := range map[string]*entity{"platformcredentialmethods": platformMethodType, "hardwareoathmethods": hardwareMethodType, "externalauthenticationmethods": externalMethodType, "qrcodepinmethod": qrMethodType} {
		methodSegments[segment] = typ
	}
}

// addHardware: POST …/hardwareOathMethods (beta). A token is known by its
// serial number.
func addHardware(r *request, u *directory.User) (*answer, error) {
	var device struct {
		ID           string `json:"id"`
		Name         string `json:"displayName"`
		Serial       string `json:"serialNumber"`
		Manufacturer string `json:"manufacturer"`
		Model        string `json:"model"`
		Secret       string `json:"secretKey"`
		Hash         string `json:"hashFunction"`
		Interval     *int   `json:"timeIntervalInSeconds"`
	}
	if _, err := r.decode(map[string]any{"device": &device}); err != nil {
		return nil, err
	}
	switch {
	case device.ID == "" && (device.Serial == "" || device.Manufacturer == "" || device.Model == "" || device.Secret == ""):
		return nil, badRequest("device must have an id, or serialNumber, manufacturer, model and secretKey.")
	case len(device.Serial)+len(device.Manufacturer)+len(device.Model)+len(device.Name)+len(device.Secret) > 1024:
		return nil, badRequest("device has too long members.")
	case device.Interval != nil && *device.Interval != 30 && *device.Interval != 60:
		return nil, badRequest("timeIntervalInSeconds must be 30 or 60.")
	}
	return r.register(u, &directory.Method{ID: r.newID("hardware token", u.ID, device.Serial), Type: directory.HardwareOATH, Name: device.Name,
		Details: map[string]string{"serialNumber": device.Serial, "manufacturer": device.Manufacturer, "model": device.Model}})
}

// addExternal: POST …/externalAuthenticationMethods.
func addExternal(r *request, u *directory.User) (*answer, error) {
	var configuration, name string
	if _, err := r.decode(map[string]any{"configurationId": &configuration, "displayName": &name}); err != nil {
		return nil, err
	}
	switch {
	case !isGUID(configuration):
		return nil, badRequest("configurationId must be the id of an external method's configuration, a GUID.")
	case name == "" || len(name) > 256:
		return nil, badRequest("displayName must have 1 to 256 characters.")
	}
	return r.register(u, &directory.Method{ID: r.newID("external method", u.ID), Type: directory.External, Name: name, Details: map[string]string{"configurationId": configuration}})
}

// qrOf finds the user's QR code method; there is one at most.
func qrOf(u *directory.User) *directory.Method {
	i := slices.IndexFunc(u.Methods, func(m *directory.Method) bool { return m.Type == directory.QRCodePIN })
	if i < 0 {
		return nil
	}
	return u.Methods[i]
}

func qrSet(u *directory.User) string {
	return "users('" + u.ID + "')/authentication/qrCodePinMethod"
}

func getQR(r *request, u *directory.User) (*answer, error) {
	m := qrOf(u)
	if m == nil {
		return nil, refuse(http.StatusNotFound, "itemNotFound", "The user has no such method.")
	}
	return r.single(qrSet(u), item{qrMethodType, m})
}

// putQR: PUT …/qrCodePinMethod makes the method; the code is in this answer
// only.
func putQR(r *request, u *directory.User) (*answer, error) {
	var code struct {
		Start  *time.Time `json:"startDateTime"`
		Expire *time.Time `json:"expireDateTime"`
	}
	var pin struct {
		Code string `json:"code"`
	}
	if _, err := r.decode(map[string]any{"standardQRCode": &code, "pin": &pin}); err != nil {
		return nil, err
	}
	const life = 365 * 24 * time.Hour
	m := &directory.Method{ID: r.newID("qr code", u.ID), Type: directory.QRCodePIN, TAPLife: life}
	if code.Expire != nil {
		m.TAPLife = code.Expire.Sub(r.now)
	}
	switch {
	case len(pin.Code) < 8 || len(pin.Code) > 20 || strings.Trim(pin.Code, "0123456789") != "":
		return nil, badRequest("pin/code must have 8 to 20 digits.")
	case m.TAPLife <= 0 || m.TAPLife > 395*24*time.Hour:
		return nil, badRequest("standardQRCode/expireDateTime must lie in the next 395 days.")
	}
	if old := qrOf(u); old != nil {
		u.Methods = slices.DeleteFunc(slices.Clone(u.Methods), func(o *directory.Method) bool { return o == old })
	}
	a, err := r.register(u, m)
	if err != nil {
		return nil, err
	}
	body := a.body.(map[string]any)
	body["@odata.context"] = r.context(qrSet(u)) + "/$entity"
	body["standardQRCode"] = extend(body["standardQRCode"].(map[string]any), "image", object("binaryValue", rand.Text(), "errorCorrectionLevel", "l", "rawContent", rand.Text(), "version", 18))
	return a, nil
}

func deleteQR(r *request, u *directory.User) (*answer, error) {
	old := qrOf(u)
	if old == nil {
		return nil, refuse(http.StatusNotFound, "itemNotFound", "The user has no such method.")
	}
	u.Methods = slices.DeleteFunc(slices.Clone(u.Methods), func(o *directory.Method) bool { return o == old })
	r.methodChanged(u, "Admin deleted security info")
	return noContent(), nil
}

// smsSignIn: actions enableSmsSignIn and disableSmsSignIn, for the mobile phone.
func smsSignIn(on bool) func(*request, *directory.User) (*answer, error) {
	return func(r *request, u *directory.User) (*answer, error) {
		m, err := r.methodHere(u)
		if err != nil {
			return nil, err
		}
		if m.Type != directory.Phone {
			return nil, badRequest("Only a mobile phone can be signed in with by text message.")
		}
		changed := *m
		changed.SMSSignIn = on
		r.replace(u, m, &changed)
		return noContent(), nil
	}
}

// resetPassword: actions resetPassword of the password method, for people who
// may do so. The answer points to an operation that is over at once.
func resetPassword(r *request, u *directory.User) (*answer, error) {
	var sent *string
	if len(r.body) > 0 {
		if _, err := r.decode(map[string]any{"newPassword": &sent}); err != nil {
			return nil, err
		}
	}
	switch {
	case !strings.EqualFold(r.segments[4], directory.PasswordMethodID):
		return nil, refuse(http.StatusNotFound, "itemNotFound", "The user has no such method.")
	case u.PasswordHash == nil:
		return nil, badRequest("The user has no password.")
	case u.Synced && sent == nil:
		return nil, badRequest("The password of a synchronised user needs newPassword.")
	case sent != nil && (len(*sent) < 8 || len(*sent) > 256):
		return nil, badRequest("The password does not meet the tenant's rules: 8 to 256 characters.")
	}
	r.updates(core("Reset user password", userManagement), item{userType, u})
	word := "Lab-" + rand.Text()[:12] + "7!"
	if sent != nil {
		word = *sent
	}
	u.SetPassword(directory.HashPassword(word), directory.EntraAdminCentre, r.now)
	u.PasswordExpired, u.FailedPasswords, u.LockedUntil = true, 0, time.Time{}
	operation := directory.NameID("password operation", u.ID, r.now.Format(time.RFC3339Nano))
	a := &answer{status: http.StatusAccepted, header: http.Header{"Location": {r.root + "/" + r.version + "/users/" + u.ID + "/authentication/operations/" + operation}}}
	if sent == nil {
		a.body = object("@odata.context", r.context("microsoft.graph.passwordResetResponse"), "newPassword", word)
	}
	return a, nil
}

// getOperation: …/authentication/operations/{id}. A reset is done as soon as it
// is asked for, so that every operation has succeeded.
func getOperation(r *request, u *directory.User) (*answer, error) {
	if !isGUID(r.vars[1]) || u.PasswordChanged.IsZero() {
		return nil, notFound(r.vars[1])
	}
	return ok(object("@odata.context", r.context("users('"+u.ID+"')/authentication/operations")+"/$entity", "id", r.vars[1], "status", "succeeded", "statusDetail", nil,
		"createdDateTime", when(u.PasswordChanged), "lastActionDateTime", when(u.PasswordChanged), "resourceLocation", nil)), nil
}

// rowsOfMethods are the methods that only beta has or that came later, and
// actions on methods.
func rowsOfMethods() {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const at = "users/{id}/authentication/"
	for _, later := range []struct{ segment, only string }{{"platformCredentialMethods", ""}, {"hardwareOathMethods", "beta"}, {"externalAuthenticationMethods", ""}} {
		row(get, at+later.segment, methodsRead, ofUser(listMethods), later.only)
		row(get, at+later.segment+"/{method}", methodsRead, ofUser(listMethods), later.only)
		row(del, at+later.segment+"/{method}", methodsWrite, guardedMethods(deleteMethod), "writes", later.only)
	}
	row(post, at+"hardwareOathMethods", methodsWrite, guardedMethods(addHardware), "writes", "beta")
	row(post, at+"externalAuthenticationMethods", methodsWrite, guardedMethods(addExternal), "writes")
	row(get, at+"qrCodePinMethod", methodsRead, ofUser(getQR), "beta")
	administered := methodsWrite
	administered.self = nil // nobody makes these for themselves
	row(put, at+"qrCodePinMethod", administered, guardedMethods(putQR), "writes", "beta")
	row(del, at+"qrCodePinMethod", administered, guardedMethods(deleteQR), "writes", "beta")
	row(put, at+"phoneMethods/{method}", methodsWrite, guardedMethods(patchPhone), "writes", "beta") // the older form of PATCH
	row(post, at+"phoneMethods/{method}/enableSmsSignIn", methodsWrite, guardedMethods(smsSignIn(true)), "writes")
	row(post, at+"phoneMethods/{method}/disableSmsSignIn", methodsWrite, guardedMethods(smsSignIn(false)), "writes")
	reset := administered
	reset.app = nil // "resetPassword": application permissions are not supported
	row(post, at+"passwordMethods/{method}/resetPassword", reset, guardedMethods(resetPassword), "writes", "beta")
	row(post, at+"methods/{method}/resetPassword", reset, guardedMethods(resetPassword), "writes")
	row(get, at+"operations/{operation}", methodsRead, ofUser(getOperation))
}
