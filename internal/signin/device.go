package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// The states of a sign-in with a device code.
const (
	Pending = "pending"
	Ended   = "ended" // well or not: its event says which
	Expired = "expired"
)

// Device is a sign-in with a device code: what the person types, and where.
type Device struct {
	ID           string // of the attempt
	ConnectionID string
	State        string
	UserCode     string
	Address      string
	Message      string
	Interval     time.Duration
	Until        time.Time
	Event        *Event // once it has ended
	// CodeFlow says that the tenant or the app registration takes no device codes:
	// signing in in a browser is the way.
	CodeFlow bool
}

// shown is what is kept of a device code to be shown.
type shown struct {
	UserCode string        `json:"user_code"`
	Address  string        `json:"address"`
	Message  string        `json:"message"`
	Interval time.Duration `json:"interval"`
}

// BeginDevice begins to sign somebody in on another device. Where Microsoft gives no
// code the error is a [*Refusal], with [Blocked] where a browser is the way.
func (s *Service) BeginDevice(ctx context.Context, connectionID string, o Options) (Device, error) {
	c, err := s.manageable(ctx, connectionID)
	if err != nil {
		return Device{}, err
	}
	r, app, err := s.prepare(ctx, start{connection: c, person: c.Username, round: 1, Options: o}, FlowDevice)
	if err != nil {
		return Device{}, err
	}
	d, err := s.login.StartDevice(ctx, app, r.DirectoryID, strings.Fields(r.Scopes))
	if e, said := errors.AsType[*microsoft.Error](err); said {
		return Device{}, s.refused(ctx, r, byDevice(e))
	}
	if err != nil {
		return Device{}, err
	}
	text, err := json.Marshal(shown{d.UserCode, d.Address, d.Message, d.Interval})
	if err != nil {
		return Device{}, fmt.Errorf("beginning a sign-in: %w", err)
	}
	first := s.time().Add(d.Interval)
	r.Device, r.ExpiresAt, r.PollAt = string(text), d.Until.UTC().Truncate(time.Microsecond), &first
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, r.entry(c.Name, "connection.sign_in_begun", map[string]any{"flow": r.Flow, "resource": r.Resource})); err != nil {
			return err
		}
		if err := s.keep(ctx, tx, r, sealed{Device: d.Code.Reveal()}); err != nil {
			return err
		}
		_, err := s.poll.Add(ctx, tx, pollArgs{r.ID}, jobs.Options{Tenant: r.TenantID, At: first})
		return err
	})
	if err != nil {
		return Device{}, err
	}
	return s.device(ctx, r)
}

// noDevices are the codes of refusals that say no to device codes as such, be it of
// the tenant or of the app registration (entra-sign-in §6).
var noDevices = []string{"AADSTS530036", "AADSTS530035", "AADSTS53003", "AADSTS7000218"}

// byDevice is a refusal of a sign-in with a device code.
func byDevice(e *microsoft.Error) *Refusal {
	refusal := refusedBy(e)
	if slices.Contains(noDevices, e.Code) {
		refusal.Reason, refusal.Words = Blocked, "Microsoft takes no device code here: sign in in a browser instead"
	}
	return refusal
}

// Polled gives how a sign-in with a device code stands.
func (s *Service) Polled(ctx context.Context, connectionID, id string) (Device, error) {
	if _, err := s.manageable(ctx, connectionID); err != nil {
		return Device{}, err
	}
	r, err := s.findAttempt(ctx, s.DB.Read(), id)
	if err != nil {
		return Device{}, err
	}
	if r.ConnectionID != connectionID || r.Flow != FlowDevice {
		return Device{}, ErrMissing
	}
	return s.device(ctx, r)
}

func (s *Service) device(ctx context.Context, r *attemptRow) (Device, error) {
	var what shown
	if err := json.Unmarshal([]byte(r.Device), &what); err != nil {
		return Device{}, fmt.Errorf("reading a sign-in: %w", err)
	}
	d := Device{ID: r.ID, ConnectionID: r.ConnectionID, State: Pending, UserCode: what.UserCode, Address: what.Address, Message: what.Message, Interval: what.Interval, Until: r.ExpiresAt.UTC()}
	var rows []eventRow
	if err := s.DB.Read().NewSelect().Model(&rows).Where("attempt_id = ?", r.ID).OrderExpr("id").Limit(1).Scan(ctx); err != nil {
		return Device{}, fmt.Errorf("reading a sign-in: %w", err)
	}
	switch {
	case len(rows) > 0:
		e, err := rows[0].event()
		if err != nil {
			return Device{}, err
		}
		d.State, d.Event, d.CodeFlow = Ended, &e, e.Reason == Blocked
	case !s.time().Before(r.ExpiresAt):
		d.State = Expired
	}
	return d, nil
}

// pollArgs name the attempt of a job.
type pollArgs struct {
	ID string `json:"id"`
}

// pollJob asks once, and comes back for the next time.
func (s *Service) pollJob(ctx context.Context, args pollArgs) error {
	pause, err := s.PollDevice(audit.AsSystem(ctx, "signin_device"), args.ID)
	if errors.Is(err, ErrMissing) {
		return nil // the connection is gone
	}
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return nil // which is written down
	}
	if err == nil && pause > 0 {
		return jobs.Later(pause, nil)
	}
	return err
}

// PollDevice asks Microsoft whether somebody has finished a sign-in by device code,
// unless it was asked within its interval. It gives how long to wait before asking
// again, 0 once there is nothing left to ask. What is refused is a [*Refusal].
func (s *Service) PollDevice(ctx context.Context, id string) (time.Duration, error) {
	r, err := s.findAttempt(ctx, s.DB.Read(), id)
	if err != nil {
		return 0, err
	}
	var what shown
	if r.Flow != FlowDevice || json.Unmarshal([]byte(r.Device), &what) != nil || r.PollAt == nil {
		return 0, ErrMissing
	}
	now := s.time()
	if r.UsedAt != nil {
		return 0, nil
	}
	if wait := r.PollAt.Sub(now); wait > 0 {
		return wait, nil
	}
	if mine, err := s.claim(ctx, "UPDATE signin_attempts SET poll_at = ? WHERE id = ? AND poll_at = ? AND used_at IS NULL", now.Add(what.Interval), r.ID, *r.PollAt); err != nil || !mine {
		return what.Interval, err
	}
	if !now.Before(r.ExpiresAt) {
		return 0, s.endDevice(ctx, r, refuse(Lapsed, "The code was not used in time", "until %s", r.ExpiresAt.UTC()))
	}
	earned, err := s.askDevice(ctx, r)
	e, said := errors.AsType[*microsoft.Error](err)
	switch {
	case said && (e.OAuth == "authorization_pending" || e.OAuth == "slow_down"):
		return what.Interval, nil
	case said && (e.Status == 0 || e.Status == 429 || e.Status >= 500):
		return max(what.Interval, e.RetryAfter), nil // no answer: the code is still good
	case said && e.OAuth == "authorization_declined":
		return 0, s.endDevice(ctx, r, refuse(Declined, "The person declined to sign in", "on the device"))
	case said:
		return 0, s.endDevice(ctx, r, byDevice(e))
	case err != nil:
		return 0, s.endDevice(ctx, r, err)
	}
	// From here on the device code is spent: whatever comes of it, nobody asks again.
	if mine, err := s.claim(ctx, "UPDATE signin_attempts SET used_at = ? WHERE id = ? AND used_at IS NULL", s.time(), r.ID); err != nil || !mine {
		return 0, err
	}
	acting, err := s.acting(ctx, r)
	if err == nil {
		err = s.accept(acting, r, earned)
	}
	return 0, s.refused(ctx, r, err)
}

func (s *Service) askDevice(ctx context.Context, r *attemptRow) (login.Earned, error) {
	app, err := s.app(ctx, r)
	if err != nil {
		return login.Earned{}, err
	}
	kept, err := s.open(ctx, r)
	if err != nil {
		return login.Earned{}, err
	}
	return s.login.Device(ctx, app, r.DirectoryID, secrets.New(kept.Device))
}

// endDevice ends a sign-in by device code that came to nothing.
func (s *Service) endDevice(ctx context.Context, r *attemptRow, cause error) error {
	mine, err := s.claim(ctx, "UPDATE signin_attempts SET used_at = ? WHERE id = ? AND used_at IS NULL", s.time(), r.ID)
	if err != nil || !mine {
		return err
	}
	return s.refused(ctx, r, cause)
}

// claim reports whether a statement changed its row: of several that try at once,
// one.
func (s *Service) claim(ctx context.Context, query string, args ...any) (bool, error) {
	n := int64(0)
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done, err := tx.NewRaw(query, args...).Exec(ctx)
		if err == nil {
			n, err = done.RowsAffected()
		}
		if err != nil {
			return fmt.Errorf("asking for a sign-in: %w", err)
		}
		return nil
	})
	return n > 0, err
}
