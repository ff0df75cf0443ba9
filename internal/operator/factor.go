package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// The kinds of second factors.
const (
	kindPasskey = "passkey"
	kindTOTP    = "totp"
)

// maxFactors bounds the second factors of one operator: see [ErrManyFactors].
const maxFactors = 10

// factor is a second factor as it is stored.
type factor struct {
	bun.BaseModel `bun:"table:operator_factors,alias:f"`

	ID         string `bun:"id,pk"`
	OperatorID string
	Kind       string
	Name       string
	Credential []byte
	Handle     string
	LastStep   int64
	CreatedAt  time.Time
	UsedAt     *time.Time
}

// Factor is a second factor for people to look at.
type Factor struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind"` // passkey, totp
	Name      string     `json:"name"`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"used_at,omitempty"`
}

// Factors lists an operator's second factors.
func (s *Service) Factors(ctx context.Context, operatorID string) ([]Factor, error) {
	if err := s.audit.Allow(ctx, audit.AllTenants, may(ctx, operatorID)); err != nil {
		return nil, err
	}
	return s.factors(ctx, operatorID)
}

func (s *Service) factors(ctx context.Context, operatorID string) ([]Factor, error) {
	var all []Factor
	err := s.db.Read().NewSelect().Model((*factor)(nil)).Column("id", "kind", "name", "created_at", "used_at").
		Where("operator_id = ?", operatorID).Order("created_at", "id").Scan(ctx, &all)
	if err != nil {
		return nil, fmt.Errorf("listing second factors: %w", err)
	}
	return all, nil
}

// FactorKinds are the kinds of second factors that a session in the stage
// "password" can go on with.
func (s *Service) FactorKinds(ctx context.Context, session *Session) (passkey, totp bool, err error) {
	all, err := s.factors(ctx, session.OperatorID)
	for _, f := range all {
		passkey = passkey || f.Kind == kindPasskey
		totp = totp || f.Kind == kindTOTP
	}
	return passkey, totp, err
}

// RemoveFactor takes away one of the signed-in operator's own second factors,
// but not the last.
func (s *Service) RemoveFactor(ctx context.Context, session *Session, factorID string) error {
	if err := s.mayEnrol(session); err != nil {
		return err
	}
	o := session.Operator
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Act(ctx, tx, o.self("factor.removed", map[string]any{"factor": factorID})); err != nil {
			return err
		}
		if err := lockOperator(ctx, tx, o.ID); err != nil {
			return err
		}
		err := met(ErrMissing)(tx.NewDelete().Model((*factor)(nil)).Where("id = ?", factorID).Where("operator_id = ?", o.ID).Exec(ctx))
		if err != nil {
			return err
		}
		n, err := tx.NewSelect().Model((*factor)(nil)).Where("operator_id = ?", o.ID).Count(ctx)
		if err == nil && n == 0 {
			return ErrOnlyFactor
		}
		return err
	})
}

// lockOperator makes changes of one operator wait for each other.
func lockOperator(ctx context.Context, tx *sqldb.Tx, id string) error {
	return met(ErrMissing)(tx.NewUpdate().Model((*Operator)(nil)).Set("failures = failures").Where("id = ?", id).Exec(ctx))
}

// mayEnrol demands a session in which second factors may be changed: during
// set-up, or just signed in. A cookie that was stolen later cannot.
func (s *Service) mayEnrol(session *Session) error {
	switch {
	case session.Method == SSO:
		return ErrNotLocal
	case session.Stage == StageEnrol:
		return nil
	case session.Stage != StageSignedIn:
		return ErrSession
	case s.time().Sub(session.CreatedAt) > freshness:
		return ErrStale
	default:
		return nil
	}
}

// enrol stores a new second factor and signs the session in.
func (s *Service) enrol(ctx context.Context, session *Session, f factor, credential secrets.Value, visit Visit) (Issued, error) {
	f.Name = strings.TrimSpace(bounded(f.Name))
	if f.Name == "" {
		f.Name = f.Kind
	}
	f.ID, f.OperatorID, f.CreatedAt = newID(), session.OperatorID, s.time()
	details := map[string]any{"factor": f.ID, "kind": f.Kind, "name": f.Name}
	return s.complete(ctx, session, "factor.enrolled", details, visit, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.NewSelect().Model((*factor)(nil)).Where("operator_id = ?", f.OperatorID).Count(ctx)
		if err != nil {
			return fmt.Errorf("enrolling a second factor: %w", err)
		}
		if n >= maxFactors {
			return ErrManyFactors
		}
		if f.Credential, err = s.keyring.Seal(ctx, tx, "operator_factors", f.ID, "credential", credential); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&f).Exec(ctx); err != nil {
			return fmt.Errorf("enrolling a second factor: %w", err)
		}
		return nil
	})
}

// stored gives the operator's second factors of a kind, each with its opened
// credential.
func (s *Service) stored(ctx context.Context, operatorID, kind string) ([]factor, []secrets.Value, error) {
	var all []factor
	err := s.db.Read().NewSelect().Model(&all).Where("operator_id = ?", operatorID).Where("kind = ?", kind).Order("created_at", "id").Scan(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading second factors: %w", err)
	}
	credentials := make([]secrets.Value, len(all))
	for i, f := range all {
		if credentials[i], err = s.keyring.Open(ctx, "operator_factors", f.ID, "credential", f.Credential); err != nil {
			return nil, nil, err
		}
	}
	return all, credentials, nil
}

// ceremony is what a browser must answer. Each session has one at most.
type ceremony struct {
	Kind    string                `json:"kind"`
	Enrol   bool                  `json:"enrol"`
	Expires time.Time             `json:"expires"`
	TOTP    string                `json:"totp,omitempty"`
	Passkey *webauthn.SessionData `json:"passkey,omitempty"`
}

// begin stores a ceremony, in place of one that was begun before.
func (s *Service) begin(ctx context.Context, session *Session, c ceremony) error {
	c.Expires = s.time().Add(stepLifetime)
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("beginning to sign in: %w", err)
	}
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		sealed, err := s.keyring.Seal(ctx, tx, "sessions", session.ID, "ceremony", secrets.New(string(text)))
		if err != nil {
			return err
		}
		return met(ErrSession)(setCeremony(tx, session, sealed).Exec(ctx))
	})
}

// setCeremony stores a ceremony, if the session still is in its stage.
func setCeremony(tx *sqldb.Tx, session *Session, sealed []byte) *bun.UpdateQuery {
	return tx.NewUpdate().Model((*Session)(nil)).Set("ceremony = ?", sealed).Where("id = ?", session.ID).Where("token_hash = ?", session.TokenHash)
}

// pending reads the ceremony that the session is in.
func (s *Service) pending(ctx context.Context, session *Session, kind string, enrol bool) (c ceremony, sealed []byte, err error) {
	var now Session
	err = s.db.Read().NewSelect().Model(&now).Column("ceremony").Where("id = ?", session.ID).Where("token_hash = ?", session.TokenHash).Scan(ctx)
	if sqldb.Missing(err) {
		return c, nil, ErrSession
	}
	if err != nil {
		return c, nil, fmt.Errorf("reading a session: %w", err)
	}
	if len(now.Ceremony) == 0 {
		return c, nil, ErrFactor
	}
	text, err := s.keyring.Open(ctx, "sessions", session.ID, "ceremony", now.Ceremony)
	if err != nil {
		return c, nil, err
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &c); err != nil {
		return c, nil, fmt.Errorf("reading a session: %w", err)
	}
	if c.Kind != kind || c.Enrol != enrol || !s.time().Before(c.Expires) {
		return c, nil, ErrFactor
	}
	return c, now.Ceremony, nil
}

// take is pending for a ceremony that may be answered once, rightly or wrongly.
func (s *Service) take(ctx context.Context, session *Session, kind string, enrol bool) (ceremony, error) {
	c, sealed, err := s.pending(ctx, session, kind, enrol)
	if err != nil {
		return c, err
	}
	return c, s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return met(ErrSession)(setCeremony(tx, session, []byte{}).Where("ceremony = ?", sealed).Exec(ctx))
	})
}

// attempt counts one try to give the second factor.
func (s *Service) attempt(ctx context.Context, session *Session, visit Visit) error {
	if session.Stage != StagePassword {
		return ErrSession
	}
	if err := s.limiter.Take(visit.Address); err != nil {
		return err
	}
	open, err := s.reserve(ctx, session.OperatorID)
	if err == nil && !open {
		return ErrFactor
	}
	return err
}

// wrong writes down a try that failed.
func (s *Service) wrong(ctx context.Context, session *Session, reason string, visit Visit) error {
	return errors.Join(s.noteFailure(ctx, session.Operator.actor(visit.Address), reason), ErrFactor)
}

// used completes the sign-in with a factor, and stores what the next use is
// measured against: the step of the code, or the passkey's new record. If
// somebody else used the factor meanwhile, it counts as wrong.
func (s *Service) used(ctx context.Context, session *Session, was factor, step int64, record secrets.Value, visit Visit) (Issued, error) {
	at := s.time()
	return s.complete(ctx, session, "operator.sign_in", map[string]any{"factor": was.ID, "kind": was.Kind}, visit, func(ctx context.Context, tx *sqldb.Tx) error {
		credential := was.Credential
		if !record.Empty() {
			var err error
			if credential, err = s.keyring.Seal(ctx, tx, "operator_factors", was.ID, "credential", record); err != nil {
				return err
			}
		}
		return met(ErrFactor)(tx.NewUpdate().Model((*factor)(nil)).Set("last_step = ?", step).Set("credential = ?", credential).Set("used_at = ?", at).
			Where("id = ?", was.ID).Where("last_step = ?", was.LastStep).Where("credential = ?", was.Credential).Exec(ctx))
	})
}
