package login

import (
	"encoding/base64"
	"testing"
	"time"

	"gatehouse/internal/secrets"
)

// FuzzReadClaims: an access token is the resource's to read; what is none gives
// nothing, and nothing breaks.
func FuzzReadClaims(f *testing.F) {
	part := base64.RawURLEncoding.EncodeToString
	f.Add("e30." + part([]byte(`{"tid":"t","roles":["A"],"wids":["x"],"scp":"a b"}`)) + ".x")
	f.Add("opaque")
	f.Add("a." + part([]byte(`{"roles":"text"}`)) + ".b")
	f.Fuzz(func(t *testing.T, token string) {
		c := readClaims(token)
		if c.Readable() && len(c.TenantID)+len(c.Audience) > 3*len(token) {
			t.Errorf("%+v out of %q", c, token)
		}
	})
}

// FuzzSplitCertificate: what is taken for a certificate with its key is one when it
// is put together again.
func FuzzSplitCertificate(f *testing.F) {
	made, err := MakeCertificate("fuzz", time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made.Certificate + made.Key.Reveal())
	f.Add(made.Key.Reveal() + made.Certificate)
	f.Add(made.Certificate)
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, data string) {
		split, err := SplitCertificate(secrets.New(data))
		if err != nil {
			return
		}
		again, err := ReadCertificate([]byte(split.Certificate + split.Key.Reveal()))
		if err != nil || thumbprint(again.Leaf.Raw) != split.Thumbprint {
			t.Errorf("put together again: %v", err)
		}
		if len(split.Thumbprint) != 40 {
			t.Errorf("thumbprint %q", split.Thumbprint)
		}
	})
}
