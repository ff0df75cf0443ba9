package console

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/a-h/templ/generator"
	"github.com/a-h/templ/parser/v2"
)

// TestGenerated holds the committed Go files against their templates, so that
// none is forgotten (go generate).
func TestGenerated(t *testing.T) {
	templates, err := filepath.Glob("*.templ")
	if err != nil || len(templates) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	for _, name := range templates {
		file, err := parser.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if _, err := generator.Generate(file, &want, generator.WithFileName(name), generator.WithVersion("v0.3.977")); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(strings.TrimSuffix(name, ".templ") + "_templ.go")
		if err != nil {
			t.Fatal(err)
		}
		if flat(got) != flat(want.Bytes()) {
			t.Errorf("%s was changed without its Go file: run go generate ./internal/console", name)
		}
	}
}

// flat leaves out blanks, which gofmt moves.
func flat(text []byte) string { return strings.Join(strings.Fields(string(text)), "") }
