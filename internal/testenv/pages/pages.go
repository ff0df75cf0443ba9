// Package pages walks the sign-in pages of the lab for tests, as a person with a
// browser does, without one.
package pages

import (
	"crypto/tls"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/lab"
)

// Person is somebody of a tenant of the lab before a browser of their own.
type Person struct {
	UPN, Password string
	// TOTP is the secret of their code app; "" if they have none.
	TOTP string
	// At is the clock that codes are made by; time.Now if nil.
	At func() time.Time

	t      testing.TB
	lab    *lab.Lab
	client *http.Client
}

// Of is a person of the lab's ready file, by the part of the user name before
// the @.
func Of(t testing.TB, l *lab.Lab, tenant, user string) *Person {
	t.Helper()
	u := l.Tenant(tenant).User(user)
	p := New(t, l, u.UPN, "")
	if u.Password != nil {
		p.Password = *u.Password
	}
	if u.TOTPSecret != nil {
		p.TOTP = *u.TOTPSecret
	}
	return p
}

// New is a person by user name and password.
func New(t testing.TB, l *lab.Lab, upn, password string) *Person {
	jar, _ := cookiejar.New(nil) // fails for no options
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: l.Roots(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &Person{UPN: upn, Password: password, At: l.Now, t: t, lab: l, client: &http.Client{
		Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var (
	formPattern  = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	fieldPattern = regexp.MustCompile(`<input [^>]*name="([^"]*)"[^>]*?value="([^"]*)"`)
)

// Follow opens an address of the lab, does what the pages ask (user name, password,
// code of a code app, consent, no to "stay signed in") and gives the address that
// the browser is sent to outside the lab. Of a page that the person cannot get past
// it gives the text instead.
func (p *Person) Follow(address string) (answer *url.URL, stuck string) {
	p.t.Helper()
	method, body := http.MethodGet, ""
	said := map[string]int{}
	for range 40 {
		r, err := http.NewRequestWithContext(p.t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			p.t.Fatal(err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		response, err := p.client.Do(r)
		if err != nil {
			p.t.Fatalf("opening %s: %v", address, err)
		}
		data, err := io.ReadAll(response.Body)
		_ = response.Body.Close() // it was read
		if err != nil {
			p.t.Fatal(err)
		}
		if location, err := response.Location(); err == nil {
			if !strings.HasPrefix(location.String(), p.lab.URL()) {
				return location, ""
			}
			method, address, body = http.MethodGet, location.String(), ""
			continue
		}
		form := fields(string(data))
		target := formPattern.FindStringSubmatch(string(data))
		step := form.Get("step")
		if said[step]++; target == nil || said[step] > 1 && step != "choose" || !p.fill(form) {
			return nil, string(data)
		}
		to, err := r.URL.Parse(html.UnescapeString(target[1]))
		if err != nil {
			p.t.Fatal(err)
		}
		method, address, body = http.MethodPost, to.String(), form.Encode()
	}
	p.t.Fatal("the pages lead in a circle")
	return nil, ""
}

func fields(page string) url.Values {
	form := url.Values{}
	for _, m := range fieldPattern.FindAllStringSubmatch(page, -1) {
		if !strings.Contains(m[0], `type="checkbox"`) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	return form
}

// fill does what a page asks; false for one that this person cannot answer.
func (p *Person) fill(form url.Values) bool {
	switch form.Get("step") {
	case "account":
		form.Set("upn", p.UPN)
	case "password":
		form.Set("password", p.Password)
	case "code":
		if p.TOTP == "" {
			return false
		}
		code, err := totp.GenerateCode(p.TOTP, p.At())
		if err != nil {
			p.t.Fatal(err)
		}
		form.Set("code", code)
	case "stay":
		form.Set("action", "no")
	case "device":
		form.Set("action", "continue")
	case "consent":
		form.Set("action", "accept")
	default:
		return false
	}
	return true
}
