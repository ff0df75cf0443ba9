package server

import (
	"context"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// registerChores makes the server's own jobs.
func (s *Server) registerChores() {
	jobs.Every(s.queue, time.Minute, jobs.Kind[jobs.Tick]{Name: "key_rotation", Timeout: 10 * time.Minute, Attempts: 1, Lane: jobs.Long, Work: s.rotateKeys})
	jobs.Every(s.queue, 5*time.Minute, jobs.Kind[jobs.Tick]{Name: "live_clean", Work: func(ctx context.Context, _ jobs.Tick) error { return s.hub.Clean(ctx) }})
	jobs.Every(s.queue, time.Hour, jobs.Kind[jobs.Tick]{Name: "session_sweep", Work: func(ctx context.Context, _ jobs.Tick) error {
		return s.operator.Sweep(audit.AsSystem(ctx, "session_sweep"))
	}})
	jobs.Every(s.queue, time.Hour, jobs.Kind[jobs.Tick]{Name: "answer_sweep", Work: func(ctx context.Context, _ jobs.Tick) error {
		return api.Sweep(ctx, s.db, time.Now())
	}})
	if days := s.c.Retention.AuditUses; days > 0 {
		jobs.Every(s.queue, 24*time.Hour, jobs.Kind[jobs.Tick]{Name: "audit_uses_retention", Work: func(ctx context.Context, tick jobs.Tick) error {
			return s.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.NewRaw("DELETE FROM audit_uses WHERE minute < ?", tick.Due.AddDate(0, 0, -days)).Exec(ctx)
				return err
			})
		}})
	}
}

// rotateKeys goes on with a rotation that is under way until it has to wait.
func (s *Server) rotateKeys(ctx context.Context, _ jobs.Tick) error {
	ctx = audit.AsSystem(ctx, "key_rotation")
	for {
		r, err := s.keys.Rotate(ctx)
		if err != nil || r.State == secrets.Steady || r.Wait > 0 {
			return err
		}
	}
}
