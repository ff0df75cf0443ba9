package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Look reads how a consent stands right now, and gives it.
func (s *Service) Look(ctx context.Context, tenantID, registrationID string) (Status, error) {
	if _, err := s.Tenants.Directory(ctx, tenantID); err != nil {
		return Status{}, err
	}
	if err := s.Audit.Allow(ctx, tenantID, audit.ConsentManage); err != nil {
		return Status{}, err
	}
	if _, err := s.named(ctx, registrationID); err != nil {
		return Status{}, err
	}
	if err := s.lookAndNote(pace.Interactive(ctx), tenantID, registrationID); err != nil {
		return Status{}, err
	}
	return s.StatusOf(ctx, tenantID, registrationID)
}

// asked is a registration with its newest manifest.
type asked struct {
	app Registration
	m   Manifest
}

func (s *Service) asked(ctx context.Context, registrationID string) (a asked, err error) {
	if a.app, err = s.Registration(ctx, registrationID); err != nil {
		return a, err
	}
	a.m, err = s.Manifest(ctx, registrationID)
	return a, err
}

// other reports whether something else is asked, or by another app.
func (a asked) other(b asked) bool {
	return a.app.ClientID != b.app.ClientID || a.m.Version != b.m.Version
}

// mostLooks bounds how often a reading begins anew because the registration has changed
// under it.
const mostLooks = 5

// lookAndNote reads and keeps how a consent stands. What was read of an app that was
// replaced meanwhile, or held against a manifest that was, is not kept; and what became
// so while it was being kept is read anew.
func (s *Service) lookAndNote(ctx context.Context, tenantID, registrationID string) error {
	of, err := s.asked(ctx, registrationID)
	for range mostLooks {
		if err != nil {
			return err
		}
		before := of
		found, err := s.look(ctx, tenantID, before.app, before.m)
		if err != nil {
			return err
		}
		if of, err = s.asked(ctx, registrationID); err != nil || of.other(before) {
			continue
		}
		err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return s.note(ctx, tx, tenantID, before.app, found)
		})
		if err != nil {
			return err
		}
		if of, err = s.asked(ctx, registrationID); err != nil || !of.other(before) {
			return err
		}
	}
	return errors.New("reading a consent: its app registration changed again and again meanwhile")
}

// note keeps what was found: state, drift, the tenant's switch, who is to hear.
func (s *Service) note(ctx context.Context, tx *sqldb.Tx, tenantID string, app Registration, f *findings) error {
	r, err := hold(ctx, tx, tenantID, app.ID)
	if err != nil {
		return err
	}
	before, known, now := *r, r.ReadAt != nil, s.time()
	r.TriedAt = &now
	f.recall(&before)
	r.State, r.Reason = f.state(), f.reason
	switch {
	case r.State == Unknown && len(f.manifest.Permissions) == 0:
		r.Reason = "the manifest asks for nothing"
	case r.State == Unknown && before.ApprovedAt != nil && int(before.Version) <= f.manifest.Version && !changedSince(before.Approved, f.manifest):
		r.State = ApprovedNotRead
	case r.State == Granted:
		r.Reason = ""
	}
	changes := s.compare(&before, f, known)
	if len(f.from) > 0 {
		r.Held, r.ReadAt, r.ReadFrom = f.held, &now, from(f.from)
		r.Problems, r.Missing = f.problems, f.missing()
		if f.policy != nil {
			r.Policy.V = f.policy
		}
	}
	r.Version = int64(f.manifest.Version)
	if r.State == Granted {
		r.Approved = f.manifest.Permissions
		if r.GrantedAt == nil || before.State != Granted {
			r.GrantedAt = &now
		}
		r.FollowUntil = nil
	}
	if len(changes) > 0 {
		r.Changes, r.ChangedAt = changes, &now
	}
	if err := r.save(ctx, tx); err != nil {
		return err
	}
	return s.tellAll(ctx, tx, app, &before, r, changes)
}

// recall takes what was read before for a reading that read nothing: that a reader
// or the network is out of order takes no consent away.
func (f *findings) recall(before *row) {
	if len(f.from) > 0 || before.ReadAt == nil || before.ApprovedAt != nil && before.ApprovedAt.After(*before.ReadAt) {
		return
	}
	f.held = before.Held
	for _, p := range f.manifest.Permissions {
		f.covered[part(p)] = true
	}
}

// changedSince reports whether a manifest asks for more than was approved.
func changedSince(approved []Permission, m Manifest) bool {
	return slices.ContainsFunc(m.Permissions, func(p Permission) bool { return !slices.ContainsFunc(approved, p.same) })
}

func from(all []string) string {
	if len(all) > 1 {
		return FromBoth
	}
	return all[0]
}

// compare gives what came or went by itself since the reading before. Of parts that
// were not read now nothing went; the first reading changes nothing, and neither
// does what an administrator approved meanwhile.
func (s *Service) compare(before *row, f *findings, known bool) []Change {
	if !known || len(f.from) == 0 || before.ReadFrom != from(f.from) {
		return nil
	}
	var out []Change
	for _, p := range before.Held {
		if (f.kinds[p.Kind] || f.covered[part(p)]) && !slices.ContainsFunc(f.held, p.same) {
			out = append(out, Change{p, "removed"})
		}
	}
	asked := before.ApprovedAt != nil && before.ReadAt != nil && before.ApprovedAt.After(*before.ReadAt) || before.FollowUntil != nil
	for _, p := range f.held {
		if !slices.ContainsFunc(before.Held, p.same) && !asked {
			out = append(out, Change{p, "added"})
		}
	}
	return out
}

// tellAll writes down, announces and tells what a reading changed.
func (s *Service) tellAll(ctx context.Context, tx *sqldb.Tx, app Registration, before, r *row, changes []Change) error {
	if before.State != r.State {
		e := audit.Entry{Permission: audit.ConsentManage, TenantID: r.TenantID, Action: "consent.read", ObjectKind: "consent", ObjectID: r.RegistrationID, ObjectName: app.Name, Details: map[string]any{"before": before.State, "state": r.State, "from": r.ReadFrom, "missing": names(r.Missing)}}
		if err := s.Audit.Act(ctx, tx, e); err != nil {
			return err
		}
	}
	if len(changes) > 0 {
		if err := s.drifted(ctx, tx, app, before, r, changes); err != nil {
			return err
		}
	}
	if err := s.setSwitch(ctx, tx, r.TenantID, app); err != nil {
		return err
	}
	done := func(state State) bool { return state == Granted || state == ApprovedNotRead }
	if s.Granted != nil && done(r.State) && !done(before.State) {
		if err := s.Granted(ctx, tx, r.TenantID, r.RegistrationID); err != nil {
			return err
		}
	}
	return s.announce(ctx, tx, r.TenantID, r.RegistrationID)
}

// drifted writes down and tells what came or went by itself.
func (s *Service) drifted(ctx context.Context, tx *sqldb.Tx, app Registration, before, r *row, changes []Change) error {
	n := News{Before: before.State, Path: path(r.TenantID, r.RegistrationID), At: s.time()}
	for _, c := range changes {
		if c.Change == "removed" {
			n.Gone = append(n.Gone, c.Permission)
		} else {
			n.Came = append(n.Came, c.Permission)
		}
	}
	e := audit.Entry{Permission: audit.ConsentManage, TenantID: r.TenantID, Action: "consent.changed", ObjectKind: "consent", ObjectID: r.RegistrationID, ObjectName: app.Name, Details: map[string]any{"removed": names(n.Gone), "added": names(n.Came)}}
	if err := s.Audit.Act(ctx, tx, e); err != nil {
		return err
	}
	if s.Tell == nil {
		return nil
	}
	n.Status = s.status(r, app)
	var name string
	if err := tx.NewSelect().TableExpr("tenants").Column("name").Where("id = ?", r.TenantID).Scan(ctx, &name); err != nil {
		return fmt.Errorf("reading a tenant's name: %w", err)
	}
	n.TenantName = name
	return s.Tell(ctx, tx, n)
}

// names of permissions, for logs: 50 at most.
func names(all []Permission) []string {
	out := []string{}
	for _, p := range all[:min(len(all), 50)] {
		out = append(out, p.Name)
	}
	return out
}

// setSwitch sets the tenant's switch by all its consents: broken if one that was
// whole is not any more, on if one is whole. Where none is and the switch was on, that
// rested on an app that was replaced or removed: it is pending again, or off if nothing
// is asked of the tenant any more.
// app is the registration that the change was about; none if it is gone.
func (s *Service) setSwitch(ctx context.Context, tx *sqldb.Tx, tenantID string, app Registration) error {
	var rows []row
	if err := tx.NewSelect().Model(&rows).Where("tenant_id = ?", tenantID).OrderExpr("registration_id").Scan(ctx); err != nil {
		return fmt.Errorf("reading a tenant's consents: %w", err)
	}
	on := false
	for _, one := range rows {
		if one.GrantedAt != nil && (one.State == Missing || one.State == Partly) {
			name := app.Name
			if one.RegistrationID != app.ID {
				name = "another registration"
			}
			return s.Tenants.SetSwitch(ctx, tx, tenantID, tenant.Connect, tenant.Broken, "", fmt.Sprintf("The consent to %s is not whole any more: %s missing.", name, strings.Join(names(one.Missing), ", ")))
		}
		on = on || one.State == Granted || one.State == ApprovedNotRead
	}
	state, err := connectSwitch(ctx, tx, tenantID)
	switch {
	case err != nil:
		return err
	case on:
		return s.Tenants.SetSwitch(ctx, tx, tenantID, tenant.Connect, tenant.On, "", "")
	case len(rows) == 0:
		return s.Tenants.SetSwitch(ctx, tx, tenantID, tenant.Connect, tenant.Off, "", "")
	case state == tenant.On || state == tenant.Broken:
		return s.Tenants.SetSwitch(ctx, tx, tenantID, tenant.Connect, tenant.Pending, "", "")
	}
	return nil
}

// connectSwitch is how the switch stands.
func connectSwitch(ctx context.Context, tx *sqldb.Tx, tenantID string) (tenant.SwitchState, error) {
	state := tenant.Off
	err := tx.NewSelect().TableExpr("tenant_switches").Column("state").Where("tenant_id = ? AND name = ?", tenantID, tenant.Connect).Scan(ctx, &state)
	if err != nil && !sqldb.Missing(err) {
		return "", fmt.Errorf("reading a switch: %w", err)
	}
	return state, nil
}

// pend shows that consent was asked for, where the switch was off.
func (s *Service) pend(ctx context.Context, tx *sqldb.Tx, tenantID string) error {
	state, err := connectSwitch(ctx, tx, tenantID)
	if err != nil || state != tenant.Off {
		return err
	}
	return s.Tenants.SetSwitch(ctx, tx, tenantID, tenant.Connect, tenant.Pending, "", "")
}

// lookSoon has a consent read in a moment.
func (s *Service) lookSoon(ctx context.Context, tx *sqldb.Tx, tenantID, registrationID string) error {
	_, err := s.read.Add(ctx, tx, readArgs{tenantID, registrationID}, readOptions(tenantID, time.Time{}))
	return err
}

// gone reports errors after which there is nothing to read any more.
func gone(err error) bool { return errors.Is(err, tenant.ErrMissing) || errors.Is(err, ErrMissing) }
