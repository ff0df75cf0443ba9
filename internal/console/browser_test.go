package console_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// theBrowser is the one Chromium of all tests, which reaches this machine only.
var theBrowser = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("looking for chromium (tools/setup.sh installs it): %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	browser, stop := chromedp.NewContext(allocator)
	endBrowser = stop
	return browser, chromedp.Do(browser)
})

var endBrowser = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	endBrowser()
	os.Exit(code)
}

// tab is a browser's window on the console.
type tab struct {
	*house
	ctx context.Context
}

// browse opens a tab, with cookies of a session if any are given.
func (h *house) browse(cookies ...*http.Cookie) *tab {
	h.t.Helper()
	browser, err := theBrowser()
	must(h.t, browser, err)
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	h.t.Cleanup(cancel)
	// The tab lives as long as the context of its first call.
	if err := chromedp.Do(ctx); err != nil {
		h.t.Fatal(err)
	}
	b := &tab{h, ctx}
	b.size(1280, 900)
	for _, c := range cookies {
		b.open("/sign-in")
		evaluate[chromedp.Void](b, fmt.Sprintf(`document.cookie = "%s=%s; path=/"`, c.Name, c.Value))
	}
	return b
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// do runs steps, each in a time that a person would wait.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v on %s", err, b.where())
	}
}

func evaluate[T any](b *tab, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	return must(b.t, v, err)
}

func (b *tab) where() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.pathname + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.server.URL + path))
}

// sees waits for a text on the page.
func (b *tab) sees(text string) {
	b.t.Helper()
	// While one page gives way to the next, there is none to ask.
	b.eventually(fmt.Sprintf("%q did not come", text), func() bool { return strings.Contains(b.where(), text) })
}

// photograph keeps what the page looks like, if go test was told to keep what
// tests write.
func (b *tab) photograph(name string) {
	b.t.Helper()
	if flag.Lookup("test.artifacts").Value.String() != "true" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), must(b.t, data, err), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// violation is what axe-core finds.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Where string `json:"where"`
}

const runAxe = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => ({id: v.id, help: v.help, where: v.nodes.map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).slice(0, 4).join("\n   ")})))`

// accessible demands that axe-core finds nothing.
func (b *tab) accessible(axe, name string) {
	b.t.Helper()
	for _, v := range evaluate[[]violation](b, axe+";"+runAxe, chromedp.EvalAwaitPromise) {
		b.t.Errorf("%s: %s: %s\n   %s", name, v.ID, v.Help, v.Where)
	}
}
