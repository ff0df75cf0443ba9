package sts

import (
	"net/http"
	"strings"
	"unicode"

	"gatehouse/lab/internal/directory"
)

// A password that has expired, or that a policy wants changed, is changed on the
// way in: who knows the old one may set
// a new one. The password grant cannot do that and ends with 50055.

// changePassword sets the new password of a flow whose old one was right.
func (s *Server) changePassword(r *http.Request, f *flow, password, again string) {
	q := s.flowRequest(r, f)
	switch {
	case password != again:
		f.problem = refuse("invalid_request", 90013, "The two new passwords differ.")
		return
	case !strong(password):
		f.problem = refuse("invalid_request", 90013, "The new password needs 8 to 256 characters of at least three kinds: lower case, upper case, digits, symbols.")
		return
	}
	hash := directory.HashPassword(password)
	var old []byte
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) {
		if sub, refused := findSubject(t, f.upn, q.now); refused == nil {
			old = sub.user.PasswordHash
		}
	})
	if directory.CheckPassword(old, password) {
		f.problem = refuse("invalid_request", 90013, "The new password must be another than the old one.")
		return
	}
	s.cfg.Store.Update(f.tenant, func(t *directory.Tenant) {
		sub, refused := findSubject(t, f.upn, q.now)
		if refused != nil {
			f.problem = refused
			return
		}
		u := sub.user
		if at := sub.home.User(u.UPN); at != nil {
			u = at // the password lives at home
		}
		u.SetPassword(hash, "", q.now)
		if f.compromised && u.Risk.Level != "" {
			u.SetRisk("none", "remediated", "userPerformedSecuredPasswordChange", u.ID, q.now)
		}
	})
	switch {
	case f.problem != nil:
	case f.compromised:
		f.compromised, f.signedIn, f.changed = false, q.now, true
		f.done = []string{"passwordChange", "riskRemediation"}
	default:
		f.expired = false
		f.proof, f.fresh, f.changed = firstFactor("pwd", q.now), true, true
	}
}

// strong is the rule for cloud passwords.
func strong(password string) bool {
	if n := len([]rune(password)); n < 8 || n > 256 || strings.TrimSpace(password) != password {
		return false
	}
	kinds := [4]bool{}
	for _, c := range password {
		switch {
		case unicode.IsLower(c):
			kinds[0] = true
		case unicode.IsUpper(c):
			kinds[1] = true
		case unicode.IsDigit(c):
			kinds[2] = true
		default:
			kinds[3] = true
		}
	}
	n := 0
	for _, k := range kinds {
		if k {
			n++
		}
	}
	return n >= 3
}
