package connection

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/schedule"
	"gatehouse/internal/sqldb"
)

// ServerSchedule names, in place of a tenant, the schedule on which those of all
// tenants fall back.
const ServerSchedule = ""

// Schedules are the schedules that connections fall back on.
type Schedules struct {
	server  schedule.Schedule
	tenants map[string]schedule.Schedule
}

// For is the schedule in force for a connection of a tenant with one of its own,
// which may be "".
func (s Schedules) For(tenantID, own string) schedule.Schedule {
	mine, _ := schedule.Parse("schedule", own) // stored ones can be read; another release's counts as none
	return mine.Or(s.tenants[tenantID]).Or(s.server).Or(schedule.Default)
}

// Own is the schedule that a tenant, or the server, has itself.
func (s Schedules) Own(tenantID string) schedule.Schedule {
	if tenantID == ServerSchedule {
		return s.server
	}
	return s.tenants[tenantID]
}

// Schedules reads the schedules that connections fall back on.
func (s *Service) Schedules(ctx context.Context) (Schedules, error) {
	var rows []struct{ TenantID, Schedule string }
	if err := s.DB.Read().NewSelect().TableExpr("schedules").ColumnExpr("tenant_id, schedule").Scan(ctx, &rows); err != nil {
		return Schedules{}, fmt.Errorf("reading the schedules: %w", err)
	}
	out := Schedules{tenants: map[string]schedule.Schedule{}}
	for _, r := range rows {
		parsed, _ := schedule.Parse("schedule", r.Schedule)
		if r.TenantID == ServerSchedule {
			out.server = parsed
		} else {
			out.tenants[r.TenantID] = parsed
		}
	}
	return out, nil
}

// SetFallback sets the schedule of a tenant, or with [ServerSchedule] the server's;
// "" for none.
func (s *Service) SetFallback(ctx context.Context, tenantID, text string) error {
	parsed, err := schedule.Parse("schedule", text)
	if err != nil {
		return err
	}
	e := audit.Entry{Permission: audit.SettingsManage, TenantID: audit.AllTenants, Action: "schedule.changed", ObjectKind: "server", ObjectName: "schedule", Details: map[string]any{"schedule": parsed.String()}}
	if tenantID != ServerSchedule {
		t, err := s.Tenants.Get(ctx, tenantID)
		if err != nil {
			return err
		}
		e.Permission, e.TenantID, e.ObjectKind, e.ObjectID, e.ObjectName = audit.TenantManage, t.ID, "tenant", t.ID, t.Name
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, e); err != nil {
			return err
		}
		_, err := tx.NewRaw("INSERT INTO schedules (tenant_id, schedule) VALUES (?, ?) ON CONFLICT (tenant_id) DO UPDATE SET schedule = excluded.schedule", tenantID, parsed.String()).Exec(ctx)
		if err != nil {
			return fmt.Errorf("changing a schedule: %w", err)
		}
		q := tx.NewUpdate().TableExpr("connections").Set("planned = ?", false).Where("planned AND schedule = ''")
		readers := tx.NewUpdate().TableExpr("readers").Set("refresh_at = NULL").Where("refresh_at IS NOT NULL")
		if tenantID != ServerSchedule {
			q.Where("tenant_id = ?", tenantID)
			readers.Where("tenant_id = ?", tenantID)
		}
		if _, err := q.Exec(ctx); err != nil {
			return fmt.Errorf("changing a schedule: %w", err)
		}
		if _, err := readers.Exec(ctx); err != nil {
			return fmt.Errorf("changing a schedule: %w", err)
		}
		return nil
	})
}

// SetSchedule gives a connection a schedule of its own, "" for the tenant's; false
// if it has it.
func (s *Service) SetSchedule(ctx context.Context, id, text string) (changed bool, err error) {
	parsed, err := schedule.Parse("schedule", text)
	if err != nil {
		return false, err
	}
	all, err := s.Schedules(ctx)
	if err != nil {
		return false, err
	}
	return s.change1(ctx, id, func(c Connection) bool { return c.Schedule != parsed.String() }, func() error {
		return s.change(ctx, id, "connection.scheduled", map[string]any{"schedule": parsed.String()}, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
			next := utcOrNil(all.For(r.TenantID, parsed.String()).Next(r.ID, s.time()))
			if _, err := tx.NewRaw("UPDATE connections SET schedule = ?, next_at = ?, planned = ?, version = version + 1 WHERE id = ?", parsed.String(), next, true, r.ID).Exec(ctx); err != nil {
				return fmt.Errorf("changing a schedule: %w", err)
			}
			return nil
		})
	})
}

// SetConsumer names the software that uses a connection; false if it is that one.
func (s *Service) SetConsumer(ctx context.Context, id, name string) (changed bool, err error) {
	var f faults
	f.Text("consumer.name", name, 200)
	if err := f.Err(); err != nil {
		return false, err
	}
	return s.change1(ctx, id, func(c Connection) bool { return c.Consumer.Name != name }, func() error {
		return s.change(ctx, id, "connection.changed", map[string]any{"consumer": name}, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
			c, err := r.connection()
			if err != nil {
				return err
			}
			version := r.Version
			c.Consumer.Name = name
			r.Consumer, r.Version = encode(c.Consumer), version+1
			return r.save(ctx, tx, version, "consumer", "version")
		})
	})
}

func utcOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// planAtOnce is how many connections one transaction plans.
const planAtOnce = 500

// Plan notes when connections are next due that have no such time yet: new ones,
// and those whose schedule was changed. It is for the job that keeps to the
// schedules, and asks for no permission.
func (s *Service) Plan(ctx context.Context) error {
	all, err := s.Schedules(ctx)
	if err != nil {
		return err
	}
	for {
		n := 0
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var rows []struct{ ID, TenantID, Schedule string }
			if err := tx.NewSelect().TableExpr("connections AS c").ColumnExpr("c.id AS id, c.tenant_id AS tenant_id, c.schedule AS schedule").Where("NOT c.planned").Limit(planAtOnce).Scan(ctx, &rows); err != nil {
				return err
			}
			n = len(rows)
			for _, r := range rows {
				next := utcOrNil(all.For(r.TenantID, r.Schedule).Next(r.ID, s.time()))
				if _, err := tx.NewRaw("UPDATE connections SET next_at = ?, planned = ? WHERE id = ? AND schedule = ?", next, true, r.ID, r.Schedule).Exec(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("planning validations: %w", err)
		}
		if n < planAtOnce {
			return nil
		}
	}
}

// Due is a connection whose time has come.
type Due struct {
	Target
	at time.Time
}

// Due gives the connections whose time has come, the longest due first, of tenants
// that are not paused; most at most. Those that are parked are not among them. It
// is for the job that keeps to the schedules, and asks for no permission.
func (s *Service) Due(ctx context.Context, most int) (due []Due, err error) {
	var rows []struct {
		ID, TenantID, Name string
		NextAt             time.Time
	}
	err = s.DB.Read().NewSelect().TableExpr("connections AS c").ColumnExpr("c.id AS id, c.tenant_id AS tenant_id, c.name AS name, c.next_at AS next_at").
		Join("JOIN tenants AS t ON t.id = c.tenant_id").Where("c.next_at <= ? AND c.planned AND NOT c.parked AND NOT t.paused", s.time()).
		OrderExpr("c.next_at, c.id").Limit(int64(most)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("reading what is due: %w", err)
	}
	for _, r := range rows {
		due = append(due, Due{Target{r.ID, r.TenantID, r.Name}, r.NextAt})
	}
	return due, nil
}

// Scheduled counts the connections that are validated by themselves.
func (s *Service) Scheduled(ctx context.Context) (int, error) {
	n, err := s.DB.Read().NewSelect().TableExpr("connections").Where("next_at IS NOT NULL").Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting what is scheduled: %w", err)
	}
	return int(n), nil
}

// Take moves a due connection to its next time, in the transaction that has it
// validated; false if another replica was first.
func (s *Service) Take(ctx context.Context, tx *sqldb.Tx, all Schedules, d Due) (bool, error) {
	var own string
	if err := tx.NewSelect().TableExpr("connections").ColumnExpr("schedule").Where("id = ?", d.ID).Scan(ctx, &own); err != nil {
		if sqldb.Missing(err) {
			return false, nil
		}
		return false, fmt.Errorf("planning a validation: %w", err)
	}
	next := utcOrNil(all.For(d.TenantID, own).Next(d.ID, s.time()))
	done, err := tx.NewRaw("UPDATE connections SET next_at = ? WHERE id = ? AND next_at = ? AND NOT parked", next, d.ID, d.at.UTC()).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("planning a validation: %w", err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}
