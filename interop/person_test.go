package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	cdptarget "github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"gatehouse/lab"
)

const (
	// patience is how long a person waits for anything on a page.
	patience = time.Minute
	// a whole sign-in takes no longer than this.
	signInTime = 5 * time.Minute
	// tries are made of everything: pages that look again by themselves may
	// take away what was just found.
	tries = 5
)

// person sits before the browser and does everything by mouse and keyboard.
// Nobody else shares their cookies. phone is their second tab.
type person struct {
	t     *testing.T
	lab   *lab.Lab
	tab   context.Context
	phone *person
}

// newPerson opens a window. With through, all but this machine's addresses is
// reached by a proxy.
func newPerson(t *testing.T, l *lab.Lab, through ...string) *person {
	t.Helper()
	s, err := theStage()
	if err != nil {
		t.Fatal(err)
	}
	return openTab(t, l, s.browser, chromedp.WithNewBrowserContext(func(p *cdptarget.CreateBrowserContextParams) {
		if len(through) > 0 {
			p.ProxyServer = through[0]
		}
	}))
}

func openTab(t *testing.T, l *lab.Lab, parent context.Context, options ...chromedp.ContextOption) *person {
	t.Helper()
	tab, end := chromedp.NewContext(parent, options...)
	t.Cleanup(end)
	p := &person{t: t, lab: l, tab: tab}
	if err := chromedp.Do(tab, chromedp.EmulateViewport(1280, 800)); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	return p
}

// run does something in a tab and gives what it yields; it fails the test with
// what the page shows.
func run[T any](p *person, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	for range tries - 1 {
		if err == nil || ctx.Err() != nil {
			break
		}
		value, err = chromedp.Run(ctx, action)
	}
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.shown())
	}
	return value
}

// shown describes the page for a failure, and keeps a picture of it if go test
// was told to keep what tests write.
func (p *person) shown() string {
	ctx, cancel := context.WithTimeout(p.tab, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	picture, pictureErr := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if pictureErr == nil {
		pictureErr = os.WriteFile(filepath.Join(p.t.ArtifactDir(), "failure.png"), picture, 0o600)
	}
	if err := errors.Join(err, pictureErr); err != nil {
		return fmt.Sprintf("%s\n(reading the page: %v)", text, err)
	}
	return text
}

func (p *person) open(address string) {
	p.t.Helper()
	run(p, "opening "+address, chromedp.Navigate(address))
}

// openRefused opens an address that must not answer.
func (p *person) openRefused(address string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err == nil || ctx.Err() != nil {
		p.t.Errorf("%s answered (%v):\n%s", address, err, p.shown())
	}
}

// patiently leaves the browser some time between two looks.
var patiently = chromedp.RetryInterval(20 * time.Millisecond)

// quoted is a string in XPath, which has no escapes.
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, "") + `"` }

// expect waits for a page by its heading.
func (p *person) expect(heading string) {
	p.t.Helper()
	run(p, "waiting for the page "+heading, chromedp.WaitVisible(`//h1[normalize-space()=`+quoted(heading)+`]`, patiently))
}

// expectText waits until the page says something.
func (p *person) expectText(text string) {
	p.t.Helper()
	run(p, "waiting for "+text, chromedp.WaitVisible(`//body//*[not(self::script or self::style)]/text()[contains(., `+quoted(text)+`)]/..`, patiently))
}

// fill writes into the field with a label, in place of what it holds: a click,
// select all, paste.
func (p *person) fill(label, value string) {
	p.t.Helper()
	p.click("filling in "+label, `//*[self::input or self::textarea][@id=//label[normalize-space()=`+quoted(label)+`]/@for]`)
	run(p, "filling in "+label, chromedp.Steps(
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`)(ctx, t)
			return err
		}),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: value})
			return err
		})))
}

// press clicks on the button with a caption. What explains it in small letters
// does not count.
func (p *person) press(caption string) {
	p.t.Helper()
	p.click("pressing "+caption, `//button[normalize-space(text()[1])=`+quoted(caption)+`]`)
}

// click clicks on an element.
func (p *person) click(what, selector string) {
	p.t.Helper()
	run(p, what, chromedp.Click(selector, patiently))
}

// tick clicks on the box with a label that begins so.
func (p *person) tick(label string) {
	p.t.Helper()
	p.click("ticking "+label, `//label[starts-with(normalize-space(), `+quoted(label)+`)]//input[@type="checkbox"]`)
}

// text is what the page says.
func (p *person) text() string {
	p.t.Helper()
	return run(p, "reading the page", chromedp.Evaluate[string](`document.body.innerText`))
}

// at is the address that the browser shows.
func (p *person) at() string {
	p.t.Helper()
	return run(p, "reading the address", chromedp.Location())
}

// read gives the text of an element.
func (p *person) read(selector string) string {
	p.t.Helper()
	return run(p, "reading "+selector, chromedp.Text(selector, chromedp.NodeVisible))
}
