package token

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"
)

// What the lab signs, the standard library verifies, for keys of four primes
// and of two; and nothing else.
func TestSignatures(t *testing.T) {
	two, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		t.Fatal(err)
	}
	four, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*rsa.PrivateKey{"two primes": two, "four primes": four} {
		c, err := newCRT(key)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			digest := sha256.Sum256([]byte{byte(i)})
			signature := c.sign(digest[:])
			if err := rsa.VerifyPKCS1v15(c.public, crypto.SHA256, digest[:], signature); err != nil {
				t.Fatalf("%s, digest %d: %v", name, i, err)
			}
			digest[0] ^= 1
			if rsa.VerifyPKCS1v15(c.public, crypto.SHA256, digest[:], signature) == nil {
				t.Fatalf("%s: a signature serves another digest", name)
			}
		}
	}
}

// A key survives being kept in a file.
func TestKeyKept(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := parsed.(*rsa.PrivateKey)
	if again == nil || again.N.Cmp(key.N) != 0 || len(again.Primes) != keyPrimes {
		t.Fatalf("%T with %d primes", parsed, len(again.Primes))
	}
	if _, err := newCRT(again); err != nil {
		t.Error(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // refused below
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newCRT(small); err == nil {
		t.Error("a key of 1024 bits is taken")
	}
}

func TestVerify(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s, other := NewSigner(nil), NewSigner(nil)
	claims := &Claims{Audience: "a", TenantID: "t", NotBefore: now.Unix(), Expires: now.Add(time.Hour).Unix(), Extra: map[string]any{"ver": "1.0"}}
	compact, err := s.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Verify(compact, now); err != nil || got.TenantID != "t" || got.Audience != "a" {
		t.Errorf("%+v, %v", got, err)
	}
	parts := strings.Split(compact, ".")
	for name, test := range map[string]struct {
		compact string
		at      time.Time
		want    error
	}{
		"another payload":     {parts[0] + ".eyJhdWQiOiJhIn0." + parts[2], now, ErrSignature},
		"no signature":        {parts[0] + "." + parts[1] + ".", now, ErrSignature},
		"algorithm none":      {"eyJhbGciOiJub25lIn0." + parts[1] + ".", now, ErrMalformed},
		"not a token":         {"x", now, ErrMalformed},
		"expired":             {compact, now.Add(66 * time.Minute), ErrLifetime},
		"within the skew":     {compact, now.Add(64 * time.Minute), nil},
		"not yet valid":       {compact, now.Add(-6 * time.Minute), ErrLifetime},
		"symmetric key trick": {"eyJhbGciOiJIUzI1NiJ9." + parts[1] + "." + parts[2], now, ErrMalformed},
	} {
		if _, err := s.Verify(test.compact, test.at); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := other.Verify(compact, now); !errors.Is(err, ErrSignature) {
		t.Errorf("another lab's token: %v", err)
	}
}

func BenchmarkSign(b *testing.B) {
	s := NewSigner(nil)
	claims := &Claims{Audience: "https://graph.microsoft.com", Roles: []string{"User.Read.All"}}
	for b.Loop() {
		if _, err := s.Sign(claims); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewKey(b *testing.B) {
	for b.Loop() {
		if _, err := NewKey(); err != nil {
			b.Fatal(err)
		}
	}
}
