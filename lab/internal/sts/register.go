package sts

import (
	"crypto/rand"
	"encoding/base32"
	"net/http"
	"strings"

	"gatehouse/lab/internal/directory"
)

// setup is the registration of a first method on its way: a code app, of which
// secret and code are exchanged on the page, or Authenticator, which proves
// itself by a first push.
type setup struct {
	secret string
	prompt *push
}

// chooseRegistration takes the choice of what to register.
func (s *Server) chooseRegistration(f *flow, action string) {
	switch action {
	case "oath":
		b := make([]byte, 20)
		_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
		f.setup = &setup{secret: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)}
	case "authenticator":
		f.setup = &setup{prompt: s.newPrompt(f, true)}
	case "skip":
		// Only asked for where it may be put off; a demand asks again.
		f.skipped = true
	default:
		f.problem = refuse("invalid_request", 90014, "Choose what to set up.")
	}
}

// setupDone looks whether a first push was approved. Any other answer leads
// back to the choice.
func (s *Server) setupDone(r *http.Request, f *flow) bool {
	if f.setup.prompt == nil {
		return false
	}
	switch s.answerOf(f.setup.prompt) {
	case "":
		return false
	case "approved":
		s.register(f, &directory.Method{Type: directory.Authenticator, Name: "Phone"})
		return true
	}
	f.setup = nil
	f.problem = refuse("invalid_grant", 500121, "Authentication failed during the strong authentication request. The first request was not approved on the phone with the number on the screen.")
	s.logFlow(r, f, f.problem)
	return false
}

// takeSetup takes the first code of a code app.
func (s *Server) takeSetup(r *http.Request, f *flow, action, code string) {
	if action == "back" {
		if p := f.setup.prompt; p != nil {
			s.mu.Lock()
			s.prompts.drop(p.ID)
			s.mu.Unlock()
		}
		f.setup = nil
		return
	}
	if f.setup.prompt != nil {
		return
	}
	if !s.checkOATH(f.id, f.setup.secret, strings.ReplaceAll(strings.TrimSpace(code), " ", ""), s.cfg.Store.Now()) {
		f.problem = refuse("invalid_grant", 500121, "The code does not match the secret. Check the clock of the device and take the code that is shown now.")
		s.logFlow(r, f, f.problem)
		return
	}
	s.register(f, &directory.Method{Type: directory.SoftwareOATH, Name: "Code app", Secret: f.setup.secret})
}

// register adds a method to the account. Who registers has proved the method,
// so the sign-in counts as one with a second factor.
func (s *Server) register(f *flow, m *directory.Method) {
	m.ID, m.Created = directory.RandomID(), s.cfg.Store.Now()
	s.cfg.Store.Update(f.tenant, func(t *directory.Tenant) {
		sub, refused := findSubject(t, f.upn, m.Created)
		if refused != nil {
			return
		}
		// A guest's methods are kept here, a partner's in the partner's tenant; so
		// are those of a guest whose MFA is done at home.
		u := t.User(sub.user.ID)
		if u == nil || sub.home.ID != t.ID && t.Trusts(sub.home.ID).MFA {
			u = sub.home.User(sub.user.UPN)
		}
		u.Methods = append(u.Methods[:len(u.Methods):len(u.Methods)], m)
	})
	way := map[string]string{directory.Authenticator: "push", directory.SoftwareOATH: "oath"}[m.Type]
	f.setup = nil
	f.passMFA(way, m.Created)
}
