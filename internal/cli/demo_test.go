package cli_test

import (
	"context"
	"crypto/x509"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/cli"
)

// The demo ends with a server that can be signed in to with what it prints.
func TestDemoServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var wg sync.WaitGroup
	code := 0
	wg.Go(func() {
		code = cli.Main(ctx, []string{"demo"}, cli.Env{Stdin: strings.NewReader(""), Stdout: in, Stderr: in, Getenv: func(string) string { return "" }})
		_ = in.Close() // of a pipe
	})
	var text strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(text.String(), "Ctrl-C ends it.") {
		n, err := out.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%v after %s", err, text.String())
		}
	}
	wg.Go(func() { _, _ = io.Copy(io.Discard, out) })
	found := regexp.MustCompile(`console   (\S+) \(its certificate is of its own authority: (\S+)\)\n  sign in   (\S+)\n  password  (\S+)\n  code      (\d+)`).FindStringSubmatch(text.String())
	if found == nil {
		t.Fatal(text.String())
	}
	pem, err := os.ReadFile(found[2])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c, err := client.New(found[1], client.WithRoots(roots))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SignIn(ctx, found[3], found[4]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GiveCode(ctx, found[5]); err != nil {
		t.Fatal(err)
	}
	if connections, _, err := c.Connections(ctx, client.ConnectionFilter{}, client.Page{}); err != nil || len(connections) == 0 {
		t.Errorf("%d connections %v", len(connections), err)
	}
	cancel()
	wg.Wait()
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Stat(found[2]); err == nil {
		t.Error("something stays")
	}
}
