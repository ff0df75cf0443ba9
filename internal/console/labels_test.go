package console

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/tenant"
)

var (
	formFields = regexp.MustCompile(`field\{Name: "([^"]+)", Label: "([^"]+)"|@wrong\([^,]+, "([^"]+)", "([^"]+)"\)`)
	faultyOnes = regexp.MustCompile(`(?:fault\.Of|[fF]aults?\.Add|\bf\.Add|tenant\.Fault)\("([a-z_.]+)"|Field\w*\{(?:Field: )?"([a-z_.]+)"`)
)

// matches collects what an expression finds in files: the first of its groups that is
// not empty, with the one behind it.
func matches(t *testing.T, e *regexp.Regexp, files ...string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, pattern := range files {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range e.FindAllStringSubmatch(string(data), -1) {
				first := slices.IndexFunc(m[1:], func(s string) bool { return s != "" }) + 1
				label := ""
				if len(m) > first+1 {
					label = m[first+1]
				}
				found[m[first]] = append(found[m[first]], label)
			}
		}
	}
	return found
}

// A summary of what is wrong calls each field as its form does, never by the name of
// the member: whatever the features refuse, and whatever the forms ask for.
func TestSummaryNamesFields(t *testing.T) {
	t.Parallel()
	forms := matches(t, formFields, "*.templ")
	for name, words := range campaignLabels {
		forms[name] = append(forms[name], words)
	}
	refused := matches(t, faultyOnes, "../*/*.go")
	if len(forms) < 60 || len(refused) < 60 || forms["registration_id"] == nil || refused["registration_id"] == nil {
		t.Fatalf("%d fields of forms, %d of features were found", len(forms), len(refused))
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(forms)), slices.Collect(maps.Keys(refused))) {
		words := fieldWords(name)
		if of := forms[name]; of != nil && strings.ContainsAny(name, "_.") && !slices.Contains(of, words) {
			t.Errorf("%s is called %q in the summary, and %q in its form", name, words, of)
		}
		var page strings.Builder
		if err := problems(&form{Faults: tenant.Faults{{Field: name, Problem: "is wrong"}}}).Render(t.Context(), &page); err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(page.String(), `">`+words)
		if strings.ContainsAny(words, "_.") || !strings.HasPrefix(text, " is wrong.") {
			t.Errorf("of %s the summary says %s", name, page.String())
		}
	}
}
