package cli_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/cli"
	"gatehouse/internal/testenv"
)

type person struct{ name, password string }

func userOf(e *testenv.Env, domain string) (person, bool) {
	for _, t := range e.Lab.Ready().Tenants {
		if t.Domain != domain {
			continue
		}
		for _, u := range t.Users {
			if u.Password != nil {
				return person{u.UPN, *u.Password}, true
			}
		}
	}
	return person{}, false
}

// setUp runs setup, gives the link, and answers with the code of the secret that
// it wrote.
func setUp(t *testing.T, x *terminal, link, secretFile string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	in, answer := io.Pipe()
	var out, talk bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Main(context.Background(), args, cli.Env{Stdin: in, Stdout: &out, Stderr: &talk, Getenv: func(name string) string { return x.env[name] }})
	}()
	if _, err := io.WriteString(answer, link+"\n"); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case code := <-ended:
			return code, out.String(), talk.String()
		case <-tick.C:
			secret, err := os.ReadFile(secretFile)
			if err != nil || !strings.HasSuffix(string(secret), "\n") {
				continue
			}
			if _, err := io.WriteString(answer, testenv.Code(t, strings.TrimSpace(string(secret)))+"\n"); err != nil {
				t.Fatal(err)
			}
			code := <-ended
			return code, out.String(), talk.String()
		}
	}
}
