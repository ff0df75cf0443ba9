package interop

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/lab"
)

// guide is a section of docs/lab.md: its fenced blocks in order.
func guide(t *testing.T, heading string) []block {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "docs", "lab.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/lab.md has no section %q", heading)
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
// they stand, others are written to the file. It gives all output.
func follow(t *testing.T, folder, file string, blocks []block, env ...string) string {
	t.Helper()
	var out bytes.Buffer
	for _, b := range blocks {
		if b.language != "sh" {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", b.text) //nolint:gosec // our own guide
		shell.Dir, shell.Stdout, shell.Stderr = folder, &out, &out
		shell.Env = append(os.Environ(), env...)
		if err := shell.Run(); err != nil {
			t.Fatalf("%v in:\n%s\n%s", err, b.text, out.String())
		}
	}
	return out.String()
}

// The guide leads an outside Go module to a first MFA refusal, word by word.
func TestGuideGo(t *testing.T) {
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	out := follow(t, t.TempDir(), "refusal_test.go", guide(t, "Use it in a Go test"), "GATEHOUSE="+source, "GOFLAGS=-mod=mod")
	if !strings.Contains(out, "ok") || strings.Contains(out, "no test files") {
		t.Errorf("the guide's test did not run:\n%s", out)
	}
}

// The guide leads an empty npm project to a first MFA refusal, word by word;
// only the lab is started by the test, so that it ends with it.
func TestGuideNode(t *testing.T) {
	folder := t.TempDir()
	blocks := guide(t, "Your first MFA refusal, from Node")
	start, rest, found := strings.Cut(blocks[0].text, "\n")
	if !found || start != "gatehouse lab --ready-file lab.json &" {
		t.Fatalf("the guide begins with %q", start)
	}
	blocks[0].text = rest
	l := lab.Start(t)
	if err := l.WriteReady(filepath.Join(folder, "lab.json")); err != nil {
		t.Fatal(err)
	}
	out := follow(t, folder, "refusal.mjs", blocks)
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
