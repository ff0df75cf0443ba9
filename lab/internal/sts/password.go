package sts

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/conditional"
	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// subject is the user who signs in: a person of the tenant, a guest, or a
// partner's person with delegated administration.
type subject struct {
	user  *directory.User
	home  *directory.Tenant // where the password is checked
	roles []string          // directory roles in the tenant that is signed in to
	gdap  bool              // no object in the tenant, access through a partner relationship
}

// password is the resource owner password grant (entra-sign-in §7). It never
// prompts: whatever needs a person ends in a refusal.
func (s *Server) password(q *request) (map[string]any, *refusal) {
	name, password := q.form.Get("username"), q.form.Get("password")
	if name == "" {
		return nil, missingParameter("username")
	}
	if password == "" {
		return nil, missingParameter("password")
	}
	entry := &directory.SignIn{UPN: strings.ToLower(clip(name)), Protocol: "ropc", Interactive: true}
	result, refused := s.passwordGates(q, entry, name, password)
	s.logSignIn(q, entry, refused)
	return result, refused
}

func (s *Server) passwordGates(q *request, entry *directory.SignIn, name, password string) (map[string]any, *refusal) {
	if refused := s.resolveScopes(q, false); refused != nil {
		return nil, refused
	}
	// The hash is computed outside the store's lock.
	var hash []byte
	var federated bool
	var refused *refusal
	s.cfg.Store.View(q.tenant, func(t *directory.Tenant) {
		if refused = s.checkResource(q, t); refused != nil {
			return
		}
		var sub *subject
		if sub, refused = findSubject(t, name, q.now); refused == nil {
			hash = sub.user.PasswordHash
			federated = sub.federated()
		}
	})
	if refused != nil {
		return nil, refused
	}
	correct := directory.CheckPassword(hash, password) && !federated

	var grant *userGrant
	s.cfg.Store.Update(q.tenant, func(t *directory.Tenant) {
		var sub *subject
		if sub, refused = findSubject(t, name, q.now); refused != nil {
			return
		}
		entry.UserID, entry.UserName, entry.UPN, entry.HomeTenant = sub.user.ID, sub.user.Name, sub.user.UPN, sub.home.ID
		if refused = q.checkPassword(sub, correct); refused == nil {
			q.how = conditional.Password
			grant, refused = s.authorise(q, t, sub, entry, firstFactor("pwd", q.now))
		}
	})
	if refused != nil {
		return nil, refused
	}
	return s.userTokens(q, grant)
}

func (sub *subject) federated() bool {
	_, domain, _ := strings.Cut(sub.user.UPN, "@")
	d := sub.home.Domain(domain)
	return d != nil && d.Federation != nil
}

// findSubject finds who a user name stands for in a tenant. Codes: 50034 for
// an unknown name, 50020 for somebody of another tenant who has no access here.
func findSubject(t *directory.Tenant, name string, now time.Time) (*subject, *refusal) {
	if u := t.User(name); u != nil && strings.EqualFold(u.UPN, name) {
		sub := &subject{user: u, home: t, roles: t.RolesOf(u.ID)}
		if u.HomeTenant == "" {
			return sub, nil
		}
		sub.home = t.Other(u.HomeTenant)
		if at := sub.home.User(name); at != nil {
			// The guest object decides about methods and rules here, the home
			// account about the password and whether it is enabled.
			guest := *u
			if t.Trusts(u.HomeTenant).MFA {
				guest.Methods = at.Methods // MFA is done at home
			}
			if guest.Device == nil {
				guest.Device = at.Device
			}
			guest.Risk = at.Risk // is known at home only
			guest.PasswordHash, guest.LockedUntil, guest.PasswordExpired = at.PasswordHash, at.LockedUntil, at.PasswordExpired
			guest.Enabled = u.Enabled && at.Enabled
			// Guests' tokens are revoked where they are at home (entra-sign-in §8).
			guest.PasswordValidFrom, guest.RefreshValidFrom = at.PasswordValidFrom, at.RefreshValidFrom
			if at.TokensValidFrom.After(u.TokensValidFrom) {
				guest.TokensValidFrom = at.TokensValidFrom
			}
			sub.user = &guest
		}
		return sub, nil
	}
	_, domain, _ := strings.Cut(strings.ToLower(name), "@")
	if home := t.Other(domain); home != nil && home != t {
		u := home.User(name)
		if u == nil {
			return nil, refuse("invalid_grant", 50034, "The account '%s' does not exist in the directory '%s'.", clip(name), home.Name).sub("bad_token")
		}
		for _, p := range t.Partners {
			if p.Partner != home.ID || !p.Until.IsZero() && now.After(p.Until) {
				continue
			}
			sub := &subject{user: u, home: home, gdap: true}
			for _, group := range home.GroupsOf(u.ID) {
				sub.roles = append(sub.roles, p.Access[group]...)
			}
			if len(sub.roles) > 0 {
				return sub, nil
			}
		}
		return nil, refuse("invalid_grant", 50020, "The account '%s' of '%s' does not exist in the tenant '%s' and cannot reach the application there.", clip(name), home.Name, t.Name)
	}
	return nil, refuse("invalid_grant", 50034, "The account '%s' does not exist in the directory '%s'.", clip(name), t.Name).sub("bad_token")
}

// checkPassword applies the outcome of the password check: lock-out first,
// then the password, then the state of the account.
func (q *request) checkPassword(sub *subject, correct bool) *refusal {
	u, now := sub.user, q.now
	if at := sub.home.User(u.UPN); at != nil {
		u = at // lock-out is counted where the password lives
	}
	if now.Before(u.LockedUntil) {
		return refuse("invalid_grant", 50053, "The account is locked: a wrong user name or password was tried too many times.")
	}
	if !correct {
		u.FailedPasswords++
		if u.FailedPasswords >= sub.home.Lockout.Threshold {
			u.LockedUntil, u.FailedPasswords = now.Add(sub.home.Lockout.Duration), 0
		}
		return badCredentials()
	}
	u.FailedPasswords = 0
	if !sub.user.Enabled {
		return refuse("invalid_grant", 50057, "The user account is disabled.")
	}
	if u.PasswordExpired {
		refused := refuse("invalid_grant", 50055, "The password has expired.").sub("user_password_expired")
		if !q.v2 {
			refused.oauth, refused.suberror = "user_password_expired", ""
			refused.more = map[string]any{"password_change_url": q.host + "/common/changepassword"}
		}
		return refused
	}
	return nil
}

// userGrant is what a user's sign-in has earned.
type userGrant struct {
	user   directory.User
	home   string // tenant id
	gdap   bool   // has no object in the tenant
	roles  []string
	scopes []string // permission names on the resource
	proof

	// Of an interactive sign-in:
	nonce string
	code  string   // authorization code that the id token goes with
	acrs  []string // authentication contexts that were met
}

// authorise passes the gates behind the password: policies and MFA, consent,
// assignment.
func (s *Server) authorise(q *request, t *directory.Tenant, sub *subject, entry *directory.SignIn, p proof) (*userGrant, *refusal) {
	if refused := s.unmet(t, q, sub, entry, p); refused != nil {
		return nil, refused
	}
	scopes, refused := q.grantedScopes(t, sub)
	if refused != nil {
		return nil, refused
	}
	if sub.gdap && len(scopes) == 0 {
		return nil, refuse("invalid_grant", 90099, "The application '%s' is not authorised in the tenant '%s'. Apps must be authorised there before partner delegated administrators can use them.", q.app.ClientID, t.ID)
	}
	missing := len(scopes) == 0
	for _, p := range q.permitted {
		missing = missing || !slices.ContainsFunc(scopes, func(s string) bool { return strings.EqualFold(s, p) })
	}
	if missing {
		return nil, refuse("invalid_grant", 65001, "Neither the user nor an administrator has consented to the application '%s' named '%s' for what it asks.", q.app.ClientID, q.app.Name).sub("consent_required")
	}
	if refused := q.checkAssignment(t, sub); refused != nil {
		return nil, refused
	}
	return &userGrant{user: *sub.user, home: sub.home.ID, gdap: sub.gdap, roles: sub.roles, scopes: scopes, proof: p, acrs: q.claims.acrs}, nil
}

func assigned(t *directory.Tenant, p *directory.Principal, user string) bool {
	for _, id := range append([]string{user}, t.GroupsOf(user)...) {
		if slices.Contains(p.Assigned, id) {
			return true
		}
	}
	return false
}

// userTokens makes the answer for a user: access token, and id and refresh
// tokens where they were asked for (entra-sign-in §4).
func (s *Server) userTokens(q *request, g *userGrant) (map[string]any, *refusal) {
	claims := &token.Claims{
		ObjectID: g.user.ID, Subject: directory.NameID("subject", q.app.ClientID, g.user.ID), IDType: "user", UPN: g.user.UPN, Scopes: strings.Join(g.scopes, " "),
		AppID: q.app.ClientID, AppIDACR: q.credential, AMR: g.amr,
		WIDs:  append(slices.Clone(g.roles), "b79fbf4d-3ef9-4689-8143-76b194e85509"), // every user token carries it
		Extra: map[string]any{"name": g.user.Name, "unique_name": g.user.UPN}, ACRs: g.acrs,
	}
	q.provider(g, claims.Extra)
	result, err := s.accessToken(q, claims, g.proof)
	if err == nil && q.asks("openid") {
		result["id_token"], err = s.idToken(q, g)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	result["scope"] = q.scopeEcho(g.scopes)
	if q.asks("offline_access") || !q.v2 {
		result["refresh_token"] = s.newRefresh(q, g)
	}
	if q.form.Get("client_info") == "1" {
		result["client_info"] = clientInfo(g.user.ID, g.home)
	}
	return result, nil
}

// provider tells where somebody of another tenant is at home: idp names the
// issuer there (id-token and access-token claims reference). acct, member or
// guest, is left out for partners, who are neither.
func (q *request) provider(g *userGrant, extra map[string]any) {
	if g.home != "" && g.home != q.tenant {
		extra["idp"] = "https://sts.windows.net/" + g.home + "/"
	}
	if !g.gdap {
		extra["acct"] = map[string]int{directory.Member: 0, directory.Guest: 1}[g.user.Type]
	}
}

func (q *request) asks(scope string) bool {
	return slices.ContainsFunc(q.asked, func(s string) bool { return strings.EqualFold(s, scope) })
}

// scopeEcho lists what was granted. MSAL Go takes every asked scope that is
// not echoed literally as declined (entra-sign-in §15.3), so scopes come back
// as they were asked; .default is followed by what it stands for.
func (q *request) scopeEcho(granted []string) string {
	if !q.v2 {
		return strings.Join(granted, " ")
	}
	out := slices.DeleteFunc(slices.Clone(q.asked), func(s string) bool { return strings.EqualFold(s, "offline_access") })
	if q.isDefault {
		for _, scope := range granted {
			if !slices.Contains(openIDScopes, scope) {
				out = append(out, q.audience()+"/"+scope)
			}
		}
	}
	return strings.Join(out, " ")
}

func (s *Server) idToken(q *request, g *userGrant) (string, error) {
	issuer := q.host + "/" + q.tenant + "/v2.0"
	extra := map[string]any{"ver": "2.0", "name": g.user.Name, "preferred_username": g.user.UPN}
	if !q.v2 {
		issuer = "https://sts.windows.net/" + q.tenant + "/"
		extra = map[string]any{"ver": "1.0", "name": g.user.Name, "unique_name": g.user.UPN, "amr": g.amr}
	}
	if g.nonce != "" {
		extra["nonce"] = g.nonce
	}
	q.provider(g, extra)
	if len(g.acrs) > 0 {
		extra["acrs"] = g.acrs
	}
	if g.code != "" { // OpenID Connect Core §3.3.2.11
		sum := sha256.Sum256([]byte(g.code))
		extra["c_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	s.groupClaims(q, g, extra)
	atHome(q, g, extra)
	return s.cfg.Tokens.Sign(&token.Claims{
		Audience: q.app.ClientID, Issuer: issuer, IssuedAt: q.now.Unix(), NotBefore: q.now.Unix(), Expires: q.now.Add(time.Hour).Unix(),
		TenantID: q.tenant, ObjectID: g.user.ID, Subject: directory.NameID("subject", q.app.ClientID, g.user.ID), Extra: extra,
	})
}
