package operator

import (
	"context"
	"errors"

	"gatehouse/internal/audit"
)

// ActingFor makes an operator the actor of what follows, as they are now, but with
// some permissions alone: for what stands for them without a session, such as a
// secret address. [ErrMissing] if there is no such operator, or they are disabled.
func (s *Service) ActingFor(ctx context.Context, operatorID, address string, only ...audit.Permission) (context.Context, error) {
	o, err := s.find(ctx, s.db.Read(), "id", operatorID)
	if errors.Is(err, ErrMissing) || err == nil && o.DisabledAt != nil {
		return ctx, ErrMissing
	}
	if err != nil {
		return ctx, err
	}
	a := o.actor(address)
	a.Only = only
	return audit.With(ctx, a), nil
}
