package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/internal/config"
	"gatehouse/internal/secrets"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func printed(t *testing.T, c config.Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Nothing has to be configured.
func TestDefaults(t *testing.T) {
	c, err := config.Load([]string{"PATH=/bin", "GATEHOUSE_LAB=x"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Database.Reveal() != filepath.Join("gatehouse-data", "gatehouse.db") || c.PublicURL != "https://localhost:8443" {
		t.Errorf("%q %q", c.Database.Reveal(), c.PublicURL)
	}
	const want = `listen: "127.0.0.1:8443" # default
public_url: "https://localhost:8443" # default
organisation: "" # default
data_dir: "gatehouse-data" # default
database: "gatehouse-data/gatehouse.db" # default
key_file: "gatehouse-data/master.key" # default
cloud: "public" # default
tls:
  mode: "self" # default
  certificate: "" # default
  key: "" # default
trusted_proxies: [] # default
egress_allow: [] # default
metrics:
  listen: "" # default
mail:
  server: "" # default
  from: "" # default
  username: "" # default
  password: "" # default
  tls: "starttls" # default
oidc:
  issuer: "" # default
  client_id: "" # default
  client_secret: "" # default
  name: "single sign-on" # default
  tenants: [] # default
  ca_file: "" # default
log:
  level: "info" # default
  format: "text" # default
retention:
  audit_uses: "90" # default
  incidents: "365" # default
  jobs: "14" # default
  sign_ins: "365" # default
  validations: "365" # default
  notices: "90" # default
broker:
  keep_alive_days: "30" # default
`
	if diff := cmp.Diff(want, printed(t, c)); diff != "" {
		t.Error(diff)
	}
}

// Environment before file before default, for each setting by itself, and the
// source of each is told.
func TestPrecedence(t *testing.T) {
	secret := write(t, "database", "postgres://gate:planted%40secret@db.example/gate?sslpassword=planted-too\n")
	file := write(t, "gatehouse.yaml", `# a comment
listen: ":9443"
data_dir: /srv/gatehouse
database: other.db
tls: {mode: files, certificate: c.pem, key: k.pem}
egress_allow:
  - 10.0.0.0/8
  - fd12::1
log:
  level: debug
mail: {tls: tls}
`)
	c, err := config.Load([]string{"GATEHOUSE_MAIL_SERVER=smtp.example:587", "GATEHOUSE_MAIL_FROM=Gatehouse <gatehouse@contoso.example>", "GATEHOUSE_MAIL_USERNAME=gate", "GATEHOUSE_MAIL_PASSWORD=planted-password", "GATEHOUSE_DATA_DIR=/var/lib/gatehouse", "GATEHOUSE_DATABASE_FILE=" + secret, "GATEHOUSE_TRUSTED_PROXIES=10.1.1.1, 10.2.0.0/16", "GATEHOUSE_LOG_FORMAT=json"}, file)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Database.Reveal(); got != "postgres://gate:planted%40secret@db.example/gate?sslpassword=planted-too" {
		t.Errorf("database %q", got)
	}
	out := printed(t, c)
	want := fmt.Sprintf(`listen: ":9443" # %[1]s, line 2
public_url: "https://localhost:9443" # default
organisation: "" # default
data_dir: "/var/lib/gatehouse" # GATEHOUSE_DATA_DIR
database: "postgres://gate:••••••@db.example/gate?sslpassword=••••••" # GATEHOUSE_DATABASE_FILE
key_file: "/var/lib/gatehouse/master.key" # default
cloud: "public" # default
tls:
  mode: "files" # %[1]s, line 5
  certificate: "c.pem" # %[1]s, line 5
  key: "k.pem" # %[1]s, line 5
trusted_proxies: ["10.1.1.1/32", "10.2.0.0/16"] # GATEHOUSE_TRUSTED_PROXIES
egress_allow: ["10.0.0.0/8", "fd12::1/128"] # %[1]s, line 7
metrics:
  listen: "" # default
mail:
  server: "smtp.example:587" # GATEHOUSE_MAIL_SERVER
  from: "Gatehouse <gatehouse@contoso.example>" # GATEHOUSE_MAIL_FROM
  username: "gate" # GATEHOUSE_MAIL_USERNAME
  password: "••••••" # GATEHOUSE_MAIL_PASSWORD
  tls: "tls" # %[1]s, line 11
oidc:
  issuer: "" # default
  client_id: "" # default
  client_secret: "" # default
  name: "single sign-on" # default
  tenants: [] # default
  ca_file: "" # default
log:
  level: "debug" # %[1]s, line 10
  format: "json" # GATEHOUSE_LOG_FORMAT
retention:
  audit_uses: "90" # default
  incidents: "365" # default
  jobs: "14" # default
  sign_ins: "365" # default
  validations: "365" # default
  notices: "90" # default
broker:
  keep_alive_days: "30" # default
`, file)
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	if text := out + fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "planted") {
		t.Errorf("a secret is shown: %s", text)
	}
}

// What is printed can be read again.
func TestRoundTrip(t *testing.T) {
	first, err := config.Load([]string{"GATEHOUSE_DATA_DIR=a \"quoted\\ folder\u0085\u2028 # é: [x]", "GATEHOUSE_EGRESS_ALLOW=10.0.0.0/8,192.168.1.1", "GATEHOUSE_TLS_MODE=proxy", "GATEHOUSE_TRUSTED_PROXIES=127.0.0.1"}, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := config.Load(nil, write(t, "printed.yaml", printed(t, first)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again, cmpopts.IgnoreUnexported(config.Config{}), cmp.Comparer(func(a, b secrets.Value) bool { return a.Reveal() == b.Reveal() }), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}

// All faults are told at once, each with its place and a way out, none with a
// secret.
func TestFaults(t *testing.T) {
	file := write(t, "gatehouse.yaml", `listen: nowhere
lisen: ":1"
tls:
  mode: files
  certificat: x
level: info
log: loud
data_dir: [a]
data_dir: b
egress_allow: 10.0.0.5/8
retention: {audit_uses: many, jobs: 1}
database: mysql://root:planted-secret@db/x
`)
	_, err := config.Load([]string{
		"GATEHOUSE_PUBLIC_URL=http://gatehouse.example/path", "GATEHOUSE_TRUSTED_PROXIES=0.0.0.0/0", "GATEHOUSE_LOG_LEVL=debug", "GATEHOUSE_LOG_FORMAT=xml", "GATEHOUSE_CLOUD=",
		"GATEHOUSE_KEY_FILE=a\nb", "GATEHOUSE_PASSWORD=planted-secret",
	}, file)
	var faults config.Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(err.Error(), file, "FILE")
	for _, want := range []string{
		`listen (FILE, line 1): "nowhere" is no address to listen on: write host:port`,
		`lisen (FILE, line 2): is no setting: is listen meant?`,
		`tls.certificat (FILE, line 5): is no setting: is tls.certificate meant?`,
		`level (FILE, line 6): is no setting: is log.level meant?`,
		`log (FILE, line 7): has to be settings`,
		`data_dir (FILE, line 8): has to be one plain value`,
		`egress_allow (FILE, line 10): "10.0.0.5/8" names a host within the network: write 10.0.0.0/8 or 10.0.0.5`,
		`retention.audit_uses (FILE, line 11): "many" is no number of days`,
		`retention.jobs (FILE, line 11): is shorter than the pause of some work`,
		`database (FILE, line 12): the address begins with "mysql://": write postgres://`,
		`public_url (GATEHOUSE_PUBLIC_URL): "http://gatehouse.example/path" is no address of a server: write https://host`,
		`trusted_proxies (GATEHOUSE_TRUSTED_PROXIES): 0.0.0.0/0 is everybody`,
		`GATEHOUSE_LOG_LEVL: is no setting: is GATEHOUSE_LOG_LEVEL meant?`,
		`log.format (GATEHOUSE_LOG_FORMAT): "xml" is none of text, json`,
		`cloud (GATEHOUSE_CLOUD): is empty: give a value, or leave it out for public`,
		`key_file (GATEHOUSE_KEY_FILE): has a line break in it`,
		`tls.certificate (default): is missing`,
		`tls.key (default): is missing`,
	} {
		if !strings.Contains(text, "\n  "+want) {
			t.Errorf("not told: %s", want)
		}
	}
	if len(faults) != 18 {
		t.Errorf("%d faults", len(faults))
	}
	if strings.Contains(text, "planted") {
		t.Error("a fault shows a secret")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestOneFault(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		file    string
		want    string
	}{
		"twins":            {environ: []string{"GATEHOUSE_DATABASE=x.db", "GATEHOUSE_DATABASE_FILE=/dev/null"}, want: "is given both itself and as the name of a file"},
		"twins in file":    {file: "database: a\ndatabase_file: /dev/null\n", want: "is given both"},
		"missing secret":   {environ: []string{"GATEHOUSE_DATABASE_FILE=/nowhere/secret"}, want: "no such file"},
		"endless secret":   {environ: []string{"GATEHOUSE_DATABASE_FILE=/dev/zero"}, want: "larger than 64 kB"},
		"broken address":   {environ: []string{"GATEHOUSE_DATABASE=postgres://a:planted%zz@h/x"}, want: "the address cannot be read"},
		"no YAML":          {file: "listen: [", want: "is no YAML"},
		"tab":              {file: "tls:\n\tmode: self", want: "is no YAML"},
		"list":             {file: "- listen", want: "has to be settings"},
		"two documents":    {file: "listen: ':1'\n---\nlisten: ':2'\n", want: "more than one document"},
		"alias":            {file: "log: &x {level: info}\ntls: *x\n", want: "tls (FILE, line 2): has to be settings"},
		"alias as a value": {file: "data_dir: &x a\ncloud: *x\n", want: "cloud (FILE, line 2): has to be one plain value"},
		"twice":            {file: "cloud: a\ncloud: b\n", want: "cloud"},
		"proxy":            {environ: []string{"GATEHOUSE_TLS_MODE=proxy"}, want: "trusted_proxies (default): is missing"},
		"idle files":       {environ: []string{"GATEHOUSE_TLS_KEY=k.pem"}, want: "tls.key (GATEHOUSE_TLS_KEY): has no effect with tls.mode self"},
		"mail server":      {environ: []string{"GATEHOUSE_MAIL_SERVER=smtp.example", "GATEHOUSE_MAIL_FROM=g@contoso.example"}, want: "mail.server (GATEHOUSE_MAIL_SERVER): \"smtp.example\" is no mail server: write host:port"},
		"mail from":        {environ: []string{"GATEHOUSE_MAIL_SERVER=smtp.example:587", "GATEHOUSE_MAIL_FROM=nobody"}, want: "mail.from (GATEHOUSE_MAIL_FROM): \"nobody\" is no e-mail address"},
		"mail from nobody": {environ: []string{"GATEHOUSE_MAIL_SERVER=smtp.example:587"}, want: "mail.from (default): is missing"},
		"idle mail":        {environ: []string{"GATEHOUSE_MAIL_PASSWORD=planted"}, want: "mail.password (GATEHOUSE_MAIL_PASSWORD): has no effect without mail.server"},
		"half a sign-in":   {environ: []string{"GATEHOUSE_MAIL_SERVER=smtp.example:587", "GATEHOUSE_MAIL_FROM=g@contoso.example", "GATEHOUSE_MAIL_USERNAME=gate"}, want: "mail.password (default): is missing"},
		"plain mail":       {environ: []string{"GATEHOUSE_MAIL_SERVER=smtp.example:587", "GATEHOUSE_MAIL_FROM=g@contoso.example", "GATEHOUSE_MAIL_TLS=none"}, want: ", with which anybody on the way could read along"},
		"port":             {environ: []string{"GATEHOUSE_LISTEN=:70000"}, want: "is no address to listen on"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "none"
			if c.file != "" {
				file = write(t, "gatehouse.yaml", c.file)
			}
			_, err := config.Load(c.environ, strings.TrimPrefix(file, "none"))
			var faults config.Faults
			if !errors.As(err, &faults) || len(faults) != 1 {
				t.Fatalf("want one fault: %v", err)
			}
			if text := strings.ReplaceAll(err.Error(), file, "FILE"); !strings.Contains(text, c.want) || strings.Contains(text, "planted") {
				t.Errorf("%s, want %q", text, c.want)
			}
		})
	}
	if _, err := config.Load(nil, filepath.Join(t.TempDir(), "missing.yaml")); err == nil {
		t.Error("a file that is not there was read")
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "listen:\n", "tls:\n"} {
		if _, err := config.Load(nil, write(t, "empty.yaml", empty)); err != nil {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

// FuzzFile: any file is either read, and what is then printed reads the same,
// or has faults that fit on a screen's lines.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{"", "listen: ':1'\n", "tls: {mode: files}\n", "egress_allow: [10.0.0.0/8]\n", "a: &a [*a]\n", "? [x]\n: y\n", "data_dir: \"\\u0085\"\n", "!!binary x: y", "<<: {listen: x}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Read("f", data)
		if err != nil {
			var faults config.Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		again, err := config.Read("f", b.Bytes())
		if strings.Contains(c.Database.Reveal(), "://") || !c.Mail.Password.Empty() || !c.OIDC.ClientSecret.Empty() { // masked
			return
		}
		if err != nil {
			t.Fatalf("what was printed cannot be read: %v\n%s", err, b.String())
		}
		if diff := cmp.Diff(c, again, cmpopts.IgnoreUnexported(config.Config{}), cmp.Comparer(func(a, b secrets.Value) bool { return a.Reveal() == b.Reveal() }), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Fatal(diff)
		}
	})
}
