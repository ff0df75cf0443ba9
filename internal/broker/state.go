package broker

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
)

// StateOf says how a connection stands as a source of tokens, to whoever may view
// it.
func (s *Service) StateOf(ctx context.Context, connectionID string) (State, error) {
	st, err := s.load(ctx, connectionID)
	if err != nil {
		return State{}, err
	}
	if err := s.Audit.Allow(ctx, st.OfTenant, audit.ConnectionView); err != nil {
		return State{}, err
	}
	return s.stateOf(ctx, st)
}

func (s *Service) stateOf(ctx context.Context, st *standing) (State, error) {
	now := s.Now()
	out := State{State: st.State, Since: st.Since.UTC(), Reason: st.Reason, Diagnosis: st.diagnosis(), Link: path(st.ID), RefreshedAt: utc(st.RefreshedAt)}
	if st.RetryAt != nil && st.RetryAt.After(now) {
		out.RetryAfter = st.RetryAt.Sub(now)
	}
	var err error
	if out.Callers, err = s.callers(ctx, st); err != nil {
		return State{}, err
	}
	if st.Kind == connection.Delegated {
		out.Person, out.ClientID, out.SignedInAt = st.Username, st.ClientID, utc(st.SignedInAt)
		if out.Person == "" {
			out.Person = st.Login
		}
		var amr []string
		if json.Unmarshal([]byte(st.AMR), &amr) == nil && len(amr) > 0 {
			with := withFactor(amr)
			out.MFA = &with
		}
	}
	var refused *Refused
	if st.Paused {
		out.State, out.Reason = Parked, "the tenant is paused: resume it on its page"
	} else if r, ok := s.mayAsk(st, "", true).(*Refused); ok { //nolint:errorlint // as mayAsk makes it
		refused = r
		out.State, out.Reason, out.Diagnosis = refused.State, refused.Reason, refused.Diagnosis
	}
	if st.Kind != connection.Delegated || len(st.Refresh) == 0 {
		return out, nil
	}
	snapshot, err := s.snapshot(ctx, st.OfTenant)
	if err != nil {
		return State{}, err
	}
	out.Forecasts = s.foresee(st, snapshot)
	if len(out.Forecasts) > 0 && out.Forecasts[0].At != nil {
		out.Ends = &out.Forecasts[0]
	}
	return out, nil
}

// withFactor reports whether the methods of a sign-in show a second factor
// (entra-sign-in §10: ngcmfa is the same as mfa).
func withFactor(amr []string) bool {
	return slices.Contains(amr, "mfa") || slices.Contains(amr, "ngcmfa")
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}

// Watch authorises somebody to hear of a connection's state who may use it, and
// gives the tenant under which it is announced.
func (s *Service) Watch(ctx context.Context, connectionID string) (tenantID string, err error) {
	st, err := s.load(ctx, connectionID)
	if err != nil {
		return "", err
	}
	return st.OfTenant, s.Audit.Allow(ctx, st.OfTenant, audit.ConnectionUse)
}

// Look is [Service.StateOf] for whoever may use the connection.
func (s *Service) Look(ctx context.Context, connectionID string) (State, error) {
	st, err := s.load(ctx, connectionID)
	if err != nil {
		return State{}, err
	}
	if err := s.Audit.Allow(ctx, st.OfTenant, audit.ConnectionUse); err != nil {
		return State{}, err
	}
	return s.stateOf(ctx, st)
}
