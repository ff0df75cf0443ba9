package server

import (
	"context"

	"gatehouse/internal/consent"
	"gatehouse/internal/pace"
)

// newConsents makes what gets and reads consent.
func (s *Server) newConsents(governor *pace.Governor) *consent.Service {
	return consent.New(consent.Config{
		DB: s.db, Audit: s.audit, Jobs: s.queue, Live: s.hub, Pace: governor, Cloud: s.c.Cloud, Tenants: s.tenants, Batches: s.batches, PublicURL: s.c.PublicURL,
		Registration: func(context.Context, string) (consent.Registration, error) {
			return consent.Registration{}, consent.ErrMissing
		},
		Registrations: func(context.Context) ([]consent.Registration, error) { return nil, nil },
		Manifest:      func(context.Context, string) (consent.Manifest, error) { return consent.Manifest{}, consent.ErrMissing },
	})
}
