package server

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/schedule"
	"gatehouse/internal/secrets"
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
	jobs.Every(s.queue, time.Minute, jobs.Kind[jobs.Tick]{Name: "incident_watch", Timeout: 5 * time.Minute, Attempts: 1, Work: func(ctx context.Context, _ jobs.Tick) error {
		ctx = audit.AsSystem(ctx, "incident_watch")
		return errors.Join(s.incidents.CatchUp(ctx), s.incidents.TellEnds(ctx))
	}})
	jobs.Every(s.queue, time.Minute, jobs.Kind[jobs.Tick]{Name: "incident_proof", Timeout: 10 * time.Minute, Attempts: 1, Lane: jobs.Long, Work: func(ctx context.Context, _ jobs.Tick) error {
		return s.incidents.Prove(audit.AsSystem(ctx, "incident_proof"))
	}})
	s.rotations.Repeat()
	s.registrations.Repeat()
	s.expiries.Repeat()
	s.access.Tokens.Repeat(s.queue)
	s.access.SignIns.Repeat()
	s.access.Consents.Repeat()
	s.access.Campaigns.Repeat()
	s.retain("campaign", s.c.Retention.Incidents, s.access.Campaigns.Forget)
	jobs.Every(s.queue, 24*time.Hour, jobs.Kind[jobs.Tick]{Name: "audit_checkpoint", Work: s.checkpoint})
	s.registerNotices()
	jobs.Every(s.queue, time.Minute, jobs.Kind[jobs.Tick]{Name: "schedule", Attempts: 1, Work: s.keepSchedules})
	s.retain("batch", s.c.Retention.Jobs, s.batches.Forget)
	s.retain("audit_uses", s.c.Retention.AuditUses, func(ctx context.Context, before time.Time) error { return s.audit.ForgetUses(ctx, before) })
	s.retain("validation", s.c.Retention.Validations, func(ctx context.Context, before time.Time) error {
		_, err := s.runs.Forget(ctx, before)
		return err
	})
	s.retain("sign_in", s.c.Retention.SignIns, s.access.SignIns.ForgetBefore)
	s.retain("incident", s.c.Retention.Incidents, func(ctx context.Context, before time.Time) error {
		_, err := s.incidents.Forget(ctx, before)
		return err
	})
}

// retain makes the job that forgets, once a day, what is older than some days; 0
// keeps it for ever.
func (s *Server) retain(what string, days int, forget func(ctx context.Context, before time.Time) error) {
	if days == 0 {
		return
	}
	name := what + "_retention"
	jobs.Every(s.queue, 24*time.Hour, jobs.Kind[jobs.Tick]{Name: name, Timeout: 10 * time.Minute, Lane: jobs.Long, Work: func(ctx context.Context, tick jobs.Tick) error {
		return forget(audit.AsSystem(ctx, name), tick.Due.AddDate(0, 0, -days))
	}})
}

// keepSchedules begins the validations and snapshots whose time has come.
func (s *Server) keepSchedules(ctx context.Context, _ jobs.Tick) error {
	schedules, err := s.connections.Schedules(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.tenants.Refreshes(ctx, func(tenantID string) schedule.Schedule { return schedules.For(tenantID, "") }), s.runs.Scheduled(ctx))
}

// checkpoint signs the end of the audit log, and logs the statement: where logs
// are kept elsewhere, it is too.
func (s *Server) checkpoint(ctx context.Context, _ jobs.Tick) error {
	ctx = audit.AsSystem(ctx, "audit_checkpoint")
	key, err := s.keys.SigningKey(ctx, api.CheckpointKey)
	if err != nil {
		return err
	}
	c, err := s.audit.Checkpoint(ctx, key)
	if err != nil {
		return err
	}
	s.log.Info("audit checkpoint", "seq", c.Seq, "hash", c.Hash, "at", c.At, "key", c.Key, "signature", c.Signature)
	return nil
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
