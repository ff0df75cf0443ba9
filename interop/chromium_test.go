package interop

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/lab"
)

// stage is what all tests with a browser share: Debian's Chromium, and the
// state folder of a lab whose authority it trusts.
type stage struct {
	browser context.Context
	state   string
}

var (
	theStage = sync.OnceValues(newStage)
	endStage = func() {}
)

// people is how many tests run at a time where nothing else is asked for: more
// than there are processors, as people wait most of the time.
const people = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		_ = flag.Set("test.parallel", people) // it is a number
	}
	code := m.Run()
	endStage()
	endBinary()
	os.Exit(code)
}

// newStage starts Chromium. It reaches this machine only, and takes the lab's
// certificates because the lab's authority is in their chain, and no others.
func newStage() (*stage, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("looking for chromium: it is not on the path; run tools/setup.sh as root or with sudo, or install it by hand: apt-get install chromium")
	}
	folder, err := os.MkdirTemp("", "gatehouse-interop-")
	if err != nil {
		return nil, err
	}
	s := &stage{state: filepath.Join(folder, "state")}
	fail := func(err error) (*stage, error) { return nil, errors.Join(err, os.RemoveAll(folder)) }
	l, err := lab.New(lab.Config{Seed: 1, State: s.state})
	if err != nil {
		return fail(err)
	}
	authority, err := fingerprint(l.Ready().CAFile)
	if err := errors.Join(err, l.Close()); err != nil {
		return fail(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(filepath.Join(folder, "profile")),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
		chromedp.Flag("ignore-certificate-errors-spki-list", authority))
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	browser, endBrowser := chromedp.NewContext(allocator)
	s.browser = browser
	endStage = func() {
		endBrowser()
		endAllocator()
		_ = os.RemoveAll(folder) // nobody is left to tell
	}
	if err := chromedp.Do(browser); err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return s, nil
}

// fingerprint is the hash of a certificate's public key, as Chromium's list of
// trusted keys wants it.
func fingerprint(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return "", fmt.Errorf("%s holds no certificate", file)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// browsableLab starts a lab of a test's own whose certificates Chromium takes.
func browsableLab(t *testing.T) *lab.Lab {
	t.Helper()
	s, err := theStage()
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(state, os.DirFS(s.state)); err != nil {
		t.Fatal(err)
	}
	return lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.State = state }))
}
