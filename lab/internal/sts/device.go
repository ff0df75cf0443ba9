package sts

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// deviceCode is a sign-in for a device without a browser (entra-sign-in §6).
// Guarded by the server's lock.
type deviceCode struct {
	code, user string // device code and user code
	ask        *ask
	app        directory.App
	expires    time.Time
	declined   bool
	redeemed   bool
	earned     *earned  // nil until the person has signed in
	refused    *refusal // a policy stopped the person
}

const (
	deviceLife     = 15 * time.Minute
	deviceInterval = 5
	maxDevices     = 10_000
	devicePath     = "/common/oauth2/deviceauth"

	// grantDevice is the documented grant name; MSAL sends the short one.
	grantDevice      = "urn:ietf:params:oauth:grant-type:device_code"
	grantDeviceShort = "device_code"
)

// deviceAuthorization answers a device with its codes.
func (s *Server) deviceAuthorization(w http.ResponseWriter, r *http.Request, tenant string, v2 bool) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.answerRefusal(w, r, idsOf(r), refuse("invalid_request", 900561, "The endpoint accepts only POST requests; this was a %s.", clip(r.Method)))
		return
	}
	if refused := readForm(w, r); refused != nil {
		s.answerRefusal(w, r, idsOf(r), refused)
		return
	}
	ids := idsOf(r)
	a := &ask{v2: v2, segment: tenant, clientID: strings.ToLower(r.PostForm.Get("client_id")), mode: modeQuery}
	app, refused := s.askedApp(tenant, a.clientID)
	if refused == nil {
		refused = s.readScope(r, a, r.PostForm)
	}
	if refused == nil && !app.Public {
		refused = refuse("invalid_client", 7000218, "The device code flow is for public clients; '%s' is none.", app.ClientID).with(http.StatusUnauthorized)
	}
	if refused != nil {
		s.answerRefusal(w, r, ids, refused)
		return
	}
	now := s.cfg.Store.Now()
	d := &deviceCode{code: "B" + unguessable() + unguessable(), user: userCode(), ask: a, app: app, expires: now.Add(deviceLife)}
	s.mu.Lock()
	s.devices.put(d.code, d, now.Add(deviceLife+codeKept))
	s.userCodes.put(d.user, d, d.expires)
	s.mu.Unlock()
	address := s.cfg.Root(r) + devicePath
	seconds := any(int(deviceLife / time.Second))
	interval := any(deviceInterval)
	if !v2 { // the v1.0 endpoint writes its numbers as strings
		seconds, interval = fmt.Sprint(seconds), fmt.Sprint(interval)
	}
	answer := map[string]any{
		"device_code": d.code, "user_code": d.user, "verification_uri": address, "expires_in": seconds, "interval": interval,
		"message": fmt.Sprintf("Open %s in a browser and enter the code %s to sign in.", address, d.user),
	}
	if !v2 {
		answer["verification_url"] = address
	}
	s.answer(w, ids, http.StatusOK, answer)
}

// userCode is what a person types: nine letters and digits that are not
// mistaken for each other.
func userCode() string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	b := make([]byte, 9)
	for i := range b {
		b[i] = alphabet[below(int64(len(alphabet)))]
	}
	return string(b)
}

// deviceAuth is the page where the person enters the code.
func (s *Server) deviceAuth(w http.ResponseWriter, r *http.Request) {
	if refused := readForm(w, r); refused != nil {
		s.showError(w, r, idsOf(r), "", refused)
		return
	}
	p := s.page(r, "usercode", "Enter the code of the device")
	p.Action, p.Code = devicePath, clip(typedCode(r.Form.Get("otc")))
	if r.Method != http.MethodPost {
		s.render(w, r, http.StatusOK, p)
		return
	}
	d := s.openDevice(r.Form.Get("otc"))
	if d == nil {
		p.Problem = refuse("invalid_request", 70018, "This code is not known, has expired or was used. Look at the device again.")
		s.render(w, r, http.StatusOK, p)
		return
	}
	f := s.newFlow(w, r, deviceSignIn, d.ask, d.app, idsOf(r))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.device = d.code
	http.Redirect(w, r, loginAddress(f), http.StatusSeeOther) //nolint:gosec // own path
}

func typedCode(code string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
}

// openDevice finds the device that shows a code and waits for somebody, nil if
// there is none.
func (s *Server) openDevice(code string) *deviceCode {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.userCodes.get(typedCode(code), s.cfg.Store.Now())
	if !ok || d.earned != nil || d.refused != nil || d.declined {
		return nil
	}
	return d
}

// confirmDevice is the answer to whether the person meant to sign in there.
func (s *Server) confirmDevice(w http.ResponseWriter, r *http.Request, f *flow, yes bool) bool {
	if !yes {
		s.endFlow(f)
		s.deviceDeclined(w, r, f)
		return true
	}
	f.confirmed = true
	s.begin(r, f)
	return false
}

func (s *Server) deviceDeclined(w http.ResponseWriter, r *http.Request, f *flow) {
	s.mu.Lock()
	if d, ok := s.devices.get(f.device, s.cfg.Store.Now()); ok && d.earned == nil {
		d.declined = true
	}
	s.mu.Unlock()
	p := s.page(r, "message", "Not signed in")
	p.Lead = "The device has been told that you declined. You may close this page."
	s.render(w, r, http.StatusOK, p)
}

// deviceRefused lets the device hear that a policy stopped the person.
func (s *Server) deviceRefused(f *flow, refused *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.devices.get(f.device, s.cfg.Store.Now()); ok && d.earned == nil {
		d.refused = refused
	}
}

func (s *Server) deviceSignedIn(w http.ResponseWriter, r *http.Request, f *flow) {
	e := s.earnedBy(f)
	e.fromDevice, e.transfer = true, byDevice
	s.mu.Lock()
	d, ok := s.devices.get(f.device, s.cfg.Store.Now())
	if ok = ok && d.earned == nil && !d.declined && e.issued.Before(d.expires); ok {
		d.earned = e
	}
	s.mu.Unlock()
	if !ok {
		s.showError(w, r, f.ids, f.app.Name, refuse("expired_token", 70019, "The code of the device has expired. Let it show a new one."))
		return
	}
	p := s.page(r, "message", "Signed in")
	p.Lead = "You are signed in to " + f.app.Name + " on your device. You may close this page."
	s.render(w, r, http.StatusOK, p)
}

// deviceTenant is where the person of a device code signed in. Before that, a
// shared address has the answer for the device already.
func (s *Server) deviceTenant(q *request) (string, *refusal) {
	e, refused := s.pollState(q)
	if refused != nil {
		return "", refused
	}
	return e.tenant, nil
}

// pollState tells how a device code stands. The device is never told to slow
// down: Entra does not say so, and MSAL Node fails on it.
func (s *Server) pollState(q *request) (*earned, *refusal) {
	code := q.form.Get("device_code")
	if code == "" {
		code = q.form.Get("code") // v1.0
	}
	if code == "" {
		return nil, missingParameter("device_code")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices.get(code, q.now)
	switch {
	case !ok || !strings.EqualFold(d.app.ClientID, q.form.Get("client_id")):
		return nil, refuse("bad_verification_code", 70018, "The device code is not one that this client was given.")
	case d.declined:
		return nil, refuse("authorization_declined", 65004, "The person has declined the sign-in.")
	case d.refused != nil:
		return nil, d.refused
	case d.redeemed:
		return nil, refuse("invalid_grant", 54005, "The device code was already redeemed; ask for a new one.")
	case !q.now.Before(d.expires):
		return nil, refuse("expired_token", 70019, "The device code has expired; ask for a new one.")
	case d.earned == nil:
		return nil, refuse("authorization_pending", 70016, "The person has not signed in yet; ask again.")
	case q.tenant == "": // only looking for the tenant
		return d.earned, nil
	case d.earned.tenant != q.tenant:
		return nil, refuse("invalid_grant", 700005, "The device code is for another tenant than '%s'.", q.tenant)
	}
	d.redeemed = true
	return d.earned, nil
}

// pollDevice is the device's question whether the person has signed in.
func (s *Server) pollDevice(q *request) (map[string]any, *refusal) {
	e, refused := s.pollState(q)
	if refused != nil {
		return nil, refused
	}
	return s.redeem(q, e)
}
