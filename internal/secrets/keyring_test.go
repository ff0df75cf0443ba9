package secrets_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// clock is a time that a test moves. It stands while anyone reads: nobody takes
// as long over it as the keys have to settle.
type clock struct {
	mu      sync.Mutex
	at      time.Time
	reading sync.RWMutex
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t testing.TB, db *sqldb.DB, path string, c *clock) *secrets.Keyring {
	t.Helper()
	k, err := tryOpen(db, path, c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func tryOpen(db *sqldb.DB, path string, c *clock) (*secrets.Keyring, error) {
	return secrets.OpenKeyring(context.Background(), secrets.Config{
		DB: db, Wrapper: secrets.NewFileKey(path), Now: c.now,
		Audit:   audit.New(audit.Config{DB: db}),
		Columns: []secrets.Column{{Table: "operator_factors", Key: "id", Name: "credential"}},
	})
}

func system(t testing.TB) context.Context { return audit.AsSystem(t.Context(), "test") }

// The first start makes the key file, for its owner alone, and says so; later
// starts read it and say nothing.
func TestFirstStart(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path := filepath.Join(t.TempDir(), "master.key")
		k := open(t, db, path, newClock())
		if n := k.Notice(); !strings.Contains(n, "BACK IT UP") || !strings.Contains(n, path) {
			t.Errorf("the notice is %q", n)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Fatalf("%v, %v", info.Mode(), err)
		}
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(left) != 1 {
			t.Errorf("in the folder lie %v, %v", left, err)
		}
		sealed := seal(t, db, k, "a", "b", "c", "x")
		again := open(t, db, path, newClock())
		if again.Notice() != "" {
			t.Errorf("the second start says %q", again.Notice())
		}
		if v, err := again.Open(t.Context(), "a", "b", "c", sealed); err != nil || v.Reveal() != "x" {
			t.Errorf("opened %q, %v", v.Reveal(), err)
		}
		text, err := os.ReadFile(path)
		if err != nil || bytes.Contains(sealed, []byte("x\n")) || !bytes.Contains(text, []byte("gatehouse-master-key-1:")) {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// Replicas that share a folder and start at the same moment agree on one key.
func TestFirstStartAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path := filepath.Join(t.TempDir(), "master.key")
		const replicas = 6
		sealed := make([][]byte, replicas)
		keyrings := make([]*secrets.Keyring, replicas)
		var wg sync.WaitGroup
		for i := range replicas {
			wg.Go(func() {
				k, err := tryOpen(db, path, newClock())
				if err != nil {
					t.Error(err)
					return
				}
				keyrings[i] = k
				sealed[i] = seal(t, db, k, "a", "b", "c", "x")
			})
		}
		wg.Wait()
		for _, k := range keyrings {
			for _, s := range sealed {
				if k == nil {
					t.Fatal("a replica did not start")
				}
				if _, err := k.Open(t.Context(), "a", "b", "c", s); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// A key that is missing, wrong, damaged or open to others stops the start, and
// the error names the file. The database's keyset stays as it was.
func TestWrongKeyStopsTheStart(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir := t.TempDir()
		path := filepath.Join(dir, "master.key")
		k := open(t, db, path, newClock())
		sealed := seal(t, db, k, "a", "b", "c", "x")
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(dir, "other.key")
		open(t, dbtest.Open(t, dbtest.SQLite(t)), other, newClock())
		wrong, err := os.ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		key := good[bytes.LastIndexByte(bytes.TrimSpace(good), '\n')+1:]
		for name, test := range map[string]struct {
			text []byte
			mode os.FileMode
			says string
		}{
			"missing":          {nil, 0, "is missing"},
			"another":          {wrong, 0o600, "put back the key"},
			"empty":            {[]byte{}, 0o600, "holds no key"},
			"damaged":          {bytes.Replace(good, []byte("key-1:"), []byte("key-1:AAAA"), 1), 0o600, "damaged"},
			"something else":   {[]byte("hello"), 0o600, "not a master key"},
			"two keys":         {append(bytes.Clone(good), key...), 0o600, "not a master key"},
			"group may read":   {good, 0o640, "chmod 600"},
			"others may write": {good, 0o602, "chmod 600"},
		} {
			t.Run(name, func(t *testing.T) {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				if test.mode != 0 {
					writeKey(t, path, test.text, test.mode)
				}
				_, err := tryOpen(db, path, newClock())
				if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.says) {
					t.Errorf("the start says: %v", err)
				}
				if _, err := os.Stat(path); test.mode == 0 && err == nil {
					t.Error("a new key was made for a database that is sealed under another")
				}
			})
		}
		writeKey(t, path, good, 0o600)
		if v, err := open(t, db, path, newClock()).Open(t.Context(), "a", "b", "c", sealed); err != nil || v.Reveal() != "x" {
			t.Errorf("with the right key: %q, %v", v.Reveal(), err)
		}
		// A keyset that somebody changed.
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE keyset SET wrapped = ?", []byte("nonsense"))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := tryOpen(db, path, newClock()); err == nil {
			t.Error("a changed keyset was opened")
		}
	})
}

func writeKey(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chmod(path, mode)); err != nil { //nolint:gosec // a temporary folder of the test
		t.Fatal(err)
	}
}

// A secret opens in its own place and nowhere else, and not when a bit of it was
// changed.
func TestSealIsBoundToItsPlace(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	k := open(t, db, filepath.Join(t.TempDir(), "master.key"), newClock())
	place := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,3}`), 3, 3)
	rapid.Check(t, func(r *rapid.T) {
		here, there := place.Draw(r, "place"), place.Draw(r, "other place")
		text := rapid.String().Draw(r, "secret")
		sealed := seal(t, db, k, here[0], here[1], here[2], text)
		if len(text) > 3 && bytes.Contains(sealed, []byte(text)) {
			r.Fatal("the secret is readable")
		}
		v, err := k.Open(t.Context(), there[0], there[1], there[2], sealed)
		if same := fmt.Sprint(len(here), here) == fmt.Sprint(len(there), there) && here[0] == there[0] && here[1] == there[1]; same != (err == nil) {
			r.Fatalf("sealed for %q, opened for %q: %v", here, there, err)
		} else if same && v.Reveal() != text {
			r.Fatalf("opened %q, sealed %q", v.Reveal(), text)
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(r, "byte")
		sealed[at] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		if _, err := k.Open(t.Context(), here[0], here[1], here[2], sealed); err == nil {
			r.Fatalf("opened although byte %d was changed", at)
		}
		if _, err := k.Open(t.Context(), here[0], here[1], here[2], sealed[:at]); err == nil {
			r.Fatalf("opened although cut off after %d bytes", at)
		}
	})
}

func TestSigningKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path := filepath.Join(t.TempDir(), "master.key")
		const callers = 5
		made := make([]ed25519.PrivateKey, callers)
		open(t, db, path, newClock())
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				k, err := tryOpen(db, path, newClock())
				if err != nil {
					t.Error(err)
					return
				}
				if made[i], err = k.SigningKey(t.Context(), "audit"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, key := range made {
			if len(key) != ed25519.PrivateKeySize || !key.Equal(made[0]) {
				t.Error("the callers have different keys")
			}
		}
		k := open(t, db, path, newClock())
		if other, err := k.SigningKey(t.Context(), "links"); err != nil || other.Equal(made[0]) {
			t.Errorf("another name has the same key, or none: %v", err)
		}
	})
}

func TestRotationNeedsAnAdministrator(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	k := open(t, db, filepath.Join(t.TempDir(), "master.key"), newClock())
	for _, ctx := range []context.Context{
		t.Context(),
		audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "o", Roles: map[string]audit.Role{audit.AllTenants: audit.Engineer, "t1": audit.Administrator}}),
	} {
		var refused *audit.Refused
		if err := k.BeginRotation(ctx); !errors.As(err, &refused) {
			t.Errorf("begun: %v", err)
		}
		if _, err := k.Rotate(ctx); !errors.As(err, &refused) {
			t.Errorf("rotated: %v", err)
		}
	}
}
