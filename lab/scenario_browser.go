package lab

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gatehouse/lab/internal/sts"
)

// webPage is what the actor's browser shows.
type webPage struct {
	at     *url.URL
	body   string
	action string
	form   url.Values // hidden and preset fields
	answer url.Values // what the app got, nil while the browser is on the pages
}

func newActor(ctx context.Context, l *Lab) *actor {
	client := l.Client()
	client.Jar, _ = cookiejar.New(nil) // fails for no options
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &actor{ctx: ctx, lab: l, client: client, kept: map[string]string{}}
}

var (
	formPattern    = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	fieldPattern   = regexp.MustCompile(`<input [^>]*name="([^"]*)"[^>]*?value="([^"]*)"`)
	problemPattern = regexp.MustCompile(`(?s)<p class="problem"[^>]*>(.*?)(?: <small>AADSTS(\d+)</small>)?</p>`)
	shownPattern   = regexp.MustCompile(`<dt>Code</dt><dd>AADSTS(\d+)</dd>`)
)

// browse sends a request and follows where it leads, as far as the lab's pages
// go.
func (a *actor) browse(method, address, body string) error {
	for range 10 {
		r, err := http.NewRequestWithContext(a.ctx, method, address, strings.NewReader(body))
		if err != nil {
			return err
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		response, err := a.client.Do(r)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		_ = response.Body.Close() // it was read
		if err != nil {
			return err
		}
		a.page = webPage{at: r.URL, body: string(data)}
		location, err := response.Location()
		if err != nil {
			a.readPage()
			return nil
		}
		if !strings.HasPrefix(location.String(), a.lab.URL()) && !strings.HasPrefix(location.String(), a.lab.federation.Address()) {
			a.page.answer = location.Query()
			if fragment, err := url.ParseQuery(location.EscapedFragment()); err == nil && len(fragment) > 0 {
				a.page.answer = fragment
			}
			a.takeAnswer()
			return nil
		}
		method, address, body = http.MethodGet, location.String(), ""
	}
	return errors.New("the pages lead in a circle")
}

// readPage finds the form of a page, and the problem that it shows.
func (a *actor) readPage() {
	p := &a.page
	p.form, a.body = url.Values{}, map[string]any{}
	if m := formPattern.FindStringSubmatch(p.body); m != nil {
		p.action = html.UnescapeString(m[1])
	}
	for _, m := range fieldPattern.FindAllStringSubmatch(p.body, -1) {
		if !strings.Contains(m[0], `type="checkbox"`) {
			p.form.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	if m := problemPattern.FindStringSubmatch(p.body); m != nil {
		code := m[2]
		if shown := shownPattern.FindStringSubmatch(p.body); shown != nil {
			code = shown[1]
		}
		a.body = map[string]any{"error_description": "AADSTS" + code + ": " + html.UnescapeString(m[1])}
	}
}

// takeAnswer keeps what the app got.
func (a *actor) takeAnswer() {
	a.body = map[string]any{}
	for name, values := range a.page.answer {
		a.body[name] = values[0]
	}
	if code := a.page.answer.Get("code"); code != "" {
		a.kept["code"] = code
	}
}

// fill posts the page's form with fields, as name, value pairs.
func (a *actor) fill(pairs ...string) error {
	if a.page.action == "" {
		return fmt.Errorf("there is no form at %s", a.page.at.Path)
	}
	form := a.page.form
	for pair := range slices.Chunk(pairs, 2) {
		form.Set(pair[0], pair[1])
	}
	target, err := a.page.at.Parse(a.page.action)
	if err != nil {
		return err
	}
	return a.browse(http.MethodPost, target.String(), form.Encode())
}

// step is the page that the browser shows.
func (a *actor) step() string { return a.page.form.Get("step") }

// redirect is the address that the actor's apps are answered at.
const scenarioRedirect = "http://localhost:8400/"

// open begins a sign-in on the pages through an app of a tenant ("" for
// Microsoft Graph Command Line Tools); change spoils the request.
func open(tenant, app, how string, change func(url.Values)) act {
	through := "Microsoft Graph Command Line Tools"
	if app != "" {
		through = app
	}
	say := fmt.Sprintf("open the sign-in page of %s for %s", tenant, through)
	if how != "" {
		say += ", " + how
	}
	return act{say, func(a *actor) error {
		query := url.Values{"client_id": {a.lab.Tenant(tenant).App(through).ClientID}, "response_type": {"code"}, "redirect_uri": {scenarioRedirect}, "scope": {"User.Read openid offline_access"}}
		at := tenant + ".onmicrosoft.com"
		if change != nil {
			change(query)
		}
		if moved := query.Get("at"); moved != "" {
			at = moved
			query.Del("at")
		}
		a.kept["client"], a.kept["redirect"] = query.Get("client_id"), query.Get("redirect_uri")
		return a.browse(http.MethodGet, a.lab.URL()+"/"+at+"/oauth2/v2.0/authorize?"+query.Encode(), "")
	}}
}

// signIn enters user name and password of a tenant's person, and a code where
// the page asks for one; "stay signed in?" is answered with no.
func signIn(tenant, user string) act {
	return act{fmt.Sprintf("sign in as %s of %s", user, tenant), func(a *actor) error {
		a.person = a.lab.Tenant(tenant).User(user)
		if a.step() == "account" {
			if err := a.fill("upn", a.person.UPN); err != nil {
				return err
			}
		}
		if a.step() == "password" {
			if err := a.fill("password", *a.person.Password); err != nil {
				return err
			}
		}
		if a.step() == "code" && a.person.TOTPSecret != nil {
			code, err := sts.CodeAt(*a.person.TOTPSecret, a.lab.Now())
			if err == nil {
				err = a.fill("code", code)
			}
			if err != nil {
				return err
			}
		}
		if a.step() == "stay" {
			return a.fill("action", "no")
		}
		return nil
	}}
}

// press fills in the page that is shown.
func press(say string, pairs ...string) act {
	return act{say, func(a *actor) error { return a.fill(pairs...) }}
}

// redeem exchanges the code that the app got; change spoils the request.
//
//go:noinline
func redeem(tenant, how string, change func(url.Values)) act {
	return act{"redeem the authorization code, " + how, func(a *actor) error {
		if a.kept["code"] == "" {
			return errors.New("the app got no code")
		}
		form := url.Values{"grant_type": {"authorization_code"}, "client_id": {a.kept["client"]}, "redirect_uri": {a.kept["redirect"]}, "code": {a.kept["code"]}, "scope": {"User.Read openid offline_access"}}
		if change != nil {
			change(form)
		}
		r, err := http.NewRequestWithContext(a.ctx, http.MethodPost, a.lab.URL()+tokenPath(tenant), nil)
		if err != nil {
			return err
		}
		if origin := form.Get("origin"); origin != "" {
			r.Header.Set("Origin", origin)
			form.Del("origin")
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = io.NopCloser(strings.NewReader(form.Encode()))
		return a.take(r)
	}}
}
