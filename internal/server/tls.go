package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/config"
)

// tls is what the server proves itself with; nil behind a proxy.
func (s *Server) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	switch s.c.TLS.Mode {
	case config.TLSProxy:
		return nil, nil
	case config.TLSFiles:
		files := &files{certificate: s.c.TLS.Certificate, key: s.c.TLS.Key}
		if _, err := files.get(nil); err != nil {
			return nil, err
		}
		c.GetCertificate = files.get
	default:
		public, err := url.Parse(s.c.PublicURL)
		if err != nil {
			return nil, fmt.Errorf("reading public_url: %w", err)
		}
		s.authority, err = openAuthority(filepath.Join(s.c.DataDir, "tls"), public.Hostname())
		if err != nil {
			return nil, err
		}
		c.GetCertificate = s.authority.get
	}
	return c, nil
}

// files is a certificate in PEM files, which are read again when they have
// changed, as they do when it is renewed.
type files struct {
	certificate, key string

	mu      sync.Mutex
	looked  time.Time
	changed time.Time
	loaded  *tls.Certificate
}

func (f *files) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded != nil && time.Since(f.looked) < time.Second {
		return f.loaded, nil
	}
	f.looked = time.Now()
	info, err := os.Stat(f.certificate)
	if err == nil && f.loaded != nil && info.ModTime().Equal(f.changed) {
		return f.loaded, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(f.certificate, f.key)
	}
	if err != nil {
		if f.loaded != nil { // half written: what was good stays
			return f.loaded, nil
		}
		return nil, fmt.Errorf("reading the certificate (tls.certificate, tls.key): %w", err)
	}
	f.loaded, f.changed = &pair, info.ModTime()
	return f.loaded, nil
}

// authority is the server's own, whose certificate people add to what they
// trust. It signs a new server certificate at each start and before the last
// one ends.
type authority struct {
	file        string // ca.pem
	host        string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	now         func() time.Time

	mu   sync.Mutex
	leaf *tls.Certificate
}

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 90 * 24 * time.Hour
)

// openAuthority reads the authority in a folder, or makes it.
func openAuthority(dir, host string) (*authority, error) {
	a := &authority{file: filepath.Join(dir, "ca.pem"), host: host, now: time.Now}
	keyFile := filepath.Join(dir, "ca.key")
	pair, err := tls.LoadX509KeyPair(a.file, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(dir, a.file, keyFile); err != nil {
			return nil, fmt.Errorf("making the server's own authority: %w", err)
		}
		pair, err = tls.LoadX509KeyPair(a.file, keyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the server's own authority in %s: %w (delete both files to have a new one made, which people must then trust anew)", dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("reading the server's own authority: %s holds another kind of key", keyFile)
	}
	a.certificate, a.key = pair.Leaf, key
	_, err = a.get(nil)
	return a, err
}

func makeAuthority(dir, certificateFile, keyFile string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := newSerial()
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Gatehouse " + serial.Text(36)[:6]}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// The key first: a certificate without it would be taken for damage.
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644) //nolint:gosec // a certificate is for everybody to read
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
}

func (a *authority) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.leaf != nil && now.Before(a.leaf.Leaf.NotAfter.Add(-leafLife/3)) {
		return a.leaf, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: a.host}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(a.host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if a.host != "localhost" {
		template.DNSNames = append(template.DNSNames, a.host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a.leaf = &tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}
	return a.leaf, nil
}
