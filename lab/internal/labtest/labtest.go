// Package labtest is what the tests of the lab's services share: a directory
// built from a tenants file, a clock that a test moves, tokens signed as the
// sign-in service signs them, and randomness that a seed decides.
package labtest

import (
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/pki"
	"gatehouse/lab/internal/token"
	"gatehouse/lab/internal/vary"
)

// Start is when every test begins.
var Start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Clock is a clock at [Start] that only [Clock.Pass] moves.
type Clock struct{ passed atomic.Int64 }

// Now is the time.
func (c *Clock) Now() time.Time { return Start.Add(time.Duration(c.passed.Load())) }

// Pass lets time go by.
func (c *Clock) Pass(d time.Duration) { c.passed.Add(int64(d)) }

// certificate is one for all apps: making one takes longer than most tests.
var certificate = sync.OnceValues(func() (*x509.Certificate, error) {
	return pki.Client("app of a test", Start.Add(-time.Hour), Start.AddDate(1, 0, 0))
})

// Store builds the directory of a tenants file.
func Store(t testing.TB, tenants string, clock *Clock) *directory.Store {
	t.Helper()
	file, err := directory.Parse(strings.NewReader(tenants), clock.Now())
	if err != nil {
		t.Fatalf("parsing the tenants file: %v", err)
	}
	store, _, err := directory.New(file, directory.Config{Seed: 7, Now: clock.Now, NewCertificate: func(string, time.Time, time.Time) (*x509.Certificate, error) { return certificate() }})
	if err != nil {
		t.Fatalf("building the directory: %v", err)
	}
	store.AddPolicies(file)
	return store
}

// Signer signs the tokens of all tests.
var Signer = sync.OnceValue(func() *token.Signer { return token.NewSigner(nil) })

// bearers keeps tokens by their claims: signing takes longer than what is
// tested.
var bearers sync.Map

// Bearer is the Authorization header of a caller with the claims.
func Bearer(t testing.TB, c *token.Claims) string {
	t.Helper()
	key := fmt.Sprint(*c)
	if known, ok := bearers.Load(key); ok {
		return known.(string)
	}
	compact, err := Signer().Sign(c)
	if err != nil {
		t.Fatalf("signing a token: %v", err)
	}
	bearers.Store(key, "Bearer "+compact)
	return "Bearer " + compact
}

// Random gives numbers that a seed decides, for many at once.
func Random(seed byte) vary.Source {
	source := rand.NewChaCha8([32]byte{seed})
	var mu sync.Mutex
	return func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		return source.Uint64()
	}
}
