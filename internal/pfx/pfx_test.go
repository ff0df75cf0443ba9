package pfx_test

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pfx"
	"gatehouse/internal/secrets"
)

// script reads a PFX with OpenSSL, as Node carries it, and proves that key and
// certificate belong together.
const script = `
const tls = require("tls"), fs = require("fs");
try {
	const context = tls.createSecureContext({pfx: fs.readFileSync(process.argv[1]), passphrase: process.argv[2]});
	console.log(context.context.getCertificate().length > 500 ? "opened" : "empty");
} catch (e) { console.log("refused: " + e.message); }`

// Another implementation opens the file with its password, and not with another
// one, nor once a byte is changed.
func TestEncode(t *testing.T) {
	made, err := login.MakeCertificate("Test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const password = "Qx7-fr3q-LmN2-vv8a"
	data, err := pfx.Encode(rand.Reader, made.Certificate, made.Key, secrets.New(password))
	if err != nil {
		t.Fatal(err)
	}
	changed := append([]byte{}, data...)
	changed[len(changed)/2] ^= 1
	for name, test := range map[string]struct {
		data           []byte
		password, want string
	}{
		"as written": {data, password, "opened"}, "another password": {data, "another", "refused"}, "no password": {data, "", "refused"}, "changed": {changed, password, "refused"},
	} {
		file := filepath.Join(t.TempDir(), "app.pfx")
		if err := os.WriteFile(file, test.data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "node", "-e", script, file, test.password).CombinedOutput() //nolint:gosec // the test's own
		if err != nil || !strings.HasPrefix(string(out), test.want) {
			t.Errorf("%s: %s %v", name, out, err)
		}
	}
	if _, err := pfx.Encode(rand.Reader, "", made.Key, secrets.New(password)); err == nil {
		t.Error("a PFX without certificate")
	}
	if _, err := pfx.Encode(iotest.ErrReader(io.ErrUnexpectedEOF), made.Certificate, made.Key, secrets.New(password)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without randomness: %v", err)
	}
}
