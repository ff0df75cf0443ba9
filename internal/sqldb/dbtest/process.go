package dbtest

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// role is the environment variable that turns a test binary into the process
// of that name.
const role = "GATEHOUSE_TEST_PROCESS"

// Main runs a package's tests, or, in a process started by [Start], the
// function of its name. It returns the exit code.
func Main(m *testing.M, processes map[string]func()) int {
	if name := os.Getenv(role); name != "" {
		processes[name]()
		return 0
	}
	return m.Run()
}

// A Process is this test binary once more, running one of the functions that
// were given to [Main].
type Process struct {
	*exec.Cmd
	Lines <-chan string // what it prints, closed at its end
	Stdin io.WriteCloser
}

// Start starts a process with some more variables in its environment. It is
// killed, if it still runs, when the test ends.
func Start(t testing.TB, name string, env ...string) *Process {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0]) //nolint:gosec // this binary
	cmd.Env = append(append(os.Environ(), role+"="+name), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1<<16)
	var done sync.WaitGroup
	done.Go(func() {
		defer close(lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			lines <- scanner.Text()
		}
	})
	p := &Process{Cmd: cmd, Lines: lines, Stdin: stdin}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			done.Wait()
			_ = cmd.Wait() // killed: the error says so
		}
	})
	return p
}

// Await reads lines until one begins with a prefix and gives the rest of it.
func (p *Process) Await(t testing.TB, prefix string) string {
	t.Helper()
	var seen []string
	for line := range p.Lines {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.TrimSpace(rest)
		}
		seen = append(seen, line)
	}
	t.Fatalf("the process ended before it said %q; it said %q", prefix, seen)
	return ""
}
