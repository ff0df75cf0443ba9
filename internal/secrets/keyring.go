package secrets

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// Config is what a keyring needs.
type Config struct {
	DB      *sqldb.DB
	Wrapper KeyWrapper
	Audit   *audit.Log
	// Columns are all that hold sealed secrets, so that a rotation reaches them.
	Columns []Column
	// Settle is the time in which every replica has seen a change of the keys
	// and ended the transactions it had open; 2 minutes if 0. Replicas call
	// [Keyring.Reload] at least four times as often.
	Settle time.Duration
	Now    func() time.Time // time.Now if nil
}

// Column is a column of sealed secrets, each bound to its row by the row's key,
// which is text.
type Column struct{ Table, Key, Name string }

// Keyring seals and opens secrets with the keys of the database's keyset.
type Keyring struct {
	c      Config
	keys   atomic.Pointer[keys]
	notice string
}

// keys are the keys of one version of the keyset.
type keys struct {
	version int64
	primary uint32
	aead    tink.AEAD
	ids     map[uint32]bool
	checked time.Time // when this was known to be the newest version
}

// row is the keyset as it is stored.
type row struct {
	bun.BaseModel `bun:"table:keyset"`

	ID        int64 `bun:"id,pk"`
	Version   int64
	State     State
	Progress  string
	Wrapped   []byte
	IDs       string `bun:"ids"`
	Master    string
	ChangedAt time.Time
}

// keysetBinding is the associated data of the wrapped keyset.
var keysetBinding = []byte("gatehouse keyset 1")

// OpenKeyring opens the database's keyset, or makes it at the first start. A
// master key that is missing or does not fit is an error that says what to do;
// start nothing then.
func OpenKeyring(ctx context.Context, c Config) (*Keyring, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Settle == 0 {
		c.Settle = 2 * time.Minute
	}
	c.Columns = append([]Column{{Table: "sealed", Key: "name", Name: "value"}}, c.Columns...)
	k := &Keyring{c: c}
	_, err := k.load(ctx, c.DB.Read())
	fresh := sqldb.Missing(err)
	if err != nil && !fresh {
		return nil, fmt.Errorf("reading the keyset: %w", err)
	}
	if k.notice, err = c.Wrapper.Prepare(ctx, fresh); err != nil {
		return nil, err
	}
	if fresh {
		if err := k.create(ctx); err != nil && !sqldb.Duplicate(err) { // another replica was quicker
			return nil, fmt.Errorf("making the keyset: %w", err)
		}
	}
	if err := k.Reload(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Notice is what the operator must read after this start, "" if nothing: that a
// master key was made and must be backed up.
func (k *Keyring) Notice() string { return k.notice }

func (k *Keyring) load(ctx context.Context, db bun.IDB) (*row, error) {
	var r row
	err := db.NewSelect().Model(&r).Where("id = 1").Scan(ctx)
	return &r, err
}

func (k *Keyring) create(ctx context.Context) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	r := &row{ID: 1, Version: 1, State: Steady, IDs: idList(handle), Master: k.c.Wrapper.Name(), ChangedAt: k.c.Now().UTC()}
	if r.Wrapped, err = k.wrap(ctx, handle); err != nil {
		return err
	}
	return k.c.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewInsert().Model(r).Exec(ctx)
		return err
	})
}

func (k *Keyring) wrap(ctx context.Context, handle *keyset.Handle) ([]byte, error) {
	var out bytes.Buffer
	if err := handle.WriteWithContext(ctx, keyset.NewBinaryWriter(&out), k.c.Wrapper, keysetBinding); err != nil {
		return nil, fmt.Errorf("wrapping the keyset: %w", err)
	}
	return out.Bytes(), nil
}

func (k *Keyring) unwrap(ctx context.Context, r *row) (*keyset.Handle, error) {
	if r.Master != k.c.Wrapper.Name() {
		return nil, fmt.Errorf("opening the keyset: the database is sealed under the master key %s, but %s holds %s: put back the key that belongs to this database", r.Master, k.c.Wrapper.Place(), k.c.Wrapper.Name())
	}
	handle, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(r.Wrapped)), k.c.Wrapper, keysetBinding)
	if err != nil {
		return nil, fmt.Errorf("opening the keyset: it was changed, or the master key in %s does not fit it: restore the database from a backup: %w", k.c.Wrapper.Place(), err)
	}
	return handle, nil
}

// Reload looks whether the keyset has changed, and takes the newest. Every
// replica calls it on a ticker.
func (k *Keyring) Reload(ctx context.Context) error {
	asked := k.c.Now()
	db := k.c.DB.Read()
	if tx := sqldb.Current(ctx); tx != nil {
		db = tx // a second connection might not be free
	}
	r, err := k.load(ctx, db)
	if err != nil {
		return fmt.Errorf("reading the keyset: %w", err)
	}
	next := keys{version: r.Version, checked: asked}
	if now := k.keys.Load(); now != nil && now.version >= r.Version {
		next = *now
		next.checked = asked
	} else if err := k.read(ctx, r, &next); err != nil {
		return err
	}
	k.keys.Store(&next)
	return nil
}

func (k *Keyring) read(ctx context.Context, r *row, into *keys) error {
	handle, err := k.unwrap(ctx, r)
	if err != nil {
		return err
	}
	if into.aead, err = aead.New(handle); err != nil {
		return fmt.Errorf("opening the keyset: %w", err)
	}
	into.primary = handle.KeysetInfo().GetPrimaryKeyId()
	into.ids = map[uint32]bool{}
	for _, info := range handle.KeysetInfo().GetKeyInfo() {
		into.ids[info.GetKeyId()] = true
	}
	return nil
}

// Seal encrypts a secret for one place, a column of a row, in the transaction
// that stores it. It opens nowhere else. The row's key must not change
// afterwards. An empty secret is sealed like any other.
func (k *Keyring) Seal(ctx context.Context, tx *sqldb.Tx, table, row, column string, v Value) ([]byte, error) {
	if k.c.Now().Sub(k.keys.Load().checked) > k.c.Settle/2 {
		// This replica was held up: another key may have been promoted since.
		if err := k.Reload(ctx); err != nil {
			return nil, fmt.Errorf("sealing %s.%s: %w", table, column, err)
		}
	}
	keys := k.keys.Load()
	tx.BeforeCommit(func(ctx context.Context) error { return stillThere(ctx, tx, keys.primary) })
	return keys.seal(table, row, column, v)
}

func (k *keys) seal(table, row, column string, v Value) ([]byte, error) {
	sealed, err := k.aead.Encrypt([]byte(v.Reveal()), binding(table, row, column))
	if err != nil {
		return nil, fmt.Errorf("sealing %s.%s: %w", table, column, err)
	}
	return sealed, nil
}

// stillThere demands, just before what was sealed with a key is committed, that
// the key has not been retired, and holds back its retirement until then: however
// long this process was stopped, nothing is stored that nobody can open.
func stillThere(ctx context.Context, tx *sqldb.Tx, id uint32) error {
	var ids string
	q := tx.NewSelect().Model((*row)(nil)).Column("ids").Where("id = 1")
	if tx.Dialect().Name() == dialect.PG { // SQLite has one writer at a time
		q.For("SHARE")
	}
	if err := q.Scan(ctx, &ids); err != nil {
		return fmt.Errorf("reading the keyset: %w", err)
	}
	if !strings.Contains(ids, fmt.Sprintf(",%d,", id)) {
		return ErrRotated
	}
	return nil
}

// ErrRotated says that the key was retired between sealing a secret and storing
// it.
var ErrRotated = errors.New("the keys were rotated while a secret was being stored: try again")

// idList are the keys of a keyset as they are stored beside it.
func idList(handle *keyset.Handle) string {
	list := ","
	for _, info := range handle.KeysetInfo().GetKeyInfo() {
		list += fmt.Sprintf("%d,", info.GetKeyId())
	}
	return list
}

// Open decrypts what was sealed for a place.
func (k *Keyring) Open(ctx context.Context, table, row, column string, sealed []byte) (Value, error) {
	id, ok := keyID(sealed)
	if !ok {
		return Value{}, fmt.Errorf("opening %s.%s of %s: it is not a sealed secret: %w", table, column, row, errDamaged)
	}
	if !k.keys.Load().ids[id] {
		// Sealed by a replica that knows a newer keyset.
		if err := k.Reload(ctx); err != nil {
			return Value{}, fmt.Errorf("opening %s.%s of %s: %w", table, column, row, err)
		}
	}
	text, err := k.keys.Load().aead.Decrypt(sealed, binding(table, row, column))
	if err != nil {
		return Value{}, fmt.Errorf("opening %s.%s of %s: it was sealed for another place or with a key that is gone, or was changed: %w", table, column, row, errDamaged)
	}
	return New(string(text)), nil
}

var errDamaged = errors.New("enter the secret anew, or restore a backup")

// binding is the associated data of a sealed secret: its place, each part with
// its length before it, so that no two places are alike.
func binding(parts ...string) []byte {
	b := []byte("gatehouse secret 1")
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// prefixSize is what a ciphertext of Tink begins with: 1, then the id of the key.
const prefixSize = 5

func keyID(sealed []byte) (uint32, bool) {
	if len(sealed) < prefixSize || sealed[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:]), true
}

func prefix(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{1}, id) }
