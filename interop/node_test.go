package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/lab"
)

// needPackages ends a test early that could only fail without the npm
// packages, and says how to get them.
func needPackages(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("node", "node_modules", ".package-lock.json")); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the npm packages are missing: run `npm --prefix interop/node ci`, or `make test`, which does it")
	}
}

// nodeCommand is a script with the lab's ready file and authority, as a user of
// the lab would run it. Of the environment it gets what programs need to run: a
// proxy or a desktop of the machine must not come between.
func nodeCommand(t *testing.T, l *lab.Lab, environment []string, arguments ...string) *exec.Cmd {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	if err := l.WriteReady(ready); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", arguments...) //nolint:gosec // the arguments are written in these tests
	cmd.Dir = "node"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GATEHOUSE_LAB=" + ready, "NODE_EXTRA_CA_CERTS=" + l.Ready().CAFile}
	cmd.Env = append(cmd.Env, environment...)
	return cmd
}

// runNode runs a script to its end and gives what it printed.
func runNode(t *testing.T, l *lab.Lab, environment []string, arguments ...string) []byte {
	t.Helper()
	cmd := nodeCommand(t, l, environment, arguments...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("node %s: %v\n%s%s", strings.Join(arguments, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

// nodeLine is what node/msal.mjs prints for a case.
type nodeLine struct {
	Name  string `json:"name"`
	Graph *struct {
		Status int    `json:"status"`
		ID     string `json:"id"`
	} `json:"graph"`
	Account string `json:"account"`
	Error   *struct {
		Name        string          `json:"name"`
		Interaction bool            `json:"interaction"`
		Code        string          `json:"code"`
		Number      json.RawMessage `json:"number"`
		Suberror    string          `json:"suberror"`
		Correlation string          `json:"correlation"`
		Message     string          `json:"message"`
	} `json:"error"`
	Host        string            `json:"host"`
	Requests    int               `json:"requests"`
	Correlation string            `json:"correlation"`
	Header      map[string]string `json:"header"`
}

// MSAL Node and @azure/identity sign in by secret, by certificate in both
// forms and by password, and understand why the lab refuses.
func TestNode(t *testing.T) {
	needPackages(t)
	l := lab.Start(t)
	address, err := url.Parse(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	tenant := l.Tenant("openharbour")
	user := tenant.User("svc-backup")
	for _, way := range []struct {
		name, host  string
		requests    int // of msal-node for one sign-in: the lab's metadata is asked for, Microsoft's is built in
		environment []string
	}{
		{"loopback", address.Host, 2, nil},
		{"proxy", "login.microsoftonline.com", 1, []string{"HTTPS_PROXY=" + l.Ready().ProxyURL}},
	} {
		t.Run(way.name, func(t *testing.T) {
			lines := map[string]nodeLine{}
			decoder := json.NewDecoder(bytes.NewReader(runNode(t, l, way.environment, "msal.mjs", way.name)))
			for decoder.More() {
				var line nodeLine
				if err := decoder.Decode(&line); err != nil {
					t.Fatal(err)
				}
				lines[line.Name] = line
			}
			signedIn := func(name, id string) nodeLine {
				t.Helper()
				line := lines[name]
				switch {
				case line.Error != nil:
					t.Errorf("%s: %+v", name, *line.Error)
				case line.Graph == nil || line.Graph.Status != 200 || line.Graph.ID != id:
					t.Errorf("%s: Graph answered %+v, want the id %s", name, line.Graph, id)
				}
				return line
			}
			msal := func(line nodeLine) {
				t.Helper()
				if line.Host != way.host || line.Requests != way.requests {
					t.Errorf("%s: %d requests to %s, want %d to %s", line.Name, line.Requests, line.Host, way.requests, way.host)
				}
			}

			msal(signedIn("secret", tenant.ID))
			newer := signedIn("certificate", tenant.ID)
			msal(newer)
			if newer.Header["alg"] != "PS256" || newer.Header["x5t#S256"] == "" {
				t.Errorf("certificate: the assertion's header is %v", newer.Header)
			}
			older := signedIn("certificate, older form", tenant.ID)
			msal(older)
			if older.Header["alg"] != "RS256" || older.Header["x5t"] == "" || older.Header["x5t#S256"] != "" {
				t.Errorf("certificate, older form: the assertion's header is %v", older.Header)
			}
			person := signedIn("password", user.ID)
			msal(person)
			if want := user.ID + "." + tenant.ID; person.Account != want {
				t.Errorf("password: account %s, want %s", person.Account, want)
			}
			signedIn("identity secret", tenant.ID)
			signedIn("identity certificate", tenant.ID)

			refused := func(name, kind, code, number, suberror string, interaction bool) {
				t.Helper()
				line := lines[name]
				msal(line)
				e := line.Error
				if e == nil {
					t.Fatalf("%s: signed in, want a refusal", name)
				}
				if e.Name != kind || e.Interaction != interaction || e.Code != code || strings.Trim(string(e.Number), `"`) != number || e.Suberror != suberror {
					t.Errorf("%s: %+v (number %s)", name, *e, e.Number)
				}
				if line.Correlation == "" || e.Correlation != line.Correlation {
					t.Errorf("%s: correlation id %q, the request was sent as %q", name, e.Correlation, line.Correlation)
				}
				if !strings.Contains(e.Message, "AADSTS"+number+": ") {
					t.Errorf("%s: message %q", name, e.Message)
				}
			}
			refused("password refused", "InteractionRequiredAuthError", "invalid_grant", "50076", "basic_action", true)
			refused("wrong secret", "ServerError", "invalid_client", "7000215", "", false)
		})
	}
}
