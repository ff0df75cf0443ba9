package connection

import (
	"context"
	"fmt"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Opened is a connection with its credential, for one validation.
type Opened struct {
	Connection
	Secret            secrets.Value // password, client secret, or certificate with key; empty if none is here
	CredentialVersion int64
}

// Open gives a connection with its credential, to whom may validate it.
func (s *Service) Open(ctx context.Context, id string) (Opened, error) {
	var r row
	err := s.DB.Read().NewSelect().Model(&r).ColumnExpr("?TableColumns, t.name AS tenant_name, length(c.secret) > 0 AS held").Join("JOIN tenants AS t ON t.id = c.tenant_id").Where("c.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return Opened{}, ErrMissing
	}
	if err != nil {
		return Opened{}, fmt.Errorf("reading a connection: %w", err)
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.ConnectionValidate); err != nil {
		return Opened{}, err
	}
	out := Opened{CredentialVersion: r.CredentialVersion}
	if out.Connection, err = r.connection(); err != nil || len(r.Secret) == 0 {
		return out, err
	}
	if out.Secret, err = s.Keys.Open(ctx, "connections", r.ID, "secret", r.Secret); err != nil {
		return Opened{}, err
	}
	if r.Certificate != "" {
		out.Secret = secrets.New(r.Certificate + out.Secret.Reveal())
	}
	return out, nil
}

// Claim demands, in the transaction that writes down the intent to send a
// connection's password, that it may be sent: *[ParkedError] if it was refused
// before, [ErrReplaced] if it is another one by now. It holds back whoever else
// wants to send it until the transaction ends.
func (s *Service) Claim(ctx context.Context, tx *sqldb.Tx, id string, version int64) error {
	done, err := tx.NewRaw("UPDATE connections SET credential_version = credential_version WHERE id = ? AND NOT parked AND credential_version = ?", id, version).Exec(ctx)
	if err != nil {
		return fmt.Errorf("claiming a password try: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	r, err := find(ctx, tx, id)
	switch {
	case err != nil:
		return err
	case r.Parked:
		return &ParkedError{r.ParkedReason}
	}
	return ErrReplaced
}

// Park ends the tries of a password, in the transaction that notes why. A
// password that was replaced meanwhile is not parked.
func (s *Service) Park(ctx context.Context, tx *sqldb.Tx, id string, version int64, reason string) error {
	done, err := tx.NewRaw("UPDATE connections SET parked = ?, parked_reason = ? WHERE id = ? AND credential_version = ?", true, reason, id, version).Exec(ctx)
	if err != nil {
		return fmt.Errorf("parking a connection: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := s.Audit.Act(ctx, tx, r.entry(audit.ConnectionValidate, "connection.parked", map[string]any{"reason": reason})); err != nil {
		return err
	}
	if err := s.changed(ctx, tx, id, nil); err != nil {
		return err
	}
	return s.announce(ctx, tx, r, "parked")
}

// Unpark lets a password be tried once more.
func (s *Service) Unpark(ctx context.Context, id string) error {
	return s.change(ctx, id, "connection.unparked", nil, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if _, err := tx.NewRaw("UPDATE connections SET parked = ?, parked_reason = '', version = version + 1 WHERE id = ?", false, r.ID).Exec(ctx); err != nil {
			return fmt.Errorf("taking a connection out of park: %w", err)
		}
		return s.changed(ctx, tx, id, nil)
	})
}
