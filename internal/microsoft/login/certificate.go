package login

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Microsoft's portals name certificates by it; nothing is proved with it
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"gatehouse/internal/secrets"
)

// Certificate is a client certificate with its key.
type Certificate struct {
	Leaf       *x509.Certificate
	credential confidential.Credential
	key        crypto.PrivateKey
}

// ReadCertificate reads a PEM file with a certificate (chain) and its private
// key, unencrypted.
func ReadCertificate(data []byte) (Certificate, error) {
	if block, _ := pem.Decode(data); block == nil {
		return Certificate{}, errors.New("reading the certificate: the file is not PEM; export certificate and private key as one PEM file")
	}
	certificates, key, err := confidential.CertFromPEM(data, "")
	if err != nil {
		return Certificate{}, fmt.Errorf("reading the certificate: %w", err)
	}
	if len(certificates) == 0 || key == nil {
		return Certificate{}, errors.New("reading the certificate: the file needs both a certificate and its private key")
	}
	credential, err := confidential.NewCredFromCert(certificates, key)
	if err != nil {
		return Certificate{}, fmt.Errorf("reading the certificate: %w", err)
	}
	return Certificate{Leaf: certificates[0], credential: credential, key: key}, nil
}

// Made is a certificate with its key in the forms in which they are kept.
type Made struct {
	Certificate string        // PEM, for the app registration
	Key         secrets.Value // PEM
	Thumbprint  string
	NotAfter    time.Time
}

// clockSlack is how much earlier than now a certificate begins, for clocks that
// are somewhat behind.
const clockSlack = 10 * time.Minute

// MakeCertificate makes a self-signed certificate with an RSA key of 2048 bits,
// as app registrations take it.
func MakeCertificate(name string, now time.Time, life time.Duration) (Made, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Made{}, fmt.Errorf("making a certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Made{}, fmt.Errorf("making a certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.UTC().Add(-clockSlack).Truncate(time.Second), NotAfter: now.UTC().Add(life).Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Made{}, fmt.Errorf("making a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Made{}, fmt.Errorf("making a certificate: %w", err)
	}
	return Made{
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), Key: secrets.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))),
		Thumbprint: thumbprint(der), NotAfter: template.NotAfter,
	}, nil
}

// SplitCertificate reads a PEM file like [ReadCertificate] and takes it apart:
// the certificates, and everything with the key.
func SplitCertificate(data secrets.Value) (Made, error) {
	c, err := ReadCertificate([]byte(data.Reveal()))
	if err != nil {
		return Made{}, err
	}
	var public strings.Builder
	var private strings.Builder
	for block, rest := pem.Decode([]byte(data.Reveal())); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			public.Write(pem.EncodeToMemory(block))
		} else {
			private.Write(pem.EncodeToMemory(block))
		}
	}
	return Made{Certificate: public.String(), Key: secrets.New(private.String()), Thumbprint: thumbprint(c.Leaf.Raw), NotAfter: c.Leaf.NotAfter.UTC()}, nil
}

func thumbprint(der []byte) string {
	sum := sha1.Sum(der) //nolint:gosec // as above
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}
