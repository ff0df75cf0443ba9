package sts

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Whatever the words on a page are, its elements stay the same, its script is a
// string and nothing more, and no form goes to a script.
func TestPagesEscape(t *testing.T) {
	filled := func(name, words, address string) *shown {
		p := &shown{
			name: name, Title: words, Lead: words, Nonce: "the-nonce", App: words, Tenant: words, UPN: words, Action: address, Flow: words, CSRF: words, Step: words,
			Problem: &refusal{code: 50011, text: words, policies: []string{words}}, IDs: requestIDs{words, words}, Stamp: words, Refresh: true, Here: "/t/login?" + words,
			Accounts: []account{{upn: words, name: words}}, Options: []option{{ID: words, Title: words, Detail: words}}, Number: 7, Way: "call", Code: words, Secret: words,
			Skip: true, Permissions: []permission{{words, words, words, true}}, Publisher: words, Standing: "", Remedy: words, Organisation: true, Request: true,
			Target: address, Values: url.Values{"a" + words: {words}}, Host: words, ClientID: words, Agreements: []agreement{{words}},
		}
		return p
	}
	// elements lists a page's elements with the names of their attributes, and
	// what is run and where forms go.
	elements := func(p *shown) (all, scripts, actions []string) {
		var out bytes.Buffer
		if err := layout(p).Render(context.Background(), &out); err != nil {
			t.Fatal(err)
		}
		root, err := html.ParseWithOptions(&out, html.ParseOptionEnableScripting(false))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			line := n.Data
			for _, a := range n.Attr {
				line += " " + a.Key
				if a.Key == "action" {
					actions = append(actions, a.Val)
				}
			}
			all = append(all, line)
			if n.Data == "script" {
				scripts = append(scripts, n.FirstChild.Data)
			}
		}
		return all, scripts, actions
	}
	for name := range bodies {
		want, _, _ := elements(filled(name, "words", "/t/login"))
		for _, words := range []string{`"><script>alert(1)</script><b x="`, `'-alert(1)-'`, `\";alert(1)//`, "</script><script>alert(1)</script>", "</title></style><!--", "\u2028alert(1)", "`${alert(1)}`"} {
			got, scripts, actions := elements(filled(name, words, "javascript:alert(1)"))
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s with %q has other elements:\n%s\nwant\n%s", name, words, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, action := range actions {
				if action != "about:invalid#TemplFailedSanitizationURL" {
					t.Errorf("%s: a form goes to %s", name, action)
				}
			}
			inScript := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "\u2028", `\u2028`).Replace(words)
			if len(scripts) == 0 || !strings.Contains(scripts[len(scripts)-1], `const here = "/t/login?`+inScript+`", look`) {
				t.Errorf("%s with %q runs %s", name, words, scripts)
			}
		}
	}
}
