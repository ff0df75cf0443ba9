package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb"
)

const (
	// DefaultKeepAlive is after how long without a refresh an idle sign-in is
	// refreshed.
	DefaultKeepAlive = 30 * 24 * time.Hour
	// idleWarning is when an idle sign-in that nothing keeps alive is warned about.
	idleWarning = 75 * 24 * time.Hour
	// mostAlive bounds how many are refreshed at a time.
	mostAlive = 500
	// endsSoon is how long before a foreseen end it is told, at most; of shorter
	// spans it is told in their last quarter.
	endsSoon = 24 * time.Hour
)

// Repeat has the queue keep idle sign-ins alive, warn of ends, and forget tokens that
// have ended.
func (s *Service) Repeat(q *jobs.Queue) {
	jobs.Every(q, time.Hour, jobs.Kind[jobs.Tick]{Name: "token_keep_alive", Timeout: 30 * time.Minute, Attempts: 1, Lane: jobs.Long, Work: func(ctx context.Context, _ jobs.Tick) error {
		return errors.Join(s.StayAlive(system(ctx)), s.Warn(system(ctx)), s.clean(ctx))
	}})
}

// Run drops from memory what changes, on whichever replica, until the context ends,
// and waits for refreshes under way.
func (s *Service) Run(ctx context.Context) {
	defer s.background.Wait()
	defer s.end()
	for ctx.Err() == nil {
		events, err := s.Live.Subscribe(ctx, live.Filter{AllTenants: true}, "")
		if err != nil {
			return // without a last event nothing is read
		}
		s.memory.drop("", "") // what happened while nobody listened
		for e := range events {
			s.heard(e)
		}
	}
}

// heard drops what an event is about. Connections and tenants are announced under
// the tenant's topic, grants under their own.
func (s *Service) heard(e live.Event) {
	if e.Reload {
		s.memory.drop("", "")
		return
	}
	if id, ok := strings.CutPrefix(e.Topic, Topic); ok {
		s.memory.drop(id, "")
		return
	}
	if !strings.HasPrefix(e.Topic, "tenant/") {
		return
	}
	var about struct {
		Connection string `json:"connection"`
	}
	_ = json.Unmarshal(e.Data, &about) // without a connection it is about the tenant
	if about.Connection != "" {
		s.memory.drop(about.Connection, "")
		return
	}
	s.memory.drop("", e.Tenant)
}

// people are the connections whose person is signed in, of tenants that are not
// paused and further, after an id.
func (s *Service) people(ctx context.Context, where string, args ...any) ([]string, error) {
	var ids []string
	q := s.DB.Read().NewSelect().TableExpr("grants AS g").ColumnExpr("g.connection_id").Join("JOIN tenants AS t ON t.id = g.tenant_id").
		Where("length(g.refresh) > 0 AND g.signed_in_at IS NOT NULL AND NOT t.paused").Where(where, args...).OrderExpr("g.tenant_id, g.connection_id")
	if err := q.Scan(ctx, &ids); err != nil {
		return nil, fmt.Errorf("listing sign-ins: %w", err)
	}
	return ids, nil
}

// StayAlive refreshes sign-ins that were not used for long, so that they do not end
// for that. It is for chores.
func (s *Service) StayAlive(ctx context.Context) error {
	if s.KeepAlive < 0 {
		return nil
	}
	ids, err := s.people(ctx, "g.state = ? AND g.refreshed_at <= ?", Ready, s.time().Add(-s.KeepAlive))
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids[:min(len(ids), mostAlive)] {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.touch(ctx, id); err != nil {
			var refused *Refused
			if !errors.As(err, &refused) {
				errs = append(errs, fmt.Errorf("keeping connection %s alive: %w", id, err))
			}
		}
	}
	return errors.Join(errs...)
}

// touch refreshes a sign-in, for the service that the person signed in for.
func (s *Service) touch(ctx context.Context, id string) error {
	st, err := s.load(ctx, id)
	if errors.Is(err, connection.ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	uri, err := s.resourceOf(ctx, st, st.Resource)
	if err != nil {
		if uri, err = s.resourceOf(ctx, st, st.services()[0]); err != nil {
			return err
		}
	}
	_, _, err = s.obtain(ctx, id, target{resource: uri}, "", true)
	return err
}

// Warn tells of sign-ins that will end, once for each end. It is for chores.
func (s *Service) Warn(ctx context.Context) error {
	if s.Tell == nil {
		return nil
	}
	ids, err := s.people(ctx, "g.state = ?", Ready)
	if err != nil {
		return err
	}
	var snapshot *posture.Snapshot
	var of string
	for _, id := range ids {
		st, err := s.load(ctx, id)
		if errors.Is(err, connection.ErrMissing) {
			continue
		}
		if err != nil {
			return err
		}
		if st.OfTenant != of {
			if snapshot, err = s.snapshot(ctx, st.OfTenant); err != nil {
				return err
			}
			of = st.OfTenant
		}
		if err := s.warn(ctx, st, snapshot); err != nil {
			return err
		}
	}
	return nil
}

// warn tells of the nearest end of one sign-in, if it is near and was not told.
func (s *Service) warn(ctx context.Context, st *standing, snapshot *posture.Snapshot) error {
	now := s.time()
	key, text := "", ""
	var at time.Time
	for _, f := range s.foresee(st, snapshot) {
		if f.At == nil || !f.At.After(now) {
			continue
		}
		ahead := endsSoon
		if began := st.began(); began != nil {
			ahead = min(ahead, f.At.Sub(*began)/4)
		}
		if f.Rule == RuleIdle {
			ahead = idleEnd - idleWarning
		}
		if f.At.Sub(now) <= ahead {
			key, text, at = f.Rule+" "+f.At.UTC().Format(time.RFC3339), f.Text, *f.At
			break
		}
	}
	if key == "" || key == st.Warned {
		return nil
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.NewRaw("UPDATE grants SET warned = ? WHERE connection_id = ?", key, st.ID).Exec(ctx); err != nil {
			return fmt.Errorf("noting a warning: %w", err)
		}
		return s.Tell(ctx, tx, News{
			ConnectionID: st.ID, TenantID: st.OfTenant, Name: st.Name, State: st.State, What: "ends", Path: path(st.ID), At: now,
			Title: fmt.Sprintf("The sign-in of %s for %s ends on %s", st.Username, st.Name, at.UTC().Format("2 January 2006 15:04 UTC")), Text: text,
		})
	})
}

// clean forgets tokens that have ended.
func (s *Service) clean(ctx context.Context) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.NewRaw("DELETE FROM access_tokens WHERE expires_at < ?", s.time()).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting tokens that have ended: %w", err)
		}
		return nil
	})
}
