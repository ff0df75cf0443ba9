package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/lab"
)

// BenchmarkLabReady is the time from the start of the process `gatehouse lab`
// until its ready file is there. The bar is 200 ms.
func BenchmarkLabReady(b *testing.B) {
	binary := buildGatehouse(b, true)
	var taken []float64
	for b.Loop() {
		for range 11 {
			p := startLab(b, binary)
			taken = append(taken, float64(p.ready.Microseconds())/1000)
			p.stop()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(taken)), "starts")
	b.ReportMetric(median(taken), "ms-median")
	b.ReportMetric(slices.Max(taken), "ms-slowest")
}

const (
	connections = 16
	rounds      = 5
	roundTime   = 3 * time.Second
	warmUp      = 500 * time.Millisecond
)

// BenchmarkTokensVersusOAuth2MockServer compares how many tokens a second the
// lab and npm's oauth2-mock-server give to the client-credentials grant, each
// in a process of its own: RS256 with 2048 bits, HTTPS with connections kept,
// the same load. The lab checks the secret, the other takes any. The ratio is
// the median of alternating rounds, as the machine's own pace varies.
func BenchmarkTokensVersusOAuth2MockServer(b *testing.B) {
	needPackages(b)
	process := startLab(b, buildGatehouse(b, true))
	defer process.stop()
	targets := []*target{labTarget(b, process.lab), mockTarget(b)}
	var rates [2][]float64
	var ratios []float64
	for b.Loop() {
		for _, t := range targets {
			t.check(b)
			t.load(b, warmUp)
		}
		for range rounds {
			of := [2]float64{}
			for i, t := range targets {
				of[i] = t.load(b, roundTime)
				rates[i] = append(rates[i], of[i])
			}
			ratios = append(ratios, of[0]/of[1])
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(rates[0]), "lab-tokens/s")
	b.ReportMetric(median(rates[1]), "mock-tokens/s")
	b.ReportMetric(median(ratios), "lab/mock")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// buildGatehouse builds the product's binary from the module next door: as
// `make build` does, or quicker, out of what vet has compiled already; then it is
// one for all tests.
func buildGatehouse(t testing.TB, released bool) string {
	t.Helper()
	build := theBinary
	if released {
		folder := t.TempDir()
		build = func() (string, error) {
			return goBuild(folder, []string{"CGO_ENABLED=0"}, "-trimpath", "-ldflags=-s -w")
		}
	}
	binary, err := build()
	if err != nil {
		t.Fatalf("building gatehouse: %v", err)
	}
	return binary
}

var (
	theBinary = sync.OnceValues(func() (string, error) {
		folder, err := os.MkdirTemp("", "gatehouse-interop-")
		if err != nil {
			return "", err
		}
		endBinary = func() { _ = os.RemoveAll(folder) }
		return goBuild(folder, nil)
	})
	endBinary = func() {}
)

func goBuild(folder string, environment []string, flags ...string) (binary string, err error) {
	binary = filepath.Join(folder, "gatehouse")
	cmd := exec.CommandContext(context.Background(), "go", append(append([]string{"build", "-o", binary}, flags...), "gatehouse/cmd/gatehouse")...) //nolint:gosec // the arguments are written here
	cmd.Dir, cmd.Env = "..", append(os.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
}

// labProcess is a lab in a process of its own.
type labProcess struct {
	lab   lab.Ready
	ready time.Duration // from the start of the process to the ready file
	stop  func()
}

func startLab(b *testing.B, binary string) labProcess {
	b.Helper()
	file := filepath.Join(b.TempDir(), "ready.json")
	cmd := exec.CommandContext(b.Context(), binary, "lab", "--ready-file", file) //nolint:gosec // the binary was built here
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var p labProcess
	for p.ready == 0 {
		if _, err := os.Stat(file); err == nil {
			p.ready = time.Since(begin)
			break
		}
		select {
		case err := <-ended:
			b.Fatalf("the lab ended before it was ready: %v\n%s", err, stderr.Bytes())
		default:
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(data, &p.lab); err != nil {
		b.Fatal(err)
	}
	p.stop = func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			b.Error(err)
		}
		if err := <-ended; err != nil {
			b.Errorf("ending the lab: %v\n%s", err, stderr.Bytes())
		}
	}
	return p
}

// target is a token endpoint under load.
type target struct {
	name   string
	url    string
	form   url.Values
	client *http.Client
}

func newTarget(name, address string, form url.Values, roots *x509.CertPool) *target {
	return &target{name, address, form, &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: connections, // HTTP/1.1: the other server speaks nothing newer
	}}}
}

func labTarget(b *testing.B, ready lab.Ready) *target {
	b.Helper()
	authority, err := os.ReadFile(ready.CAFile)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	for _, t := range ready.Tenants {
		for _, app := range t.Apps {
			if t.Domain == "openharbour.onmicrosoft.com" && app.Name == "Backup app" {
				return newTarget("the lab", ready.URL+"/"+t.ID+tokenPath, url.Values{
					"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "client_secret": {*app.Secret}, "scope": {graphDefault},
				}, roots)
			}
		}
	}
	b.Fatal("the lab has no Backup app")
	return nil
}

// mockTarget starts oauth2-mock-server; it ends with the benchmark.
func mockTarget(b *testing.B) *target {
	b.Helper()
	key, certificate, roots := serverCertificate(b)
	cmd := exec.CommandContext(b.Context(), "node", "mock.mjs", key, certificate) //nolint:gosec // the files were made here
	cmd.Dir = "node"
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close() // tells it to end
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatalf("oauth2-mock-server did not start: %v\n%s", err, stderr.Bytes())
	}
	return newTarget("oauth2-mock-server", strings.TrimSpace(address)+"/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"any"}, "client_secret": {"any"}, "scope": {graphDefault},
	}, roots)
}

// serverCertificate makes a certificate of the kind that the lab has.
func serverCertificate(b *testing.B) (keyFile, certificateFile string, roots *x509.CertPool) {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "oauth2-mock-server"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	folder := b.TempDir()
	keyFile, certificateFile = filepath.Join(folder, "key.pem"), filepath.Join(folder, "certificate.pem")
	for name, data := range map[string][]byte{keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), certificateFile: certificate} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return keyFile, certificateFile, roots
}

// ask asks for one token.
func (t *target) ask(encoded string) (status int, body []byte, err error) {
	response, err := t.client.Post(t.url, "application/x-www-form-urlencoded", strings.NewReader(encoded))
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// check wants the tokens of both targets to be of one kind, so that like is
// compared with like.
func (t *target) check(b *testing.B) {
	b.Helper()
	status, body, err := t.ask(t.form.Encode())
	if err != nil || status != http.StatusOK {
		b.Fatalf("%s answered %d %s (%v)", t.name, status, body, err)
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		b.Fatal(err)
	}
	parts := strings.Split(answer.Token, ".")
	if len(parts) != 3 {
		b.Fatalf("%s: not a token: %q", t.name, answer.Token)
	}
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !bytes.Contains(header, []byte(`"RS256"`)) || len(signature) != 2048/8 {
		b.Fatalf("%s: header %s, %d bytes of signature (%v)", t.name, header, len(signature), err)
	}
}

// load asks for tokens over all connections for a while and gives how many
// came a second.
func (t *target) load(b *testing.B, d time.Duration) float64 {
	b.Helper()
	encoded := t.form.Encode()
	begin := time.Now()
	end := begin.Add(d)
	counts := make([]int, connections)
	var faults sync.Map
	var working sync.WaitGroup
	for i := range connections {
		working.Go(func() {
			for time.Now().Before(end) {
				status, body, err := t.ask(encoded)
				if err == nil && (status != http.StatusOK || !bytes.Contains(body, []byte(`"access_token"`))) {
					err = fmt.Errorf("answered %d %s", status, body)
				}
				if err != nil {
					faults.Store(i, err)
					return
				}
				counts[i]++
			}
		})
	}
	working.Wait()
	elapsed := time.Since(begin)
	faults.Range(func(_, err any) bool {
		b.Fatalf("%s: %v", t.name, err)
		return false
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / elapsed.Seconds()
}
