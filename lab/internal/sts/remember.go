package sts

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// Remembered MFA ("Configure Microsoft Entra multifactor authentication
// settings", remember multifactor authentication): a browser that was told not to
// ask again is not asked for some days; everybody else's refresh tokens are held
// against the same number of days.

// trustCookie is the browser's; its name is the lab's own.
const trustCookie = "ESTSMFATRUST"

// outdated reports whether the second factor is older than the tenant remembers
// one.
func (p proof) outdated(t *directory.Tenant, now time.Time) bool {
	return t.RememberDays > 0 && p.factor() && !p.factorAt.IsZero() && now.Sub(p.factorAt) >= rememberLife(t)
}

func rememberLife(t *directory.Tenant) time.Duration {
	return time.Duration(t.RememberDays) * 24 * time.Hour
}

// rememberGate takes away from a flow a second factor that is too old, and gives
// it one that its browser was trusted with.
func (s *Server) rememberGate(t *directory.Tenant, sub *subject, r *http.Request, f *flow, now time.Time) {
	f.rememberDays = t.RememberDays
	if f.outdated(t, now) {
		f.proof = f.once()
	}
	if t.RememberDays == 0 || f.factor() || !f.password() {
		return
	}
	since, way := s.trusted(r, t.ID, f.upn, now)
	if since.IsZero() || now.Sub(since) >= rememberLife(t) || since.Before(sub.user.TokensValidFrom) {
		return
	}
	f.proof = f.with(way, since)
	f.changed = true
}

// trust is what a browser was trusted with: when somebody gave a second factor
// in it, and how.
type trust struct {
	at  time.Time
	way string
}

func trustKey(tenant, upn string) string { return tenant + " " + strings.ToLower(upn) }

func (s *Server) trusted(r *http.Request, tenant, upn string, now time.Time) (time.Time, string) {
	c, err := r.Cookie(trustCookie)
	if err != nil {
		return time.Time{}, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	held, _ := s.trusts.get(c.Value, now)
	one := held[trustKey(tenant, upn)]
	return one.at, one.way
}

// trust notes in the browser that it need not ask for this person's second
// factor again. Each time has a cookie value of its own.
func (s *Server) trust(w http.ResponseWriter, r *http.Request, f *flow) {
	now := s.cfg.Store.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := map[string]trust{}
	if c, err := r.Cookie(trustCookie); err == nil {
		held, _ := s.trusts.get(c.Value, now)
		maps.Copy(list, held)
		s.trusts.drop(c.Value)
	}
	list[trustKey(f.tenant, f.upn)] = trust{f.factorAt, f.factorWay}
	value, life := unguessable(), time.Duration(f.rememberDays)*24*time.Hour
	s.trusts.put(value, list, now.Add(life))
	setCookie(w, trustCookie, value, life)
	f.dontAsk = false
}
