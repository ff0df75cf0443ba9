package diagnosis

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"
)

// fixture is a text of our own making with what it must be taken for.
type fixture struct {
	Entry    string `yaml:"entry"`
	Category string `yaml:"category"`
	Actor    Actor  `yaml:"actor"`
	Text     string `yaml:"text"`
}

func fixtures(t testing.TB) []fixture {
	t.Helper()
	names, err := filepath.Glob("testdata/fixtures/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var all []fixture
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var list []fixture
		if err := yaml.Unmarshal(data, &list); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, list...)
	}
	return all
}

// TestFixtures reads every fixture for what it is.
func TestFixtures(t *testing.T) {
	for _, f := range fixtures(t) {
		d := Explain(f.Text)
		if d.Entry != f.Entry || d.Category != f.Category || d.Actor != f.Actor {
			t.Errorf("got %s (%s, %s, %s), want %s (%s, %s) for:\n%s", d.Entry, d.Category, d.Actor, d.Confidence, f.Entry, f.Category, f.Actor, f.Text)
		}
	}
}

// categories are the values of the contract.
var categories = []string{"mfa_required", "mfa_enrollment", "conditional_access_block", "conditional_access_device",
	"consent_user", "consent_admin", "bad_credentials", "account_disabled", "account_locked", "password_expired",
	"app_not_found", "app_credential_expired", "app_credential_invalid", "redirect_uri_mismatch", "tenant_not_found",
	"legacy_auth_blocked", "ropc_unsupported_federated", "throttled", "token_expired_or_revoked", "reauth_required",
	"user_not_assigned", "license_missing", "permission_missing", "app_only_not_supported", "service_transient",
	"resource_principal_missing", "request_malformed", "preferred_method_mismatch", "other"}

var details = []string{"", "account_not_in_tenant", "app_disabled", "token_validation", "no_credential_available", "user_cancelled", "client_environment"}

var actors = []Actor{EndUser, TenantAdmin, AppOwner, Operator, Microsoft, NobodyRetry}

// TestKnowledgeBase is the lint of the knowledge base.
func TestKnowledgeBase(t *testing.T) {
	k, err := load(kbFiles)
	if err != nil {
		t.Fatal(err)
	}
	fixed := map[string]bool{}
	for _, f := range fixtures(t) {
		fixed[f.Entry] = true
	}
	used := map[string]bool{"register-second-factor": true}
	covered := map[string]bool{}
	for _, e := range k.entries {
		covered[e.Category] = true
		if !slices.Contains(categories, e.Category) {
			t.Errorf("%s: category %q is none of the contract", e.ID, e.Category)
		}
		if !slices.Contains(details, e.Detail) || e.Detail != "" && e.Category != "other" {
			t.Errorf("%s: detail %q", e.ID, e.Detail)
		}
		if !fixed[e.ID] {
			t.Errorf("%s: no fixture", e.ID)
		}
		if len(e.Remedies) == 0 {
			t.Errorf("%s: no remedy", e.ID)
		}
		if !slices.Contains(actors, e.Actor) {
			t.Errorf("%s: actor %q", e.ID, e.Actor)
		}
		for _, a := range e.Actors {
			if !slices.Contains(actors, a.Actor) {
				t.Errorf("%s: actor %q", e.ID, a.Actor)
			}
		}
		lintText(t, e.ID, e.Title, e.Cause, e.Sure)
		lists := [][]string{e.Remedies}
		for _, w := range e.RemediesWhen {
			lists = append(lists, w.Remedies)
		}
		for _, list := range lists {
			lintOrder(t, k, e.ID, list)
			for _, id := range list {
				used[id] = true
			}
		}
	}
	for _, c := range categories {
		if !covered[c] {
			t.Errorf("category %s: no entry", c)
		}
	}
	for kind, r := range k.rules {
		lintText(t, string(kind), r.Title, r.Cause, r.Enrol)
		for _, list := range r.lists() {
			if len(list) == 0 {
				t.Errorf("rule %s: no remedy", kind)
			}
			lintOrder(t, k, string(kind), list)
			for _, id := range list {
				used[id] = true
			}
		}
		for _, c := range r.Categories {
			if !slices.Contains(categories, c) {
				t.Errorf("rule %s: category %q", kind, c)
			}
		}
	}
	for _, kind := range []RuleKind{SecurityDefaults, PerUserMFA, MandatoryMFA, ConditionalAccess, ExternalMFA, SignInFrequency, Consent, UserAssignment, Federation, LegacyAuth} {
		if _, ok := k.rules[kind]; !ok {
			t.Errorf("rule %s: no text", kind)
		}
	}
	for id, r := range k.remedies {
		if !used[id] {
			t.Errorf("remedy %s: nobody offers it", id)
		}
		if len(r.Steps) == 0 || !slices.Contains(actors, r.Actor) {
			t.Errorf("remedy %s: %d steps, actor %q", id, len(r.Steps), r.Actor)
		}
		ref, err := url.Parse(*r.Reference)
		if err != nil || ref.Scheme != "https" || !slices.Contains([]string{"learn.microsoft.com", "support.microsoft.com"}, ref.Host) || len(ref.Path) < 8 {
			t.Errorf("remedy %s: reference %q is no public page", id, *r.Reference)
		}
		lintText(t, id, append([]string{r.Title}, r.Steps...)...)
	}
	for code, info := range k.codes {
		name := fmt.Sprintf("AADSTS%d", code)
		d := Explain("Error: " + name + ": refused")
		if d.Entry != k.entries[info.entry].ID || d.Code == nil || *d.Code != name || !info.generic && !k.entries[info.entry].Generic && d.Confidence != High {
			t.Errorf("%s leads to %s (%s), want %s", name, d.Entry, d.Confidence, k.entries[info.entry].ID)
		}
		if code < 10000 || code > 9999999 {
			t.Errorf("code %d is none", code)
		}
		lintText(t, "code", info.means)
	}
}

// lintOrder: the first remedy is safe, and none stands twice.
func lintOrder(t *testing.T, k *knowledge, id string, list []string) {
	t.Helper()
	if len(list) > 0 && k.remedies[list[0]].LowersProtection {
		t.Errorf("%s: the first remedy %s lowers protection", id, list[0])
	}
	seen := map[string]bool{}
	for _, r := range list {
		if seen[r] {
			t.Errorf("%s: remedy %s twice", id, r)
		}
		seen[r] = true
	}
}

// lintText holds texts to house style.
func lintText(t *testing.T, id string, texts ...string) {
	t.Helper()
	for i, s := range texts {
		switch {
		case i == 0 && strings.TrimSpace(s) == "":
			t.Errorf("%s: empty text", id)
		case strings.Contains(s, "!"), strings.Contains(s, "  "), strings.Contains(s, "\n"):
			t.Errorf("%s: style of %q", id, s)
		case i == 0 && strings.HasSuffix(s, "."):
			t.Errorf("%s: %q ends in a full stop", id, s)
		case strings.Count(s, "{") != strings.Count(s, "}"):
			t.Errorf("%s: braces in %q", id, s)
		}
	}
}

// TestLoadRefuses: a faulty knowledge base is refused with the fault named.
func TestLoadRefuses(t *testing.T) {
	const good = `
remedies: [{id: wait, title: Wait, actor: operator, steps: [Wait.], reference: "https://learn.microsoft.com/x"}]
contexts:
  mail: |
    smtp
entries:
  - {id: unknown-entra-code, category: other, title: T, cause: C., actor: operator, remedies: [wait]}
`
	for _, tt := range []struct{ name, more, want string }{
		{"good", "", ""},
		{"member", "entrees: []", "field entrees not found"},
		{"remedy", "entries: [{id: a, remedies: [run]}]", `entry a: no remedy "run"`},
		{"twice", "entries: [{id: unknown-entra-code}]", "stands twice"},
		{"circumstance", "entries: [{id: a, remedies: [wait], actors: [{when: dark, actor: operator}]}]", `no circumstance "dark"`},
		{"pattern", "entries: [{id: a, remedies: [wait], match: {sure: '* b'}}]", "a gap at its end or beginning"},
		{"pattern without words", "entries: [{id: a, remedies: [wait], match: {sure: '- b'}}]", "holds no word"},
		{"pattern's circumstance", "entries: [{id: a, remedies: [wait], match: {sure: 'b @dark'}}]", `no circumstance "dark"`},
		{"list", "entries: [{id: a, remedies: [wait], match: {sure: [b]}}]", "want a block of lines"},
		{"code", "codes: 50000 nothing means", `code "50000 nothing means": no such cause`},
		{"code twice", "codes: |\n  50000 unknown-entra-code a\n  50000 unknown-entra-code b", "stands twice"},
		{"rule", "rules: [{rule: federation, person: [run]}]", `rule federation: no remedy "run"`},
		{"join", "joins: one", "want two words"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{"kb/a.yaml": {Data: []byte(good)}}
			if tt.more != "" {
				files["kb/b.yaml"] = &fstest.MapFile{Data: []byte(tt.more)}
			}
			_, err := load(files)
			if got := fmt.Sprint(err); tt.want == "" && err != nil || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
