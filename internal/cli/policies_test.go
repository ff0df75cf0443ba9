package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/cli"
)

// countryDatabase gives a MaxMind database (format 2.0) that knows one network:
// 192.0.2.0/24 is in Norway.
func countryDatabase() []byte {
	var b bytes.Buffer
	text := func(s string) { b.WriteByte(0x40 | byte(len(s))); b.WriteString(s) }
	number := func(name string, v byte) { text(name); b.Write([]byte{0xa1, v}) }
	const bits = 24
	record := func(v int) { b.Write([]byte{byte(v >> 16), byte(v >> 8), byte(v)}) }
	network := [3]byte{192, 0, 2}
	for i := range bits {
		next := i + 1
		if next == bits {
			next = bits + 16 // the first data behind the separator
		}
		if network[i/8]&(0x80>>(i%8)) == 0 {
			record(next)
			record(bits)
		} else {
			record(bits)
			record(next)
		}
	}
	b.Write(make([]byte, 16))
	b.WriteByte(0xe1)
	text("country")
	b.WriteByte(0xe1)
	text("iso_code")
	text("NO")
	b.WriteString("\xab\xcd\xefMaxMind.com")
	b.WriteByte(0xe9)
	number("node_count", bits)
	number("record_size", 24)
	number("ip_version", 4)
	number("binary_format_major_version", 2)
	number("binary_format_minor_version", 0)
	text("build_epoch")
	b.Write([]byte{0x01, 0x02, 1})
	text("database_type")
	text("Test")
	text("languages")
	b.Write([]byte{0x00, 0x04})
	text("description")
	b.WriteByte(0xe0)
	return b.Bytes()
}

// TestCountryDatabase: an address stands for its country where the sign-in
// gives none, and for no country where the database has none.
func TestCountryDatabase(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	policies := write("policies.json", `[{"id":"l","countriesAndRegions":["NO"]},
	 {"id":"p","state":"enabled","conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]},"locations":{"includeLocations":["All"],"excludeLocations":["l"]}},
	  "grantControls":{"operator":"OR","builtInControls":["block"]}}]`)
	database := write("countries.mmdb", string(countryDatabase()))
	in := `{"id":"home","userId":"u","resource":"a","ipAddress":"192.0.2.9"}
{"id":"away","userId":"u","resource":"a","ipAddress":"198.51.100.1"}
{"id":"said","userId":"u","resource":"a","ipAddress":"198.51.100.1","country":"NO"}
`
	var out, talk bytes.Buffer
	code := cli.Main(context.Background(), []string{
		"policies", "evaluate", "--policies", policies, "--country-db", database, "--sign-ins", "-", "--json",
	}, cli.Env{Stdin: strings.NewReader(in), Stdout: &out, Stderr: &talk, Getenv: func(string) string { return "" }})
	if code != 0 {
		t.Fatalf("exit %d: %s", code, &talk)
	}
	for i, want := range []string{"allowed", "blocked", "allowed"} {
		var answer struct{ ID, Verdict string }
		line := strings.Split(out.String(), "\n")[i]
		if err := json.Unmarshal([]byte(line), &answer); err != nil || answer.Verdict != want {
			t.Errorf("%s (%v)", line, err)
		}
	}
	code = cli.Main(context.Background(), []string{
		"policies", "evaluate", "--policies", policies, "--country-db", policies, "--sign-ins", "-",
	}, cli.Env{Stdin: strings.NewReader(in), Stdout: &out, Stderr: &talk, Getenv: func(string) string { return "" }})
	if code != 3 || !strings.Contains(talk.String(), "opening the country database") {
		t.Errorf("exit %d: %s", code, &talk)
	}
}

// lineCounter counts the lines written to it.
type lineCounter int

func (c *lineCounter) Write(p []byte) (int, error) {
	*c += lineCounter(bytes.Count(p, []byte("\n")))
	return len(p), nil
}

// BenchmarkPoliciesEvaluate is the whole command from JSON to JSON: 200
// policies, 16,000 sign-ins of some 700 bytes that all differ.
func BenchmarkPoliciesEvaluate(b *testing.B) {
	const policies, signIns = 200, 16_000
	guid := func(kind, n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", kind, n) }
	var list []string
	for i := range policies {
		who := `"includeUsers":["All"]`
		if i%3 > 0 {
			who = fmt.Sprintf(`"includeGroups":[%q,%q]`, guid(1, i%100), guid(1, i%37))
		}
		apps := [...]string{`"All"`, `"Office365"`, `"` + guid(2, i%50) + `"`}[i%3]
		more := [...]string{
			`"signInRiskLevels":["high"]`, `"clientAppTypes":["browser"]`, `"platforms":{"includePlatforms":["all"],"excludePlatforms":["iOS"]}`,
			`"devices":{"deviceFilter":{"mode":"exclude","rule":"device.isCompliant -eq True"}}`,
			`"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`,
		}[i%5]
		control := [...]string{"mfa", "block", "compliantDevice"}[i%3]
		list = append(list, fmt.Sprintf(`{"id":%q,"displayName":"CA%03d - a name of ordinary length","state":"enabled","conditions":{"users":{%s,"excludeGroups":[%q]},"applications":{"includeApplications":[%s]},%s},"grantControls":{"operator":"OR","builtInControls":[%q]}}`,
			guid(3, i), i, who, guid(1, 99), apps, more, control))
	}
	file := filepath.Join(b.TempDir(), "policies.json")
	if err := os.WriteFile(file, []byte("["+strings.Join(list, ",")+"]"), 0o600); err != nil {
		b.Fatal(err)
	}
	var in bytes.Buffer
	for i := range signIns {
		fmt.Fprintf(&in, `{"id":"sign-in-%06d","principalType":"user","userId":%q,"userType":"Member","guestOrExternalUserType":null,"externalTenantId":null,"groups":[%q,%q,%q],"roles":[],"resource":%q,"resourceName":"An application","scopes":["Files.Read.All","Sites.Read.All"],"clientAppType":%q,"interactive":true,"ipAddress":"203.0.%d.%d","country":"NO","platform":%q,"device":{"isCompliant":%t,"isManaged":true,"trustType":"AzureAD","operatingSystem":"Windows"},"signInRisk":%q,"userRisk":"none","insiderRisk":null,"authenticationFlow":null,"originalTransferMethod":null,"satisfied":["password","mfa"],"authMethodCombination":"password,microsoftAuthenticatorPush","methodsRegistered":["microsoftAuthenticatorPush"]}`+"\n",
			i, guid(4, i), guid(1, i%100), guid(1, i%41), guid(1, i%13), guid(2, i%60), []string{"browser", "other"}[i%2], i/256%256, i%256,
			[]string{"windows", "iOS", "macOS"}[i%3], i%4 > 0, []string{"none", "low", "high"}[i%3])
	}
	b.SetBytes(int64(in.Len()))
	b.ReportAllocs()
	for b.Loop() {
		var answers lineCounter
		code := cli.Main(context.Background(), []string{"policies", "evaluate", "--policies", file, "--sign-ins", "-", "--json"},
			cli.Env{Stdin: bytes.NewReader(in.Bytes()), Stdout: &answers, Stderr: &bytes.Buffer{}, Getenv: func(string) string { return "" }})
		if code != 0 || answers != signIns {
			b.Fatalf("exit %d, %d answers", code, answers)
		}
	}
	b.ReportMetric(policies*signIns*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevaluations/s")
}
