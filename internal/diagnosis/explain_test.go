package diagnosis_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"gatehouse/internal/diagnosis"
)

// texts are the texts of all fixtures.
func texts(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/fixtures/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var all []string
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var list []struct {
			Text string `yaml:"text"`
		}
		if err := yaml.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			all = append(all, f.Text)
		}
	}
	return all
}

// holds checks what holds for every diagnosis whatever the text.
func holds(text string, d diagnosis.Diagnosis) error {
	if len(d.Remedies) == 0 {
		return fmt.Errorf("no remedy")
	}
	for _, r := range d.Remedies {
		if r.ID == "" || r.Title == "" || len(r.Steps) == 0 || r.Reference == nil {
			return fmt.Errorf("remedy %+v is incomplete", r)
		}
	}
	if d.Title == "" || d.Cause == "" || d.Category == "" || d.Actor == "" || d.Confidence == "" || d.Alternatives == nil {
		return fmt.Errorf("%+v is incomplete", d)
	}
	if (d.Detail != nil) && d.Category != "other" {
		return fmt.Errorf("detail %q with category %s", *d.Detail, d.Category)
	}
	if strings.ContainsAny(d.Title+d.Cause, "{}") {
		return fmt.Errorf("unfilled text %q", d.Cause)
	}
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("marshalling: %w", err)
	}
	var back diagnosis.Diagnosis
	if err := json.Unmarshal(data, &back); err != nil {
		return fmt.Errorf("unmarshalling: %w", err)
	}
	back.Entry, back.Sure = d.Entry, d.Sure
	if diff := cmp.Diff(d, back); diff != "" {
		return fmt.Errorf("JSON loses something:\n%s", diff)
	}
	if again := diagnosis.Explain(text); cmp.Diff(d, again) != "" {
		return fmt.Errorf("a second reading differs:\n%s", cmp.Diff(d, again))
	}
	return nil
}

// TestProperties: any mixture of error texts, noise and cuts gets a complete,
// repeatable answer.
func TestProperties(t *testing.T) {
	all := texts(t)
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(0, 4).Draw(t, "parts") {
			part := rapid.OneOf(rapid.SampledFrom(all), rapid.String()).Draw(t, "part")
			runes := []rune(part)
			cut := rapid.IntRange(0, len(runes)).Draw(t, "cut")
			b.WriteString(string(runes[:cut]))
		}
		text := b.String()
		if err := holds(text, diagnosis.Explain(text)); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// TestWrappers: a cause is recognised through every wrapper put around it.
func TestWrappers(t *testing.T) {
	quoted := func(s string) string {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	wrappers := map[string]func(string) string{
		"JSON":             func(s string) string { return `{"error":"x","error_description":` + quoted(s) + `}` },
		"JSON in JSON":     func(s string) string { return `{"body":` + quoted(`{"error_description":`+quoted(s)+`}`) + `}` },
		"JSON three times": func(s string) string { return quoted(quoted(quoted(s))) },
		"redirect": func(s string) string {
			return "https://app.fabrikam.example/cb?error_description=" + url.QueryEscape(s)
		},
		"redirect twice": func(s string) string {
			return "https://app.fabrikam.example/cb?u=" + url.QueryEscape(url.QueryEscape(s))
		},
		"HTML":    func(s string) string { return "<p>" + strings.ReplaceAll(htmlEscape(s), "'", "&#39;") + "</p>" },
		"console": func(s string) string { return wrapAt(s, 40) },
		"quoted":  func(s string) string { return "> " + strings.ReplaceAll(s, "\n", "\n> ") },
		"colours": func(s string) string { return "\x1b[31;1m" + s + "\x1b[0m" },
		"UTF-16":  utf16Bytes,
		"capitals": func(s string) string {
			return strings.ToUpper(s)
		},
		"chain": func(s string) string {
			return "Contoso.Tool.SyncException: one step did not end well ---> System.AggregateException: (" + s + ")\n   at Contoso.Tool.Sync.Run() in Sync.cs:line 42"
		},
	}
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			missed := 0
			all := texts(t)
			for _, text := range all {
				want, got := diagnosis.Explain(text), diagnosis.Explain(wrap(text))
				if got.Category != want.Category {
					missed++
					t.Logf("%s instead of %s: %.100q", got.Category, want.Category, wrap(text))
				}
			}
			if missed*100 > len(all)*2 {
				t.Errorf("%d of %d causes are lost in this wrapper", missed, len(all))
			}
		})
	}
}

func htmlEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

// wrapAt breaks a text hard, in the middle of words, as narrow consoles do.
func wrapAt(s string, width int) string {
	var b strings.Builder
	for i, r := range []rune(s) {
		if i > 0 && i%width == 0 {
			b.WriteByte('\n')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func utf16Bytes(s string) string {
	var b strings.Builder
	b.WriteString("\xff\xfe")
	for _, r := range s {
		if r < 0x80 {
			b.WriteByte(byte(r))
			b.WriteByte(0)
		}
	}
	return b.String()
}

// TestSecretsStayInside: nothing that a person pasted comes back but codes.
func TestSecretsStayInside(t *testing.T) {
	const secret = "Tr0ub4dor8Zebra"
	for _, text := range texts(t) {
		data, err := json.Marshal(diagnosis.Explain(secret + " password=" + secret + " " + text + " client_secret=" + secret))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(data)), strings.ToLower(secret)) {
			t.Errorf("the answer repeats a secret: %s", data)
		}
	}
}

// hostile are texts made to hurt.
func hostile() map[string]string {
	return map[string]string{
		"nothing":        "",
		"backslashes":    strings.Repeat(`\`, 1<<20),
		"escapes":        strings.Repeat(`\\\"`, 1<<18),
		"percent":        strings.Repeat("%25", 1<<19),
		"entities":       strings.Repeat("&amp;", 1<<18),
		"one word":       strings.Repeat("a", 8<<20),
		"many codes":     strings.Repeat("AADSTS50126 ", 1<<17),
		"unknown codes":  strings.Repeat("AADSTS99999 AADSTS12345 ", 1<<16),
		"beginnings":     strings.Repeat("access has been access has ", 1<<15),
		"zeroes":         strings.Repeat("\x00", 4<<20),
		"broken UTF-8":   strings.Repeat("\xff\xfe\xc3(", 1<<20),
		"newlines":       strings.Repeat("\n", 4<<20),
		"every fixture":  "",
		"terminal codes": strings.Repeat("\x1b[", 1<<20),
	}
}

// TestHostileInput: megabytes of anything are answered. The time allowed is no
// figure to hold: it tells work that grows with the text from work that grows
// with its square, which would take hours.
func TestHostileInput(t *testing.T) {
	cases := hostile()
	cases["every fixture"] = strings.Repeat(strings.Join(texts(t), "\n"), 100)
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			d := diagnosis.Explain(text)
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v for %d bytes", took, len(text))
			}
			if err := holds(text, d); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzExplain(f *testing.F) {
	for _, text := range texts(f) {
		f.Add(text)
	}
	for name, text := range hostile() {
		f.Add(name + text[:min(len(text), 200)])
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := holds(text, diagnosis.Explain(text)); err != nil {
			t.Error(err)
		}
	})
}

// trace is what usually comes along with an error.
const trace = "\r\nTrace ID: 5f0c1d7e-0000-4000-8000-2c1fd0a7e100\r\nCorrelation ID: 8b7d6c5e-0000-4000-8000-1f2e3d4c5b6a\r\nTimestamp: 2026-11-02 07:31:09Z" +
	"\n   at Contoso.Sync.Auth.TokenSource.AcquireAsync(String[] scopes, CancellationToken token) in /src/Auth/TokenSource.cs:line 118" +
	"\n   at Contoso.Sync.Jobs.Runner.<RunAsync>d__12.MoveNext() in /src/Jobs/Runner.cs:line 77" +
	"\n--- End of stack trace from previous location ---\n   at Contoso.Sync.Program.Main(String[] args) in /src/Program.cs:line 21\n"

// BenchmarkExplain reads all fixtures in turn, each with a trace as real pastes
// have it; texts/s is the figure to hold: 20,000 a core.
func BenchmarkExplain(b *testing.B) {
	all := texts(b)
	size := 0
	for i := range all {
		all[i] += trace
		size += len(all[i])
	}
	b.SetBytes(int64(size / len(all)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		diagnosis.Explain(all[i%len(all)])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "texts/s")
}
