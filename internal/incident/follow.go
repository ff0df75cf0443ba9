package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/sqldb"
)

// changed is [connection.Watch].Changed: it moves a connection into the incident
// that it belongs to now, or out of the one that it was in.
func (s *Service) changed(ctx context.Context, tx *sqldb.Tx, c connection.Connection, f *connection.Found) error {
	now, err := current(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	switch {
	case affected(c, f):
		if now != nil && stays(c, f, now) {
			return nil
		}
		return s.join(ctx, tx, c, f, now)
	case now == nil:
		return nil
	case f == nil:
		return s.leave(ctx, tx, now, Unsure) // it was parked, and is to be tried once more
	case c.Verdict == "works" || c.Verdict == "works_with_warnings":
		return s.recover(ctx, tx, c, now)
	case !trouble(now.Kind):
		return nil // that nobody could look does not mean that it is mended
	default:
		return s.leave(ctx, tx, now, Unsure)
	}
}

// stays reports whether a connection that is affected is left where it is: nothing
// new was found out, or not even whether it works.
func stays(c connection.Connection, f *connection.Found, now *membership) bool {
	if f == nil {
		return !c.Parked // another password that was not tried yet
	}
	return !stopped(c) && !trouble(now.Kind)
}

// trouble reports whether a cause keeps the verdict from being known.
func trouble(k Kind) bool { return k == KindService || k == KindEnvironment }

// membership is the incident that a connection is in.
type membership struct {
	memberRow
	Kind  Kind
	Cause string
}

// current gives the incident that a connection is in; nil if it is in none.
func current(ctx context.Context, tx *sqldb.Tx, connectionID string) (*membership, error) {
	var m membership
	err := tx.NewSelect().TableExpr("incident_connections AS m").ColumnExpr("m.*, i.kind AS kind, i.cause AS cause").Join("JOIN incidents AS i ON i.id = m.incident_id").
		Where("m.connection_id = ? AND m.until IS NULL", connectionID).Scan(ctx, &m)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a connection's incident: %w", err)
	}
	return &m, nil
}

// join puts a connection that is affected into the incident of its cause.
func (s *Service) join(ctx context.Context, tx *sqldb.Tx, c connection.Connection, f *connection.Found, now *membership) error {
	if at, err := s.Tenants.PausedIn(ctx, tx, c.TenantID); err != nil || at {
		return err // its failures are nobody's concern until it is resumed
	}
	cause, at := causeOf(c, f), s.time()
	if err := nameApp(ctx, tx, c, &cause); err != nil {
		return err
	}
	if err := unproved(ctx, tx, c.ID); err != nil {
		return err
	}
	m := &memberRow{ConnectionID: c.ID, TenantID: c.TenantID, Name: c.Name, Since: at, Title: c.Sentence, Rule: encodeRule(c.Rule)}
	m.describe(c, f)
	// Another replica may end the chosen incident before it is held, or make the
	// same new one: then there is another to choose.
	for range 10 {
		i, err := s.incidentFor(ctx, tx, cause, c, at)
		if errors.Is(err, errRace) {
			continue
		}
		if err != nil {
			return err
		}
		m.IncidentID = i.ID
		if now != nil && now.IncidentID == i.ID {
			m.Since = now.Since
			_, err := tx.NewUpdate().Model(m).Column("title", "actor", "help", "code", "rule", "name").WherePK().Exec(ctx)
			return err
		}
		if now != nil {
			if err := s.leave(ctx, tx, now, Another); err != nil {
				return err
			}
		}
		return s.enter(ctx, tx, i, cause, m)
	}
	return errors.New("finding an incident for a connection: others keep ending it")
}

// nameApp calls the app of a person by the name of its registration: it stands alone,
// or before what people are refused for.
func nameApp(ctx context.Context, tx *sqldb.Tx, c connection.Connection, cause *Cause) error {
	if c.RegistrationID == "" || cause.Kind != KindSignIns && cause.Kind != KindApp && cause.Kind != KindExpiry {
		return nil
	}
	name := c.ClientID
	err := tx.NewSelect().TableExpr("registrations").ColumnExpr("name").Where("id = ?", c.RegistrationID).Scan(ctx, &name)
	if err != nil && !sqldb.Missing(err) {
		return fmt.Errorf("reading an app registration's name: %w", err)
	}
	if cause.Kind == KindSignIns {
		name += ": " + cause.Subject
	}
	cause.Subject = name
	return nil
}

// describe notes what was found out of a connection.
func (m *memberRow) describe(c connection.Connection, f *connection.Found) {
	if c.Parked {
		m.Title, m.Actor, m.Help = c.ParkedReason, "operator", "Enter the right password"
	}
	if f == nil || f.Diagnosis == nil {
		return
	}
	d := f.Diagnosis
	m.Code = text(d.Code)
	if c.Parked {
		return
	}
	m.Title, m.Actor = d.Title, d.Actor
	if len(d.Remedies) > 0 {
		m.Help = d.Remedies[0].Title
	}
}

// incidentFor chooses, reopens or makes the incident, and holds it.
func (s *Service) incidentFor(ctx context.Context, tx *sqldb.Tx, cause Cause, c connection.Connection, at time.Time) (*row, error) {
	all, err := s.candidates(ctx, tx, cause, c, at)
	if err != nil {
		return nil, err
	}
	id := choose(cause, at, all)
	if id == "" {
		return s.make(ctx, tx, cause, at)
	}
	ok, err := hold(ctx, tx, id, Forming, Open, Acknowledged)
	if err == nil && !ok {
		ok, err = s.reopen(ctx, tx, id, cause)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errRace
	}
	var r row
	if err := tx.NewSelect().Model(&r).Where("i.id = ?", id).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading an incident: %w", err)
	}
	return &r, nil
}

// candidates are the incidents of a cause, the ones that ended lately among them.
func (s *Service) candidates(ctx context.Context, tx *sqldb.Tx, cause Cause, c connection.Connection, at time.Time) ([]candidate, error) {
	var all []candidate
	late := at.Add(-s.Calm)
	in := "EXISTS (SELECT 1 FROM incident_connections AS m WHERE m.incident_id = i.id AND (m.until IS NULL OR m.until > ?) AND m."
	err := tx.NewSelect().TableExpr("incidents AS i").ColumnExpr("i.id AS id, i.state AS state, i.slot IS NOT NULL AS takes, i.joined_at AS joined_at, i.ended_at AS ended_at, i.end_told AS end_told").
		ColumnExpr(in+"connection_id = ?) AS mine", late, c.ID).ColumnExpr(in+"tenant_id = ?) AS tenant", late, c.TenantID).
		Where("i.cause = ? AND (i.state <> ? OR i.ended_at > ?)", cause.Key, Ended, late).OrderExpr("i.id").Scan(ctx, &all)
	if err != nil {
		return nil, fmt.Errorf("looking for an incident: %w", err)
	}
	return all, nil
}

// make begins an incident in the place of one that takes no more. The unique slot
// leaves it to one of several that do so at the same time.
func (s *Service) make(ctx context.Context, tx *sqldb.Tx, cause Cause, at time.Time) (*row, error) {
	if err := vacate(ctx, tx, cause, at); err != nil {
		return nil, err
	}
	r := &row{ID: uuid.Must(uuid.NewV7()).String(), Kind: cause.Kind, Cause: cause.Key, Slot: &cause.Key, TenantID: cause.Tenant, Subject: cause.Subject, State: Forming, Since: at, JoinedAt: at, Version: 1,
		Search: strings.ToLower(string(cause.Kind) + "\n" + cause.Subject)}
	done, err := tx.NewInsert().Model(r).On("CONFLICT DO NOTHING").Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("making an incident: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return nil, errors.Join(err, errRace)
	}
	return r, nil
}

// vacate takes the slot of a cause from an incident that is not joined any more.
func vacate(ctx context.Context, tx *sqldb.Tx, cause Cause, at time.Time) error {
	old := at
	if cause.Within > 0 {
		old = at.Add(-cause.Within)
	}
	if _, err := tx.NewRaw("UPDATE incidents SET slot = NULL WHERE slot = ? AND (state = ? OR joined_at < ?)", cause.Key, Ended, old).Exec(ctx); err != nil {
		return fmt.Errorf("making room for an incident: %w", err)
	}
	return nil
}

// reopen takes back the end of an incident.
func (s *Service) reopen(ctx context.Context, tx *sqldb.Tx, id string, cause Cause) (bool, error) {
	done, err := tx.NewRaw("UPDATE incidents SET state = ?, ended_at = NULL, acknowledged_by = '', acknowledged_at = NULL, version = version + 1 WHERE id = ? AND state = ? AND NOT end_told", Open, id, Ended).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("reopening an incident: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	return true, s.note(ctx, tx, &row{ID: id, Kind: cause.Kind, Subject: cause.Subject, TenantID: cause.Tenant}, "incident.reopened")
}

// enter writes a connection into an incident that is held.
func (s *Service) enter(ctx context.Context, tx *sqldb.Tx, i *row, cause Cause, m *memberRow) error {
	var told int
	if err := tx.NewSelect().Model((*memberRow)(nil)).ColumnExpr("count(*)").Where("incident_id = ? AND tenant_id = ?", i.ID, m.TenantID).Scan(ctx, &told); err != nil {
		return fmt.Errorf("reading an incident's reach: %w", err)
	}
	_, err := tx.NewInsert().Model(m).On("CONFLICT (incident_id, connection_id) DO UPDATE").
		Set("until = NULL, ending = '', since = EXCLUDED.since, title = EXCLUDED.title, actor = EXCLUDED.actor, help = EXCLUDED.help, code = EXCLUDED.code, rule = EXCLUDED.rule, name = EXCLUDED.name").Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting what an incident affects: %w", err)
	}
	opens := false
	if i.State == Forming {
		n := 1
		if cause.Least > 1 {
			if err := tx.NewSelect().Model((*memberRow)(nil)).ColumnExpr("count(*)").Where("incident_id = ? AND until IS NULL AND since >= ?", i.ID, m.Since.Add(-cause.Within)).Scan(ctx, &n); err != nil {
				return fmt.Errorf("counting what an incident affects: %w", err)
			}
		}
		opens = n >= cause.Least
	}
	if opens {
		i.State = Open
	}
	if _, err := tx.NewRaw("UPDATE incidents SET state = ?, joined_at = ?, stops = stops + 1 WHERE id = ?", i.State, m.Since, i.ID).Exec(ctx); err != nil {
		return fmt.Errorf("noting what an incident affects: %w", err)
	}
	switch {
	case i.State == Forming:
		return nil
	case opens:
		err = s.opened(ctx, tx, i, m)
	case told == 0 && s.Spread != nil:
		err = s.spread(ctx, tx, i, m)
	}
	return errors.Join(err, s.announce(ctx, tx, i.ID, m.TenantID, "joined"))
}

func (s *Service) opened(ctx context.Context, tx *sqldb.Tx, i *row, m *memberRow) error {
	if err := s.note(ctx, tx, i, "incident.opened"); err != nil {
		return err
	}
	if s.Tell == nil {
		return nil
	}
	n, err := s.news(ctx, tx, i, m, Open)
	if err != nil {
		return err
	}
	return s.Tell(ctx, tx, n)
}

func (s *Service) spread(ctx context.Context, tx *sqldb.Tx, i *row, m *memberRow) error {
	n, err := s.news(ctx, tx, i, m, Open)
	if err != nil {
		return err
	}
	n.TenantID = m.TenantID
	return s.Spread(ctx, tx, n)
}

// recover ends what affected a connection that works again.
func (s *Service) recover(ctx context.Context, tx *sqldb.Tx, c connection.Connection, now *membership) error {
	if err := s.await(ctx, tx, c); err != nil {
		return err
	}
	return s.leave(ctx, tx, now, Works)
}

// leave takes a connection out of an incident, which ends with the last one.
func (s *Service) leave(ctx context.Context, tx *sqldb.Tx, now *membership, why string) error {
	if _, err := tx.NewRaw("UPDATE incident_connections SET until = ?, ending = ? WHERE incident_id = ? AND connection_id = ?", s.time(), why, now.IncidentID, now.ConnectionID).Exec(ctx); err != nil {
		return fmt.Errorf("taking a connection out of an incident: %w", err)
	}
	return s.settle(ctx, tx, now.IncidentID, now.TenantID)
}

// left is [connection.Watch].Left.
func (s *Service) left(ctx context.Context, tx *sqldb.Tx, l connection.Leaving) error {
	var gone []memberRow
	q := tx.NewSelect().Model(&gone).Where("tenant_id = ? AND until IS NULL", l.TenantID)
	if l.ConnectionID != "" {
		q.Where("connection_id = ?", l.ConnectionID)
	}
	if err := q.Scan(ctx); err != nil {
		return fmt.Errorf("looking for incidents: %w", err)
	}
	why := Removed
	if l.Paused {
		why = Paused
	}
	var ids []string
	for i := range gone {
		gone[i].Ending = why
		if _, err := tx.NewRaw("UPDATE incident_connections SET until = ?, ending = ? WHERE incident_id = ? AND connection_id = ?", s.time(), why, gone[i].IncidentID, gone[i].ConnectionID).Exec(ctx); err != nil {
			return fmt.Errorf("taking a connection out of an incident: %w", err)
		}
		ids = append(ids, gone[i].IncidentID)
	}
	slices.Sort(ids) // everybody holds them in this order
	for _, id := range slices.Compact(ids) {
		if err := s.settle(ctx, tx, id, l.TenantID); err != nil {
			return err
		}
	}
	if l.TenantToo {
		return s.forgetTenant(ctx, tx, l.TenantID)
	}
	return nil
}

// settle counts what an incident affects, and ends it if that is nothing.
func (s *Service) settle(ctx context.Context, tx *sqldb.Tx, id, tenantID string) error {
	if ok, err := hold(ctx, tx, id, Forming, Open, Acknowledged); err != nil || !ok {
		return err
	}
	var n int
	if err := tx.NewSelect().Model((*memberRow)(nil)).ColumnExpr("count(*)").Where("incident_id = ? AND until IS NULL", id).Scan(ctx, &n); err != nil {
		return fmt.Errorf("counting what an incident affects: %w", err)
	}
	if _, err := tx.NewRaw("UPDATE incidents SET stops = ? WHERE id = ?", n, id).Exec(ctx); err != nil {
		return fmt.Errorf("noting what an incident affects: %w", err)
	}
	var r row
	if err := tx.NewSelect().Model(&r).Where("i.id = ?", id).Scan(ctx); err != nil {
		return fmt.Errorf("reading an incident: %w", err)
	}
	switch {
	case n == 0 && r.State == Forming: // nobody has heard of it
		if _, err := tx.NewRaw("DELETE FROM incidents WHERE id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting an incident: %w", err)
		}
		return nil
	case r.State == Forming:
		return nil
	case n == 0:
		if _, err := tx.NewRaw("UPDATE incidents SET state = ?, ended_at = ? WHERE id = ?", Ended, s.time(), id).Exec(ctx); err != nil {
			return fmt.Errorf("ending an incident: %w", err)
		}
		if err := s.note(ctx, tx, &r, "incident.ended"); err != nil {
			return err
		}
	}
	return s.announce(ctx, tx, id, tenantID, "left")
}

// note writes down what an incident did by itself, whoever caused that.
func (s *Service) note(ctx context.Context, tx *sqldb.Tx, i *row, action string) error {
	e, err := i.entry(ctx, tx, i.TenantID, action)
	if err != nil {
		return err
	}
	return s.Audit.Act(audit.AsSystem(ctx, "incidents"), tx, e)
}

func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, id, tenantID, what string) error {
	return s.Live.Publish(ctx, tx, Topic(id), tenantID, map[string]string{"incident": id, "changed": what})
}
