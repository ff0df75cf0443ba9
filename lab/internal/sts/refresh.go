package sts

import (
	"crypto/rand"
	"encoding/base64"
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
	s.refresh[value] = &refreshToken{tenant: q.tenant, client: q.app.ClientID, user: g.user.UPN, issued: q.now, used: q.now, proof: g.proof, acrs: g.acrs,
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
	if held != nil {
		t = *held
	}
	s.mu.Unlock()
	entry := &directory.SignIn{Protocol: "none"}
	result, refused := s.refreshGates(q, entry, held != nil, t)
	s.logSignIn(q, entry, refused)
	if refused == nil {
		s.mu.Lock()
		held.used = q.now
		s.mu.Unlock()
	}
	return result, refused
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
	q.renewal, q.spaUntil = true, t.singlePage
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
