package incident

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
)

// allow finds the tenant in which the actor may do something to an incident: one
// that it concerns. For who may do it in all tenants it belongs to none.
func (s *Service) allow(ctx context.Context, tx *sqldb.Tx, r *row, p audit.Permission) (tenantID string, concerns []string, err error) {
	err = tx.NewSelect().Model((*memberRow)(nil)).ColumnExpr("DISTINCT m.tenant_id").Where("incident_id = ?", r.ID).OrderExpr("m.tenant_id").Scan(ctx, &concerns)
	if err != nil {
		return "", nil, fmt.Errorf("reading what an incident affects: %w", err)
	}
	view, err := audit.Tenants(ctx, audit.IncidentView)
	if err != nil {
		return "", nil, err
	}
	concerns = slices.DeleteFunc(concerns, func(id string) bool { return !view.Has(id) })
	if len(concerns) == 0 {
		return "", nil, s.hidden(ctx, tx, r, p)
	}
	if view.All && len(concerns) > 1 && audit.May(ctx, audit.AllTenants, p) {
		return audit.AllTenants, concerns, nil
	}
	for _, id := range concerns {
		if audit.May(ctx, id, p) {
			return id, concerns, nil
		}
	}
	return concerns[0], concerns, nil // where it is refused
}

// change loads an incident, authorises, records and does something to it.
func (s *Service) change(ctx context.Context, id, action string, do func(ctx context.Context, tx *sqldb.Tx, r *row, concerns []string) error) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		of, concerns, err := s.allow(ctx, tx, r, audit.IncidentManage)
		if err != nil {
			return err
		}
		e, err := r.entry(ctx, tx, of, action)
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, e); err != nil {
			return err
		}
		if err := do(ctx, tx, r, concerns); err != nil {
			return err
		}
		return s.announceAll(ctx, tx, id, concerns)
	})
}

// mostEvents bounds the events of one act. Beyond, only who sees all tenants is
// told at once; others read it with the next page.
const mostEvents = 50

func (s *Service) announceAll(ctx context.Context, tx *sqldb.Tx, id string, concerns []string) error {
	if len(concerns) > mostEvents {
		concerns = []string{""}
	}
	for _, of := range concerns {
		if err := s.announce(ctx, tx, id, of, "noted"); err != nil {
			return err
		}
	}
	return nil
}

// Acknowledge says that somebody takes care of an incident. Doing so again is
// nothing new; [ErrEnded] if it is over.
func (s *Service) Acknowledge(ctx context.Context, id string) (Incident, error) {
	actor, _ := audit.From(ctx)
	err := s.change(ctx, id, "incident.acknowledged", func(ctx context.Context, tx *sqldb.Tx, r *row, _ []string) error {
		now := s.time()
		done, err := tx.NewRaw("UPDATE incidents SET state = ?, acknowledged_by = ?, acknowledged_at = ?, version = version + 1 WHERE id = ? AND state = ?", Acknowledged, actor.Name, now, id, Open).Exec(ctx)
		if err != nil {
			return fmt.Errorf("acknowledging an incident: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 && r.State == Ended {
			return cmp.Or(err, ErrEnded)
		}
		return nil
	})
	if err != nil {
		return Incident{}, err
	}
	return s.Get(ctx, id)
}

// maxComment bounds a comment, in bytes.
const maxComment = 4000

// Comment writes something about an incident. It is shown to those who may see all
// tenants of the incident that its author can see.
func (s *Service) Comment(ctx context.Context, id, text string) (Comment, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Comment{}, fault.Of("text", "is missing", "write something")
	case len(text) > maxComment:
		return Comment{}, fault.Of("text", "is too long", fmt.Sprintf("shorten it to %d bytes", maxComment))
	}
	actor, _ := audit.From(ctx)
	c := &commentRow{ID: uuid.Must(uuid.NewV7()).String(), IncidentID: id, At: s.time(), AuthorID: actor.ID, Author: actor.Name, Text: text}
	err := s.change(ctx, id, "incident.commented", func(ctx context.Context, tx *sqldb.Tx, _ *row, concerns []string) error {
		if _, err := tx.NewInsert().Model(c).Exec(ctx); err != nil {
			return fmt.Errorf("keeping a comment: %w", err)
		}
		of := make([]commentTenantRow, len(concerns))
		for i, tenantID := range concerns {
			of[i] = commentTenantRow{CommentID: c.ID, TenantID: tenantID}
		}
		if _, err := tx.NewInsert().Model(&of).Exec(ctx); err != nil {
			return fmt.Errorf("keeping a comment: %w", err)
		}
		return nil
	})
	if err != nil {
		return Comment{}, err
	}
	return c.comment(), nil
}

func (c *commentRow) comment() Comment {
	return Comment{ID: c.ID, At: c.At.UTC(), Author: c.Author, Text: c.Text}
}

// Comments gives what was written about an incident that the actor may read, the
// first first.
func (s *Service) Comments(ctx context.Context, id string) ([]Comment, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, err
	}
	scope, err := audit.Tenants(ctx, audit.IncidentView)
	if err != nil {
		return nil, err
	}
	var rows []commentRow
	q := s.DB.Read().NewSelect().Model(&rows).Where("m.incident_id = ?", id).OrderExpr("m.id")
	if !scope.All {
		mine := scope.Filter(s.DB.Read().NewSelect().TableExpr("tenants AS t").ColumnExpr("t.id"), "t.id")
		q.Where("NOT EXISTS (SELECT 1 FROM incident_comment_tenants AS ct WHERE ct.comment_id = m.id AND ct.tenant_id NOT IN (?))", mine)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading comments: %w", err)
	}
	out := make([]Comment, len(rows))
	for i := range rows {
		out[i] = rows[i].comment()
	}
	return out, nil
}
