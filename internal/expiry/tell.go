package expiry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// told is a level that was told.
type told struct {
	bun.BaseModel `bun:"table:expiry_told"`

	ItemID   string    `bun:"item_id,pk"`
	NotAfter time.Time `bun:"not_after,pk"`
	Level    Level     `bun:"level,pk"`
	TenantID string
	ToldAt   time.Time
}

// toldRegistration is the same of a credential of an app registration, which belongs
// to no tenant.
type toldRegistration struct {
	bun.BaseModel `bun:"table:registration_told"`

	CredentialID string    `bun:"credential_id,pk"`
	NotAfter     time.Time `bun:"not_after,pk"`
	Level        Level     `bun:"level,pk"`
	ToldAt       time.Time
}

// longGone is how long after an end nobody is told of it any more who was not told
// before: who adds a tenant wants no letter for each secret of the last years.
const longGone = 7 * day

// tellAll tells what is due in all tenants, and has those read that have a working
// reader and were never read.
func (s *Service) tellAll(ctx context.Context) error {
	if err := s.tellTenant(ctx, ""); err != nil {
		return err
	}
	now := s.time()
	return s.addAll(ctx, "EXISTS (SELECT 1 FROM readers AS r WHERE r.tenant_id = t.id AND r.state = '"+tenant.ReaderWorks+"') AND NOT EXISTS (SELECT 1 FROM expiry_tenants AS e WHERE e.tenant_id = t.id AND e.read_at IS NOT NULL)",
		func(string) time.Time { return now })
}

// tellTenant tells what is due in a tenant, "" for all.
func (s *Service) tellTenant(ctx context.Context, tenantID string) error {
	if s.Tell == nil {
		return nil
	}
	const part = 200
	for {
		now := s.time()
		var rows []found
		q := s.selected().Where("x.used AND x.not_after > ? AND x.not_after <= ?", now.Add(-longGone), now.Add(90*day)).
			Where("NOT EXISTS (SELECT 1 FROM (SELECT item_id, not_after, level FROM expiry_told UNION ALL SELECT 'g-' || credential_id, not_after, level FROM registration_told) AS d WHERE d.item_id = x.id AND d.not_after = x.not_after AND d.level = CASE WHEN x.not_after <= ? THEN 'past' WHEN x.not_after <= ? THEN '7' WHEN x.not_after <= ? THEN '30' ELSE '90' END)",
				now, now.Add(7*day), now.Add(30*day)).
			OrderExpr("x.not_after, x.id").Limit(part)
		if tenantID != "" {
			q.Where("x.tenant_id = ?", tenantID)
		}
		if err := q.Scan(ctx, &rows); err != nil {
			return fmt.Errorf("looking what is to be told: %w", err)
		}
		items, err := s.whole(ctx, rows)
		if err != nil {
			return err
		}
		for _, i := range items {
			if err := s.tellOne(ctx, i, now); err != nil {
				return err
			}
		}
		if len(rows) < part {
			return nil
		}
	}
}

// note notes that a level was told, and gives 0 if it was known.
func note(ctx context.Context, tx *sqldb.Tx, i Item, level Level, now time.Time) (int64, error) {
	q := tx.NewInsert().Model(&told{ItemID: i.ID, NotAfter: i.NotAfter.UTC(), Level: level, TenantID: i.TenantID, ToldAt: now}).On("CONFLICT (item_id, not_after, level) DO NOTHING")
	if i.RegistrationID != "" {
		q = tx.NewInsert().Model(&toldRegistration{CredentialID: strings.TrimPrefix(i.ID, "g-"), NotAfter: i.NotAfter.UTC(), Level: level, ToldAt: now}).On("CONFLICT (credential_id, not_after, level) DO NOTHING")
	}
	done, err := q.Exec(ctx)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

// tellOne tells a level once. The farther levels count as told with it.
func (s *Service) tellOne(ctx context.Context, i Item, now time.Time) error {
	level := i.Level(now)
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		first, reached := false, false
		for _, l := range levels {
			reached = reached || l.Level == level
			if !reached {
				continue
			}
			n, err := note(ctx, tx, i, l.Level, now)
			if err != nil {
				return fmt.Errorf("noting what was told: %w", err)
			}
			if l.Level == level {
				first = n == 1
			}
		}
		if !first {
			return nil // somebody else told it meanwhile
		}
		steps, actor := Remedy(i)
		return s.Tell(ctx, tx, News{Item: i, Level: level, At: now, Steps: steps, Actor: actor})
	})
}
