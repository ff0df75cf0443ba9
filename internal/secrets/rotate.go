package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// State is where a rotation of the keys stands.
type State string

// The states, in order. Between them lies the time to settle, so that no replica
// meets a secret whose key it does not know, or seals with a key that is about
// to go.
const (
	Steady      State = "steady"      // no rotation under way
	Distributed State = "distributed" // the new key is in the keyset, and opens; the old one still seals
	Promoted    State = "promoted"    // the new key seals; what the old one sealed is being sealed again
)

// Rotation is how a rotation stands after a step.
type Rotation struct {
	State    State
	Resealed int           // secrets that this step sealed again
	Wait     time.Duration // before the next step
}

// ErrRotating says that a rotation is under way already.
var ErrRotating = errors.New("a rotation of the keys is under way: let it go on")

// errRaced says that another replica made the step.
var errRaced = errors.New("another replica changed the keyset")

// BeginRotation adds a new key to the keyset. What follows is done by [Keyring.Rotate].
func (k *Keyring) BeginRotation(ctx context.Context) error {
	r, handle, err := k.newest(ctx)
	if err != nil {
		return err
	}
	if r.State != Steady {
		return fmt.Errorf("rotating the keys: %w", ErrRotating)
	}
	manager := keyset.NewManagerFromHandle(handle)
	if _, err := manager.Add(aead.AES256GCMKeyTemplate()); err != nil {
		return fmt.Errorf("rotating the keys: making a key: %w", err)
	}
	err = k.change(ctx, r, manager, Distributed, "keys.rotation_begun")
	if errors.Is(err, errRaced) {
		return fmt.Errorf("rotating the keys: %w", ErrRotating)
	}
	return err
}

// Rotate does the next step of the rotation that is under way, a short one, and
// says how it stands: call it until the state is Steady again. It may be called
// by any replica, by several at once, and again after a crash at any point.
func (k *Keyring) Rotate(ctx context.Context) (Rotation, error) {
	if err := k.c.Audit.Allow(ctx, audit.AllTenants, audit.KeysRotate); err != nil {
		return Rotation{}, err
	}
	r, handle, err := k.newest(ctx)
	if err != nil {
		return Rotation{}, err
	}
	if r.State == Steady {
		return Rotation{State: Steady}, nil
	}
	if wait := r.ChangedAt.Add(k.c.Settle).Sub(k.c.Now()); wait > 0 {
		return Rotation{State: r.State, Wait: wait}, nil
	}
	var done Rotation
	if r.State == Distributed {
		done, err = k.promote(ctx, r, handle)
	} else {
		done, err = k.reseal(ctx, r, handle)
	}
	if errors.Is(err, errRaced) {
		return Rotation{State: r.State}, nil
	}
	return done, err
}

// newest reads the keyset from the database. The master key may be far away, so
// this happens outside of any transaction, and [Keyring.change] looks whether the
// keyset is still the same.
func (k *Keyring) newest(ctx context.Context) (*row, *keyset.Handle, error) {
	if err := k.Reload(ctx); err != nil {
		return nil, nil, err
	}
	r, err := k.load(ctx, k.c.DB.Read())
	if err != nil {
		return nil, nil, fmt.Errorf("reading the keyset: %w", err)
	}
	handle, err := k.unwrap(ctx, r)
	return r, handle, err
}

// change writes the next version of the keyset, if it still is the one that was
// read.
func (k *Keyring) change(ctx context.Context, r *row, m *keyset.Manager, to State, action string) error {
	handle, err := m.Handle()
	if err != nil {
		return fmt.Errorf("rotating the keys: %w", err)
	}
	wrapped, err := k.wrap(ctx, handle)
	if err != nil {
		return err
	}
	err = k.c.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := k.c.Audit.Act(ctx, tx, audit.Entry{Permission: audit.KeysRotate, Action: action, ObjectKind: "keyset", ObjectID: fmt.Sprint(r.Version + 1)}); err != nil {
			return err
		}
		next := &row{ID: 1, Version: r.Version + 1, State: to, Wrapped: wrapped, IDs: idList(handle), Master: k.c.Wrapper.Name(), ChangedAt: k.c.Now().UTC()}
		err := same(tx.NewUpdate().Model(next).WherePK().Where("version = ?", r.Version).Exec(ctx))
		if err != nil || to != Steady {
			return err
		}
		// From here on nothing is stored under a key that goes: see stillThere.
		return k.nothingLeft(ctx, tx, handle.KeysetInfo().GetPrimaryKeyId())
	})
	if err != nil {
		return err
	}
	return k.Reload(ctx)
}

// same demands that an update met the row it was meant for.
func same(result interface{ RowsAffected() (int64, error) }, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		return errRaced
	}
	return err
}

func (k *Keyring) promote(ctx context.Context, r *row, handle *keyset.Handle) (Rotation, error) {
	info := handle.KeysetInfo()
	manager := keyset.NewManagerFromHandle(handle)
	for _, key := range info.GetKeyInfo() {
		if key.GetKeyId() == info.GetPrimaryKeyId() {
			continue
		}
		if err := manager.SetPrimary(key.GetKeyId()); err != nil {
			return Rotation{}, fmt.Errorf("rotating the keys: promoting the new key: %w", err)
		}
	}
	if err := k.change(ctx, r, manager, Promoted, "keys.promoted"); err != nil {
		return Rotation{}, err
	}
	return Rotation{State: Promoted, Wait: k.c.Settle}, nil
}

// retire takes the old keys out of the keyset.
func (k *Keyring) retire(ctx context.Context, r *row, handle *keyset.Handle) (Rotation, error) {
	info := handle.KeysetInfo()
	manager := keyset.NewManagerFromHandle(handle)
	for _, key := range info.GetKeyInfo() {
		if key.GetKeyId() == info.GetPrimaryKeyId() {
			continue
		}
		if err := manager.Delete(key.GetKeyId()); err != nil {
			return Rotation{}, fmt.Errorf("rotating the keys: retiring the old key: %w", err)
		}
	}
	err := k.change(ctx, r, manager, Steady, "keys.retired")
	if errors.Is(err, errLeft) {
		return Rotation{State: Promoted}, k.move(ctx, r, position{})
	}
	if err != nil {
		return Rotation{}, err
	}
	return Rotation{State: Steady}, nil
}

// position is how far sealing again has come.
type position struct {
	Column int       `json:"column"`         // in Config.Columns
	After  string    `json:"after"`          // the last row that was looked at
	Ended  time.Time `json:"ended,omitzero"` // when all columns had been gone over
}

const batch = 100

// reseal seals one batch of secrets again, in one transaction with the note how
// far it came, or retires the old key if there is nothing left, once those who
// read a secret just before it was sealed again have opened it.
func (k *Keyring) reseal(ctx context.Context, r *row, handle *keyset.Handle) (Rotation, error) {
	var at position
	if r.Progress != "" {
		if err := json.Unmarshal([]byte(r.Progress), &at); err != nil {
			return Rotation{}, fmt.Errorf("rotating the keys: reading how far it came: %w", err)
		}
	}
	if at.Column >= len(k.c.Columns) {
		if at.Ended.IsZero() {
			at.Ended = k.c.Now().UTC()
			return Rotation{State: Promoted, Wait: k.c.Settle}, k.move(ctx, r, at)
		}
		if wait := at.Ended.Add(k.c.Settle).Sub(k.c.Now()); wait > 0 {
			return Rotation{State: Promoted, Wait: wait}, nil
		}
		return k.retire(ctx, r, handle)
	}
	c := k.c.Columns[at.Column]
	rows, err := k.stale(ctx, c, at.After, handle.KeysetInfo().GetPrimaryKeyId())
	if err != nil {
		return Rotation{}, fmt.Errorf("rotating the keys: reading %s.%s: %w", c.Table, c.Name, err)
	}
	next := position{Column: at.Column + 1}
	if len(rows) == batch {
		next = position{Column: at.Column, After: rows[batch-1].Key}
	}
	for i := range rows {
		if rows[i].next, err = k.again(ctx, c, rows[i]); err != nil {
			return Rotation{}, fmt.Errorf("rotating the keys: %w", err)
		}
	}
	done := Rotation{State: Promoted}
	err = k.c.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done.Resealed = 0
		for _, s := range rows {
			// Only if it is still what was read: a newer secret is sealed
			// with the newer key already.
			result, err := tx.NewUpdate().TableExpr("?", bun.Ident(c.Table)).Set("? = ?", bun.Ident(c.Name), s.next).
				Where("? = ?", bun.Ident(c.Key), s.Key).Where("? = ?", bun.Ident(c.Name), s.Sealed).Exec(ctx)
			if err != nil {
				return fmt.Errorf("rotating the keys: sealing %s.%s of %s again: %w", c.Table, c.Name, s.Key, err)
			}
			if n, err := result.RowsAffected(); err == nil && n == 1 {
				done.Resealed++
			}
		}
		return k.note(ctx, tx, r, next)
	})
	return done, err
}

// stored is a sealed secret in its place.
type stored struct {
	Key    string
	Sealed []byte
	next   []byte
}

// stale reads the next secrets of a column that other keys than the primary
// sealed.
func (k *Keyring) stale(ctx context.Context, c Column, after string, primary uint32) ([]stored, error) {
	var rows []stored
	err := others(k.c.DB.Read(), c, primary).ColumnExpr("? AS key", bun.Ident(c.Key)).ColumnExpr("? AS sealed", bun.Ident(c.Name)).
		Where("? > ?", bun.Ident(c.Key), after).OrderExpr("?", bun.Ident(c.Key)).Limit(batch).Scan(ctx, &rows)
	return rows, err
}

// others selects the secrets of a column that other keys than the primary sealed.
func others(db bun.IDB, c Column, primary uint32) *bun.SelectQuery {
	return db.NewSelect().TableExpr("?", bun.Ident(c.Table)).
		Where("length(?) > 0", bun.Ident(c.Name)).Where("substr(?, 1, ?) <> ?", bun.Ident(c.Name), prefixSize, prefix(primary))
}

func (k *Keyring) again(ctx context.Context, c Column, s stored) ([]byte, error) {
	v, err := k.Open(ctx, c.Table, s.Key, c.Name, s.Sealed)
	if err != nil {
		return nil, err
	}
	return k.keys.Load().seal(c.Table, s.Key, c.Name, v)
}

// errLeft says that something is still sealed with an old key.
var errLeft = errors.New("not everything is sealed again")

func (k *Keyring) nothingLeft(ctx context.Context, tx *sqldb.Tx, primary uint32) error {
	for _, c := range k.c.Columns {
		n, err := others(tx, c, primary).Count(ctx)
		if err != nil {
			return fmt.Errorf("rotating the keys: counting %s.%s: %w", c.Table, c.Name, err)
		}
		if n > 0 {
			return errLeft
		}
	}
	return nil
}

func (k *Keyring) move(ctx context.Context, r *row, to position) error {
	return k.c.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return k.note(ctx, tx, r, to) })
}

// note writes how far sealing again came. The version stays: the keys do.
func (k *Keyring) note(ctx context.Context, tx *sqldb.Tx, r *row, at position) error {
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return same(tx.NewUpdate().Model((*row)(nil)).Set("progress = ?", string(text)).
		Where("id = 1").Where("version = ?", r.Version).Where("progress = ?", r.Progress).Exec(ctx))
}
