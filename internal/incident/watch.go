package incident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/connection"
	"gatehouse/internal/sqldb"
)

// news is what there is to tell of an incident in its transaction; m is one that
// it affects.
func (s *Service) news(ctx context.Context, tx *sqldb.Tx, i *row, m *memberRow, what State) (News, error) {
	n := News{ID: i.ID, What: what, TenantID: i.TenantID, Title: headline(i.Kind, i.Subject, m.Title), Path: path(i.ID), Subject: i.Subject, Kind: string(i.Kind), Actor: string(m.Actor), At: s.time()}
	q := tx.NewSelect().Model((*memberRow)(nil)).Where("incident_id = ?", i.ID)
	if what != Ended {
		q.Where("until IS NULL")
	}
	var reach []struct {
		TenantID string
		Count    int
	}
	if err := q.ColumnExpr("tenant_id, count(*) AS count").GroupExpr("tenant_id").OrderExpr("tenant_id").Scan(ctx, &reach); err != nil {
		return n, fmt.Errorf("reading an incident's reach: %w", err)
	}
	for _, r := range reach {
		n.Tenants, n.Connections = append(n.Tenants, r.TenantID), n.Connections+r.Count
	}
	if len(n.Tenants) == 1 {
		n.TenantID = n.Tenants[0]
	}
	n.Text = s.words(n, m)
	return n, nil
}

func (s *Service) words(n News, m *memberRow) string {
	affected := fmt.Sprintf("%d connections in %d tenants", n.Connections, len(n.Tenants))
	if n.Connections == 1 {
		affected = "the connection " + m.Name
	} else if len(n.Tenants) == 1 {
		affected = fmt.Sprintf("%d connections", n.Connections)
	}
	if n.What == Ended {
		return "It is over: it affected " + affected + "."
	}
	text := "It affects " + affected + ". " + m.Title + "."
	if m.Help != "" {
		text += " What helps first: " + m.Help + "."
	}
	return text
}

// TellEnds tells the ends of incidents that have been over for so long that they
// are not opened again. It is for jobs.
func (s *Service) TellEnds(ctx context.Context) error {
	var over []string
	err := s.DB.Read().NewSelect().Model((*row)(nil)).Column("id").Where("i.state = ? AND NOT i.end_told AND i.ended_at <= ?", Ended, s.time().Add(-s.Calm)).OrderExpr("i.ended_at").Scan(ctx, &over)
	if err != nil {
		return fmt.Errorf("looking for incidents that have ended: %w", err)
	}
	for _, id := range over {
		if err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.tellEnd(ctx, tx, id) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) tellEnd(ctx context.Context, tx *sqldb.Tx, id string) error {
	done, err := tx.NewRaw("UPDATE incidents SET end_told = ?, slot = NULL WHERE id = ? AND state = ? AND NOT end_told", true, id, Ended).Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting an incident's end: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 || s.Tell == nil {
		return err // another replica did, or it is open again
	}
	var i row
	if err := tx.NewSelect().Model(&i).Where("i.id = ?", id).Scan(ctx); err != nil {
		return fmt.Errorf("reading an incident: %w", err)
	}
	var m memberRow
	if err := tx.NewSelect().Model(&m).Where("incident_id = ?", id).OrderExpr("until DESC, connection_id").Limit(1).Scan(ctx); err != nil && !sqldb.Missing(err) {
		return fmt.Errorf("reading an incident's reach: %w", err)
	}
	n, err := s.news(ctx, tx, &i, &m, Ended)
	if err != nil {
		return err
	}
	return s.Tell(ctx, tx, n)
}

// atOnce is how many connections one look makes up for.
const atOnce = 500

// CatchUp finds the incident of connections that are stopped and in none: of a
// tenant that was resumed, or from before there were incidents. It is for jobs.
func (s *Service) CatchUp(ctx context.Context) error {
	for {
		missed, err := s.Connections.Unfollowed(ctx, "incident_connections", atOnce)
		if err != nil {
			return err
		}
		for _, c := range missed {
			if err := s.catchUp(ctx, c.ID); err != nil {
				return err
			}
		}
		if len(missed) < atOnce {
			return nil
		}
	}
}

func (s *Service) catchUp(ctx context.Context, id string) error {
	f, err := s.Runs.Found(ctx, id)
	if err != nil {
		return err
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		c, err := s.Connections.Reload(ctx, tx, id)
		if errors.Is(err, connection.ErrMissing) || err == nil && !stopped(c) {
			return nil
		}
		if err != nil {
			return err
		}
		if now, err := current(ctx, tx, id); err != nil || now != nil {
			return err
		}
		return s.join(ctx, tx, c, f, nil)
	})
}

// forgetTenant takes away what incidents say of a tenant that is being removed,
// and those that said of nothing else.
func (s *Service) forgetTenant(ctx context.Context, tx *sqldb.Tx, tenantID string) error {
	var only []string
	err := tx.NewSelect().Model((*row)(nil)).Column("id").Where("EXISTS (SELECT 1 FROM incident_connections AS m WHERE m.incident_id = i.id AND m.tenant_id = ?)", tenantID).
		Where("NOT EXISTS (SELECT 1 FROM incident_connections AS m WHERE m.incident_id = i.id AND m.tenant_id <> ?)", tenantID).OrderExpr("i.id").Scan(ctx, &only)
	if err != nil {
		return fmt.Errorf("looking for a tenant's incidents: %w", err)
	}
	if len(only) > 0 {
		for _, id := range only {
			if err := s.tellEnd(ctx, tx, id); err != nil {
				return err
			}
		}
		if _, err := tx.NewRaw("DELETE FROM incidents WHERE id IN (?)", bun.List(only)).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting a tenant's incidents: %w", err)
		}
	}
	for _, table := range []string{"incident_connections", "connection_proofs"} {
		if _, err := tx.NewRaw("DELETE FROM "+table+" WHERE tenant_id = ?", tenantID).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting a tenant's incidents: %w", err)
		}
	}
	_, err = tx.NewRaw("DELETE FROM incident_comments WHERE id IN (SELECT comment_id FROM incident_comment_tenants WHERE tenant_id = ?)", tenantID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forgetting comments on a tenant's incidents: %w", err)
	}
	return nil
}

// Forget removes incidents that ended before a moment, and says how many.
func (s *Service) Forget(ctx context.Context, before time.Time) (int64, error) {
	var n int64
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done, err := tx.NewRaw("DELETE FROM incidents WHERE state = ? AND end_told AND ended_at < ?", Ended, before.UTC()).Exec(ctx)
		if err != nil {
			return fmt.Errorf("forgetting incidents: %w", err)
		}
		n, err = done.RowsAffected()
		return err
	})
	return n, err
}
