package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// guide is a section of a file of docs: its fenced blocks in order.
func guide(t *testing.T, file, heading string) []block {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "docs", file))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/%s has no section %q", file, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []block
	parts := strings.Split(section, "\n```")
	for i := 1; i < len(parts); i += 2 {
		language, text, _ := strings.Cut(parts[i], "\n")
		blocks = append(blocks, block{language, text + "\n"})
	}
	return blocks
}

type block struct{ language, text string }

// follow does what a section says in an empty folder: shell blocks are run, as
// they stand and in one shell, others are written to the file. What was begun
// in the background ends with the shell. It gives all output.
func follow(t *testing.T, folder, file string, blocks []block, env ...string) string {
	t.Helper()
	script := "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n"
	for i, b := range blocks {
		if b.language == "sh" {
			script += b.text
			continue
		}
		held := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(held, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		script += fmt.Sprintf("cp '%s' '%s'\n", held, file)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	shell.Cancel = func() error { return shell.Process.Signal(syscall.SIGTERM) }
	shell.Dir = folder
	shell.Env = append(os.Environ(), env...)
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v in:\n%s\n%s", err, script, out)
	}
	return string(out)
}

// The guide leads an outside Go module to a first MFA refusal, word by word.
func TestGuideGo(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	out := follow(t, t.TempDir(), "refusal_test.go", guide(t, "lab.md", "Use it in a Go test"), "GATEHOUSE="+source)
	if !strings.Contains(out, "ok  \texample.com/outside") {
		t.Errorf("the guide's test did not run:\n%s", out)
	}
}

// The guide leads an empty npm project to a first MFA refusal, word by word,
// with gatehouse built and on the path.
func TestGuideNode(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Dir(buildGatehouse(t, false)) + string(os.PathListSeparator) + os.Getenv("PATH")
	out := follow(t, folder, "refusal.mjs", guide(t, "lab.md", "Your first MFA refusal, from Node"), "PATH="+path)
	if !strings.Contains(out, "AADSTS50076: ") {
		t.Errorf("no refusal:\n%s", out)
	}
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	data, err := os.ReadFile(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &lock); err != nil || lock.Packages["node_modules/@azure/msal-node"].Version == "" {
		t.Errorf("msal-node was not installed: %v", err)
	}
}
