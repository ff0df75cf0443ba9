package audit

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Checkpoint is a signed statement that the log had reached an entry with a
// hash. Kept off the machine, it proves later that nothing up to that entry was
// rewritten or cut off, not even by someone who owns the database.
type Checkpoint struct {
	bun.BaseModel `bun:"table:audit_checkpoints" json:"-"`

	Seq       int64     `bun:"seq,pk" json:"seq"`
	Hash      string    `json:"hash"`
	At        time.Time `json:"at"`
	Key       string    `json:"key"`       // the Ed25519 public key, base64
	Signature string    `json:"signature"` // base64
}

func (c *Checkpoint) message() []byte {
	return encode(checkpointName, strconv.FormatInt(c.Seq, 10), c.Hash, stamp(c.At))
}

// Signed reports whether one of the keys made the checkpoint.
func (c *Checkpoint) Signed(keys ...ed25519.PublicKey) bool {
	signature, err := base64.StdEncoding.DecodeString(c.Signature)
	if err != nil {
		return false
	}
	for _, key := range keys {
		if len(key) == ed25519.PublicKeySize && c.Key == base64.StdEncoding.EncodeToString(key) && ed25519.Verify(key, c.message(), signature) {
			return true
		}
	}
	return false
}

// Checkpoint signs the present end of the log, stores the statement and gives
// it. An end that is signed already is signed once; an empty log is an error.
func (l *Log) Checkpoint(ctx context.Context, key ed25519.PrivateKey) (Checkpoint, error) {
	if err := l.Allow(ctx, AllTenants, AuditExport); err != nil {
		return Checkpoint{}, err
	}
	c := Checkpoint{At: l.time(), Key: base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))}
	err := l.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := tx.NewSelect().TableExpr("audit_head").Column("seq", "hash").Where("id = 1").Scan(ctx, &c.Seq, &c.Hash)
		if err != nil {
			return err
		}
		if c.Seq == 0 {
			return errors.New("the log is empty")
		}
		c.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, c.message()))
		if _, err := tx.NewInsert().Model(&c).On("CONFLICT (seq) DO NOTHING").Exec(ctx); err != nil {
			return err
		}
		return tx.NewSelect().Model(&c).WherePK().Scan(ctx)
	})
	if err != nil {
		return Checkpoint{}, fmt.Errorf("signing the audit log: %w", err)
	}
	return c, nil
}
