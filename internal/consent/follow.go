package consent

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
)

type readArgs struct {
	Tenant       string `json:"tenant"`
	Registration string `json:"registration"`
}

type followArgs struct {
	Tenant       string    `json:"tenant"`
	Registration string    `json:"registration"`
	Step         int       `json:"step"`
	Began        time.Time `json:"began"`
}

// How long a consent is followed after its page was used, and after how long each
// next look comes: an approval is seen within a minute for the first hour.
const (
	followFor  = 6 * time.Hour
	closeFor   = time.Hour
	followSlow = 5 * time.Minute
)

var followSteps = []time.Duration{0, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute}

// wait is how long before a look, so long after the page was used.
func wait(step int, since time.Duration) time.Duration {
	if step < len(followSteps) {
		return followSteps[step]
	}
	if since < closeFor {
		return followSteps[len(followSteps)-1]
	}
	return followSlow
}

// Repeat has the queue read every consent once a day, and forget what has expired.
func (s *Service) Repeat() {
	jobs.Every(s.Jobs, 24*time.Hour, jobs.Kind[jobs.Tick]{Name: "consent_day", Work: s.plan, Lane: jobs.Long})
	jobs.Every(s.Jobs, time.Hour, jobs.Kind[jobs.Tick]{Name: "consent_sweep", Work: func(ctx context.Context, _ jobs.Tick) error {
		return s.sweep(audit.AsSystem(ctx, "consent_sweep"))
	}})
}

func readOptions(tenantID string, at time.Time) jobs.Options {
	return jobs.Options{Tenant: tenantID, At: at, Ahead: at.IsZero()}
}

// beginFollowing has a consent looked at every so often from now on. One that is
// followed already is followed anew: somebody is at work on it. Unless it is certain
// that something happened just now, one is not that was begun some seconds ago.
func (s *Service) beginFollowing(ctx context.Context, tx *sqldb.Tx, tenantID, registrationID string, happened bool) error {
	r, err := hold(ctx, tx, tenantID, registrationID)
	if err != nil {
		return err
	}
	now := s.time()
	until := now.Add(followFor)
	if !happened && r.FollowUntil != nil && until.Sub(*r.FollowUntil) < 10*time.Second {
		return nil
	}
	r.FollowUntil = &until
	if err := r.save(ctx, tx); err != nil {
		return err
	}
	_, err = s.follow.Add(ctx, tx, followArgs{tenantID, registrationID, 0, now}, jobs.Options{Tenant: tenantID, Ahead: true})
	return err
}

// followUp is the job: it looks, and comes again unless the consent is whole. It
// ends where a later use of the page began to follow anew.
func (s *Service) followUp(ctx context.Context, a followArgs) error {
	ctx = audit.AsSystem(ctx, "consent_follow")
	at, err := s.Tenants.Directory(ctx, a.Tenant)
	if gone(err) {
		return jobs.Stop(err)
	}
	if err != nil || at.Paused {
		return err
	}
	r, err := find(ctx, s.DB.Read(), a.Tenant, a.Registration)
	if err != nil {
		return err
	}
	if r.FollowUntil == nil || !r.FollowUntil.Equal(a.Began.Add(followFor)) {
		return nil
	}
	if err := s.lookAndNote(ctx, a.Tenant, a.Registration); gone(err) {
		return jobs.Stop(err)
	} else if err != nil {
		return err
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.again(ctx, tx, a) })
}

// again plans the next look.
func (s *Service) again(ctx context.Context, tx *sqldb.Tx, a followArgs) error {
	r, err := find(ctx, tx, a.Tenant, a.Registration) // it may have been forgotten meanwhile
	if err == nil && r.FollowUntil != nil {
		r, err = hold(ctx, tx, a.Tenant, a.Registration)
	}
	if err != nil || r.FollowUntil == nil || !r.FollowUntil.Equal(a.Began.Add(followFor)) {
		return err
	}
	now := s.time()
	if now.After(*r.FollowUntil) {
		r.FollowUntil = nil
		return r.save(ctx, tx)
	}
	next := a
	next.Step++
	_, err = s.follow.Add(ctx, tx, next, jobs.Options{Tenant: a.Tenant, At: now.Add(wait(next.Step, now.Sub(a.Began)))})
	return err
}

// spread is over how much of a day consents are read.
const spread = 22 * time.Hour

// plan adds, once a day, the reading of each consent that was asked for or read:
// each at a time of the day of its own.
func (s *Service) plan(ctx context.Context, tick jobs.Tick) error {
	var all []readArgs
	err := s.DB.Read().NewSelect().TableExpr("consents AS c").ColumnExpr("c.tenant_id AS tenant, c.registration_id AS registration").Join("JOIN tenants AS t ON t.id = c.tenant_id AND NOT t.paused").OrderExpr("c.tenant_id, c.registration_id").Scan(ctx, &all)
	if err != nil {
		return fmt.Errorf("looking which consents to read: %w", err)
	}
	const part = 200
	for len(all) > 0 {
		some := all[:min(part, len(all))]
		all = all[len(some):]
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for _, one := range some {
				h := fnv.New64a()
				_, _ = h.Write([]byte(one.Tenant + one.Registration))
				if _, err := s.read.Add(ctx, tx, one, readOptions(one.Tenant, tick.Due.Add(time.Duration(h.Sum64()%uint64(spread))))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reread is the job that reads one consent.
func (s *Service) reread(ctx context.Context, a readArgs) error {
	ctx = audit.AsSystem(ctx, "consent_read")
	at, err := s.Tenants.Directory(ctx, a.Tenant)
	if gone(err) {
		return jobs.Stop(err)
	}
	if err != nil || at.Paused {
		return err
	}
	if err := s.lookAndNote(ctx, a.Tenant, a.Registration); gone(err) {
		return jobs.Stop(err)
	} else if err != nil {
		return err
	}
	return nil
}

// keepPages is how long a page that does not open any more is kept.
const keepPages = 400 * day

// sweep forgets answers whose state could not be used any more, and old pages.
func (s *Service) sweep(ctx context.Context) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := s.time()
		if _, err := tx.NewRaw("DELETE FROM consent_answers WHERE at < ?", now.Add(-2*stateLife)).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting answers: %w", err)
		}
		if _, err := tx.NewRaw("DELETE FROM consent_requests WHERE expires_at < ?", now.Add(-keepPages)).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting pages for administrators: %w", err)
		}
		return nil
	})
}
