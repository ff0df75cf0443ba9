package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Held is the certificate that a connection has at present, with its key.
type Held struct {
	TenantID    string
	Name        string
	ClientID    string
	Certificate string // PEM
	Key         secrets.Value
	Thumbprint  string
	NotAfter    time.Time
}

// HeldCertificate gives the certificate of a connection to whom may manage it;
// [ErrNoCertificate] if there is none here.
func (s *Service) HeldCertificate(ctx context.Context, id string) (Held, error) {
	var r row
	err := s.DB.Read().NewSelect().Model(&r).Where("c.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return Held{}, ErrMissing
	}
	if err != nil {
		return Held{}, fmt.Errorf("reading a connection: %w", err)
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.ConnectionManage); err != nil {
		return Held{}, err
	}
	if r.Kind != App || r.Certificate == "" || len(r.Secret) == 0 || r.CredentialNotAfter == nil {
		return Held{}, ErrNoCertificate
	}
	key, err := s.Keys.Open(ctx, "connections", r.ID, "secret", r.Secret)
	if err != nil {
		return Held{}, err
	}
	return Held{TenantID: r.TenantID, Name: r.Name, ClientID: r.ClientID, Certificate: r.Certificate, Key: key, Thumbprint: r.Thumbprint, NotAfter: r.CredentialNotAfter.UTC()}, nil
}

// SwapCertificate puts another certificate into use for a connection, in the
// transaction of the feature that saw it accepted: in place of the one with a
// thumbprint, [ErrReplaced] if it is another one by now.
func (s *Service) SwapCertificate(ctx context.Context, tx *sqldb.Tx, id, thumbprint string, made login.Made) error {
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := s.Audit.Act(ctx, tx, r.entry(audit.ConnectionManage, "credential.rotated", map[string]any{"from": thumbprint, "to": made.Thumbprint})); err != nil {
		return err
	}
	sealed, err := s.Keys.Seal(ctx, tx, "connections", id, "secret", made.Key)
	if err != nil {
		return err
	}
	done, err := tx.NewUpdate().Model((*row)(nil)).ModelTableExpr("connections").
		Set("certificate = ?, secret = ?, thumbprint = ?, credential_not_after = ?, credential_version = credential_version + 1, version = version + 1", made.Certificate, sealed, made.Thumbprint, made.NotAfter.UTC()).
		Where("id = ? AND thumbprint = ?", id, thumbprint).Exec(ctx)
	if err != nil {
		return fmt.Errorf("putting a connection's certificate into use: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrReplaced)
	}
	return s.announce(ctx, tx, r, "credential.rotated")
}
