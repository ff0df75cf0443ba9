package lab_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatehouse/lab"
)

// crowd lets 200 clients, each with a connection of its own, sign in all at
// once: an app with its secret, a person with a password, a refresh, a
// federated app's refusal, the sign-in page, and Graph with what they got.
func crowd(t *testing.T, ready lab.Ready, roots *x509.CertPool) {
	t.Helper()
	const clients = 200
	var tenant lab.ReadyTenant
	for _, one := range ready.Tenants {
		if one.Domain == "openharbour.onmicrosoft.com" {
			tenant = one
		}
	}
	app, user := tenant.App("Backup app"), tenant.User("svc-backup")
	begin := make(chan struct{})
	var work sync.WaitGroup
	for i := range clients {
		work.Go(func() {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			send := func(method, path, token string, form url.Values, status int) map[string]any {
				r, err := http.NewRequestWithContext(t.Context(), method, ready.URL+path, strings.NewReader(form.Encode()))
				if err != nil {
					t.Error(err)
					return nil
				}
				if method == http.MethodPost {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				response, err := client.Do(r)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return nil
				}
				defer response.Body.Close()
				data, err := io.ReadAll(response.Body)
				if err != nil || response.StatusCode != status {
					t.Errorf("client %d, %s: %d %s %v", i, path, response.StatusCode, data, err)
				}
				body := map[string]any{}
				_ = json.Unmarshal(data, &body) // pages are no JSON
				return body
			}
			text := func(body map[string]any, name string) string { s, _ := body[name].(string); return s }
			<-begin
			const tokens = "/openharbour.onmicrosoft.com/oauth2/v2.0/token"
			own := send(http.MethodPost, tokens, "", secretForm(app), http.StatusOK)
			person := send(http.MethodPost, tokens, "", passwordForm(graphCLI, user.UPN, *user.Password), http.StatusOK)
			send(http.MethodPost, tokens, "", url.Values{"grant_type": {"refresh_token"}, "client_id": {graphCLI}, "refresh_token": {text(person, "refresh_token")}, "scope": {graphDefault}}, http.StatusOK)
			wrong := secretForm(app)
			wrong.Set("client_secret", "not~the-secret-of-this-app")
			send(http.MethodPost, tokens, "", wrong, http.StatusUnauthorized)
			send(http.MethodGet, "/openharbour.onmicrosoft.com/oauth2/v2.0/authorize?"+url.Values{"client_id": {graphCLI}, "response_type": {"code"}, "redirect_uri": {"http://localhost"}, "scope": {"User.Read"}}.Encode(), "", nil, http.StatusOK)
			send(http.MethodGet, "/v1.0/users?$top=5", text(own, "access_token"), nil, http.StatusOK)
			send(http.MethodGet, "/v1.0/me", text(person, "access_token"), nil, http.StatusOK)
		})
	}
	close(begin)
	work.Wait()
}

// TestCrowd: 200 clients at once, without a race.
func TestCrowd(t *testing.T) {
	l := lab.Start(t)
	crowd(t, l.Ready(), l.Roots())
}

// TestMemory: a lab of its own process serves 200 clients at once with no more
// than 60 MB of memory at its highest.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Logf("memory is read from /proc, which %s does not have", runtime.GOOS)
		return
	}
	folder := t.TempDir()
	binary := filepath.Join(folder, "gatehouse")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "gatehouse/cmd/gatehouse") //nolint:gosec // our own binary, in a folder of the test
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	command := exec.CommandContext(t.Context(), binary, "lab", "--json") //nolint:gosec // built above
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	var ready lab.Ready
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&ready); err != nil { // comes once the lab is ready
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	ca, err := os.ReadFile(ready.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("the CA file holds no certificate")
	}
	before := highest(t, command.Process.Pid)
	crowd(t, ready, roots)
	after := highest(t, command.Process.Pid)
	t.Logf("highest resident memory: %d MB idle, %d MB under 200 clients", before>>10, after>>10)
	if after > 60<<10 {
		t.Errorf("%d kB of memory, 60 MB are the most", after)
	}
}

// highest is the most resident memory that a process has had, in kB.
func highest(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the process tells no VmHWM")
	return 0
}
