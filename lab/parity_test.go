package lab_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each claim of docs/parity.md has a grade and names the test that pins it;
// the test exists.
func TestParity(t *testing.T) {
	const root = ".."
	tests := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		data, err := os.ReadFile(path) //nolint:gosec // our own tree
		if err != nil {
			return err
		}
		for _, match := range declaration.FindAllSubmatch(data, -1) {
			tests[string(match[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "docs", "parity.md"))
	if err != nil {
		t.Fatal(err)
	}
	claims := 0
	for n, line := range strings.Split(string(data), "\n") {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "/"), "|")
		if len(cells) != 6 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "claim" {
			continue
		}
		claims++
		grade, source, test := cells[2], strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])
		if !regexp.MustCompile(`documented|running code|inferred|unknown`).MatchString(grade) || source == "" {
			t.Errorf("line %d: grade %q, source %q", n+1, grade, source)
		}
		if strings.HasPrefix(test, "not ") {
			continue // said aloud
		}
		for name := range strings.SplitSeq(test, ",") {
			if name = strings.TrimSpace(name); !tests[name] {
				t.Errorf("line %d: no test is called %q", n+1, name)
			}
		}
	}
	if claims < 30 {
		t.Errorf("only %d claims were read: did the table change its form?", claims)
	}
}
