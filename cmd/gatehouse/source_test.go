package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/a-h/templ/generator"
	templates "github.com/a-h/templ/parser/v2"
)

// sources gives the module's files with an ending, without those of the modules
// below it.
func sources(t *testing.T, ending string) (paths []string) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
		}
		if !d.IsDir() && strings.HasSuffix(path, ending) {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files *%s: %v", ending, err)
	}
	return paths
}

// TestNoTemplatePackages: nothing of ours uses text/template or html/template.
// They find methods by name (reflect.Value.MethodByName), so wherever one is
// executed the linker must keep every exported method of every type that can be
// reached: 4.8 MB of the binary, a tenth. That others import them does no harm
// as long as nobody executes one. Pages are templ components, texts plain Go
// (docs/decisions/0001-stack.md).
func TestNoTemplatePackages(t *testing.T) {
	for _, path := range sources(t, ".go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			if name, _ := strconv.Unquote(i.Path.Value); name == "text/template" || name == "html/template" {
				t.Errorf("%s imports %s", path, name)
			}
		}
		if source, err := os.ReadFile(path); err != nil || cobraTemplate(source) {
			t.Errorf("%s gives cobra a template: %v", path, err)
		}
	}
}

// cobraTemplate reports whether a source makes cobra execute text/template.
func cobraTemplate(source []byte) bool {
	for _, kind := range []string{"Usage", "Help", "Version"} {
		if bytes.Contains(source, []byte(".Set"+kind+"Template(")) {
			return true
		}
	}
	return false
}

// TestGenerated holds the committed Go files of all pages against their
// templates, so that none is forgotten (go generate).
func TestGenerated(t *testing.T) {
	for _, path := range sources(t, ".templ") {
		file, err := templates.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if _, err := generator.Generate(file, &want, generator.WithFileName(filepath.Base(path)), generator.WithVersion("v0.3.977")); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(strings.TrimSuffix(path, ".templ") + "_templ.go")
		if err != nil {
			t.Fatal(err)
		}
		if flat(got) != flat(want.Bytes()) {
			t.Errorf("%s was changed without its Go file: run go generate ./%s", path, filepath.Dir(path[len("../../"):]))
		}
	}
}

// flat leaves out blanks, which gofmt moves.
func flat(text []byte) string { return strings.Join(strings.Fields(string(text)), "") }
