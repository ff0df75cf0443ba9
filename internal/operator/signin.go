package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

const (
	maxFailures = 10
	firstLock   = 15 * time.Minute
	longestLock = 24 * time.Hour
)

// lockTime is how long an account is locked after a number of failures in a row:
// each lock is twice as long as the one before.
func lockTime(failures int) time.Duration {
	if failures < maxFailures {
		return 0
	}
	return min(firstLock<<min(failures-maxFailures, 10), longestLock)
}

// SignIn checks e-mail address and password. If they are right it opens a
// session in which nothing can be done but to give a second factor. Any failure
// is [ErrSignIn], except a *[Limited] and [ErrNoFactor], which takes the right
// password; and all failures take the same time.
func (s *Service) SignIn(ctx context.Context, email string, password secrets.Value, visit Visit) (Issued, error) {
	if err := s.limiter.Take(visit.Address); err != nil {
		return Issued{}, err
	}
	answer := time.NewTimer(s.answerTime)
	defer answer.Stop()
	issued, err := s.signIn(ctx, email, password, visit)
	if errors.Is(err, ErrSignIn) {
		select {
		case <-answer.C:
		case <-ctx.Done():
		}
	}
	return issued, err
}

func (s *Service) signIn(ctx context.Context, email string, password secrets.Value, visit Visit) (Issued, error) {
	if tooLong(password) {
		return Issued{}, ErrSignIn
	}
	o, err := s.find(ctx, s.db.Read(), "email", normalise(email))
	if errors.Is(err, ErrMissing) {
		// What was typed is not written down: it may be a password.
		return s.turnAway(ctx, audit.Actor{Kind: audit.Visitor}, "no such account", password)
	}
	if err != nil {
		return Issued{}, err
	}
	actor := o.actor(visit.Address)
	if o.PasswordHash == "" || o.DisabledAt != nil {
		return s.turnAway(ctx, actor, "disabled, or no password yet", password)
	}
	if err := mayLocal(ctx, s.db.Read(), o); errors.Is(err, ErrLimited) {
		return s.turnAway(ctx, actor, "local sign-in is limited", password)
	} else if err != nil {
		return Issued{}, err
	}
	open, err := s.reserve(ctx, o.ID)
	if err != nil {
		return Issued{}, err
	}
	if !open {
		return s.turnAway(ctx, actor, "locked", password)
	}
	right, old, err := s.hasher.verify(ctx, o.PasswordHash, password)
	if err != nil {
		return Issued{}, err
	}
	if !right {
		return Issued{}, errors.Join(s.noteFailure(ctx, actor, "wrong password"), ErrSignIn)
	}
	return s.passwordRight(ctx, o, password, old, visit)
}

// turnAway does the work of checking a password in vain. These tries are only
// counted, so that nobody can fill the audit log from outside.
func (s *Service) turnAway(ctx context.Context, a audit.Actor, reason string, password secrets.Value) (Issued, error) {
	s.audit.Count(audit.With(ctx, a), "operator.sign_in refused: "+reason, a.ID, audit.AllTenants)
	return Issued{}, errors.Join(s.hasher.burn(ctx, password), ErrSignIn)
}

// noteFailure writes down a wrong password or second factor. The lock of the
// account bounds how often that happens.
func (s *Service) noteFailure(ctx context.Context, a audit.Actor, reason string) error {
	return s.note(ctx, a, audit.Entry{Permission: audit.Self, Action: "operator.sign_in", ObjectKind: "operator", ObjectID: a.ID, ObjectName: a.Name, Outcome: audit.OutcomeFailed, Details: map[string]any{"reason": reason}})
}

// passwordRight gives back the try that was reserved, but no more than it: an
// attacker who has the password must not be able to guess codes for ever.
func (s *Service) passwordRight(ctx context.Context, o *Operator, password secrets.Value, old bool, visit Visit) (Issued, error) {
	hash := o.PasswordHash
	if old {
		var err error
		if hash, err = s.hasher.hash(ctx, password); err != nil {
			return Issued{}, err
		}
	}
	var issued Issued
	err := s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := met(ErrSignIn)(tx.NewUpdate().Model((*Operator)(nil)).Set("failures = failures - 1, locked_until = NULL").Set("password_hash = ?", hash).
			Where("id = ?", o.ID).Where("password_hash = ?", o.PasswordHash).Exec(ctx))
		if err != nil {
			return fmt.Errorf("signing in: %w", err)
		}
		n, err := tx.NewSelect().Model((*factor)(nil)).Where("operator_id = ?", o.ID).Count(ctx)
		if err != nil {
			return fmt.Errorf("signing in: counting second factors: %w", err)
		}
		if n == 0 {
			return ErrNoFactor
		}
		issued, err = s.openSession(ctx, tx, o, StagePassword, visit)
		return err
	})
	if errors.Is(err, ErrNoFactor) {
		err = errors.Join(s.noteFailure(ctx, o.actor(visit.Address), "no second factor"), err)
	}
	return issued, err
}

// reserve counts one try before it is made, so that tries at the same moment
// cannot outrun the count, and locks the account if it is one too many. It
// reports whether the try may be made. Success takes it back.
func (s *Service) reserve(ctx context.Context, operatorID string) (open bool, err error) {
	err = s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := s.time()
		var failures int
		err := tx.NewUpdate().Model((*Operator)(nil)).Set("failures = failures + 1").
			Where("id = ?", operatorID).Where("disabled_at IS NULL").Where("locked_until IS NULL OR locked_until <= ?", now).
			Returning("failures").Scan(ctx, &failures)
		if open = !sqldb.Missing(err); !open {
			return nil
		}
		if err != nil {
			return err
		}
		if lock := lockTime(failures); lock > 0 {
			_, err = tx.NewUpdate().Model((*Operator)(nil)).Set("locked_until = ?", now.Add(lock)).Where("id = ?", operatorID).Exec(ctx)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("signing in: counting tries: %w", err)
	}
	return open, nil
}
