package sts

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

//go:embed pages
var pageFiles embed.FS

var pages = func() map[string]*template.Template {
	out := map[string]*template.Template{}
	layout := template.Must(template.ParseFS(pageFiles, "pages/layout.html", "pages/style.css"))
	for _, name := range []string{atAccount, atPicker, atPassword, atChange, atMethods, atPush, atCode, atRegister, atSetup, atStay, atConsent, atApproval, atDevice, atError, "message", "post", "usercode"} {
		out[name] = template.Must(template.Must(layout.Clone()).ParseFS(pageFiles, "pages/"+name+".html"))
	}
	return out
}()

// page is what a page shows. Members that a page does not use are empty.
type page struct {
	name                string
	Title, Lead         string
	Nonce               string
	App, Tenant, UPN    string
	Action              string // where forms go
	Flow, CSRF, Step    string
	Problem             *refusal
	IDs                 requestIDs
	Stamp               string
	Refresh             bool // the page looks again by itself
	Accounts            []account
	Options             []option
	Number              int
	Way                 string
	Code, Secret        string
	Skip                bool
	Permissions         []permission
	Publisher, Standing string // who registered the app; "own", "verified" or ""
	Remedy              string
	Organisation        bool // offer consent for everybody
	Always              bool // nothing but consent for everybody
	Request             bool // approval can be requested
	Target              string
	Values              url.Values
	Host, ClientID, Via string
}

// Code and text of a refusal, for templates.
func (r *refusal) Code() int    { return r.code }
func (r *refusal) Text() string { return r.text }

// Trace and correlation id, for templates.
func (i requestIDs) Trace() string       { return i.trace }
func (i requestIDs) Correlation() string { return i.correlation }

func (a account) UPN() string  { return a.upn }
func (a account) Name() string { return a.name }

func (s *Server) page(r *http.Request, name, title string) *page {
	return &page{name: name, Title: title, Host: s.hostOf(r), IDs: idsOf(r)}
}

// showStage shows the page of a flow's stage.
func (s *Server) showStage(w http.ResponseWriter, r *http.Request, f *flow, at string) {
	if at == atError {
		s.endFlow(f)
		s.showError(w, r, f.ids, f.app.Name, f.ended)
		return
	}
	titles := map[string]string{
		atAccount: "Sign in", atPicker: "Choose an account", atPassword: "Enter the password", atChange: "Set a new password", atMethods: "Choose how to confirm", atPush: "Approve on your phone",
		atCode: "Enter the code", atRegister: "Set up a second factor", atSetup: "Connect your phone", atStay: "Stay signed in?", atConsent: "Permissions asked for",
		atApproval: "An administrator must approve", atDevice: "Sign in on another device?",
	}
	p := s.page(r, at, titles[at])
	p.App, p.UPN, p.Flow, p.CSRF, p.Step, p.Problem, p.IDs = f.app.Name, f.upn, f.id, f.csrf, at, f.problem, f.ids
	p.Action = "/" + url.PathEscape(f.ask.segment) + "/login"
	p.Target, p.Via = f.ask.redirect, f.ask.hint
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) { p.Tenant = t.Name })
	switch at {
	case atPicker:
		p.Accounts = s.accounts(r)
	case atMethods:
		p.Options = f.options()
	case atPush:
		p.Number, p.Way, p.Refresh = f.attempt.prompt.number, f.attempt.way, true
		p.Code = maskPhone(f.attempt.method.Phone)
	case atCode:
		p.Way, p.Code = f.attempt.way, maskPhone(f.attempt.method.Phone)
	case atRegister:
		p.Skip = len(f.demands) == 0 && len(f.ask.acrs) == 0
	case atSetup:
		if f.setup.prompt != nil {
			p.Number, p.Refresh = f.setup.prompt.number, true
		}
		for i := 0; i < len(f.setup.secret); i += 4 {
			p.Secret += f.setup.secret[i:min(i+4, len(f.setup.secret))] + " "
		}
		p.Secret = strings.TrimSpace(p.Secret)
	case atConsent, atApproval:
		p.Organisation, p.Always, p.ClientID = f.plan.organisation, f.plan.always, f.app.ClientID
		p.Permissions = describe(f.plan)
		p.Publisher, p.Standing = s.publisher(f)
		if at == atApproval {
			p.Problem, p.Request = f.plan.refused, f.plan.refused.code == 90095
		}
	}
	if at == atAccount && p.Via != "" && f.problem == nil {
		p.Code = p.Via
	}
	s.render(w, r, http.StatusOK, p)
}

// publisher names who registered an app, and whether that is the tenant
// itself or somebody verified.
func (s *Server) publisher(f *flow) (name, standing string) {
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) {
		owner := t.Owner(f.app.ClientID)
		if o := t.Other(owner); o != nil {
			name = o.Name
		}
		if owner == t.ID {
			standing = "own"
		}
	})
	if f.app.FirstParty {
		name = "Microsoft"
	}
	if standing == "" && f.app.Verified {
		standing = "verified"
	}
	return name, standing
}

// remedies says who can do what about an error that ends a sign-in.
var remedies = map[int]string{
	50011:   "The app's owner registers this address, or mends the one that the app sends.",
	500113:  "The app's owner registers a reply address.",
	900971:  "The app's owner makes the app send its reply address.",
	700016:  "Check the tenant in the address. If it is right, an administrator there has to consent to the app first.",
	7000112: "An administrator enables the app again.",
	50194:   "The app's owner uses the tenant's own address, or makes the app multi-tenant.",
	9002332: "Use a work or school account.",
	90002:   "Check the name of the tenant in the address.",
	50105:   "An administrator assigns you, or a group you are in, to the app.",
	50057:   "An administrator enables the account again.",
	90099:   "An administrator of the customer, or the partner's pre-consent, authorises the app there first.",
	650052:  "An administrator subscribes to the service or enables it.",
	50089:   "Begin again from the app.",
	165000:  "Begin again from the app, and allow cookies.",
}

// showError shows a refusal that no app may hear of, or that ends a flow.
func (s *Server) showError(w http.ResponseWriter, r *http.Request, ids requestIDs, app string, refused *refusal) {
	p := s.page(r, atError, "The sign-in did not work")
	p.App, p.Problem, p.IDs, p.Remedy = app, refused, ids, remedies[refused.code]
	p.Stamp = s.cfg.Store.Now().UTC().Format("2006-01-02 15:04:05Z")
	status := refused.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	s.render(w, r, status, p)
}

// render writes a page. Nothing on it runs but the form_post page's own
// script, and nothing is loaded from elsewhere. Browsers hold form-action
// against every redirect that follows a form, so it names whole schemes: the
// app may lie anywhere, and may send the browser on.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, p *page) {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	p.Nonce = base64.RawURLEncoding.EncodeToString(b)
	actions := []string{"'self'", "https:", "http://localhost:*", "http://127.0.0.1:*"}
	if u, err := url.Parse(p.Target); err == nil && u.Scheme != "" && !slices.Contains([]string{"http", "https"}, u.Scheme) {
		actions = append(actions, u.Scheme+":")
	} else if err == nil && u.Scheme == "http" {
		actions = append(actions, "http://"+u.Host)
	}
	policy := "default-src 'none'; style-src 'nonce-" + p.Nonce + "'; base-uri 'none'; frame-ancestors 'none'; form-action " + strings.Join(actions, " ")
	if p.name == "post" {
		policy += "; script-src 'nonce-" + p.Nonce + "'"
	}
	var out bytes.Buffer
	if err := pages[p.name].ExecuteTemplate(&out, "layout", p); err != nil {
		http.Error(w, "making the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store, no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("x-ms-request-id", p.IDs.trace)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes())
	}
}
