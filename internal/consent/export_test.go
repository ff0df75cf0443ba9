package consent

import (
	"context"
	"net/url"
	"time"

	"gatehouse/internal/jobs"
	"gatehouse/internal/secrets"
)

// Wait is how long before a look.
func Wait(step int, since time.Duration) time.Duration { return wait(step, since) }

// KindOf reads an error of an answer.
func KindOf(oauth, description string) (Kind, string) { return kindOf(oauth, description) }

// StateID reads a state.
func StateID(state string) string { return RequestOf(url.Values{"state": {state}}) }

// Follow looks as the job does that began when the page was opened last.
func (s *Service) Follow(ctx context.Context, tenantID, registrationID string, step int) error {
	r, err := find(ctx, s.DB.Read(), tenantID, registrationID)
	if err != nil || r.FollowUntil == nil {
		return err
	}
	return s.followUp(ctx, followArgs{tenantID, registrationID, step, r.FollowUntil.Add(-followFor)})
}

// Reread looks as the daily job does.
func (s *Service) Reread(ctx context.Context, tenantID, registrationID string) error {
	return s.reread(ctx, readArgs{tenantID, registrationID})
}

// Plan plans the readings of a day from a moment on.
func (s *Service) Plan(ctx context.Context, from time.Time) error {
	return s.plan(ctx, jobs.Tick{Due: from})
}

// StateFor makes a state for a page and a browser at a time.
func (s *Service) StateFor(ctx context.Context, token string, browser secrets.Value, at time.Time) string {
	r, err := s.opened(ctx, token)
	if err != nil {
		panic(err)
	}
	return stateOf(r, browser, at)
}
