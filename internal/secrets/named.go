package secrets

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

type sealed struct {
	bun.BaseModel `bun:"table:sealed"`

	Name  string `bun:"name,pk"`
	Value []byte
}

// SigningKey is this installation's Ed25519 key of a name, for example the one
// that signs checkpoints of the audit log. It is made when it is first asked for
// and the same for every replica from then on.
func (k *Keyring) SigningKey(ctx context.Context, name string) (ed25519.PrivateKey, error) {
	v, err := k.named(ctx, name)
	if sqldb.Missing(err) {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // never fails
		if err = k.name(ctx, name, New(string(seed))); err == nil {
			v, err = k.named(ctx, name) // another replica may have been quicker
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the signing key %q: %w", name, err)
	}
	if len(v.Reveal()) != ed25519.SeedSize {
		return nil, fmt.Errorf("reading the signing key %q: it has %d bytes, not %d", name, len(v.Reveal()), ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed([]byte(v.Reveal())), nil
}

func (k *Keyring) named(ctx context.Context, name string) (Value, error) {
	var s sealed
	if err := k.c.DB.Read().NewSelect().Model(&s).Where("name = ?", name).Scan(ctx); err != nil {
		return Value{}, err
	}
	return k.Open(ctx, "sealed", name, "value", s.Value)
}

func (k *Keyring) name(ctx context.Context, name string, v Value) error {
	return k.c.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		value, err := k.Seal(ctx, tx, "sealed", name, "value", v)
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&sealed{Name: name, Value: value}).On("CONFLICT (name) DO NOTHING").Exec(ctx)
		return err
	})
}
