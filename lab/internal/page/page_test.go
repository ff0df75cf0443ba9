package page

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Addresses come from apps and from whoever made a link: none runs a script, and
// none leads elsewhere than it seems to.
func TestURL(t *testing.T) {
	const refused = "about:invalid#TemplFailedSanitizationURL"
	for in, want := range map[string]string{
		"":                               "",
		"/tenant/login":                  "/tenant/login",
		"https://app.example/cb?a=1&b#c": "https://app.example/cb?a=1&b#c",
		"HTTP://localhost:8400/":         "HTTP://localhost:8400/",
		"/a:b":                           "/a:b",
		"?next=javascript:alert(1)":      refused, // rather too much than too little
		"javascript:alert(1)":            refused,
		"JaVaScRiPt:alert(1)":            refused,
		" javascript:alert(1)":           refused,
		"java\nscript:alert(1)":          refused,
		"\x01javascript:alert(1)":        refused,
		"data:text/html,<script>":        refused,
		"vbscript:x":                     refused,
		"blob:x":                         refused,
		"myapp://callback":               refused,
		"urn:ietf:wg:oauth:2.0:oob":      refused,
		`\\elsewhere.example`:            "%5c%5celsewhere.example",
		"/\\elsewhere.example":           "/%5celsewhere.example",
		"/\t/elsewhere.example":          "/%09/elsewhere.example",
		`/a?b="'<>()` + "`":              "/a?b=%22%27%3c%3e%28%29%60",
		"/50%/%41/%zz":                   "/50%25/%41/%25zz",
		"/é/\xff":                        "/%c3%a9/%ff",
	} {
		if got := string(URL(in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// What an app is answered with goes through whole, and nothing else comes out of it.
func TestPost(t *testing.T) {
	hostile := `"><script>alert(1)</script><input name='x' value=` + "`" + ` &lt; </form> </script>`
	values := url.Values{"state": {hostile, ""}, "a" + hostile: {"1"}}
	for target, want := range map[string]string{
		"https://app.example/cb?x=1&y=2":    "https://app.example/cb?x=1&y=2",
		"javascript:alert(document.cookie)": "about:invalid#TemplFailedSanitizationURL",
		`https://app.example/"><script>`:    "https://app.example/%22%3e%3cscript%3e",
	} {
		var out bytes.Buffer
		if err := Post(target, values, "the-nonce").Render(context.Background(), &out); err != nil {
			t.Fatal(err)
		}
		root, err := html.Parse(&out)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for n := range root.Descendants() {
			if n.Type != html.ElementNode || n.Data == "html" || n.Data == "head" || n.Data == "body" {
				continue
			}
			line := n.Data
			for _, a := range n.Attr {
				line += " " + a.Key + "=" + a.Val
			}
			if n.FirstChild != nil && n.FirstChild.Type == html.TextNode {
				line += " " + n.FirstChild.Data
			}
			got = append(got, line)
		}
		all := []string{
			"form method=post action=" + want + " id=post",
			"input type=hidden name=a" + hostile + " value=1",
			"input type=hidden name=state value=" + hostile,
			"input type=hidden name=state value=",
			`script nonce=the-nonce document.getElementById("post").submit()`,
		}
		if strings.Join(got, "\n") != strings.Join(all, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", target, strings.Join(got, "\n"), strings.Join(all, "\n"))
		}
	}
}
