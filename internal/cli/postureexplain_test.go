package cli_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/lab"
)

// conditional is a tenants file with one tenant under Conditional Access. The
// lab's own sign-ins come from inside the office.
const conditional = `{"tenants":[{
  "name":"Policy Pier","domain":"policypier.onmicrosoft.com","licences":["SPE_E3"],
  "named_locations":[{"id":"aaaaaaaa-0000-4000-8000-000000000001","@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"Pier office","isTrusted":true,
    "ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"198.51.100.0/24"},{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"127.0.0.0/16"}]}],
  "conditional_access":[
    {"id":"bbbbbbbb-0000-4000-8000-000000000001","displayName":"CA001 MFA outside the office","state":"enabled",
     "conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"],"excludeGroups":["dddddddd-0000-4000-8000-000000000001"]},"applications":{"includeApplications":["All"]},
       "locations":{"includeLocations":["All"],"excludeLocations":["aaaaaaaa-0000-4000-8000-000000000001"]}},
     "grantControls":{"operator":"OR","builtInControls":["mfa"]}},
    {"id":"bbbbbbbb-0000-4000-8000-000000000002","displayName":"CA002 No device code","state":"enabled",
     "conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]},"authenticationFlows":{"transferMethods":"deviceCodeFlow"}},
     "grantControls":{"operator":"OR","builtInControls":["block"]}},
    {"id":"bbbbbbbb-0000-4000-8000-000000000003","displayName":"CA101 Apps from the office","state":"enabled",
     "conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["None"]},"applications":{"includeApplications":["All"]},"clientApplications":{"includeServicePrincipals":["ServicePrincipalsInMyTenant"]},
       "locations":{"includeLocations":["All"],"excludeLocations":["aaaaaaaa-0000-4000-8000-000000000001"]}},
     "grantControls":{"operator":"OR","builtInControls":["block"]}}],
  "groups":[{"id":"dddddddd-0000-4000-8000-000000000001","name":"CA exclusions","members":["svc-excluded@policypier.onmicrosoft.com"]}],
  "users":[
    {"id":"cccccccc-0000-4000-8000-000000000001","upn":"svc-tool@policypier.onmicrosoft.com","password":"Pier-tool-2026","methods":[{"type":"authenticator"}]},
    {"id":"cccccccc-0000-4000-8000-000000000002","upn":"svc-excluded@policypier.onmicrosoft.com","password":"Pier-excluded-2026"}],
  "apps":[
    {"name":"Gatehouse reader","purpose":"reader","secret":true,"certificate":true,
     "application_permissions":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All"]},
     "granted":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All"]}},
    {"name":"Pier app","purpose":"service","secret":true,"granted":{"graph":["Organization.Read.All"]}}],
  "grants":[{"app":"Microsoft Graph Command Line Tools","resource":"graph","scopes":["openid","profile","email","offline_access","User.Read"]}]
}]}`

// newPier is a shell whose lab has the tenant above, with a snapshot taken of
// it.
func newPier(t *testing.T) (*shell, string) {
	t.Helper()
	folder := t.TempDir()
	s := &shell{t: t, lab: lab.Start(t, lab.WithTenants(conditional), lab.WithConfig(func(c *lab.Config) { c.Deterministic, c.Seed = true, 7 })), folder: folder, env: map[string]string{}}
	s.env["GATEHOUSE_LAB"] = filepath.Join(folder, "lab.json")
	if err := s.lab.WriteReady(s.env["GATEHOUSE_LAB"]); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "posture.json")
	args := append([]string{"posture", "snapshot", "--cloud", "lab", "--tenant", "policypier.onmicrosoft.com", "--account", "svc-tool@policypier.onmicrosoft.com", "--account", "svc-excluded@policypier.onmicrosoft.com",
		"--app", s.lab.Tenant("policypier").App("Pier app").ClientID, "--out", file}, s.reader("policypier")...)
	if code, _, talk := s.run(args...); code != 0 || !strings.Contains(talk, "2 account(s), 1 app(s), 0 part(s) not read") {
		t.Fatalf("exit %d: %s", code, talk)
	}
	return s, file
}

// What a snapshot says about sign-ins: the rule, the next one, what is open,
// with the exit codes of check.
func TestPostureExplain(t *testing.T) {
	t.Parallel()
	s, file := newPier(t)
	const tool, excluded = "svc-tool@policypier.onmicrosoft.com", "svc-excluded@policypier.onmicrosoft.com"
	tests := []struct {
		name string
		args []string
		code int
		rule string // name of the first rule, "" for none
		next string
		has  string // in the text for people
	}{
		{"outside", []string{"--account", tool, "--address", "203.0.113.9"}, 1, "CA001 MFA outside the office", "", "What helps: Move to an app-only identity"},
		{"from the office", []string{"--account", tool, "--address", "198.51.100.9"}, 0, "", "", "through the device code flow"},
		{"address not known", []string{"--account", tool}, 3, "", "", "depends on what is not known: the address"},
		{"device code", []string{"--account", tool, "--address", "203.0.113.9", "--flow", "device_code"}, 1, "CA002 No device code", "CA001 MFA outside the office", "After that: conditional access \"CA001 MFA outside the office\""},
		{"MFA done", []string{"--account", tool, "--address", "203.0.113.9", "--flow", "browser", "--mfa"}, 0, "", "", "Nothing stops it"},
		{"legacy", []string{"--account", tool, "--address", "203.0.113.9", "--flow", "legacy", "--service", "exchange"}, 1, "CA001 MFA outside the office", "", "which a legacy protocol cannot give"},
		{"excluded by group", []string{"--account", excluded}, 0, "", "", "your account is in the excluded group"},
		{"Azure CLI", []string{"--account", excluded, "--app", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"}, 1, "Mandatory MFA for Azure and the admin portals", "", "no tenant setting removes that"},
		{"app outside", []string{"--app", s.lab.Tenant("policypier").App("Pier app").ClientID, "--address", "203.0.113.9"}, 1, "CA101 Apps from the office", "", "Sign in from a network that the policy accepts"},
		{"app inside", []string{"--app", s.lab.Tenant("policypier").App("Pier app").ClientID, "--address", "198.51.100.9"}, 0, "", "", "from an address outside"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"posture", "explain", "--snapshot", file}, test.args...)
			code, out, talk := s.run(append(args, "--json")...)
			var answer struct {
				Rule, Next *struct{ Name string }
				Findings   []struct{ Why string }
			}
			if err := json.Unmarshal([]byte(out), &answer); err != nil || talk != "" {
				t.Fatalf("%v %s", err, talk)
			}
			name := func(r *struct{ Name string }) string {
				if r == nil {
					return ""
				}
				return r.Name
			}
			if code != test.code || name(answer.Rule) != test.rule || name(answer.Next) != test.next || len(answer.Findings) == 0 {
				t.Errorf("exit %d, rule %q, next %q: %s", code, name(answer.Rule), name(answer.Next), out)
			}
			code, people, _ := s.run(args...)
			if flat := strings.Join(strings.Fields(people), " "); code != test.code || !strings.Contains(flat, test.has) {
				t.Errorf("exit %d, %q is missing in:\n%s", code, test.has, people)
			}
		})
	}
	code, out, _ := s.run("posture", "explain", "--snapshot", file, "--account", tool, "--address", "203.0.113.9", "--flow", "device_code", "--json")
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	golden(t, "posture-explain", out)
}

func TestPostureExplainUsage(t *testing.T) {
	s := &shell{t: t, folder: t.TempDir(), env: map[string]string{}}
	file := s.file("posture.json", `{"format":2,"taken_at":"2026-11-22T10:00:00Z","accounts":[{"upn":"a@b.example"}],"unread":[{"part":"account gone@b.example","reason":"not found"}]}`)
	with := func(args ...string) []string {
		return append([]string{"posture", "explain", "--snapshot", file}, args...)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"posture", "explain", "--account", "a@b.example"}, 2, "--snapshot is missing"},
		{[]string{"posture", "explain", "--account", "a@b.example", "--snapshot", s.file("old.json", `{"format":1,"taken_at":"2026-11-22T10:00:00Z"}`)}, 2, "format is 1, this version reads 2; take a new one"},
		{with(), 2, "nobody to ask about"},
		{with("--account", "c@b.example"), 2, "take it with --account c@b.example"},
		{with("--account", "gone@b.example"), 3, "not found"},
		{with("--app", "42"), 2, `--app is "42"`},
		{with("--account", "a@b.example", "--service", "mail"), 2, `--service is "mail"`},
		{with("--account", "a@b.example", "--flow", "ropc"), 2, "password, browser"},
		{with("--account", "a@b.example", "--flow", "app"), 2, "--flow app"},
		{with("--app", "11111111-2222-3333-4444-555555555555", "--mfa"), 2, "belong to an --account"},
		{with("--account", "a@b.example", "--address", "300.1.1.1"), 2, "--address"},
		{with("--account", "a@b.example", "--country", "Germany"), 2, "--country"},
		{with("--account", "a@b.example", "--platform", "amiga"), 2, "--platform"},
	} {
		if code, out, talk := s.run(test.args...); code != test.code || out != "" || !strings.Contains(talk, test.want) {
			t.Errorf("%v: exit %d, %q, want %d and %q", test.args, code, talk, test.code, test.want)
		}
	}
	// What could not be read is open, not fine.
	if code, out, _ := s.run(with("--account", "a@b.example")...); code != 3 || !strings.Contains(out, "could not be read") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// What needs a licence that the tenant does not have is unknown, with the
// licence as the reason, and never a guess.
func TestPostureWithoutLicence(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	file := filepath.Join(s.folder, "posture.json")
	args := []string{"posture", "snapshot", "--cloud", "lab", "--tenant", "defaultshield.onmicrosoft.com", "--account", "svc-connection@defaultshield.example", "--account", "svc-new@defaultshield.example", "--out", file}
	if code, _, talk := s.run(append(args, s.reader("defaultshield")...)...); code != 0 {
		t.Fatalf("exit %d: %s", code, talk)
	}
	for user, registered := range map[string]bool{"svc-connection@defaultshield.example": true, "svc-new@defaultshield.example": false} {
		code, out, _ := s.run("posture", "explain", "--snapshot", file, "--account", user, "--json")
		var answer struct {
			Rule *struct{ Kind string }
			MFA  struct {
				Registered, Capable *bool
			}
			Unread []struct{ Part, Reason string }
		}
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatal(err)
		}
		if code != 1 || answer.Rule == nil || answer.Rule.Kind != "security_defaults" || answer.MFA.Registered == nil || *answer.MFA.Registered != registered || answer.MFA.Capable != nil {
			t.Errorf("%s: exit %d: %s", user, code, out)
		}
		if len(answer.Unread) == 0 || !strings.Contains(answer.Unread[0].Reason, "Entra ID P1") {
			t.Errorf("%s: not read: %+v", user, answer.Unread)
		}
		if _, people, _ := s.run("posture", "explain", "--snapshot", file, "--account", user); !strings.Contains(people, "usable unknown") {
			t.Errorf("%s: %s", user, people)
		}
	}
}

// check with a snapshot tells people its age, and what would stop the account
// elsewhere.
func TestCheckWithSnapshot(t *testing.T) {
	t.Parallel()
	s, file := newPier(t)
	code, out, _ := s.run(append(s.identity("policypier", "svc-excluded"), "--snapshot", file)...)
	flat := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"Rules as of 20", " s ago", `through the device code flow, the policy "CA002 No device code"`} {
		if code != 0 || !strings.Contains(flat, want) {
			t.Errorf("exit %d, %q is missing in:\n%s", code, want, out)
		}
	}
	app := s.lab.Tenant("policypier").App("Pier app")
	code, out, _ = s.run("check", "--cloud", "lab", "--tenant", "policypier.onmicrosoft.com", "--client-id", app.ClientID, "--secret-file", s.file("secret", *app.Secret), "--snapshot", file, "--json")
	if code != 0 || !strings.Contains(out, `"CA101 Apps from the office"`) {
		t.Errorf("exit %d: %s", code, out)
	}
}
