package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/conditionalaccess"
)

// TestDifferences: every member counts, and null is not zero.
func TestDifferences(t *testing.T) {
	code, other := 53000, 53003
	base := answer{Verdict: "device_required", Outstanding: []string{"compliantDevice"}, ErrorCode: &code, Missing: []string{}, Applied: 2, ReportOnly: 1}
	if d := base.differences(base); d != nil {
		t.Errorf("the same answer differs: %q", d)
	}
	for _, tt := range []struct {
		change func(*answer)
		want   string
	}{
		{func(a *answer) { a.Verdict = "blocked" }, "verdict: by hand device_required, evaluated blocked"},
		{func(a *answer) { a.Outstanding = nil }, "outstanding: by hand [compliantDevice], evaluated []"},
		{func(a *answer) { a.ErrorCode = &other }, "error_code: by hand 53000, evaluated 53003"},
		{func(a *answer) { a.ErrorCode = nil }, "error_code: by hand 53000, evaluated null"},
		{func(a *answer) { a.Missing = []string{"device"} }, "missing: by hand [], evaluated [device]"},
		{func(a *answer) { a.Applied = 3 }, "applied: by hand 2, evaluated 3"},
		{func(a *answer) { a.ReportOnly = 0 }, "report_only: by hand 1, evaluated 0"},
	} {
		got := base
		tt.change(&got)
		if d := base.differences(got); !slices.Equal(d, []string{tt.want}) {
			t.Errorf("got %q, want %q", d, tt.want)
		}
	}
}

// TestSignInFiles: each file holds at least twenty different sign-ins with a
// reason, on both sides of its switches, and its locations are read.
func TestSignInFiles(t *testing.T) {
	entries, err := signInFiles.ReadDir("sign-ins")
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			file, err := readSignIns(strings.TrimSuffix(entry.Name(), ".json"))
			if err != nil {
				t.Fatal(err)
			}
			seen, sides := make(map[string]bool), make(map[[2]bool]bool)
			for _, x := range file.SignIns {
				if x.SignIn.ID == "" || seen[x.SignIn.ID] {
					t.Errorf("id %q is empty or used before", x.SignIn.ID)
				}
				if x.Why == "" || x.Expected.Verdict == "" {
					t.Errorf("%s has no reason or no verdict", x.SignIn.ID)
				}
				seen[x.SignIn.ID] = true
				sides[[2]bool{false, x.ReportOnlyAsEnabled}] = true
				sides[[2]bool{true, x.NamedLocations}] = true
			}
			if len(seen) < 20 || len(sides) < 4 {
				t.Errorf("%d sign-ins, switches %v", len(seen), sides)
			}
			if _, err := file.withLocations(new(conditionalaccess.Set)); err != nil {
				t.Error(err)
			}
		})
	}
	if file, err := readSignIns("no-such-set"); file != nil || err != nil {
		t.Errorf("a set without sign-ins gives %v, %v", file, err)
	}
}

// TestEvalPolicies: a set without sign-ins is only accounted for; one that does
// not give the answers worked out by hand misses the bar, as does a file that
// cannot be read; no set at all is no measurement.
func TestEvalPolicies(t *testing.T) {
	const (
		policy = `{"displayName":"Quay","state":"enabled","conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]}},"grantControls":{"operator":"OR","builtInControls":["block"]}}`
		quay   = "ca-policies/quay/quay.json"
	)
	for _, tt := range []struct {
		name       string
		files      map[string]string
		bar, other bool
		out        string
	}{
		{"unseen", map[string]string{quay: policy}, false, false, "quay: 1 files, 1 policies, 0 named locations, 0 faults\n"},
		{"unreadable", map[string]string{quay: "{"}, true, false, "  fault: quay.json:1: "},
		{"differing", map[string]string{"ca-policies/azure-samples/quay.json": policy}, true, false, "verdict: by hand allowed, evaluated blocked\n"},
		{"no set", map[string]string{"ca-policies/note.txt": "none"}, false, true, ""},
		{"no folder", nil, false, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range tt.files {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			err := evalPolicies(dir, &out)
			if bar := errors.Is(err, errBar); bar != tt.bar || (err != nil && !bar) != tt.other {
				t.Errorf("error %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "%!") {
				t.Errorf("badly written error: %v", err)
			}
			if !strings.Contains(out.String(), tt.out) {
				t.Errorf("output lacks %q:\n%s", tt.out, out.String())
			}
		})
	}
}
