package sts

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"gatehouse/lab/internal/directory"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate

// bodies are what stands between a page's title and its foot.
var bodies = map[string]func(*shown) templ.Component{
	atAccount: accountPage, atPicker: pickerPage, atPassword: passwordPage, atChange: changePage, atMethods: methodsPage, atPush: pushPage,
	atCode: codePage, atRegister: registerPage, atSetup: setupPage, atStay: stayPage, atConsent: consentPage,
	atApproval: approvalPage, atDevice: devicePage, atTerms: termsPage, atExternal: externalPage, atError: errorPage,
	"message": messagePage, "post": postPage, "usercode": userCodePage,
}

// shown is what a page shows. Members that a page does not use are empty.
type shown struct {
	name                string
	Title, Lead         string
	Nonce               string
	App, Tenant, UPN    string
	Action              string // where forms go
	Flow, CSRF, Step    string
	Problem             *refusal
	IDs                 requestIDs
	Stamp               string
	Refresh             bool   // the page looks again by itself
	Here                string // its own address, for that
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
	Agreements          []agreement
	Compromised         bool // the password is changed because of risk
	Stronger            bool // a policy takes only some ways of a second factor
	Days                int  // for which MFA can be remembered, 0: not
	DontAsk             bool // was asked to be
}

// heading is what the browser calls the page.
func (p *shown) heading() string {
	if p.App == "" {
		return p.Title
	}
	return p.Title + " – " + p.App
}

// who says whose sign-in it is.
func (p *shown) who() string {
	if p.Tenant == "" {
		return p.UPN
	}
	return p.UPN + " · " + p.Tenant
}

// vouched says who stands behind the app.
func (p *shown) vouched() string {
	switch {
	case p.Standing == "own":
		return "Registered in your own organisation."
	case p.Standing == "verified":
		return "Publisher: " + p.Publisher + " (verified)"
	case p.Publisher == "":
		return "The publisher is not verified. Accept only if you know where the app comes from."
	}
	return "The publisher, " + p.Publisher + ", is not verified. Accept only if you know where the app comes from."
}

func (s *Server) page(r *http.Request, name, title string) *shown {
	return &shown{name: name, Title: title, Host: s.hostOf(r), IDs: idsOf(r)}
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
		atApproval: "An administrator must approve", atDevice: "Sign in on another device?", atTerms: "Terms of use", atExternal: "A further check",
	}
	p := s.page(r, at, titles[at])
	p.App, p.UPN, p.Flow, p.CSRF, p.Step, p.Problem, p.IDs = f.app.Name, f.upn, f.id, f.csrf, at, f.problem, f.ids
	p.Action = "/" + url.PathEscape(f.ask.segment) + "/login"
	p.Target, p.Via, p.Here = f.ask.redirect, f.ask.hint, loginAddress(f)
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) { p.Tenant = t.Name })
	switch at {
	case atAccount:
		p.Code = cmp.Or(f.typed, f.ask.hint)
	case atPicker:
		p.Accounts = s.accounts(r)
	case atMethods:
		p.Options, p.Stronger = f.options(), len(f.unfit) > 0
	case atPush:
		p.Number, p.Way, p.Refresh = f.attempt.prompt.number, f.attempt.way, true
		p.Code, p.Days, p.DontAsk = maskPhone(f.attempt.method.Phone), f.rememberDays, f.dontAsk
		if f.attempt.way == "call" {
			p.Title = "Answer the call"
		}
	case atCode:
		p.Way, p.Code = f.attempt.way, maskPhone(f.attempt.method.Phone)
		p.Days, p.DontAsk = f.rememberDays, f.dontAsk
	case atRegister:
		p.Skip = !f.needed
	case atSetup:
		if f.setup.prompt != nil {
			p.Number, p.Refresh = f.setup.prompt.number, true
		}
		for i := 0; i < len(f.setup.secret); i += 4 {
			p.Secret += f.setup.secret[i:min(i+4, len(f.setup.secret))] + " "
		}
		p.Secret = strings.TrimSpace(p.Secret)
	case atTerms:
		p.Agreements = s.agreements(f)
	case atExternal:
		p.Code = f.ruling.externals()
	case atChange:
		p.Compromised = f.compromised
	case atConsent, atApproval:
		p.Organisation, p.Always, p.ClientID = f.plan.organisation, f.plan.always, f.app.ClientID
		p.Permissions = describe(f.plan)
		p.Publisher, p.Standing = s.publisher(f)
		if at == atApproval {
			p.Problem, p.Request = f.plan.refused, f.plan.refused.code == 90095
		}
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
	20001:   "The organisation's own sign-in server did not vouch for you. Try again; if it stays so, its administrators look there.",
	20012:   "The organisation's own sign-in server answered wrongly. Its administrators look there.",
	50008:   "The federation is set up wrongly, or the answer was tampered with. An administrator compares the signing certificates.",
	50107:   "An administrator sets the federation of the domain up again.",
	50197:   "Sign in at the organisation's own server with the account that you named here.",
	53000:   "Sign in on a device that your organisation manages, or let its administrators put this one right.",
	53001:   "Sign in on a device that is joined to your organisation's domain.",
	53002:   "Use an app that your organisation approves.",
	53003:   "An administrator looks at the policy named below, with the correlation id.",
	53004:   "An administrator dismisses the risk, or registers a method for you.",
	53009:   "Use an app that your organisation protects.",
	53010:   "Register from a place that your organisation trusts, or let an administrator give you a temporary access pass.",
	53011:   "An administrator of your own organisation looks at the risk of your account.",
	50177:   "An administrator of the customer takes people of service providers out of the policy.",
	530034:  "An administrator of the partner looks at the risk of the account.",
	50158:   "Accept the terms, or do what else your organisation asks for.",
	50131:   "An administrator looks at the policy named below, with the correlation id.",
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

// render writes a page. Nothing on it runs but the form_post page's own script
// and that of a page which waits for the phone, and nothing is loaded from
// elsewhere. Browsers hold form-action
// against every redirect that follows a form, so it names whole schemes: the
// app may lie anywhere, and may send the browser on.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, p *shown) {
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
	if p.name == "post" || p.Refresh {
		policy += "; script-src 'nonce-" + p.Nonce + "'"
	}
	if p.Refresh {
		policy += "; connect-src 'self'"
	}
	var out bytes.Buffer
	if err := layout(p).Render(r.Context(), &out); err != nil {
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
