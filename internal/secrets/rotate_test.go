package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

type sealed struct {
	bun.BaseModel `bun:"table:sealed"`

	Name  string
	Value []byte
}

func put(ctx context.Context, db *sqldb.DB, k *secrets.Keyring, name string) error {
	return db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		value, err := k.Seal(ctx, tx, "sealed", name, "value", secrets.New("secret of "+name))
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&sealed{Name: name, Value: value}).On("CONFLICT (name) DO UPDATE").Set("value = EXCLUDED.value").Exec(ctx)
		return err
	})
}

// seal seals a secret that is stored nowhere.
func seal(t testing.TB, db *sqldb.DB, k *secrets.Keyring, table, row, column, text string) (value []byte) {
	t.Helper()
	err := db.Change(context.Background(), func(ctx context.Context, tx *sqldb.Tx) (err error) {
		value, err = k.Seal(ctx, tx, table, row, column, secrets.New(text))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return value
}

// keysInUse opens every secret and gives the number of keys that seal them.
func keysInUse(t *testing.T, db *sqldb.DB, k *secrets.Keyring, want int) int {
	t.Helper()
	var all []sealed
	if err := db.Read().NewSelect().Model(&all).Scan(t.Context()); err != nil {
		t.Error(err)
	}
	if len(all) != want {
		t.Errorf("%d secrets, want %d", len(all), want)
	}
	keys := map[string]bool{}
	for _, s := range all {
		v, err := k.Open(t.Context(), "sealed", s.Name, "value", s.Value)
		if err != nil || v.Reveal() != "secret of "+s.Name {
			t.Errorf("%s: %v", s.Name, err)
			break
		}
		keys[string(s.Value[:5])] = true
	}
	return len(keys)
}

// finish rotates until the keys are steady.
func finish(t *testing.T, k *secrets.Keyring, c *clock) (resealed int) {
	t.Helper()
	for range 1000 {
		r, err := k.Rotate(system(t))
		if err != nil {
			t.Fatal(err)
		}
		resealed += r.Resealed
		if r.State == secrets.Steady {
			return resealed
		}
		c.pass(r.Wait)
	}
	t.Fatal("the rotation does not end")
	return 0
}

// A rotation while two replicas read and write: at no time does a secret not
// open, and in the end one new key seals everything.
func TestRotateOnline(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path, c := filepath.Join(t.TempDir(), "master.key"), newClock()
		k, other := open(t, db, path, c), open(t, db, path, c)
		const n = 230
		for i := range n {
			if err := put(t.Context(), db, k, fmt.Sprintf("%03d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.BeginRotation(system(t)); err != nil {
			t.Fatal(err)
		}
		if err := other.BeginRotation(system(t)); !errors.Is(err, secrets.ErrRotating) {
			t.Errorf("a second rotation: %v", err)
		}
		// Each wait is kept: nothing moves before.
		if r, err := k.Rotate(system(t)); err != nil || r.State != secrets.Distributed || r.Wait != 2*time.Minute {
			t.Fatalf("%+v, %v", r, err)
		}
		c.pass(2*time.Minute - 1)
		if r, err := k.Rotate(system(t)); err != nil || r.State != secrets.Distributed || r.Wait != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		ended := make(chan struct{})
		var wg sync.WaitGroup
		for i, replica := range []*secrets.Keyring{k, other} {
			wg.Go(func() {
				for round := 0; ; round++ {
					select {
					case <-ended:
						return
					default:
					}
					name := fmt.Sprintf("%03d", (round*7+i)%n)
					// The clock runs faster here than any transaction.
					if err := put(t.Context(), db, replica, name); err != nil && !errors.Is(err, secrets.ErrRotated) {
						t.Error(err)
						return
					}
					c.reading.RLock()
					keysInUse(t, db, replica, n)
					c.reading.RUnlock()
				}
			})
		}
		finish(t, k, c)
		close(ended)
		wg.Wait()
		again := open(t, db, path, c)
		if used := keysInUse(t, db, again, n); used != 1 {
			t.Errorf("%d keys seal the secrets", used)
		}
		actions := ""
		records, err := audit.New(audit.Config{DB: db}).List(system(t), audit.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			actions = r.Action + " " + actions
		}
		if actions != "keys.rotation_begun keys.promoted keys.retired " {
			t.Errorf("the audit log says %s", actions)
		}
	})
}

// The old key is gone after a rotation: what was sealed with it, and kept
// outside of the columns, no longer opens. And a secret that appears under the
// old key at the last moment holds the key back.
func TestRetire(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path, c := filepath.Join(t.TempDir(), "master.key"), newClock()
		k := open(t, db, path, c)
		late := seal(t, db, k, "sealed", "late", "value", "secret of late")
		if err := k.BeginRotation(system(t)); err != nil {
			t.Fatal(err)
		}
		columns := 0
		for columns < 2 { // the columns have been gone over, the key is next
			r, err := k.Rotate(system(t))
			if err != nil {
				t.Fatal(err)
			}
			if r.State == secrets.Promoted && r.Wait == 0 {
				columns++
			}
			c.pass(r.Wait)
		}
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.NewInsert().Model(&sealed{Name: "late", Value: late}).Exec(ctx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if resealed := finish(t, k, c); resealed != 1 {
			t.Errorf("sealed %d secrets again, want the late one", resealed)
		}
		keysInUse(t, db, k, 1)
		if _, err := k.Open(t.Context(), "sealed", "late", "value", late); err == nil {
			t.Error("the old key still opens")
		}
	})
}

// Who read a secret just before it was sealed again has the time to settle to
// open it: the old key goes only then.
func TestReadBeforeSealedAgain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		k := open(t, db, filepath.Join(t.TempDir(), "master.key"), c)
		if err := put(t.Context(), db, k, "x"); err != nil {
			t.Fatal(err)
		}
		var read sealed
		if err := db.Read().NewSelect().Model(&read).Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := k.BeginRotation(system(t)); err != nil {
			t.Fatal(err)
		}
		resealed, waited := false, false
		for range 10 {
			r, err := k.Rotate(system(t))
			if err != nil {
				t.Fatal(err)
			}
			if r.State == secrets.Steady {
				break
			}
			resealed = resealed || r.Resealed > 0
			if !resealed {
				c.pass(r.Wait)
				continue
			}
			if _, err := k.Open(t.Context(), "sealed", "x", "value", read.Value); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			if r.Wait > 0 { // the last thing before the old key goes
				waited = true
				if r.Wait != 2*time.Minute {
					t.Errorf("waits %v before the old key goes", r.Wait)
				}
				c.pass(r.Wait - 1)
				if r, err = k.Rotate(system(t)); err != nil || r.State != secrets.Promoted || r.Wait != 1 {
					t.Fatalf("%+v, %v", r, err)
				}
				c.pass(1)
			}
		}
		if _, err := k.Open(t.Context(), "sealed", "x", "value", read.Value); err == nil || !waited {
			t.Errorf("the old key went at once (%t), or still opens: %v", !waited, err)
		}
	})
}

// A replica that was held up seals with the key that counts now.
func TestHeldUpReplica(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path, c := filepath.Join(t.TempDir(), "master.key"), newClock()
		k, heldUp := open(t, db, path, c), open(t, db, path, c)
		if err := k.BeginRotation(system(t)); err != nil {
			t.Fatal(err)
		}
		finish(t, k, c)
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			value, err := heldUp.Seal(ctx, tx, "a", "b", "c", secrets.New("x")) // reads through the open transaction
			if err == nil {
				_, err = k.Open(ctx, "a", "b", "c", value)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}

// A key is retired only when everything that was sealed with it is stored, and
// what is stored afterwards is refused: nothing is lost, however slow a replica.
func TestSlowReplicaLosesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path, c := filepath.Join(t.TempDir(), "master.key"), newClock()
		k, slow := open(t, db, path, c), open(t, db, path, c)
		if err := put(t.Context(), db, k, "x"); err != nil {
			t.Fatal(err)
		}
		before := keysInUse(t, db, k, 1)
		err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			value, err := slow.Seal(ctx, tx, "sealed", "x", "value", secrets.New("secret of x"))
			if err != nil {
				return err
			}
			if !db.Postgres() { // the one writer: the rotation cannot go on meanwhile
				return nil
			}
			if err := k.BeginRotation(system(t)); err != nil {
				return err
			}
			finish(t, k, c)
			_, err = tx.NewUpdate().Model(&sealed{Name: "x", Value: value}).Column("value").Where("name = 'x'").Exec(ctx)
			return err
		})
		if db.Postgres() != errors.Is(err, secrets.ErrRotated) {
			t.Errorf("stored under a key that is gone: %v", err)
		}
		if after := keysInUse(t, db, k, 1); after != before {
			t.Errorf("%d keys are in use", after)
		}
	})
}

// A secret that does not open stops the rotation with its place; the old key
// stays.
func TestDamagedSecretStopsRotation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		path, c := filepath.Join(t.TempDir(), "master.key"), newClock()
		k := open(t, db, path, c)
		value := seal(t, db, k, "sealed", "elsewhere", "value", "x")
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.NewInsert().Model(&sealed{Name: "here", Value: value}).Exec(ctx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := k.BeginRotation(system(t)); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			r, err := k.Rotate(system(t))
			if err != nil {
				if !strings.Contains(err.Error(), "sealed.value of here") {
					t.Errorf("the error names no place: %v", err)
				}
				return
			}
			c.pass(r.Wait)
		}
		t.Error("the rotation went over a damaged secret")
	})
}

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m, map[string]func(){"rotating": rotating})) }

// rotating is the process that TestStory48RotationUnderLoad kills: it rotates over and
// over, and writes a line after each step.
func rotating() { fmt.Println(rotate(os.Getenv("DATABASE"), os.Getenv("KEY"))) }

func rotate(address, path string) error {
	ctx := audit.AsSystem(context.Background(), "rotation")
	db, err := sqldb.Open(ctx, address)
	if err != nil {
		return err
	}
	k, err := openQuick(ctx, db, path)
	for err == nil {
		var r secrets.Rotation
		if r, err = k.Rotate(ctx); err == nil && r.State == secrets.Steady {
			err = k.BeginRotation(ctx)
		}
		fmt.Println("step", r.State, r.Resealed)
	}
	return err
}

// openQuick opens a keyring that waits for nobody.
func openQuick(ctx context.Context, db *sqldb.DB, path string) (*secrets.Keyring, error) {
	return secrets.OpenKeyring(ctx, secrets.Config{DB: db, Wrapper: secrets.NewFileKey(path), Audit: audit.New(audit.Config{DB: db}), Settle: time.Nanosecond})
}

// A process that is killed at any moment of a rotation leaves every secret
// readable, and the next one goes on where it stood. Another replica reads and
// stores secrets all the while.
func TestStory48RotationUnderLoad(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		t.Logf("seed %d", seed)
		path := filepath.Join(t.TempDir(), "master.key")
		db := dbtest.Open(t, address)
		k, err := openQuick(t.Context(), db, path)
		if err != nil {
			t.Fatal(err)
		}
		const n = 250
		for i := range n {
			if err := put(t.Context(), db, k, fmt.Sprintf("%03d", i)); err != nil {
				t.Fatal(err)
			}
		}
		rounds := 10 // on each database
		if os.Getenv("GATEHOUSE_SOAK") == "1" {
			rounds = 100
		}
		served := serving(t, db, k, n)
		for range rounds {
			killAfter(t, address, path, 1+random.IntN(12))
			next, err := openQuick(t.Context(), db, path)
			if err != nil {
				t.Fatalf("the start after the kill: %v", err)
			}
			keysInUse(t, db, next, n)
		}
		if reads, writes := served(); reads < rounds || writes < rounds {
			t.Errorf("only %d secrets were read and %d stored meanwhile", reads, writes)
		}
		for k, err = openQuick(t.Context(), db, path); ; {
			if err != nil {
				t.Fatal(err)
			}
			var r secrets.Rotation
			if r, err = k.Rotate(system(t)); r.State == secrets.Steady {
				break
			}
		}
		if used := keysInUse(t, db, k, n); used != 1 {
			t.Errorf("%d keys seal the secrets", used)
		}
		if _, err := audit.New(audit.Config{DB: db}).Verify(system(t), nil); err != nil {
			t.Error(err)
		}
	})
}

// serving reads and stores secrets, as a replica in service does, until the
// function that it gives is called. Here keys are retired at once, and not after
// the minutes that replicas have to learn of new ones: what was read or sealed
// just before is read or sealed once more.
func serving(t *testing.T, db *sqldb.DB, k *secrets.Keyring, n int) (stop func() (reads, writes int)) {
	quit, done := make(chan struct{}), make(chan struct{})
	reads, writes := 0, 0
	read := func(name string) error {
		var s sealed
		if err := db.Read().NewSelect().Model(&s).Where("name = ?", name).Scan(t.Context()); err != nil {
			return err
		}
		v, err := k.Open(t.Context(), "sealed", name, "value", s.Value)
		if err == nil && v.Reveal() != "secret of "+name {
			err = errors.New("another secret was read")
		}
		return err
	}
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			default:
			}
			name := fmt.Sprintf("%03d", i*7%n)
			if err := read(name); err != nil && read(name) != nil {
				t.Errorf("reading %s: %v", name, err)
				return
			}
			reads++
			var err error
			for range 20 {
				if err = put(t.Context(), db, k, name); !errors.Is(err, secrets.ErrRotated) {
					break
				}
				if err := k.Reload(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if err != nil {
				t.Errorf("storing %s: %v", name, err)
				return
			}
			writes++
		}
	}()
	return func() (int, int) {
		close(quit)
		<-done
		return reads, writes
	}
}

// killAfter runs the rotating process and kills it when it has made some steps.
func killAfter(t *testing.T, address, path string, steps int) {
	t.Helper()
	p := dbtest.Start(t, "rotating", "DATABASE="+address, "KEY="+path)
	for range steps {
		p.Await(t, "step")
	}
	if err := p.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := p.Wait(); err == nil {
		t.Error("the process was not killed")
	}
}
