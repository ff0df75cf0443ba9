package sts

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// Session cookies, as Entra names them. They cross sites, because answers are
// posted between sites; browsers then want Secure.
const (
	sessionCookie    = "ESTSAUTH"
	persistentCookie = "ESTSAUTHPERSISTENT"

	sessionLife    = 24 * time.Hour
	persistentLife = 90 * 24 * time.Hour
	maxSessions    = 10_000
	maxAccounts    = 20 // of one browser
)

// session is what one browser has signed in to.
type session struct {
	accounts   []account
	persistent bool
}

// account is one signed-in user of a session.
type account struct {
	upn, name string
	tenant    string // signed in to first
	proof
}

func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode} //nolint:gosec // crosses sites, as Entra's
	switch {
	case life > 0:
		c.MaxAge = int(life / time.Second)
	case life < 0:
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// sessionOf finds the browser's session. The caller holds the lock.
func (s *Server) sessionOf(r *http.Request) (string, *session) {
	for _, name := range []string{persistentCookie, sessionCookie} {
		if c, err := r.Cookie(name); err == nil {
			if held, ok := s.sessions.get(c.Value, s.cfg.Store.Now()); ok {
				return c.Value, held
			}
		}
	}
	return "", nil
}

// accounts are the users that a browser has signed in.
func (s *Server) accounts(r *http.Request) []account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, held := s.sessionOf(r); held != nil {
		return slices.Clone(held.accounts)
	}
	return nil
}

// remember puts the flow's user into the browser's session, or makes one. A
// new value for the cookie at each sign-in: nobody can have planted it.
func (s *Server) remember(w http.ResponseWriter, r *http.Request, f *flow, persistent bool) {
	now := s.cfg.Store.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	old, held := s.sessionOf(r)
	next := &session{persistent: persistent}
	if held != nil {
		next.persistent = next.persistent || held.persistent && f.persistent != "never"
		next.accounts = slices.DeleteFunc(slices.Clone(held.accounts), func(a account) bool { return strings.EqualFold(a.upn, f.upn) })
		i := slices.IndexFunc(held.accounts, func(a account) bool { return strings.EqualFold(a.upn, f.upn) })
		if i >= 0 && held.accounts[i].signedIn.Equal(f.signedIn) && next.persistent == held.persistent && len(held.accounts[i].amr) >= len(f.amr) && slices.Equal(held.accounts[i].modes, f.modes) &&
			held.accounts[i].external == f.external && held.accounts[i].factorAt.Equal(f.factorAt) {
			return
		}
		s.sessions.drop(old)
	}
	next.accounts = append(next.accounts, account{upn: f.upn, name: f.name, tenant: f.tenant, proof: f.clone()})
	if len(next.accounts) > maxAccounts {
		next.accounts = next.accounts[1:]
	}
	value := unguessable()
	if next.persistent {
		s.sessions.put(value, next, now.Add(persistentLife))
		setCookie(w, persistentCookie, value, persistentLife)
	} else {
		if held != nil && held.persistent {
			setCookie(w, persistentCookie, "", -1) // a policy wants the browser to forget
		}
		s.sessions.put(value, next, now.Add(sessionLife))
		setCookie(w, sessionCookie, value, 0)
	}
}

// adopt signs the flow in with an account of the session. Where that account
// cannot be used, the flow asks.
func (s *Server) adopt(r *http.Request, f *flow, a account) {
	if f.problem = s.setUser(r, f, a.upn); f.problem != nil {
		return
	}
	f.proof = a.clone()
	trusted := false
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) {
		if home := t.Other(a.tenant); home != nil {
			trusted = t.Trusts(home.ID).MFA
		}
	})
	if a.tenant != f.tenant && !trusted {
		// A tenant does not trust a second factor that another asked for, unless
		// its cross-tenant access settings say so.
		f.proof = f.once()
	}
}

// pick is the account picker's answer: one of the accounts, or "" for another.
func (s *Server) pick(r *http.Request, f *flow, upn string) {
	accounts := s.accounts(r)
	if i := slices.IndexFunc(accounts, func(a account) bool { return strings.EqualFold(a.upn, upn) }); i >= 0 {
		s.adopt(r, f, accounts[i])
		return
	}
	f.other = true
}
