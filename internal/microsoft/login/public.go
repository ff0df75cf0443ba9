package login

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// errKey says which keys an app registration takes: assertions are signed with
// PS256 or RS256 (certificate-credentials).
var errKey = errors.New("its key is not RSA with 2048 to 8192 bits, which is what Microsoft's sign-in takes")

// oneBlock reads a text with one PEM block and nothing secret in it.
func oneBlock(text, kind string) ([]byte, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("it is not PEM: paste the text with BEGIN and END lines")
	}
	for next, rest := pem.Decode(rest); next != nil; next, rest = pem.Decode(rest) {
		if next.Type != "CERTIFICATE" {
			return nil, errors.New("there is more in it than one certificate: " + next.Type)
		}
	}
	if block.Type != kind && (kind != "CERTIFICATE REQUEST" || block.Type != "NEW CERTIFICATE REQUEST") {
		return nil, fmt.Errorf("it is a %.40q, not a %s", block.Type, kind)
	}
	return block.Bytes, nil
}

func goodKey(public any) error {
	key, ok := public.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < 2048 || key.N.BitLen() > 8192 {
		return errKey
	}
	return nil
}

// ReadPublic reads a certificate whose private key is elsewhere, from PEM. A text
// that holds the key too is refused: it must not travel.
func ReadPublic(text string, now time.Time) (Made, error) {
	der, err := oneBlock(text, "CERTIFICATE")
	if err != nil {
		return Made{}, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return Made{}, errors.New("it cannot be read as an X.509 certificate")
	}
	if err := goodKey(c.PublicKey); err != nil {
		return Made{}, err
	}
	if !c.NotAfter.After(now) {
		return Made{}, errors.New("it ended on " + c.NotAfter.UTC().Format(time.DateOnly))
	}
	return Made{Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), Thumbprint: thumbprint(der), NotAfter: c.NotAfter.UTC()}, nil
}

// Certify makes a certificate for the key of a signing request (PKCS #10), whose
// private half never left its owner. App registrations look at the key alone, not
// at who signed: it is signed with a key made for this once and forgotten.
func Certify(request, name string, now time.Time, life time.Duration) (Made, error) {
	der, err := oneBlock(request, "CERTIFICATE REQUEST")
	if err != nil {
		return Made{}, err
	}
	asked, err := x509.ParseCertificateRequest(der)
	if err != nil || asked.CheckSignature() != nil {
		return Made{}, errors.New("it cannot be read as a signing request, or its signature is wrong")
	}
	if err := goodKey(asked.PublicKey); err != nil {
		return Made{}, err
	}
	signer, err := rsa.GenerateKey(rand.Reader, 2048)
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
	parent := *template
	parent.Subject = pkix.Name{CommonName: "Gatehouse, for one certificate"}
	made, err := x509.CreateCertificate(rand.Reader, template, &parent, asked.PublicKey, signer)
	if err != nil {
		return Made{}, fmt.Errorf("making a certificate: %w", err)
	}
	return Made{Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})), Thumbprint: thumbprint(made), NotAfter: template.NotAfter}, nil
}
