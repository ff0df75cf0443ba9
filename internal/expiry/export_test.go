package expiry

import (
	"context"

	"gatehouse/internal/jobs"
)

// ReadNow is the job of a tenant.
func (s *Service) ReadNow(ctx context.Context, tenantID string) error {
	return s.read(ctx, refreshArgs{tenantID})
}

// TellNow is the hourly job.
func (s *Service) TellNow(ctx context.Context) error { return s.tellAll(ctx) }

// PlanNow is the daily job.
func (s *Service) PlanNow(ctx context.Context, tick jobs.Tick) error { return s.plan(ctx, tick) }

// What tests of single parts need.
type (
	Account = account
	Domain  = domain
)

// PasswordEnd is the end of a password.
var PasswordEnd = password
