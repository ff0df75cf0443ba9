package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Previous is what stood in a profile before it was converted to a common one.
type Previous struct {
	At         time.Time      `json:"at"`
	MFA        bool           `json:"mfa"`
	Credential CredentialKind `json:"credential"`
	Held       string         `json:"held"`             // who held the credential
	Parked     string         `json:"parked,omitempty"` // why it was, "" if it was not
}

// The errors of a conversion that callers tell apart.
var (
	// ErrCommon says that there is nothing to convert.
	ErrCommon = errors.New("the profile is a common one already: it has neither the MFA flag nor an app password")
	// ErrNoUndo says that a conversion can no longer be undone.
	ErrNoUndo = errors.New("there is nothing to undo: no conversion is waiting for its new password to be accepted")
	// ErrConverting says that a conversion is under way.
	ErrConverting = errors.New("the profile was converted already, and its new password was not accepted yet: validate it, or undo the conversion first")
)

// Convertible reports whether a connection is a profile of the old kind, which
// [Service.ToCommon] converts.
func (c Connection) Convertible() bool {
	return c.Kind == ServiceAccount && (c.MFA || c.Credential == AppPassword)
}

// ToCommon converts a profile to a common one: it clears the MFA flag, and puts
// the account's own password in place of what was there. What was there is
// kept sealed until a validation finds the new password accepted, so that
// [Service.UndoConversion] can bring it back. An empty password is right only
// where the old one is an ordinary password already, or the consumer alone holds
// the credential.
func (s *Service) ToCommon(ctx context.Context, id string, version int64, password secrets.Value) (Connection, error) {
	err := s.change(ctx, id, "connection.converted", map[string]any{"to": "common"}, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		c, err := r.connection()
		switch {
		case err != nil:
			return err
		case r.Version != version:
			return ErrConflict
		case c.Previous != nil:
			return ErrConverting
		case !c.Convertible():
			return ErrCommon
		}
		var f faults
		if password.Empty() && c.Consumer.HoldsCredential == HeldHere && c.Credential == AppPassword {
			f.Add("password", "is missing", "enter the account's ordinary password: the app password does not work without the flag")
		}
		f.password(password.Reveal(), Password)
		if err := f.Err(); err != nil {
			return err
		}
		return s.convert(ctx, tx, r, c, password)
	})
	if err != nil {
		return Connection{}, err
	}
	return s.Get(ctx, id)
}

func (s *Service) convert(ctx context.Context, tx *sqldb.Tx, r *row, c Connection, password secrets.Value) error {
	version := r.Version
	r.Version++
	r.CredentialVersion++
	r.Previous = encode(Previous{At: s.time(), MFA: c.MFA, Credential: c.Credential, Held: c.Consumer.HoldsCredential, Parked: c.ParkedReason})
	r.MFA, r.Credential = false, Password
	old, err := s.sealed(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	r.PreviousSecret, r.Secret = []byte{}, old
	columns := []string{"mfa", "credential", "previous", "previous_secret", "version", "credential_version"}
	if !password.Empty() {
		if r.PreviousSecret, err = s.reseal(ctx, tx, r.ID, old, "secret", "previous_secret"); err != nil {
			return err
		}
		if r.Secret, err = s.Keys.Seal(ctx, tx, "connections", r.ID, "secret", password); err != nil {
			return err
		}
		r.Parked, r.ParkedReason = false, ""
		columns = append(columns, "secret", "parked", "parked_reason")
	}
	return r.save(ctx, tx, version, columns...)
}

// sealed reads a connection's credential as it is stored.
func (s *Service) sealed(ctx context.Context, tx *sqldb.Tx, id string) ([]byte, error) {
	var r row
	if err := tx.NewSelect().Model(&r).Column("secret").Where("id = ?", id).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading a credential: %w", err)
	}
	return r.Secret, nil
}

// reseal seals what was sealed for one column for another one of the same row.
func (s *Service) reseal(ctx context.Context, tx *sqldb.Tx, id string, sealed []byte, from, to string) ([]byte, error) {
	if len(sealed) == 0 {
		return []byte{}, nil
	}
	v, err := s.Keys.Open(ctx, "connections", id, from, sealed)
	if err != nil {
		return nil, err
	}
	return s.Keys.Seal(ctx, tx, "connections", id, to, v)
}

// UndoConversion brings back what [Service.ToCommon] replaced. [ErrNoUndo] once
// the new password was accepted.
func (s *Service) UndoConversion(ctx context.Context, id string) (Connection, error) {
	err := s.change(ctx, id, "connection.conversion_undone", nil, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		c, err := r.connection()
		if err != nil {
			return err
		}
		if c.Previous == nil {
			return ErrNoUndo
		}
		var kept row
		if err := tx.NewSelect().Model(&kept).Column("previous_secret").Where("id = ?", id).Scan(ctx); err != nil {
			return fmt.Errorf("reading a credential: %w", err)
		}
		version := r.Version
		r.Version++
		r.CredentialVersion++
		r.MFA, r.Credential, r.Previous, r.PreviousSecret = c.Previous.MFA, c.Previous.Credential, "", []byte{}
		columns := []string{"mfa", "credential", "previous", "previous_secret", "version", "credential_version"}
		if len(kept.PreviousSecret) > 0 || c.Previous.Held == HeldByConsumer {
			if r.Secret, err = s.reseal(ctx, tx, id, kept.PreviousSecret, "previous_secret", "secret"); err != nil {
				return err
			}
			r.Parked, r.ParkedReason = c.Previous.Parked != "", c.Previous.Parked // a refused password stays refused
			columns = append(columns, "secret", "parked", "parked_reason")
		}
		return r.save(ctx, tx, version, columns...)
	})
	if err != nil {
		return Connection{}, err
	}
	return s.Get(ctx, id)
}

// Accepted notes, in the transaction that notes the outcome of a try, that
// Microsoft took a credential of that version: what a conversion replaced is
// forgotten then.
func (s *Service) Accepted(ctx context.Context, tx *sqldb.Tx, id string, version int64) error {
	done, err := tx.NewRaw("UPDATE connections SET previous = '', previous_secret = ? WHERE id = ? AND credential_version = ? AND previous <> ''", []byte{}, id, version).Exec(ctx)
	if err != nil {
		return fmt.Errorf("ending a conversion: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := s.Audit.Act(ctx, tx, r.entry(audit.ConnectionValidate, "connection.conversion_proved", nil)); err != nil {
		return err
	}
	return s.announce(ctx, tx, r, "converted")
}

// Retire takes a profile that was converted to an app out of use, in the
// transaction that notes it: it is parked, so that nothing here signs in with it
// any more. [Service.Unpark] brings it back.
func (s *Service) Retire(ctx context.Context, tx *sqldb.Tx, id, reason string) error {
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := s.Audit.Act(ctx, tx, r.entry(audit.ConnectionManage, "connection.retired", map[string]any{"reason": reason})); err != nil {
		return err
	}
	if _, err := tx.NewRaw("UPDATE connections SET parked = ?, parked_reason = ?, version = version + 1 WHERE id = ?", true, reason, id).Exec(ctx); err != nil {
		return fmt.Errorf("retiring a connection: %w", err)
	}
	return s.announce(ctx, tx, r, "retired")
}
