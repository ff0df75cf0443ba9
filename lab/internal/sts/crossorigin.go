package sts

import (
	"net/http"

	"gatehouse/lab/internal/directory"
)

// A script of another site (a single-page app) asks with an Origin header,
// which browsers add and scripts cannot forge (entra-sign-in §3.1).

// allowScripts answers browsers that ask whether a script may call an address,
// and lets scripts read its answers. It reports true for the mere question.
func allowScripts(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Origin") == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "content-type, client-request-id, return-client-request-id, x-client-sku, x-client-ver, x-client-os, x-client-cpu, x-ms-lib-capability")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusOK)
	return true
}

// singlePage applies the rules for what a single-page app redeems: it needs the
// Origin header and has no credential, and nobody else may redeem from another
// origin. It reports whether the client needs no credential for it.
func (s *Server) singlePage(q *request, kind string, credential bool) (bool, *refusal) {
	crossOrigin := q.http.Header.Get("Origin") != ""
	browser, challenge := false, true
	switch kind {
	case "authorization_code":
		e := s.heldCode(q.form.Get("code"))
		if e == nil {
			return false, nil // the grant itself says so
		}
		browser, challenge = e.ask.redirectKind == directory.SPARedirect, e.ask.challenge != ""
		if browser {
			q.spaUntil = q.now.Add(singlePageLife)
		}
	case "refresh_token":
		s.mu.Lock()
		held := s.refresh[q.form.Get("refresh_token")]
		s.mu.Unlock()
		if held == nil {
			return false, nil
		}
		browser, q.spaUntil = !held.singlePage.IsZero(), held.singlePage
	default:
		return false, nil
	}
	switch {
	case browser && !crossOrigin:
		return false, refuse("invalid_request", 9002327, "Tokens issued for the client type 'Single-Page Application' may only be redeemed by cross-origin requests.")
	case !browser && crossOrigin:
		return false, refuse("invalid_request", 9002326, "Cross-origin token redemption is permitted only for the client type 'Single-Page Application'.")
	case browser && credential:
		return false, unauthorised(700025, "The client is public, so neither a client secret nor an assertion may be presented.")
	case browser && !challenge:
		return false, refuse("invalid_request", 9002325, "Proof Key for Code Exchange is required for cross-origin authorization code redemption.")
	}
	return browser, nil
}
