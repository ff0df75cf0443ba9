package federation

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate

// view is what the page shows.
type view struct {
	Title, Brand, Domain, Problem, User string
	Nonce                               string
	Action                              string     // of the sign-in form
	Target                              string     // where the answer goes; "" while the person is asked
	Values                              url.Values // the answer
}

// passive is the page that browsers are sent to (WS-Federation 1.2 §13): the
// person signs in, and the browser takes the assertion back.
func (s *Server) passive(w http.ResponseWriter, r *http.Request, at realm) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "The page accepts GET and POST.", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxDocument)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The request cannot be read.", http.StatusBadRequest)
		return
	}
	query := r.URL.Query()
	back, err := url.Parse(query.Get("wreply"))
	v := &view{Title: "Sign in", Brand: at.brand, Domain: at.domain, User: query.Get("username")}
	status := http.StatusOK
	switch {
	case query.Get("wa") != "wsignin1.0" || query.Get("wtrealm") != Audience:
		v.Problem, status = "The request is not for a trust that this federation server has.", http.StatusBadRequest
	case err != nil || back.Scheme != "https" || !s.cfg.SignIn(back.Hostname()):
		v.Problem, status = "The request wants to be answered at an address that this federation server does not know.", http.StatusBadRequest
	case r.Method == http.MethodGet:
		v.Action = at.base + pathPassive + "/?" + r.URL.RawQuery
	default:
		v.Action, v.User = at.base+pathPassive+"/?"+r.URL.RawQuery, r.PostForm.Get("UserName")
		u, right := s.authenticate(at, v.User, r.PostForm.Get("Password"))
		if !right {
			v.Problem = "The user name or the password is not right."
			break
		}
		token, until, err := s.vouch(at, u, 1)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		v.Title, v.Target = "Back to the sign-in", back.String()
		v.Values = url.Values{"wa": {"wsignin1.0"}, "wctx": {query.Get("wctx")}, "wresult": {response(token, s.cfg.Store.Now(), until, 1)}}
	}
	v.render(w, r, status)
}

func (v *view) render(w http.ResponseWriter, r *http.Request, status int) {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	v.Nonce = base64.RawURLEncoding.EncodeToString(b)
	policy := "default-src 'none'; style-src 'nonce-" + v.Nonce + "'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' https:"
	if v.Target != "" {
		policy += "; script-src 'nonce-" + v.Nonce + "'"
	}
	var out bytes.Buffer
	if err := passivePage(v).Render(r.Context(), &out); err != nil {
		http.Error(w, "making the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}
