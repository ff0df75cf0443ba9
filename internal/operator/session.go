package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Stage is how far a session has come.
type Stage string

// The stages.
const (
	StagePassword Stage = "password"  // the second factor is missing
	StageEnrol    Stage = "enrol"     // there is no second factor yet: one must be enrolled
	StageSignedIn Stage = "signed_in" // the operator may act
)

// How long sessions last: to the next step of signing in; without use; at most.
const (
	stepLifetime    = 10 * time.Minute
	enrolLifetime   = 30 * time.Minute
	idleLifetime    = 8 * time.Hour
	sessionLifetime = 7 * 24 * time.Hour
	// freshness is how long after signing in one may change how one signs in.
	freshness = 15 * time.Minute
	// seenEvery bounds how often the time of the last use is written.
	seenEvery = time.Minute
)

// Method is how a session was begun.
type Method string

// The methods.
const (
	Local Method = "local" // password and second factor
	SSO   Method = "sso"   // through the directory
)

// Session is one sign-in in one browser.
type Session struct {
	bun.BaseModel `bun:"table:sessions,alias:s" json:"-"`

	ID         string    `bun:"id,pk" json:"id"` // not the cookie
	TokenHash  string    `json:"-"`
	OperatorID string    `json:"operator_id"`
	Method     Method    `json:"method"`
	Stage      Stage     `json:"stage"`
	CreatedAt  time.Time `json:"created_at"` // of this stage
	SeenAt     time.Time `json:"seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Address    string    `json:"address"`
	UserAgent  string    `json:"user_agent"`
	Ceremony   []byte    `json:"-"`

	Operator *Operator `bun:"-" json:"-"`
}

// Issued is a session with the token that proves it. The token goes into a
// cookie (Secure, HttpOnly, SameSite) and is nowhere else.
type Issued struct {
	Token   secrets.Value
	Session *Session
}

func lifetime(stage Stage) time.Duration {
	switch stage {
	case StageSignedIn:
		return sessionLifetime
	case StageEnrol:
		return enrolLifetime
	default:
		return stepLifetime
	}
}

func (s *Service) openSession(ctx context.Context, tx *sqldb.Tx, o *Operator, stage Stage, visit Visit, change ...func(*Session)) (Issued, error) {
	now, token := s.time(), newToken()
	session := &Session{
		ID: newID(), TokenHash: hashToken(token), OperatorID: o.ID, Method: Local, Stage: stage, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(lifetime(stage)),
		Address: bounded(visit.Address), UserAgent: bounded(visit.UserAgent), Ceremony: []byte{}, Operator: o,
	}
	for _, c := range change {
		c(session)
	}
	if _, err := tx.NewInsert().Model(session).Exec(ctx); err != nil {
		return Issued{}, fmt.Errorf("opening a session: %w", err)
	}
	return Issued{token, session}, nil
}

// Authenticate finds the session of a token, and the operator as they are now.
// If the session is signed in, the context that is given back carries the
// operator as the actor; in an earlier stage nobody is. A token that is no longer
// good is [ErrSession].
func (s *Service) Authenticate(ctx context.Context, token secrets.Value, visit Visit) (context.Context, *Session, error) {
	if token.Empty() {
		return ctx, nil, ErrSession
	}
	var session Session
	err := s.db.Read().NewSelect().Model(&session).Where("token_hash = ?", hashToken(token)).Scan(ctx)
	if sqldb.Missing(err) {
		return ctx, nil, ErrSession
	}
	if err != nil {
		return ctx, nil, fmt.Errorf("reading a session: %w", err)
	}
	now := s.time()
	if !now.Before(session.ExpiresAt) || !now.Before(session.SeenAt.Add(idleLifetime)) {
		return ctx, nil, ErrSession
	}
	o, err := s.find(ctx, s.db.Read(), "id", session.OperatorID)
	if errors.Is(err, ErrMissing) || err == nil && o.DisabledAt != nil {
		return ctx, nil, ErrSession
	}
	if err != nil {
		return ctx, nil, err
	}
	session.Operator = o
	if now.Sub(session.SeenAt) >= seenEvery {
		if err := s.seen(ctx, &session, now); err != nil {
			return ctx, nil, err
		}
	}
	if session.Stage == StageSignedIn {
		ctx = audit.With(ctx, o.actor(visit.Address))
	}
	return ctx, &session, nil
}

func (s *Service) seen(ctx context.Context, session *Session, now time.Time) error {
	err := s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewUpdate().Model((*Session)(nil)).Set("seen_at = ?", now).Where("id = ?", session.ID).Where("seen_at < ?", now).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("noting the use of a session: %w", err)
	}
	session.SeenAt = now
	return nil
}

// complete turns a session into one that is signed in, with a new token, once
// the second factor has been given or enrolled; more runs in the same
// transaction.
func (s *Service) complete(ctx context.Context, session *Session, action string, details map[string]any, visit Visit, more func(context.Context, *sqldb.Tx) error) (Issued, error) {
	now, token := s.time(), newToken()
	o := session.Operator
	ctx = audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: o.ID, Name: o.Name, Address: visit.Address})
	next := *session
	next.TokenHash, next.Stage, next.Ceremony = hashToken(token), StageSignedIn, []byte{}
	next.CreatedAt, next.SeenAt, next.ExpiresAt = now, now, now.Add(sessionLifetime)
	err := s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Act(ctx, tx, o.self(action, details)); err != nil {
			return err
		}
		if err := mayLocal(ctx, tx, o); err != nil {
			return err
		}
		// The token that was used is good for one step.
		err := met(ErrSession)(tx.NewUpdate().Model(&next).ExcludeColumn("id", "operator_id").
			Where("id = ?", session.ID).Where("token_hash = ?", session.TokenHash).Where("stage = ?", session.Stage).Exec(ctx))
		if err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*Operator)(nil)).Set("failures = 0, locked_until = NULL").Where("id = ?", o.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("signing in: %w", err)
		}
		return more(ctx, tx)
	})
	if err != nil {
		return Issued{}, err
	}
	return Issued{token, &next}, nil
}

// bounded cuts what a browser says about itself.
func bounded(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), 300)], "\x00", ""), "")
}

// met demands that a statement met a row, and gives missing otherwise.
func met(missing error) func(result interface{ RowsAffected() (int64, error) }, err error) error {
	return func(result interface{ RowsAffected() (int64, error) }, err error) error {
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err == nil && n == 0 {
			return missing
		}
		return err
	}
}

// may demands what reading or ending an operator's sessions needs: for one's own
// nothing more, for others' the management of operators.
func may(ctx context.Context, operatorID string) audit.Permission {
	if a, ok := audit.From(ctx); ok && a.Kind == audit.Operator && a.ID == operatorID {
		return audit.Self
	}
	return audit.OperatorManage
}

// Sessions lists an operator's sessions, the last used first.
func (s *Service) Sessions(ctx context.Context, operatorID string) ([]Session, error) {
	if err := s.audit.Allow(ctx, audit.AllTenants, may(ctx, operatorID)); err != nil {
		return nil, err
	}
	var sessions []Session
	now := s.time()
	err := s.db.Read().NewSelect().Model(&sessions).ExcludeColumn("token_hash", "ceremony").Where("operator_id = ?", operatorID).
		Where("expires_at > ?", now).Where("seen_at > ?", now.Add(-idleLifetime)).OrderExpr("seen_at DESC, id DESC").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return sessions, nil
}

// Revoke ends one session.
func (s *Service) Revoke(ctx context.Context, sessionID string) error {
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var session Session
		err := tx.NewSelect().Model(&session).Where("id = ?", sessionID).Scan(ctx)
		if sqldb.Missing(err) {
			return ErrMissing
		}
		if err != nil {
			return fmt.Errorf("ending a session: %w", err)
		}
		err = s.audit.Act(ctx, tx, audit.Entry{Permission: may(ctx, session.OperatorID), Action: "session.revoked", ObjectKind: "operator", ObjectID: session.OperatorID, Details: map[string]any{"session": session.ID}})
		if err != nil {
			return err
		}
		return met(ErrMissing)(tx.NewDelete().Model((*Session)(nil)).Where("id = ?", sessionID).Exec(ctx))
	})
}

// SignOut ends the session itself, in whatever stage it is.
func (s *Service) SignOut(ctx context.Context, session *Session, visit Visit) error {
	o := session.Operator
	ctx = audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: o.ID, Name: o.Name, Address: visit.Address})
	return s.Revoke(ctx, session.ID)
}

// RevokeAll ends all sessions of an operator but one, whose id may be "".
func (s *Service) RevokeAll(ctx context.Context, operatorID, except string) error {
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := s.audit.Act(ctx, tx, audit.Entry{Permission: may(ctx, operatorID), Action: "sessions.revoked", ObjectKind: "operator", ObjectID: operatorID})
		if err != nil {
			return err
		}
		return endSessions(ctx, tx, operatorID, except)
	})
}

func endSessions(ctx context.Context, tx *sqldb.Tx, operatorID, except string) error {
	_, err := tx.NewDelete().Model((*Session)(nil)).Where("operator_id = ?", operatorID).Where("id <> ?", except).Exec(ctx)
	if err != nil {
		return fmt.Errorf("ending sessions: %w", err)
	}
	return nil
}

// Sweep deletes sessions and links that are no longer good, as a job does every
// hour.
func (s *Service) Sweep(ctx context.Context) error {
	if err := s.audit.Allow(ctx, audit.AllTenants, audit.OperatorManage); err != nil {
		return err
	}
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := s.time()
		_, err := tx.NewDelete().Model((*Session)(nil)).Where("expires_at <= ? OR seen_at <= ?", now, now.Add(-idleLifetime)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("sweeping sessions: %w", err)
		}
		_, err = tx.NewDelete().Model((*link)(nil)).Where("expires_at <= ?", now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("sweeping set-up links: %w", err)
		}
		_, err = tx.NewDelete().Model((*flowRow)(nil)).Where("created_at <= ?", now.Add(-2*flowLifetime)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("sweeping sign-ins: %w", err)
		}
		return nil
	})
}
