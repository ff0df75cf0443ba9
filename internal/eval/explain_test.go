package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEvalExplain: right answers pass, wrong ones miss the bar and are listed,
// unreadable data is no measurement.
func TestEvalExplain(t *testing.T) {
	const (
		right = `{"id":"a","text":"AADSTS50126: invalid username or password","confidence":"high","label":{"category":"bad_credentials","actor":"end_user"}}`
		also  = `{"id":"b","text":"AADSTS50079: enroll","confidence":"low","label":{"category":"mfa_required","category_also":["mfa_enrollment"],"actor":"operator","actor_also":["end_user"]}}`
		wrong = `{"id":"c","text":"429 Too Many Requests","confidence":"high","label":{"category":"account_locked","actor":"tenant_admin"}}`
	)
	for _, tt := range []struct {
		name, data string
		bar, other bool
		out        string
	}{
		{"right", right + "\n" + also + "\n", false, false, "100.0%"},
		{"wrong", right + "\n" + wrong + "\n", true, false, "confused   1  account_locked -> throttled"},
		{"unreadable", right + "\n{\n", false, true, ""},
		{"empty", "", false, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "error-corpus"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "error-corpus", "dev.jsonl"), []byte(tt.data), 0o644); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := evalExplain(dir, &out)
			if bar := errors.Is(err, errBar); bar != tt.bar || (err != nil && !bar) != tt.other {
				t.Errorf("error %v", err)
			}
			if !strings.Contains(out.String(), tt.out) {
				t.Errorf("output lacks %q:\n%s", tt.out, out.String())
			}
		})
	}
}
