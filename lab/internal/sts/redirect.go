package sts

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// nativeClient is the path of the page that desktop apps without a listener of
// their own are sent to (entra-sign-in §2).
const nativeClient = "/common/oauth2/nativeclient"

// redirectURI checks the address to answer to (entra-sign-in §3.1) and tells
// what it was registered for. Faults in
// it are never sent anywhere: 900971 none sent, 500113 none registered, 50011
// another than the registered ones.
func (s *Server) redirectURI(r *http.Request, app *directory.App, asked string) (kind string, refused *refusal) {
	switch {
	case len(app.RedirectURIs) == 0:
		return "", refuse("invalid_request", 500113, "No reply address is registered for the application '%s'.", app.ClientID)
	case asked == "":
		return "", refuse("invalid_request", 900971, "No reply address was provided.")
	}
	u, err := url.Parse(asked)
	if err == nil && u.Fragment == "" && !dangerous(u) {
		native := asked == s.cfg.Root(r)+nativeClient
		for _, registered := range app.RedirectURIs {
			if sameRedirect(registered, u, asked) || native && strings.HasSuffix(registered, nativeClient) {
				return app.RedirectKind(registered), nil
			}
		}
	}
	return "", refuse("invalid_request", 50011, "The redirect address '%s' in the request is none of those registered for the application '%s'.", clip(asked), app.ClientID)
}

// dangerous reports schemes that a browser would run or show as a document of
// the page that sends it there.
func dangerous(u *url.URL) bool {
	return slices.Contains([]string{"", "javascript", "data", "vbscript", "blob", "about", "file"}, strings.ToLower(u.Scheme))
}

// sameRedirect compares a registered address with the asked one: character by
// character, but for the case of scheme and host, an empty path, and the port
// on the machine itself.
func sameRedirect(registered string, asked *url.URL, raw string) bool {
	if registered == raw {
		return true
	}
	u, err := url.Parse(registered)
	if err != nil || u.Opaque != "" || asked.Opaque != "" || asked.User != nil || u.Host == "" {
		return false
	}
	if !strings.EqualFold(u.Scheme, asked.Scheme) || !strings.EqualFold(u.Hostname(), asked.Hostname()) {
		return false
	}
	host := strings.ToLower(u.Hostname())
	if u.Port() != asked.Port() && host != "localhost" && host != "127.0.0.1" {
		return false
	}
	path := func(u *url.URL) string {
		if p := u.EscapedPath(); p != "" {
			return p
		}
		return "/"
	}
	return path(u) == path(asked) && u.RawQuery == asked.RawQuery
}

// deliver sends an answer to the app in its response mode.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, a *ask, values url.Values) {
	if a.state != "" {
		values.Set("state", a.state)
	}
	if a.mode == modeFormPost {
		p := s.page(r, "post", "Back to the app")
		p.Target, p.Values = a.redirect, values
		s.render(w, r, http.StatusOK, p)
		return
	}
	u, err := url.Parse(a.redirect)
	if err != nil { // it was read before
		http.Error(w, "The redirect address cannot be read.", http.StatusInternalServerError)
		return
	}
	if u.Path == "" && u.Opaque == "" && (u.Scheme == "http" || u.Scheme == "https") {
		u.Path = "/"
	}
	target := u.String()
	switch {
	case a.mode == modeFragment:
		target += "#" + values.Encode()
	case strings.Contains(target, "?"):
		target += "&" + values.Encode()
	default:
		target += "?" + values.Encode()
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "strict-origin-when-cross-origin")
	http.Redirect(w, r, target, http.StatusFound) //nolint:gosec // registered by the app
}

// deliverRefusal sends an error to the app (entra-sign-in §3).
func (s *Server) deliverRefusal(w http.ResponseWriter, r *http.Request, ids requestIDs, a *ask, refused *refusal) {
	values := url.Values{"error": {refused.oauth}, "error_description": {s.description(ids, refused)}}
	if refused.suberror != "" {
		values.Set("error_subcode", refused.suberror)
	}
	values.Set("error_uri", fmt.Sprintf("%s/error?code=%d", s.cfg.Root(r), refused.code))
	if refused.claims != "" {
		values.Set("claims", refused.claims)
	}
	s.deliver(w, r, a, values)
}

// description is the text of an error for an app.
func (s *Server) description(ids requestIDs, refused *refusal) string {
	return fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", refused.code, refused.text, ids.trace, ids.correlation,
		s.cfg.Store.Now().UTC().Format("2006-01-02 15:04:05Z"))
}

// nativeClient is the page that a desktop app waits for: it reads the answer
// from the address and closes the window.
func (s *Server) nativeClient(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "message", "Back to the app")
	p.Lead = "The app has the answer. You may close this page."
	s.render(w, r, http.StatusOK, p)
}
