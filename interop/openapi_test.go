package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/lab"
)

// nodeTool runs a program of the npm packages to its end and gives what it
// printed.
func nodeTool(t *testing.T, folder, name string, arguments ...string) []byte {
	t.Helper()
	program, err := filepath.Abs(filepath.Join("node", "node_modules", ".bin", name))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, arguments...) //nolint:gosec // the arguments are written in these tests
	cmd.Dir = folder
	// The linter reports home and looks for a newer one unless told not to.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(arguments, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

// The OpenAPI document passes a public linter, and a client that public
// generators make from it walks the main path against a real server.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	needPackages(t)
	binary, folder := buildGatehouse(t, false), t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("node", "api"))); err != nil {
		t.Fatal(err)
	}
	packages, err := filepath.Abs(filepath.Join("node", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	document, err := exec.CommandContext(t.Context(), binary, "openapi").Output() //nolint:gosec // the binary was built here
	if err := errors.Join(err, os.WriteFile(filepath.Join(folder, "openapi.json"), document, 0o600), os.Symlink(packages, filepath.Join(folder, "node_modules"))); err != nil {
		t.Fatal(err)
	}

	t.Run("linter", func(t *testing.T) {
		t.Parallel()
		var found struct {
			Totals struct{ Errors, Warnings, Ignored *int }
		}
		out := nodeTool(t, folder, "redocly", "lint", "--extends=recommended-strict", "--format=json", "openapi.json")
		if err := json.Unmarshal(out, &found); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		for _, n := range []*int{found.Totals.Errors, found.Totals.Warnings, found.Totals.Ignored} {
			if n == nil || *n != 0 {
				t.Fatalf("%s", out)
			}
		}
	})

	t.Run("client", func(t *testing.T) {
		t.Parallel()
		nodeTool(t, folder, "openapi-typescript", "openapi.json", "--output", "gatehouse.ts")
		nodeTool(t, folder, "tsc", "--project", ".")
		l := lab.Start(t)
		s := startServer(t, binary, l)
		cmd := nodeCommand(t, l, []string{"GATEHOUSE_URL=" + s.url, "GATEHOUSE_LINK=" + s.link, "NODE_EXTRA_CA_CERTS=" + together(t, l.Ready().CAFile, s.authority)}, filepath.Join("out", "walk.js"))
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.HasSuffix(out, []byte("walked\n")) {
			t.Errorf("%v\n%s\nthe server said:\n%s", err, out, s.talk())
		}
	})
}

// serverProcess is a `gatehouse serve` that nobody has set up.
type serverProcess struct {
	url       string
	link      string // for the first administrator
	authority string // file with the authority of its certificate
	talk      func() string
}

var (
	saidLink      = regexp.MustCompile(`https://\S+/setup/\S+`)
	saidAuthority = regexp.MustCompile(`own authority.* (\S+\.pem)`)
)

// startServer starts a server whose Microsoft cloud is a lab, and ends it with
// the test.
func startServer(t *testing.T, binary string, l *lab.Lab) serverProcess {
	t.Helper()
	folder := t.TempDir()
	ready := filepath.Join(folder, "ready.json")
	if err := l.WriteReady(ready); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	cmd := exec.CommandContext(t.Context(), binary, "serve")
	cmd.Env = []string{"HOME=" + folder, "GATEHOUSE_LISTEN=" + address, "GATEHOUSE_DATA_DIR=" + filepath.Join(folder, "data"), "GATEHOUSE_CLOUD=lab", "GATEHOUSE_LAB=" + ready}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var talk strings.Builder
	s := serverProcess{talk: func() string {
		mu.Lock()
		defer mu.Unlock()
		return talk.String()
	}}
	// All is said once it is ready.
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			mu.Lock()
			fmt.Fprintln(&talk, lines.Text())
			mu.Unlock()
			if strings.Contains(lines.Text(), "msg=ready") {
				close(started)
			}
		}
		_, _ = io.Copy(io.Discard, out) // after a line that is too long
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		// The test's context has ended, and with it the process, in order.
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the server ended with %v:\n%s", err, s.talk())
		}
	})
	select {
	case <-started:
	case err := <-ended:
		ended <- nil
		t.Fatalf("the server did not start: %v\n%s", err, s.talk())
	}
	said := saidAuthority.FindStringSubmatch(s.talk())
	s.link = saidLink.FindString(s.talk())
	if said == nil || s.link == "" {
		t.Fatalf("no link or no authority in:\n%s", s.talk())
	}
	s.authority = said[1]
	s.url, _, _ = strings.Cut(s.link, "/setup/")
	return s
}

// freeAddress is one that nobody listens on at this moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// together makes one file of several.
func together(t *testing.T, names ...string) string {
	t.Helper()
	var all []byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	file := filepath.Join(t.TempDir(), "together.pem")
	if err := os.WriteFile(file, all, 0o600); err != nil { //nolint:gosec // a file of this test
		t.Fatal(err)
	}
	return file
}
