package sts_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // code apps use HMAC-SHA-1 (RFC 6238)
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/federation"
	"gatehouse/lab/internal/pki"
	"gatehouse/lab/internal/sts"
	"gatehouse/lab/internal/token"
)

const root = "https://lab.test"

// cloud is a sign-in service with a clock that the test sets.
type cloud struct {
	*sts.Server
	store      *directory.Store
	tokens     *token.Signer
	federation *federation.Server
	now        time.Time
	answered   []byte // the last answer to MSAL
}

// outside is where the federation servers listen.
const outside = "https://sts.test:8444"

// serve answers for the sign-in service and the federation servers, by host.
func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	if "https://"+r.Host == outside {
		c.federation.ServeHTTP(w, r)
		return
	}
	c.ServeHTTP(w, r)
}

// ours reports whether an address is served here.
func ours(u *url.URL) bool { return "https://"+u.Host == root || "https://"+u.Host == outside }

// signingKey is one key for all tests: making one takes longer than most of
// them.
var signingKey = sync.OnceValues(token.NewKey)

var (
	certificatesMu sync.Mutex
	certificates   = map[string]*x509.Certificate{}
)

// certificate makes the certificate of an app once for all tests.
func certificate(name string, start, end time.Time) (*x509.Certificate, error) {
	certificatesMu.Lock()
	defer certificatesMu.Unlock()
	key := fmt.Sprint(name, start, end)
	if certificates[key] == nil {
		made, err := pki.Client(name, start, end)
		if err != nil {
			return nil, err
		}
		certificates[key] = made
	}
	return certificates[key], nil
}

func start(tb testing.TB, tenants string) *cloud {
	tb.Helper()
	c := &cloud{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), tokens: token.NewSigner(signingKey)}
	file, err := directory.Parse(strings.NewReader(tenants), c.now)
	if err != nil {
		tb.Fatal(err)
	}
	c.store, _, err = directory.New(file, directory.Config{Seed: 1, Now: func() time.Time { return c.now },
		NewCertificate: certificate})
	if err != nil {
		tb.Fatal(err)
	}
	c.federation = federation.New(federation.Config{Store: c.store, Address: outside, SignIn: func(host string) bool { return host == "lab.test" }})
	c.Server = sts.New(sts.Config{Store: c.store, Tokens: c.tokens, Federation: c.federation, Root: func(*http.Request) string { return root }})
	return c
}

// tenant runs fn on the tenant t.onmicrosoft.com.
func (c *cloud) tenant(tb testing.TB, fn func(*directory.Tenant)) {
	tb.Helper()
	if !c.store.Update("t.onmicrosoft.com", fn) {
		tb.Fatal("no tenant")
	}
}

// signIns are the log entries of a tenant as "upn status".
func (c *cloud) signIns(domain string) []string {
	var out []string
	c.store.View(domain, func(t *directory.Tenant) {
		for _, e := range t.SignIns {
			out = append(out, fmt.Sprint(e.UPN, " ", e.Status))
		}
	})
	return out
}

// post sends a form to the service without a browser.
func (c *cloud) post(tb testing.TB, path string, form url.Values) (int, map[string]any) {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, root+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	body := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		tb.Fatalf("%s answered %s", path, w.Body)
	}
	return w.Code, body
}

func code(body map[string]any) int {
	codes, _ := body["error_codes"].([]any)
	if len(codes) != 1 {
		return 0
	}
	n, _ := codes[0].(float64)
	return int(n)
}

// browser keeps cookies, follows redirects inside the service, fills in forms
// and stops where the app would take over.
type browser struct {
	tb     testing.TB
	cloud  *cloud
	jar    http.CookieJar
	at     *url.URL
	status int
	header http.Header
	body   string
	form   url.Values // hidden and preset inputs of the page's form
	action string
	names  map[string]bool // names of its inputs and buttons
	left   *url.URL        // where the browser was sent outside the service
	sent   url.Values      // what it would post there
}

func (c *cloud) browser(tb testing.TB) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &browser{tb: tb, cloud: c, jar: jar}
}

func (b *browser) get(path string) *browser {
	b.tb.Helper()
	u, err := url.Parse(root)
	if err != nil {
		b.tb.Fatal(err)
	}
	u, err = u.Parse(path)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.send(http.MethodGet, u, "")
	return b
}

func (b *browser) send(method string, u *url.URL, body string) {
	b.tb.Helper()
	b.left, b.sent = nil, nil
	for range 10 {
		r := httptest.NewRequestWithContext(b.tb.Context(), method, u.String(), strings.NewReader(body))
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for _, cookie := range b.jar.Cookies(u) {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		b.cloud.serve(w, r)
		for _, cookie := range w.Result().Cookies() {
			if !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteNoneMode {
				b.tb.Errorf("cookie %s", cookie)
			}
		}
		b.jar.SetCookies(u, w.Result().Cookies())
		b.at, b.status, b.header, b.body = u, w.Code, w.Header(), w.Body.String()
		if w.Code < 300 || w.Code > 399 {
			b.parse()
			return
		}
		next, err := u.Parse(w.Header().Get("Location"))
		if err != nil {
			b.tb.Fatal(err)
		}
		if !ours(next) {
			b.left = next
			return
		}
		method, u, body = http.MethodGet, next, ""
	}
	b.tb.Fatal("too many redirects")
}

// parse reads the page's form. A form that leads elsewhere is an answer to the
// app.
func (b *browser) parse() {
	b.tb.Helper()
	b.form, b.names, b.action = url.Values{}, map[string]bool{}, ""
	if !strings.HasPrefix(b.header.Get("Content-Type"), "text/html") {
		return
	}
	for _, rule := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(b.header.Get("Content-Security-Policy"), rule) {
			b.tb.Errorf("%s lacks %s", b.at.Path, rule)
		}
	}
	doc, err := html.Parse(strings.NewReader(b.body))
	if err != nil {
		b.tb.Fatal(err)
	}
	script := false
	for n := range doc.Descendants() {
		attributes := map[string]string{}
		for _, a := range n.Attr {
			attributes[a.Key] = a.Val
		}
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "form":
			b.action = attributes["action"]
		case n.Data == "input", n.Data == "button", n.Data == "textarea":
			b.names[attributes["name"]] = true
			b.names[attributes["name"]+"="+attributes["value"]] = true
			if attributes["type"] == "hidden" || attributes["type"] == "text" && attributes["value"] != "" {
				b.form.Add(attributes["name"], attributes["value"])
			}
		case n.Data == "script":
			script = true
		}
	}
	if u, err := b.at.Parse(b.action); err == nil && !ours(u) {
		b.left, b.sent = u, b.form
	} else if script && u.Host == b.at.Host && !strings.Contains(b.body, "&wait=1") {
		b.tb.Errorf("a script at %s", b.at.Path)
	}
}

// fill posts the page's form with the given fields, as name, value pairs.
func (b *browser) fill(pairs ...string) *browser {
	b.tb.Helper()
	if b.action == "" || b.left != nil {
		b.tb.Fatalf("no form to fill in: %d %v\n%s", b.status, b.left, b.body)
	}
	form := url.Values{}
	for k, v := range b.form {
		form[k] = v
	}
	for pair := range slices.Chunk(pairs, 2) {
		if !b.names[pair[0]] {
			b.tb.Fatalf("the page has no field %q:\n%s", pair[0], b.body)
		}
		form.Set(pair[0], pair[1])
	}
	u, err := b.at.Parse(b.action)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.send(http.MethodPost, u, form.Encode())
	return b
}

// reload asks for the same page again, as its meta refresh does.
func (b *browser) reload() *browser {
	b.tb.Helper()
	b.send(http.MethodGet, b.at, "")
	return b
}

// step is the stage that the page shows, or what is shown instead.
func (b *browser) step() string {
	switch {
	case b.left != nil:
		return "left"
	case b.form.Get("step") != "":
		return b.form.Get("step")
	}
	return fmt.Sprint(b.status)
}

// want fails unless the page is the named one and shows the texts.
func (b *browser) want(step string, texts ...string) *browser {
	b.tb.Helper()
	if b.step() != step {
		b.tb.Fatalf("at %q, want %q: %d %v\n%s", b.step(), step, b.status, b.left, b.body)
	}
	for _, text := range texts {
		if !strings.Contains(b.body, text) {
			b.tb.Fatalf("the page lacks %q:\n%s", text, b.body)
		}
	}
	return b
}

// answer is what the app gets.
func (b *browser) answer() url.Values {
	b.tb.Helper()
	switch {
	case b.left == nil:
		b.tb.Fatalf("no answer to the app: %d\n%s", b.status, b.body)
	case b.sent != nil:
		return b.sent
	case b.left.Fragment != "":
		values, err := url.ParseQuery(b.left.EscapedFragment())
		if err != nil {
			b.tb.Fatal(err)
		}
		return values
	}
	return b.left.Query()
}

// signIn goes through account and password, and through "stay signed in?" if
// it comes right after.
func (b *browser) signIn(upn string) *browser {
	b.tb.Helper()
	b.want("account").fill("upn", upn).want("password").fill("password", pw)
	if b.step() == "stay" {
		b.fill("action", "no")
	}
	return b
}

func claims(tb testing.TB, compact any) map[string]any {
	tb.Helper()
	text, _ := compact.(string)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		tb.Fatalf("not a token: %v", compact)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// totp is a second, independent reading of RFC 6238.
func totp(tb testing.TB, secret string, now time.Time) string {
	tb.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		tb.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, uint64(now.Unix())/30)
	sum := mac.Sum(nil)
	at := sum[19] & 15
	n := (uint32(sum[at])&127)<<24 | uint32(sum[at+1])<<16 | uint32(sum[at+2])<<8 | uint32(sum[at+3])
	return fmt.Sprintf("%06d", n%1000000)
}
