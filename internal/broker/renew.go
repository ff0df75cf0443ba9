package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

const (
	// askFor bounds one question to the sign-in service with its repetitions.
	askFor = 40 * time.Second
	// DefaultClaim is how long a claim lasts unless it is renewed: how long others
	// wait for a process that was killed.
	DefaultClaim = 5 * time.Second
)

// claim takes the right to ask the service for a connection; false if another
// process has it. It is one statement, so that nobody is stopped with it half done.
func (s *Service) claim(ctx context.Context, st *standing) (bool, error) {
	if !st.HasRow {
		r := fresh(st.ID, st.OfTenant, s.time())
		if err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.NewInsert().Model(r).On("CONFLICT DO NOTHING").Exec(ctx)
			return err
		}); err != nil {
			return false, fmt.Errorf("noting a connection: %w", err)
		}
	}
	return s.extend(ctx, st.ID, true)
}

// extend takes the claim, or renews it. Claims go by the database's clock and not
// by the service's, as they are about processes.
func (s *Service) extend(ctx context.Context, id string, fresh bool) (bool, error) {
	db, err := s.DB.Single(ctx)
	if err != nil {
		return false, err
	}
	where := "claimant = ?"
	args := []any{s.me, s.DB.Clock(time.Now, s.Claim), id, s.me}
	if fresh {
		where = "(claimant IN ('', ?) OR claimed_until <= ?)"
		args = append(args, s.DB.Clock(time.Now, 0))
	}
	done, err := db.NewRaw("UPDATE grants SET claimant = ?, claimed_until = ? WHERE connection_id = ? AND "+where, args...).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("claiming a refresh: %w", err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// release gives a claim back after which nothing was written.
func (s *Service) release(ctx context.Context, id string) error {
	db, err := s.DB.Single(ctx)
	if err == nil {
		_, err = db.NewRaw("UPDATE grants SET claimant = '', claimed_until = NULL WHERE connection_id = ? AND claimant = ?", id, s.me).Exec(ctx)
	}
	if err != nil {
		return fmt.Errorf("giving back a claim: %w", err)
	}
	return nil
}

// holding renews a claim until it is told to stop.
func (s *Service) holding(ctx context.Context, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(s.Claim / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, err := s.extend(ctx, id, false); err != nil && ctx.Err() == nil {
					s.Log.Warn("renewing a claim", "connection", id, "error", err) // another may take it; both then store in turn
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

// renew asks the service, with the claim in hand, and stores what it says before
// anybody gets it. A caller who leaves meanwhile changes nothing. The old token,
// which is still good or nil, is given if there is no new one.
func (s *Service) renew(ctx context.Context, id string, t target, challenge string, old *kept) (*kept, *standing, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
	defer cancel()
	stop := s.holding(ctx, id)
	defer stop()
	// As it is now that nobody else may ask.
	st, err := s.load(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if k, err := s.stored(ctx, st, t); err != nil || k.good(s.Now()) && (old == nil || k.gotAt.After(old.gotAt)) {
		if err == nil {
			err = errAgain // another has asked since
		}
		return nil, nil, errors.Join(err, s.release(ctx, id))
	}
	earned, err := s.ask(ctx, st, t, challenge)
	stop()
	// What the service said must be stored, however long it took to say it.
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), askFor)
	defer end()
	if err == nil && !earned.Expires.After(s.Now().Add(least)) {
		err = &microsoft.Error{Service: microsoft.ServiceLogin, Op: "getting a token", Status: 200, Message: "the service gave out a token that has ended already", Err: login.ErrExpired}
	}
	if err != nil {
		return s.failed(ctx, st, t.resource, challenge, old, err)
	}
	k := s.kept(earned.Token, t, challenge)
	return s.succeeded(ctx, st, k, earned.Refresh)
}

// succeeded stores a token and the refresh token that came with it.
func (s *Service) succeeded(ctx context.Context, st *standing, k *kept, refresh secrets.Value) (*kept, *standing, error) {
	before := st.State
	after := *st
	err := s.change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		after = *st
		now := s.time()
		if before != Ready {
			after.Since = now
		}
		after.State, after.Turn, after.RefreshedAt = Ready, st.Turn+1, &now
		after.Diagnosis, after.Reason, after.Failure, after.Failures, after.RetryAt = "", "", "", 0, nil
		if !refresh.Empty() {
			sealed, err := s.Keys.Seal(ctx, tx, "grants", st.ID, "refresh", refresh)
			if err != nil {
				return err
			}
			after.Refresh = sealed
		}
		if err := after.write(ctx, tx, st.Turn, "refresh", "turn", "refreshed_at", "state", "since", "diagnosis", "reason", "failure", "failures", "retry_at"); err != nil {
			return err
		}
		if err := s.keepToken(ctx, tx, &after, k); err != nil {
			return err
		}
		details := map[string]any{"resource": k.resource, "expires_at": k.token.Expires.UTC(), "correlation_id": k.token.CorrelationID}
		if k.cae {
			details["cae"] = true
		}
		action := ActionRefreshed
		if before != Ready {
			action = ActionRecovered
		}
		if err := s.Audit.Act(ourselves(ctx), tx, st.entry(audit.ConnectionUse, action, details)); err != nil {
			return err
		}
		if before == Ready {
			return nil
		}
		return s.moved(ctx, tx, &after, before)
	})
	if err != nil {
		return nil, nil, s.lost(ctx, st.ID, err)
	}
	return k, &after, nil
}

// write stores columns of a row, and gives the claim back, unless somebody else
// stored something since it was read: [errAgain].
func (st *standing) write(ctx context.Context, tx *sqldb.Tx, turn int64, columns ...string) error {
	st.Claimant, st.ClaimedUntil = "", nil
	done, err := tx.NewUpdate().Model(&st.grantRow).Column(append(columns, "claimant", "claimed_until")...).
		Where("connection_id = ? AND generation = ? AND turn = ?", st.ID, st.Generation, turn).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keeping a refresh: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, errAgain)
	}
	return nil
}

// lost gives back the claim of what could not be stored.
func (s *Service) lost(ctx context.Context, id string, err error) error {
	return errors.Join(err, s.release(ctx, id))
}

// ourselves is the actor of what the broker does, whoever asked: their uses are
// counted.
func ourselves(ctx context.Context) context.Context { return audit.AsSystem(ctx, "token_broker") }

// failed stores a refusal, and gives the old token while it is good.
func (s *Service) failed(ctx context.Context, st *standing, uri, challenge string, old *kept, err error) (*kept, *standing, error) {
	var e *microsoft.Error
	if !errors.As(err, &e) {
		// Nothing was asked: the fault is on this side.
		var refused *Refused
		err = errors.Join(err, s.release(ctx, st.ID))
		if errors.As(err, &refused) && old != nil && challenge == "" {
			return old, st, nil
		}
		return nil, nil, err
	}
	v := s.judge(st, err, e)
	if challenge != "" && !v.passing {
		// It is about this challenge: other tokens can be had as before.
		r := s.refusal(st, v, e)
		s.challenges.refused(st, challenge, s.Now().Add(coolLeast), r)
		return nil, nil, errors.Join(r, s.release(ctx, st.ID))
	}
	before := st.State
	after := *st
	stored := s.change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		after = *st
		now := s.time()
		at := now.Add(v.wait)
		after.Failures, after.RetryAt = st.Failures+1, &at
		if !v.passing {
			text, err := json.Marshal(v.diagnosis)
			if err != nil {
				return fmt.Errorf("encoding a diagnosis: %w", err)
			}
			after.Diagnosis, after.Reason = string(text), v.reason
			if after.State = v.state; after.State != before {
				after.Since = now
			}
			if days := daysSince(st.AuthTime, now); slices.Contains(mfaOver, e.Code) && days > 0 {
				after.FactorLasted = days
			}
		}
		if after.Failure, err = encode(st, e); err != nil {
			return err
		}
		if err := after.write(ctx, tx, st.Turn, "state", "since", "diagnosis", "reason", "failure", "failures", "retry_at", "factor_lasted"); err != nil {
			return err
		}
		entry := st.entry(audit.ConnectionUse, ActionRefused, map[string]any{"resource": uri, "state": after.State, "code": e.Code, "status": e.Status, "correlation_id": e.CorrelationID, "retry_at": at})
		entry.Outcome = audit.OutcomeFailed
		if err := s.Audit.Act(ourselves(ctx), tx, entry); err != nil {
			return err
		}
		tx.OnCommit(func() { s.memory.drop(st.ID, "") })
		if after.State == before {
			return nil
		}
		return s.moved(ctx, tx, &after, before)
	})
	if stored != nil {
		return nil, nil, s.lost(ctx, st.ID, stored)
	}
	if old != nil && challenge == "" {
		if old.refreshAt.Before(*after.RetryAt) {
			old.refreshAt = *after.RetryAt
		}
		return old, &after, nil
	}
	v.reason = after.Reason
	if v.passing {
		v.reason = "the sign-in service gave no token just now: " + e.Error()
	}
	return nil, nil, s.refusal(&after, v, e)
}

func (s *Service) refusal(st *standing, v verdict, e *microsoft.Error) *Refused {
	d := v.diagnosis
	r := s.refuse(st, v.state, v.reason, &d)
	r.Err, r.RetryAfter, r.Claims = e, v.wait, e.Claims
	return r
}

func encode(st *standing, e *microsoft.Error) (string, error) {
	text, err := json.Marshal(said{st.stamp(), e.Service, e.Op, e.Code, e.OAuth, e.Suberror, e.Message, e.Claims, e.CorrelationID, e.RequestID, e.Timestamp, e.Status})
	if err != nil {
		return "", fmt.Errorf("encoding a refusal: %w", err)
	}
	return string(text), nil
}
