package expiry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/rotation"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

type refreshArgs struct {
	Tenant string `json:"tenant"`
}

// Unread is a part of a tenant that could not be read.
type Unread struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

type tenantRow struct {
	bun.BaseModel `bun:"table:expiry_tenants,alias:e"`

	TenantID string `bun:"tenant_id,pk"`
	ReadAt   *time.Time
	TriedAt  time.Time
	Reason   string
	Unread   string
	Grants   string
}

// Refresh adds the job that reads a tenant's credentials anew.
func (s *Service) Refresh(ctx context.Context, tenantID string) error {
	at, err := s.Tenants.Directory(ctx, tenantID)
	if err != nil {
		return err
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, audit.Entry{Permission: audit.PostureRefresh, TenantID: tenantID, Action: "expiry.requested", ObjectKind: "tenant", ObjectID: tenantID}); err != nil {
			return err
		}
		if at.Paused {
			return tenant.ErrPaused
		}
		_, err := s.refresh.Add(ctx, tx, refreshArgs{tenantID}, jobs.Options{Tenant: tenantID, Ahead: true})
		return err
	})
}

// spread is over how much of a day the tenants are read.
const spread = 22 * time.Hour

// plan adds, once a day, the reading of each tenant that is not paused: each at a
// time of the day of its own, always the same.
func (s *Service) plan(ctx context.Context, tick jobs.Tick) error {
	return s.addAll(audit.AsSystem(ctx, "expiry_day"), "", func(id string) time.Time {
		h := fnv.New64a()
		_, _ = h.Write([]byte(id))
		return tick.Due.Add(time.Duration(h.Sum64() % uint64(spread)))
	})
}

// addAll adds readings of the tenants that fit.
func (s *Service) addAll(ctx context.Context, where string, at func(id string) time.Time) error {
	var ids []string
	q := s.DB.Read().NewSelect().TableExpr("tenants AS t").Column("t.id").Where("NOT t.paused").Order("t.id")
	if where != "" {
		q.Where(where)
	}
	if err := q.Scan(ctx, &ids); err != nil {
		return fmt.Errorf("looking which tenants to read: %w", err)
	}
	const part = 200
	for len(ids) > 0 {
		some := ids[:min(part, len(ids))]
		ids = ids[len(some):]
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for _, id := range some {
				if _, err := s.refresh.Add(ctx, tx, refreshArgs{id}, jobs.Options{Tenant: id, At: at(id)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// noReader is why nothing is known of a tenant.
const noReader = "unknown (no reader)"

// read is the job: it reads a tenant, keeps what was found, tells what is due,
// and begins to replace the reader's certificate in time.
func (s *Service) read(ctx context.Context, args refreshArgs) error {
	ctx = audit.AsSystem(ctx, "expiry_refresh")
	at, err := s.Tenants.Directory(ctx, args.Tenant)
	if errors.Is(err, tenant.ErrMissing) {
		return jobs.Stop(err)
	}
	if err != nil || at.Paused {
		return err
	}
	reading, err := s.Tenants.Reading(ctx, args.Tenant)
	if err != nil {
		return err
	}
	if reading == nil {
		return s.failed(ctx, args.Tenant, noReader)
	}
	found, err := s.fetch(ctx, args.Tenant, at, reading)
	var refused *microsoft.Error
	if errors.As(err, &refused) && refused.RetryAfter > 0 {
		return jobs.Later(refused.RetryAfter, err)
	}
	if err != nil {
		return errors.Join(err, s.failed(ctx, args.Tenant, err.Error()))
	}
	if err := s.keep(ctx, args.Tenant, found); err != nil {
		return err
	}
	return errors.Join(s.tellTenant(ctx, args.Tenant), s.renewReader(ctx, args.Tenant))
}

// RenewBefore is how long before its end a reader's certificate is replaced.
const RenewBefore = 30 * day

// renewReader begins to replace the reader's certificate if it ends soon.
func (s *Service) renewReader(ctx context.Context, tenantID string) error {
	t, err := s.Tenants.Get(ctx, tenantID)
	if err != nil {
		return err
	}
	if t.Reader == nil || t.Reader.State != tenant.ReaderWorks || t.Reader.NotAfter.Sub(s.Now()) > RenewBefore {
		return nil
	}
	_, err = s.Rotations.Begin(ctx, rotation.Target{TenantID: tenantID})
	if errors.Is(err, rotation.ErrOpen) {
		return nil
	}
	return err
}

// failed notes why a tenant could not be read. What is known stays, with its age.
func (s *Service) failed(ctx context.Context, tenantID, reason string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		row := &tenantRow{TenantID: tenantID, TriedAt: s.time(), Reason: clip(reason), Unread: "[]", Grants: "null"}
		_, err := tx.NewInsert().Model(row).On("CONFLICT (tenant_id) DO UPDATE").Set("tried_at = EXCLUDED.tried_at, reason = EXCLUDED.reason").Exec(ctx)
		if err != nil {
			return fmt.Errorf("noting that a tenant could not be read: %w", err)
		}
		return s.announce(ctx, tx, tenantID)
	})
}

// keep stores what was read in place of what was there. Of a part that could not
// be read, what was known stays.
func (s *Service) keep(ctx context.Context, tenantID string, found *findings) error {
	unread, err := json.Marshal(found.unread)
	if err != nil {
		return fmt.Errorf("encoding what could not be read: %w", err)
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		before := tenantRow{Grants: "null"}
		if err := tx.NewSelect().Model(&before).Where("tenant_id = ?", tenantID).Scan(ctx); err != nil && !sqldb.Missing(err) {
			return fmt.Errorf("reading the last forecast: %w", err)
		}
		grants, err := s.drift(ctx, tx, tenantID, before, found)
		if err != nil {
			return err
		}
		for _, holder := range found.whole {
			if _, err := tx.NewDelete().Model((*row)(nil)).Where("tenant_id = ? AND holder = ?", tenantID, holder).Exec(ctx); err != nil {
				return fmt.Errorf("replacing a forecast: %w", err)
			}
		}
		const part = 500
		for rows := found.rows; len(rows) > 0; rows = rows[min(part, len(rows)):] {
			some := rows[:min(part, len(rows))]
			if _, err := tx.NewInsert().Model(&some).On("CONFLICT (id) DO NOTHING").Exec(ctx); err != nil {
				return fmt.Errorf("keeping a forecast: %w", err)
			}
		}
		now := s.time()
		row := &tenantRow{TenantID: tenantID, ReadAt: &now, TriedAt: now, Unread: string(unread), Grants: grants}
		if _, err := tx.NewInsert().Model(row).On("CONFLICT (tenant_id) DO UPDATE").
			Set("read_at = EXCLUDED.read_at, tried_at = EXCLUDED.tried_at, reason = '', unread = EXCLUDED.unread, grants = EXCLUDED.grants").Exec(ctx); err != nil {
			return fmt.Errorf("keeping a forecast: %w", err)
		}
		return s.announce(ctx, tx, tenantID)
	})
}

func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, tenantID string) error {
	return s.Live.Publish(ctx, tx, "tenant/"+tenantID, tenantID, map[string]string{"tenant": tenantID, "changed": "expiry"})
}

// unreadOf reads what could not be read; the document is one of ours.
func unreadOf(text string) (out []Unread) {
	if json.Unmarshal([]byte(text), &out) != nil {
		return nil
	}
	return out
}
