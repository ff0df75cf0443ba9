package tenant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// ErrReplaced says that the reader's certificate is another one by now.
var ErrReplaced = errors.New("the reader's certificate was replaced meanwhile")

// Held is the certificate that a reader has at present, with its key.
type Held struct {
	ClientID    string
	Certificate string // PEM
	Key         secrets.Value
	Thumbprint  string
	NotAfter    time.Time
	Works       bool // as far as the last check says
}

// ReaderCertificate gives the certificate of a tenant's reader, for the feature
// that replaces it and has authorised on the tenant; [ErrNoReader] if there is no
// reader.
func (s *Service) ReaderCertificate(ctx context.Context, id string) (Held, error) {
	r, err := findReader(ctx, s.DB.Read(), id)
	if err != nil {
		return Held{}, err
	}
	if r == nil {
		return Held{}, ErrNoReader
	}
	key, err := s.Keys.Open(ctx, "readers", r.TenantID, "private_key", r.PrivateKey)
	if err != nil {
		return Held{}, err
	}
	return Held{ClientID: r.ClientID, Certificate: r.Certificate, Key: key, Thumbprint: r.Thumbprint, NotAfter: r.NotAfter.UTC(), Works: r.State == ReaderWorks}, nil
}

// SwapReader puts another certificate into use for a tenant's reader, in the
// transaction of the feature that saw it accepted and has authorised: in place of
// the one with a thumbprint, [ErrReplaced] if it is another one by now.
func (s *Service) SwapReader(ctx context.Context, tx *sqldb.Tx, id, thumbprint string, made login.Made) error {
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	sealed, err := s.Keys.Seal(ctx, tx, "readers", id, "private_key", made.Key)
	if err != nil {
		return err
	}
	done, err := tx.NewUpdate().Model((*readerRow)(nil)).Set("certificate = ?, private_key = ?, thumbprint = ?, not_after = ?", made.Certificate, sealed, made.Thumbprint, made.NotAfter.UTC()).
		Where("tenant_id = ? AND thumbprint = ?", id, strings.ToUpper(thumbprint)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("putting a reader's certificate into use: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrReplaced)
	}
	if err := s.Audit.Act(ctx, tx, r.entry(audit.ConsentManage, "reader.rotated", map[string]any{"from": thumbprint, "to": made.Thumbprint})); err != nil {
		return err
	}
	return s.announce(ctx, tx, id, "reader.rotated")
}
