package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/server"
	"gatehouse/internal/testenv"
)

// writePair writes a certificate of a serial number with its key.
func writePair(t *testing.T, certificate, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		// File systems tell times apart as coarsely as they like.
		if err := os.Chtimes(file, time.Time{}, time.Unix(1_700_000_000+serial, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// serial is that of the certificate that a new connection is shown.
func serial(t *testing.T, address net.Addr) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", address.String(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // which certificate it is, is what is looked at
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// A certificate that was renewed is served without a restart; while its files
// are half written, the old one is.
func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	writePair(t, certificate, key, 1)
	e := testenv.Bare(t, testenv.Options{Change: func(c *server.Config) {
		c.TLS = config.TLS{Mode: config.TLSFiles, Certificate: certificate, Key: key}
	}})
	address := e.Server.Address()
	if got := serial(t, address); got != 1 {
		t.Fatalf("certificate %d", got)
	}
	becomes := func(want int64) {
		t.Helper()
		tick, deadline := time.NewTicker(50*time.Millisecond), time.After(30*time.Second)
		defer tick.Stop()
		for {
			got := serial(t, address)
			if got == want {
				return
			}
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("certificate %d is still served, not %d", got, want)
			}
		}
	}
	writePair(t, certificate, key, 2)
	becomes(2)
	whole, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certificate, whole[:len(whole)/2], 0o600); err != nil { //nolint:gosec // a file of the test
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 1500*time.Millisecond; { // files are looked at once a second
		if got := serial(t, address); got != 2 {
			t.Fatalf("certificate %d, although the files are no pair", got)
		}
	}
	writePair(t, certificate, key, 3)
	becomes(3)
}

// The server's own authority stays the same, and signs a new certificate when a
// third of the old one's time is left.
func TestOwnAuthority(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	get, err := server.Authority(dir, "gatehouse.contoso.example", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v %v", info, err)
	}
	show := func() *x509.Certificate {
		t.Helper()
		c, err := get()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"gatehouse.contoso.example", "localhost", "127.0.0.1"} {
			if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now}); err != nil {
				t.Errorf("%s at %s: %v", name, now, err)
			}
		}
		return c.Leaf
	}
	first := show()
	now = now.Add(59 * 24 * time.Hour)
	if !show().Equal(first) {
		t.Error("renewed although more than a third is left")
	}
	now = now.Add(2 * 24 * time.Hour)
	second := show()
	if second.Equal(first) || !second.NotAfter.After(first.NotAfter) {
		t.Errorf("not renewed: ends %s", second.NotAfter)
	}
	now = now.Add(5 * 365 * 24 * time.Hour)
	show()
}

// Whatever a request claims, its address is one that a trusted proxy vouches
// for: who is no proxy cannot choose it, and what it wrote itself never counts.
func FuzzPeer(f *testing.F) {
	proxy := netip.MustParsePrefix("10.0.0.0/8")
	for _, header := range []string{"", "203.0.113.9", "1.1.1.1, 198.51.100.7, 10.0.0.2", "10.0.0.3", "::1", "fe80::1%eth0", "[::1]:80", "x, 198.51.100.7", ",,,", "::ffff:10.0.0.1", strings.Repeat("1.1.1.1,", 100)} {
		f.Add(header, true)
		f.Add(header, false)
	}
	f.Fuzz(func(t *testing.T, claimed string, trusted bool) {
		const direct, added = "203.0.113.5", "198.51.100.23"
		r := &http.Request{RemoteAddr: direct + ":1234", Header: http.Header{"X-Forwarded-For": {claimed}}}
		want := direct
		if trusted { // the proxy adds whom it asks for
			r.RemoteAddr, want = "10.1.2.3:1234", added
			r.Header.Set("X-Forwarded-For", claimed+", "+added)
		}
		if got, ok := server.Peer(r, proxy); got != want || !ok {
			t.Errorf("%q makes it %s, not %s", claimed, got, want)
		}
		// A proxy that adds nothing still gives an address, and never a zone.
		r.RemoteAddr = "10.1.2.3:1234"
		r.Header.Set("X-Forwarded-For", claimed)
		got, _ := server.Peer(r, proxy)
		if a, err := netip.ParseAddr(got); err != nil || a.Zone() != "" || a.Is4In6() {
			t.Errorf("%q makes it %q", claimed, got)
		}
	})
}
