package broker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft/login"
)

// usedAction is what the uses of cached tokens are summed under.
const usedAction = "token.used"

// Ask is what somebody asks a token for.
type Ask struct {
	// Resource is the name of a service, or the URI of one, that the connection's
	// services allow.
	Resource string
	// Claims are a claims challenge of the resource, as JSON, or "".
	Claims string
	// CAE says that the caller passes claims challenges on when it meets one, which is
	// what continuous access evaluation demands of it: the token says so (xms_cc cp1,
	// entra-sign-in §10).
	CAE bool
}

// Token gives a token to the actor, who needs the permission to use the connection.
// The resource is the name of a service or the URI of one that the connection's
// services allow; claims are a challenge of the resource, as JSON, or "". A
// *[Refused] says why there is none.
func (s *Service) Token(ctx context.Context, connectionID, resource, claims string) (login.Token, error) {
	given, err := s.Give(ctx, connectionID, Ask{Resource: resource, Claims: claims})
	return given.Token, err
}

// Give is [Service.Token] with what else there is to say of the token.
func (s *Service) Give(ctx context.Context, connectionID string, a Ask) (Given, error) {
	k, tenantID, state := s.memory.find(connectionID, target{a.Resource, a.CAE})
	if now := s.Now(); a.Claims != "" || !k.good(now) {
		st, err := s.load(ctx, connectionID)
		if err != nil {
			return Given{}, err
		}
		if err := s.Audit.Allow(ctx, st.OfTenant, audit.ConnectionUse); err != nil {
			return Given{}, err
		}
		given, err := s.give(ctx, connectionID, a)
		if err == nil {
			s.Audit.Count(ctx, usedAction, connectionID, st.OfTenant)
		}
		return given, err
	} else if err := s.Audit.Allow(ctx, tenantID, audit.ConnectionUse); err != nil {
		return Given{}, err
	} else if !now.Before(k.refreshAt) {
		s.ahead(connectionID, k.target)
	}
	s.Audit.Count(ctx, usedAction, connectionID, tenantID)
	return Given{Token: k.token, Resource: k.resource, State: state}, nil
}

// Serve gives a token to features that have authorised on the connection.
func (s *Service) Serve(ctx context.Context, connectionID, resource, claims string) (login.Token, error) {
	given, err := s.give(ctx, connectionID, Ask{Resource: resource, Claims: claims})
	return given.Token, err
}

// Prove is [Service.Serve] for who wants to know whether a connection works: where the
// service has refused the sign-in, the last token, which may be good for some minutes
// more, does not count.
func (s *Service) Prove(ctx context.Context, connectionID, resource, claims string) (login.Token, error) {
	given, err := s.give(ctx, connectionID, Ask{Resource: resource, Claims: claims})
	if err != nil || given.State == Ready {
		return given.Token, err
	}
	st, err := s.load(ctx, connectionID)
	if err != nil {
		return login.Token{}, err
	}
	if st.State == Ready { // somebody signed in just now
		return s.Serve(ctx, connectionID, resource, claims)
	}
	r := s.refuse(st, st.State, st.Reason, st.diagnosis())
	r.Err = st.failure()
	return login.Token{}, r
}

func (s *Service) give(ctx context.Context, connectionID string, a Ask) (Given, error) {
	if err := checkClaims(a.Claims); err != nil {
		return Given{}, err
	}
	// Whoever asks for the capability by itself means the same.
	a.CAE = a.CAE || declares(a.Claims)
	epoch := s.memory.epoch()
	st, err := s.load(ctx, connectionID)
	if err != nil {
		return Given{}, err
	}
	uri, err := s.resourceOf(ctx, st, a.Resource)
	if err != nil {
		return Given{}, err
	}
	k, st, err := s.obtain(ctx, connectionID, target{uri, a.CAE}, a.Claims, false)
	if err != nil {
		return Given{}, err
	}
	s.memory.put(epoch, st, k, target{a.Resource, a.CAE}, k.target)
	return Given{Token: k.token, Resource: k.resource, State: st.State}, nil
}

// How often a replica looks whether another one that asks the service has done so.
const (
	lookFirst = 25 * time.Millisecond
	lookMost  = 400 * time.Millisecond
)

// errAgain says that somebody else changed what was being refreshed.
var errAgain = errors.New("the sign-in was changed meanwhile")

// obtain gives a good token from wherever it can be had. With anew a token that is
// still young does not count: the service is asked.
func (s *Service) obtain(ctx context.Context, id string, t target, claims string, anew bool) (*kept, *standing, error) {
	leave, err := s.locks.take(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	if k, _, _ := s.memory.find(id, t); k.good(s.Now()) && s.Now().Before(k.refreshAt) && claims == "" && !anew {
		if st, err := s.load(ctx, id); err == nil {
			return k, st, nil
		}
	}
	for wait, began := lookFirst, s.Now(); ; wait = min(2*wait, lookMost) {
		st, err := s.load(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if st.Paused {
			return nil, nil, s.refuse(st, Parked, "the tenant is paused: resume it on its page", nil)
		}
		old, err := s.stored(ctx, st, t)
		if err != nil {
			return nil, nil, err
		}
		if !old.good(s.Now()) {
			old = nil
		}
		if enough(old, claims, anew, began, s.Now()) {
			return old, st, nil
		}
		if refused := s.mayAsk(st, claims, anew); refused != nil {
			if old != nil && claims == "" {
				return old, st, nil
			}
			return nil, nil, refused
		}
		mine, err := s.claim(ctx, st)
		if err != nil {
			return nil, nil, err
		}
		if mine {
			k, st, err := s.renew(ctx, id, t, claims, old)
			if errors.Is(err, errAgain) {
				continue
			}
			return k, st, err
		}
		if old != nil && claims == "" {
			return old, st, nil // another is asking
		}
		if err := pause(ctx, wait); err != nil {
			return nil, nil, err
		}
	}
}

// sameChallenge is how long a token that answers a challenge is given to others who
// met the same one.
const sameChallenge = time.Minute

// enough reports whether a token can be given without asking the service.
func enough(k *kept, claims string, anew bool, began, now time.Time) bool {
	switch {
	case k == nil:
		return false
	case claims != "":
		return k.claims == digest(claims) && now.Sub(k.gotAt) < sameChallenge
	case anew:
		return !k.gotAt.Before(began)
	}
	return now.Before(k.refreshAt)
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mayAsk refuses to ask the service: it cannot help, or it is to be left alone.
func (s *Service) mayAsk(st *standing, claims string, anew bool) error {
	switch {
	case st.Kind == connection.ServiceAccount && st.Parked:
		return s.refuse(st, Parked, "the password is not tried any more: "+st.ParkedReason, st.diagnosis())
	case st.Kind == connection.Delegated && len(st.Refresh) == 0 && st.SignedOutAt != nil:
		return s.refuse(st, NeedsSignIn, "the person was signed out", nil)
	case st.Kind == connection.Delegated && len(st.Refresh) == 0:
		return s.refuse(st, NeedsSignIn, "nobody has signed in yet", nil)
	case st.Kind != connection.Delegated && !st.Held:
		return s.refuse(st, Parked, "the consumer alone has the credential, so no token can be had with it here: give the connection one, or let the consumer get its own tokens", nil)
	case st.Kind == connection.ServiceAccount && st.Credential == connection.AppPassword:
		return s.refuse(st, Parked, "the credential is an app password, which no modern sign-in takes: convert the profile", nil)
	}
	now := s.Now()
	if st.RetryAt != nil && now.Before(*st.RetryAt) && !anew && !st.mended() {
		r := s.refuse(st, st.State, st.Reason, st.diagnosis())
		r.Err, r.RetryAfter = st.failure(), st.RetryAt.Sub(now)
		if r.Err != nil {
			r.Claims = r.Err.Claims
		}
		return r
	}
	return s.challenges.blocked(st, claims, now)
}

func (s *Service) refuse(st *standing, state, reason string, d *diagnosis.Diagnosis) *Refused {
	return &Refused{State: state, Reason: reason, Diagnosis: d, Link: path(st.ID), ConnectionID: st.ID}
}

// ahead has a token refreshed that nobody waits for yet.
func (s *Service) ahead(id string, t target) {
	if s.locks.busy(id) || s.ending.Err() != nil || s.running.Load() >= mostAhead {
		return
	}
	s.running.Add(1)
	s.background.Go(func() {
		defer s.running.Add(-1)
		ctx, cancel := context.WithTimeout(audit.AsSystem(s.ending, "token_broker"), time.Minute)
		defer cancel()
		_, _, err := s.obtain(ctx, id, t, "", false)
		s.memory.drop(id, "") // callers read the new token, or when the service may be asked again
		var refused *Refused
		if err != nil && !errors.As(err, &refused) && ctx.Err() == nil {
			s.Log.Warn("refreshing a token ahead of its end", "connection", id, "error", err)
		}
	})
}

// mostAhead bounds the refreshes under way that nobody waits for.
const mostAhead = 32

// The moment at which a token is refreshed: after this part of its life, so that
// those of many connections do not all come at once.
const (
	earliest = 0.75
	latest   = 0.85
)

// kept makes what is kept of a token that the service has just given.
func (s *Service) kept(t login.Token, of target, claims string) *kept {
	now := s.time()
	t.Expires = t.Expires.UTC().Truncate(time.Microsecond) // as it will be read again
	life := t.Expires.Sub(now)
	return &kept{token: t, target: of, claims: digest(claims), gotAt: now, refreshAt: now.Add(time.Duration((earliest + (latest-earliest)*rand.Float64()) * float64(life))), checked: time.Now()} //nolint:gosec // spreading, no secret
}

// ServeAt gives a token for an API by its URI, whatever the connection's services
// are, to features that have authorised on the connection and chose the API
// themselves.
func (s *Service) ServeAt(ctx context.Context, connectionID, uri string) (login.Token, error) {
	k, _, err := s.obtain(ctx, connectionID, target{resource: uri}, "", false)
	if err != nil {
		return login.Token{}, err
	}
	return k.token, nil
}

// Fresh is [Service.ServeAt] with a token that the service gave out right now: it
// says what is granted by now.
func (s *Service) Fresh(ctx context.Context, connectionID, uri string) (login.Token, error) {
	k, _, err := s.obtain(ctx, connectionID, target{resource: uri}, "", true)
	if err != nil {
		return login.Token{}, err
	}
	return k.token, nil
}
