package api_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"gatehouse/internal/config"
	"gatehouse/internal/server"
	"gatehouse/internal/testenv"
)

// fetch gives a page that everybody may see.
func fetch(t *testing.T, e *testenv.Env, path string) string {
	t.Helper()
	response, err := e.HTTP().Get(e.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", path, response.Status, err)
	}
	return string(data)
}

var (
	links    = regexp.MustCompile(`(?:src|href|action|url)\s*[=(]\s*["']?([^"')> ]+)`)
	elements = regexp.MustCompile(`<(script|style|iframe|img|object)\b|\son[a-z]+=|\sstyle=`)
)

// The page of the API tells every operation, has no script, and fetches nothing
// from elsewhere.
func TestPage(t *testing.T) {
	t.Parallel()
	e := testenv.Bare(t)
	servedDocument(t, e)
	problemTypes(t, e)
	text, style := fetch(t, e, "/api/docs"), fetch(t, e, "/api/docs.css")
	for _, op := range operations(t) {
		if !strings.Contains(text, `<details id="`+op.id+`">`) || !strings.Contains(text, op.method+" "+op.path+"<") {
			t.Errorf("%s is not there", op.id)
		}
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(text, `id="`+m[1]+`"`) {
			t.Errorf("%s leads nowhere", m[0])
		}
	}
	if strings.Contains(text, "`") {
		t.Error("a backquote is shown")
	}
	for _, m := range links.FindAllStringSubmatch(text+style, -1) {
		if !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "#") || strings.HasPrefix(m[1], "//") {
			t.Errorf("%s leads elsewhere", m[0])
		}
	}
	for _, m := range elements.FindAllString(text, -1) {
		t.Errorf("%s needs a looser policy", m)
	}
}

// In a browser: its style is there, it fits a phone with everything unfolded,
// in light and in dark, axe-core finds nothing, and nothing else is asked for.
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	e := testenv.Bare(t, testenv.Options{Change: func(c *server.Config) {
		c.TLS = config.TLS{Mode: config.TLSProxy} // the browser is the proxy: it knows no authority of ours
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}})
	axe, err := os.ReadFile(filepath.Join("..", "..", "interop", "node", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("the npm packages are missing: `npm --prefix interop/node ci`, or `make test`, brings them: %v", err)
	}
	b := browse(t)
	do(b, chromedp.Navigate(strings.Replace(e.URL, "https:", "http:", 1)+"/api/docs"))
	if asked := evaluate[[]string](b, `performance.getEntriesByType("resource").map(e => new URL(e.name).pathname)`); len(asked) != 1 || asked[0] != "/api/docs.css" {
		t.Errorf("the page asked for %s", asked)
	}
	photograph(b, "folded")
	evaluate[chromedp.Void](b, `document.querySelectorAll("details").forEach(d => d.open = true)`)
	evaluate[chromedp.Void](b, string(axe))
	grounds := map[string]string{}
	for _, look := range []struct {
		scheme string
		width  int64
	}{{"light", 1280}, {"light", 390}, {"dark", 1280}, {"dark", 390}} {
		do(b, chromedp.EmulateViewport(look.width, 900), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}})
			return err
		}))
		grounds[look.scheme] = evaluate[string](b, `getComputedStyle(document.body).backgroundColor`)
		if wide := evaluate[int64](b, `document.documentElement.scrollWidth`); wide > look.width {
			t.Errorf("%d wide in a window of %d: %s", wide, look.width, evaluate[[]string](b, fmt.Sprintf(widest, look.width)))
		}
		if (look.width == 390) == (look.scheme == "dark") { // what it looks at does not depend on both
			for _, v := range evaluate[[]string](b, violations, chromedp.EvalAwaitPromise) {
				t.Errorf("%s at %d: %s", look.scheme, look.width, v)
			}
		}
		photograph(b, fmt.Sprintf("%s-%d", look.scheme, look.width))
	}
	if grounds["light"] == grounds["dark"] {
		t.Errorf("light and dark are the same: %s", grounds)
	}
}

// widest names elements that reach beyond a width, and violations what axe-core
// finds.
const (
	widest     = `[...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > %d).slice(0, 3).map(e => e.outerHTML.slice(0, 120))`
	violations = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(" | ")))`
)

// window is a browser's window.
type window struct {
	*testing.T
	ctx context.Context
}

// browse opens a window of a browser that reaches this machine only.
func browse(t *testing.T) window {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("looking for chromium (tools/setup.sh installs it): %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, shut := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		shut()
		end()
	})
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context of this call
		t.Fatal(err)
	}
	return window{t, ctx}
}

// patience is how long a step in the browser may take.
const patience = time.Minute

func do(w window, steps ...chromedp.Action[chromedp.Void]) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.Fatal(err)
	}
}

func evaluate[T any](w window, expression string, options ...chromedp.EvaluateOption) T {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// photograph keeps what the page looks like, if go test was told to keep what
// tests write.
func photograph(w window, name string) {
	w.Helper()
	if flag.Lookup("test.artifacts").Value.String() != "true" {
		return
	}
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.ArtifactDir(), name+".png"), data, 0o600); err != nil {
		w.Fatal(err)
	}
}
