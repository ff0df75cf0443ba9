package sts

import (
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"time"

	"gatehouse/lab/internal/directory"
)

// refreshToken is bound to user and client, not to a resource (entra-sign-in
// §8).
type refreshToken struct {
	tenant, client, user string // ids; user as UPN
	issued               time.Time
	used                 time.Time
	proof
	acrs         []string
	confidential bool      // the client has a credential
	singlePage   time.Time // until when, for a single-page app; zero for others
	family       string    // of the tokens that go back to one sign-in
	spent        bool      // was redeemed, where tokens serve once only
}

const (
	singlePageLife = 24 * time.Hour      // fixed and inherited: 700084
	refreshIdle    = 90 * 24 * time.Hour // unused for longer: 700082
	maxRefresh     = 200_000             // kept at once; the oldest go first
)

func (s *Server) newRefresh(q *request, g *userGrant) string {
	b := make([]byte, 48)
	_, _ = rand.Read(b)
	value := "1.A" + base64.RawURLEncoding.EncodeToString(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refresh) >= maxRefresh {
		var oldest string
		for k, t := range s.refresh {
			if oldest == "" || t.used.Before(s.refresh[oldest].used) {
				oldest = k
			}
		}
		delete(s.refresh, oldest)
	}
	if q.family == "" {
		q.family = value
	} else if s.singleUse && s.refresh[q.form.Get("refresh_token")] == nil {
		return value // the family was revoked meanwhile: this one is dead already
	}
	s.refresh[value] = &refreshToken{family: q.family, tenant: q.tenant, client: q.app.ClientID, user: g.user.UPN, issued: q.now, used: q.now, proof: g.proof, acrs: g.acrs,
		confidential: q.credential != "0", singlePage: q.spaUntil}
	return value
}

func (s *Server) refreshTenant(value string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refresh[value]; t != nil {
		return t.tenant
	}
	return common // resolves to no tenant, the refusal names it
}

// redeemRefresh exchanges a refresh token. The old one stays valid, as Entra's
// does; account state, MFA rules and consent are looked at again.
func (s *Server) redeemRefresh(q *request) (map[string]any, *refusal) {
	value := q.form.Get("refresh_token")
	if value == "" {
		return nil, missingParameter("refresh_token")
	}
	s.mu.Lock()
	var t refreshToken
	held := s.refresh[value]
	if held != nil && s.singleUse && !s.spend(held) {
		held = nil
	}
	if held != nil {
		t = *held
	}
	s.mu.Unlock()
	entry := &directory.SignIn{Protocol: "none"}
	result, refused := s.refreshGates(q, entry, held != nil, t)
	s.logSignIn(q, entry, refused)
	if held != nil {
		s.mu.Lock()
		if refused == nil {
			held.used = q.now
		} else {
			held.spent = false // nothing came of it
		}
		s.mu.Unlock()
	}
	return result, refused
}

// spend uses a refresh token up. One that is spent already takes its whole
// family with it: one of the two who hold it is a thief, and which one nobody
// can tell (RFC 9700 §4.14.2). The caller holds the lock.
func (s *Server) spend(t *refreshToken) bool {
	if !t.spent {
		t.spent = true
		return true
	}
	for value, other := range s.refresh {
		if other.family == t.family {
			delete(s.refresh, value)
		}
	}
	return false
}

// SetSingleUse decides whether refresh tokens serve once only. Entra's serve on
// (entra-sign-in §8).
func (s *Server) SetSingleUse(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.singleUse = on
}

// Owner is the user name behind the refresh token or authorization code of a
// token request, "" if it has none that is known.
func (s *Server) Owner(form url.Values) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch form.Get("grant_type") {
	case "refresh_token":
		if t := s.refresh[form.Get("refresh_token")]; t != nil {
			return t.user
		}
	case "authorization_code":
		if e, ok := s.codes.get(form.Get("code"), s.cfg.Store.Now()); ok {
			return e.upn
		}
	}
	return ""
}

func (s *Server) refreshGates(q *request, entry *directory.SignIn, known bool, t refreshToken) (map[string]any, *refusal) {
	switch {
	case !known:
		return nil, refuse("invalid_grant", 70000, "The refresh token is not valid: it was never issued here, or it is damaged.").sub("bad_token")
	case t.client != q.app.ClientID:
		return nil, refuse("invalid_grant", 70000, "The refresh token was issued to another client than '%s'.", q.app.ClientID).sub("bad_token")
	case !t.singlePage.IsZero() && q.now.After(t.singlePage):
		return nil, refuse("invalid_grant", 700084, "The refresh token was issued to a single-page app and has the fixed lifetime of a day, which ended on %s. The user has to sign in again.", t.singlePage.UTC().Format(time.RFC3339))
	case q.now.Sub(t.used) > refreshIdle:
		return nil, refuse("invalid_grant", 700082, "The refresh token has expired: it was issued on %s and not used for 90 days.", t.issued.UTC().Format(time.RFC3339))
	}
	if q.form.Get("scope") == "" && q.v2 {
		q.form.Set("scope", "https://graph.microsoft.com/.default openid offline_access")
	}
	if refused := s.resolveScopes(q, false); refused != nil {
		return nil, refused
	}
	q.renewal, q.spaUntil, q.family = true, t.singlePage, t.family
	var grant *userGrant
	var refused *refusal
	s.cfg.Store.Update(q.tenant, func(tenant *directory.Tenant) {
		if refused = s.checkResource(q, tenant); refused != nil {
			return
		}
		var sub *subject
		if sub, refused = findSubject(tenant, t.user, q.now); refused != nil {
			return
		}
		entry.UserID, entry.UserName, entry.UPN, entry.HomeTenant = sub.user.ID, sub.user.Name, sub.user.UPN, sub.home.ID
		if refused = sub.stillGood(directory.Remnant{Password: t.password(), Confidential: t.confidential, Issued: t.issued}); refused == nil {
			grant, refused = s.authorise(q, tenant, sub, entry, t.proof)
		}
	})
	if refused != nil {
		return nil, refused
	}
	grant.acrs = joined(t.acrs, grant.acrs)
	return s.userTokens(q, grant)
}
