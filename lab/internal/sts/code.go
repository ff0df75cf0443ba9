package sts

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// earned is what an interactive sign-in found out, kept for whoever holds the
// authorization code or device code.
type earned struct {
	ask    *ask
	tenant string
	client string
	upn    string
	proof
	issued     time.Time
	redeemed   bool // guarded by the server's lock
	fromDevice bool
}

const (
	codeLife = 10 * time.Minute
	codeKept = time.Hour // redeemed and expired ones, to name them
	maxCodes = 50_000
)

func (s *Server) earnedBy(f *flow) *earned {
	return &earned{ask: f.ask, tenant: f.tenant, client: f.app.ClientID, upn: f.upn, proof: f.clone(), issued: s.cfg.Store.Now()}
}

// deliverCode sends code and id token to the app.
func (s *Server) deliverCode(w http.ResponseWriter, r *http.Request, f *flow) {
	e := s.earnedBy(f)
	values := url.Values{"session_state": {directory.NameID("session", f.browser)}}
	if f.ask.code {
		code := "1.A" + unguessable() + unguessable()
		s.mu.Lock()
		s.codes.put(code, e, e.issued.Add(codeKept))
		s.mu.Unlock()
		values.Set("code", code)
	}
	if f.ask.idToken {
		q := s.flowRequest(r, f)
		var grant *userGrant
		s.cfg.Store.View(f.tenant, func(t *directory.Tenant) {
			if sub, refused := findSubject(t, f.upn, q.now); refused == nil {
				grant = &userGrant{user: *sub.user, home: sub.home.ID, gdap: sub.gdap, proof: f.proof, nonce: f.ask.nonce, acrs: f.ask.claims.acrs, code: values.Get("code")}
			}
		})
		q.v2 = f.ask.v2
		if grant == nil {
			s.deliverRefusal(w, r, f.ids, f.ask, unknownTenant(f.tenant))
			return
		}
		signed, err := s.idToken(q, grant)
		if err != nil {
			s.deliverRefusal(w, r, f.ids, f.ask, refuse("server_error", 90033, "The service is temporarily unavailable: %v.", err))
			return
		}
		values.Set("id_token", signed)
	}
	if r.Form.Get("client_info") == "1" {
		values.Set("client_info", clientInfo(s.userID(f)))
	}
	s.deliver(w, r, f.ask, values)
}

// heldCode finds an authorization code.
func (s *Server) heldCode(code string) *earned {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.codes.get(code, s.cfg.Store.Now())
	return e
}

// redeemCode is the authorization code grant. A code is good for ten minutes
// and once, for the client, tenant and redirect address it was issued to, and
// for who knows the verifier (entra-sign-in §3).
func (s *Server) redeemCode(q *request) (map[string]any, *refusal) {
	code := q.form.Get("code")
	if code == "" {
		return nil, missingParameter("code")
	}
	e := s.heldCode(code)
	switch {
	case e == nil:
		return nil, refuse("invalid_grant", 70008, "The authorization code is not one of this service, or it has expired.")
	case e.client != q.app.ClientID:
		return nil, refuse("invalid_grant", 70000, "The authorization code was issued to another client than '%s'.", q.app.ClientID)
	case e.tenant != q.tenant:
		return nil, refuse("invalid_grant", 700005, "The authorization code is for another tenant than '%s'.", q.tenant)
	case q.form.Get("redirect_uri") == "":
		return nil, missingParameter("redirect_uri")
	case q.form.Get("redirect_uri") != e.ask.redirect:
		return nil, refuse("invalid_grant", 50011, "The redirect address '%s' is not the one that the authorization code was sent to.", clip(q.form.Get("redirect_uri")))
	}
	if refused := e.ask.verify(q.form.Get("code_verifier")); refused != nil {
		return nil, refused
	}
	s.mu.Lock()
	again := e.redeemed
	e.redeemed = true
	s.mu.Unlock()
	switch {
	case again:
		return nil, refuse("invalid_grant", 54005, "The authorization code was already redeemed; ask for a new one.")
	case q.now.Sub(e.issued) >= codeLife:
		return nil, refuse("invalid_grant", 70008, "The authorization code has expired: it was issued on %s.", e.issued.UTC().Format(time.RFC3339))
	}
	return s.redeem(q, e)
}

// verify checks the PKCE verifier. Clients that used none send an empty one
// (entra-sign-in §15.2).
func (a *ask) verify(verifier string) *refusal {
	if a.challenge == "" && verifier == "" {
		return nil
	}
	hashed := verifier
	if a.method == "S256" {
		sum := sha256.Sum256([]byte(verifier))
		hashed = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if a.challenge == "" || verifier == "" || !same(hashed, a.challenge) {
		return refuse("invalid_grant", 501481, "The code verifier does not match the code challenge of the authorize request.")
	}
	return nil
}

// redeem gives tokens for what a sign-in earned. The account and its consents
// are looked at again.
func (s *Server) redeem(q *request, e *earned) (map[string]any, *refusal) {
	e.fillIn(q)
	if refused := s.resolveScopes(q, false); refused != nil {
		return nil, refused
	}
	entry := &directory.SignIn{UPN: e.upn, Protocol: "none"}
	if e.fromDevice {
		entry.Protocol, q.transfer = "deviceCode", byDevice
	}
	var grant *userGrant
	var refused *refusal
	s.cfg.Store.Update(q.tenant, func(t *directory.Tenant) {
		var sub *subject
		if refused = s.checkResource(q, t); refused != nil {
			return
		}
		if sub, refused = findSubject(t, e.upn, q.now); refused != nil {
			return
		}
		entry.UserID, entry.UserName, entry.HomeTenant = sub.user.ID, sub.user.Name, sub.home.ID
		if refused = sub.stillGood(directory.Remnant{Password: e.password(), Confidential: q.credential != "0", Issued: e.issued}); refused == nil {
			grant, refused = s.authorise(q, t, sub, entry, e.proof)
		}
	})
	if refused != nil {
		// Success was written when the person signed in.
		s.logSignIn(q, entry, refused)
		return nil, refused
	}
	grant.nonce, grant.acrs = e.ask.nonce, joined(e.ask.claims.acrs, grant.acrs)
	return s.userTokens(q, grant)
}

// fillIn takes what the token request leaves out from the authorize request:
// the first resource's scopes, and the OpenID scopes.
func (e *earned) fillIn(q *request) {
	if !q.v2 {
		if q.form.Get("resource") == "" {
			q.form.Set("resource", address(e.ask.wishes[0].resource))
		}
		if slices.Contains(e.ask.openID, "openid") {
			q.form.Set("scope", "openid")
		}
		return
	}
	scopes := strings.Fields(q.form.Get("scope"))
	if len(scopes) == 0 {
		first := e.ask.wishes[0]
		for _, value := range first.scopes {
			scopes = append(scopes, address(first.resource)+"/"+value)
		}
		if first.all {
			scopes = append(scopes, address(first.resource)+"/.default")
		}
	}
	for _, name := range e.ask.openID {
		if !slices.ContainsFunc(scopes, func(s string) bool { return strings.EqualFold(s, name) }) {
			scopes = append(scopes, name)
		}
	}
	if len(scopes) == 0 {
		scopes = []string{"openid", "profile"}
	}
	q.form.Set("scope", strings.Join(scopes, " "))
}

// joined is both lists without repetition.
func joined(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
