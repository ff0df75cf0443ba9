package cli_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/cli"
)

// The demo says at once how to sign in, which works while it fills itself, tells
// each story, and leaves nothing.
func TestDemo(t *testing.T) {
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var wg sync.WaitGroup
	code := 0
	wg.Go(func() {
		code = cli.Main(ctx, []string{"demo"}, cli.Env{Stdin: strings.NewReader("\n"), Stdout: in, Stderr: in, Getenv: func(string) string { return "" }})
		_ = in.Close() // of a pipe
	})
	var text strings.Builder
	until := func(mark string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for !strings.Contains(text.String(), mark) {
			n, err := out.Read(buffer)
			text.Write(buffer[:n])
			if err != nil {
				t.Fatalf("%v after %s", err, text.String())
			}
		}
	}
	until("phones ")
	found := regexp.MustCompile(`  console   (http://localhost:\d+)\n  sign in   (\S+)\n  password  (\S+)\n  code      (\d+)`).FindStringSubmatch(text.String())
	if found == nil || strings.Contains(text.String(), "validation") || !strings.Contains(text.String(), "nothing leaves it") {
		t.Fatal(text.String())
	}
	visit := signInAtConsole(t, found[1], found[2], found[3], found[4])
	until("Ctrl-C ends it.")
	wg.Go(func() { _, _ = io.Copy(io.Discard, out) })
	for _, want := range []string{
		"tenant 15 of 15", "validation 37 of 37", "Open Harbour, Nightly backup: it works", "blocked by Security Defaults", "blocked by Per-user MFA", "blocked by Mandatory MFA",
		`blocked by consent of "Ledger Link"`, "blocked by Federated domain", "user assignment of", "blocked by CA006", "Silo Station, Ledger import: it works", "Silo Station, Archive: it works",
		"Silo Station, Records tool: blocked", "Ledger import, sandbox: failed", "37 connections in 15 tenants", "Cobalt Crafts, Data source of ella.moss: it works", "Data source of hugo.stern: blocked by CA010 MFA for everybody", "\n  code      ",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, text.String())
		}
	}
	links := regexp.MustCompile(`     (http://localhost:\d+/\S+)`).FindAllStringSubmatch(text.String(), -1)
	if len(links) != 4 {
		t.Fatalf("%d links in %s", len(links), text.String())
	}
	for _, link := range links {
		_, place, _ := strings.Cut(link[1], "#")
		if status, page := visit(link[1]); status != http.StatusOK || !strings.Contains(page, "demo") || place != "" && !strings.Contains(page, ` id="`+place+`"`) {
			t.Errorf("%s: %d", link[1], status)
		}
	}
	cancel()
	wg.Wait()
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("something stays: %v %v", left, err)
	}
}

// Ctrl-C in the middle of it ends it well, too.
func TestDemoInterrupted(t *testing.T) {
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	ctx, cancel := context.WithCancel(t.Context())
	stop := &stopAt{mark: "  tenant  1 of", stop: cancel}
	code := cli.Main(ctx, []string{"demo"}, cli.Env{Stdin: strings.NewReader(""), Stdout: stop, Stderr: stop, Getenv: func(string) string { return "" }})
	if code != 0 {
		t.Errorf("exit %d: %s", code, stop.text.String())
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("something stays: %v %v", left, err)
	}
}

// stopAt presses Ctrl-C once a text is written.
type stopAt struct {
	mu   sync.Mutex
	text strings.Builder
	mark string
	stop func()
}

func (s *stopAt) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if strings.Contains(s.text.String(), s.mark) {
		s.stop()
	}
	return len(p), nil
}

// signInAtConsole signs in as a browser would and gives how to visit pages. The
// API takes the same account.
func signInAtConsole(t *testing.T, server, email, password, code string) (visit func(address string) (status int, page string)) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	t.Cleanup(browser.CloseIdleConnections)
	read := func(response *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	for _, step := range []struct {
		path string
		form url.Values
	}{{"/sign-in", url.Values{"email": {email}, "password": {password}}}, {"/sign-in/factor", url.Values{"code": {code}}}} {
		if status, page := read(browser.PostForm(server+step.path, step.form)); status != http.StatusOK { //nolint:bodyclose // read closes it
			t.Fatalf("%s: %d %s", step.path, status, page)
		}
	}
	if c, err := client.New(server); err != nil {
		t.Fatal(err)
	} else if s, err := c.SignIn(t.Context(), email, password); err != nil || s.Stage != client.StagePassword {
		t.Fatalf("signing in through the API: %+v %v", s, err)
	}
	return func(address string) (int, string) {
		return read(browser.Get(address)) //nolint:bodyclose // read closes it
	}
}
