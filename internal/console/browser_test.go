package console_test

import (
	"context"
	"errors"
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

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"gatehouse/lab"
)

// browser is what all tests share: one Chromium, and the state folder of a lab
// whose authority it trusts.
type browser struct {
	context.Context
	state string
}

// theBrowser reaches this machine only.
var theBrowser = sync.OnceValues(func() (*browser, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("looking for chromium (tools/setup.sh installs it): %w", err)
	}
	folder, err := os.MkdirTemp("", "gatehouse-console-")
	if err != nil {
		return nil, err
	}
	endBrowser = func() { _ = os.RemoveAll(folder) } // nobody is left to tell
	b := &browser{state: filepath.Join(folder, "state")}
	l, err := lab.New(lab.Config{Seed: 1, State: b.state})
	if err != nil {
		return nil, err
	}
	authority, err := trusted(l.Ready().CAFile)
	if err := errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(filepath.Join(folder, "profile")), chromedp.Flag("ignore-certificate-errors-spki-list", authority),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	window, stop := chromedp.NewContext(allocator)
	b.Context = window
	endBrowser = func() {
		stop()
		endAllocator()
		_ = os.RemoveAll(folder)
	}
	return b, chromedp.Do(b.Context)
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
	shared, err := theBrowser()
	ctx, cancel := chromedp.NewContext(must(h.t, shared, err), chromedp.WithNewBrowserContext())
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
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.visit(b.server.URL + path)
}

// visit opens any address.
func (b *tab) visit(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address))
}

// press clicks on the button or link with a caption, once it is there.
func (b *tab) press(caption string) {
	b.t.Helper()
	b.do(chromedp.Click(`(//main | //aside)//*[self::button or self::a][normalize-space()="`+caption+`"]`, patiently))
}

// patiently leaves the browser some time between two looks.
var patiently = chromedp.RetryInterval(20 * time.Millisecond)

// fill writes into the field with a name or label, in place of what it holds.
func (b *tab) fill(field, text string) {
	b.t.Helper()
	selector := `//main//*[self::input or self::textarea][@name="` + field + `" or @id=//label[normalize-space()="` + field + `"]/@for]`
	b.do(chromedp.Click(selector, patiently))
	evaluate[chromedp.Void](b, `document.activeElement.select()`)
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// sees waits for a text on the page.
func (b *tab) sees(text string) {
	b.t.Helper()
	// While one page gives way to the next, there is none to ask.
	last := ""
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(60*time.Second)
	defer tick.Stop()
	for {
		if last = b.where(); strings.Contains(last, text) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("%q did not come on %s", text, last)
		}
	}
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

const runAxe = `axe.run(document, Object.assign({resultTypes: ["violations"], preload: false}, %s)).then(r => r.violations.map(v => ({id: v.id, help: v.help, where: v.nodes.map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).slice(0, 4).join("\n   ")})))`

// Rules of axe-core: all, with the one that is new in WCAG 2.2, and those that
// the width of the window decides.
const (
	allRules    = `{rules: {"target-size": {enabled: true}}}`
	layoutRules = `{runOnly: {type: "rule", values: ["target-size", "scrollable-region-focusable", "label", "link-name", "button-name", "aria-hidden-focus"]}}`
)

// accessible demands that axe-core finds nothing.
func (b *tab) accessible(name, rules string) {
	b.t.Helper()
	for _, v := range evaluate[[]violation](b, fmt.Sprintf(runAxe, rules), chromedp.EvalAwaitPromise) {
		b.t.Errorf("%s: %s: %s\n   %s", name, v.ID, v.Help, v.Where)
	}
}
