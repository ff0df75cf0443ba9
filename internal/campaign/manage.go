package campaign

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
)

// Bounds of what somebody enters.
const (
	maxName  = 120
	maxNote  = 500
	maxURL   = 500
	maxDays  = 10
	lastDay  = 180
	maxValue = 200
)

// Request is a campaign to be made.
type Request struct {
	Name           string
	RegistrationID string
	App            string // name of an app that is not registered here, instead
	Reason         Reason
	Old, New       string // of a new app id, the client ids; New may be "": the registration's
	Settings
}

// changedOne reports whether a statement changed a row.
func changedOne(done sql.Result, err error) (bool, error) {
	if err != nil {
		return false, fmt.Errorf("changing a campaign: %w", err)
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

func (s *Service) check(f *fault.List, name string, set *Settings) {
	if name == "" {
		f.Add("name", "is missing", "name the campaign")
	}
	f.Text("name", name, maxName)
	f.Text("note", set.Note, maxNote)
	if set.Zone == "" {
		set.Zone = "UTC"
	}
	if _, err := time.LoadLocation(set.Zone); err != nil || set.Zone == "Local" || len(set.Zone) > 60 {
		f.Add("zone", fmt.Sprintf("is %.40q", set.Zone), "use a name such as Europe/Berlin")
	}
	if set.SignInURL != "" {
		u, err := url.Parse(set.SignInURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(set.SignInURL) > maxURL {
			f.Add("sign_in_url", "is no address that begins with https://", "give the page of the app where people sign in")
		}
	}
	if set.Deadline != nil && !set.Deadline.After(s.Now()) {
		f.Add("deadline", "has passed", "choose a later day, or none")
	}
	set.Days, set.Before = checkDays(f, "remind_days", set.Days), checkDays(f, "remind_before", set.Before)
}

// checkDays gives the days in order, each once.
func checkDays(f *fault.List, field string, days []int) []int {
	days = slices.Clone(days)
	slices.Sort(days)
	days = slices.Compact(days)
	if len(days) > maxDays || slices.ContainsFunc(days, func(d int) bool { return d < 1 || d > lastDay }) {
		f.Add(field, "are no days that fit", fmt.Sprintf("give at most %d days from 1 to %d", maxDays, lastDay))
	}
	return days
}

// Create makes a draft: nobody is asked for anything before it is started.
func (s *Service) Create(ctx context.Context, in Request) (Campaign, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.ConnectionManage); err != nil {
		return Campaign{}, err
	}
	all, err := s.Registrations(ctx)
	if err != nil {
		return Campaign{}, err
	}
	var f fault.List
	s.check(&f, in.Name, &in.Settings)
	if !slices.Contains(Reasons, in.Reason) {
		f.Add("reason", "is not known", "use client_id, manifest, credential, revocation or by_hand")
	}
	f.Text("old", in.Old, maxValue)
	f.Text("new", in.New, maxValue)
	f.Text("app", in.App, maxName)
	reg := Registration{Name: in.App, ClientID: in.New} // which nobody signs in to here: people are added
	if in.RegistrationID != "" || in.App == "" {
		i := slices.IndexFunc(all, func(r Registration) bool { return r.ID == in.RegistrationID })
		if i < 0 {
			f.Add("registration", "is not there", "choose one of the app registrations, or name an app whose people you add")
			return Campaign{}, f.Err()
		}
		reg = all[i]
	}
	r := &row{ID: newID(), Name: in.Name, Reason: in.Reason, RegistrationID: reg.ID, RegistrationName: reg.Name, OldValue: in.Old, NewValue: in.New, ClientID: reg.ClientID, State: Draft, Version: 1}
	if in.Reason == NewClientID {
		if in.New != "" {
			r.ClientID = in.New
		}
		r.NewValue = r.ClientID
		if r.ClientID == "" {
			f.Add("new", "is missing", "give the client id that everybody is to sign in to")
		} else if in.Old == r.ClientID {
			f.Add("old", "is the client id that everybody is to sign in to", "give the one that the registration had before")
		}
	}
	if err := errors.Join(f.Err(), r.put(in.Settings)); err != nil {
		return Campaign{}, err
	}
	actor, _ := audit.From(ctx)
	r.StartedBy, r.CreatedAt = actor.Name, s.time()
	r.Since = r.CreatedAt
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, r.entry(audit.AllTenants, "campaign.created", map[string]any{"reason": r.Reason, "registration": r.RegistrationID})); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			return fmt.Errorf("making a campaign: %w", err)
		}
		return s.move(ctx, tx, r.ID)
	})
	if err != nil {
		return Campaign{}, err
	}
	return s.Get(ctx, r.ID)
}

// change loads a campaign, authorises, and writes the row down as do leaves it.
func (s *Service) change(ctx context.Context, id, action string, do func(context.Context, *sqldb.Tx, *row) error) (Campaign, error) {
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, r.entry(audit.AllTenants, action, nil)); err != nil {
			return err
		}
		if err := do(ctx, tx, r); err != nil {
			return err
		}
		before := r.Version
		r.Version++
		fits, err := changedOne(tx.NewUpdate().Model(r).WherePK().Where("version = ?", before).Exec(ctx))
		if err != nil {
			return err
		}
		if !fits {
			return ErrConflict
		}
		return s.announceAll(ctx, tx, id)
	})
	if err != nil {
		return Campaign{}, err
	}
	return s.Get(ctx, id)
}

// Start has people asked from now on. It takes a draft that reaches somebody.
func (s *Service) Start(ctx context.Context, id string) (Campaign, error) {
	return s.change(ctx, id, "campaign.started", func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if r.State != Draft {
			return ErrState
		}
		if err := s.move(ctx, tx, id); err != nil {
			return err
		}
		all, err := total(ctx, tx, audit.Scope{All: true}, id)
		if err != nil {
			return err
		}
		if all[id].People == 0 {
			return fault.Of("people", "are none: the campaign reaches nobody", "add people, or choose a registration that connections use")
		}
		actor, _ := audit.From(ctx)
		now := s.time()
		r.State, r.StartedAt, r.StartedBy = Running, &now, actor.Name
		return s.schedule(ctx, tx, r)
	})
}

// schedule says when those are reminded who have not signed in.
func (s *Service) schedule(ctx context.Context, tx *sqldb.Tx, r *row) error {
	if _, err := lock(ctx, tx, r.ID, ""); err != nil {
		return err
	}
	set := r.campaign()
	var fresh, again *time.Time
	if r.State == Running && r.Remind {
		now := s.time()
		soon := set.Soon(now)
		fresh, again = &soon, set.Next(*r.StartedAt, now)
	}
	for _, part := range []struct {
		which string
		at    *time.Time
	}{{"reminded_at IS NULL", fresh}, {"reminded_at IS NOT NULL", again}} {
		if _, err := tx.NewRaw("UPDATE campaign_people SET remind_at = ? WHERE campaign_id = ? AND state <> ? AND "+part.which, part.at, r.ID, SignedIn).Exec(ctx); err != nil {
			return fmt.Errorf("scheduling reminders: %w", err)
		}
	}
	return nil
}

// Pause stops reminders: sign-ins count nevertheless.
func (s *Service) Pause(ctx context.Context, id string) (Campaign, error) {
	return s.change(ctx, id, "campaign.paused", func(_ context.Context, _ *sqldb.Tx, r *row) error {
		if r.State != Running {
			return ErrState
		}
		r.State = Paused
		return nil
	})
}

// Resume goes on after a pause.
func (s *Service) Resume(ctx context.Context, id string) (Campaign, error) {
	return s.change(ctx, id, "campaign.resumed", func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if r.State != Paused {
			return ErrState
		}
		r.State = Running
		return s.schedule(ctx, tx, r)
	})
}

// End ends a campaign before everybody signed in, or discards a draft. Nobody is
// reminded any more and no sign-in counts; connections stay as they are. It cannot be
// undone: confirm repeats the campaign's name, but for a draft.
func (s *Service) End(ctx context.Context, id, confirm string) (Campaign, error) {
	return s.change(ctx, id, "campaign.ended", func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if !r.State.open() {
			return ErrState
		}
		if r.State != Draft && confirm != r.Name {
			return fault.Of("confirm", "is not the campaign's name", "repeat it: this cannot be undone")
		}
		now := s.time()
		r.State, r.EndedAt = Ended, &now
		if _, err := tx.NewRaw("UPDATE campaign_people SET remind_at = NULL WHERE campaign_id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("ending reminders: %w", err)
		}
		return nil
	})
}

// Preview gives a campaign as [Service.Update] would leave it, and changes nothing.
func (s *Service) Preview(ctx context.Context, id string, version int64, name string, set Settings) (Campaign, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.ConnectionManage); err != nil {
		return Campaign{}, err
	}
	c, err := s.Get(ctx, id)
	if err != nil {
		return Campaign{}, err
	}
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Campaign{}, err
	}
	if err := s.update(r, version, name, set); err != nil {
		return Campaign{}, err
	}
	after := r.campaign()
	c.Name, c.Settings = after.Name, after.Settings
	return c, nil
}

// update puts name and settings into a row.
func (s *Service) update(r *row, version int64, name string, set Settings) error {
	var f fault.List
	s.check(&f, name, &set)
	switch {
	case !r.State.open():
		return ErrState
	case r.Version != version:
		return ErrConflict
	case len(f) > 0:
		return f.Err()
	}
	r.Name = name
	return r.put(set)
}

// Update changes name and settings; version is what was read.
func (s *Service) Update(ctx context.Context, id string, version int64, name string, set Settings) (Campaign, error) {
	return s.change(ctx, id, "campaign.changed", func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if err := s.update(r, version, name, set); err != nil || r.State == Draft {
			return err
		}
		return s.schedule(ctx, tx, r)
	})
}
