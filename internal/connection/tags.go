package connection

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
)

// Bounds of tags.
const (
	maxTag  = 40 // bytes
	maxTags = 20 // of one connection
)

// normal is a tag as it is stored: lower case, with a single hyphen for blanks.
func normal(tag string) string { return strings.Join(strings.Fields(strings.ToLower(tag)), "-") }

// Tag reads a tag that somebody entered.
func Tag(field, text string) (string, error) {
	tag := normal(text)
	bad := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.:/", r)
	}
	switch {
	case tag == "":
		return "", fault.Of(field, "is empty", "write a word such as finance or tier:1")
	case len(tag) > maxTag:
		return "", fault.Of(field, "is too long", fmt.Sprintf("use %d letters at most", maxTag))
	case strings.ContainsFunc(tag, bad):
		return "", fault.Of(field, "holds signs that no tag has", "use letters, digits and - _ . : /")
	}
	return tag, nil
}

// tagged fills in the tags of connections, and the schedules in force.
func (s *Service) tagged(ctx context.Context, all []Connection) error {
	if len(all) == 0 {
		return nil
	}
	schedules, err := s.Schedules(ctx)
	if err != nil {
		return err
	}
	for i, c := range all {
		inForce := schedules.For(c.TenantID, c.Schedule)
		all[i].InForce = inForce.String()
		switch {
		case c.Parked:
			all[i].NextAt = nil
		case c.NextAt == nil: // off, or not planned yet
			all[i].NextAt = utcOrNil(inForce.Next(c.ID, s.time()))
		}
	}
	ids, at := make([]string, len(all)), map[string]*Connection{}
	for i := range all {
		ids[i], at[all[i].ID] = all[i].ID, &all[i]
	}
	var rows []struct{ ConnectionID, Tag string }
	err = s.DB.Read().NewSelect().TableExpr("connection_tags").ColumnExpr("connection_id, tag").Where("connection_id IN (?)", bun.List(ids)).OrderExpr("connection_id, tag").Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("reading tags: %w", err)
	}
	for _, r := range rows {
		at[r.ConnectionID].Tags = append(at[r.ConnectionID].Tags, r.Tag)
	}
	return nil
}

// TagCount is a tag with the number of connections that have it.
type TagCount struct {
	Tag   string
	Count int
}

// Tags gives the tags in use in the tenants that the actor may see, the first most
// of them by name.
func (s *Service) Tags(ctx context.Context, most int) ([]TagCount, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	var out []TagCount
	q := s.DB.Read().NewSelect().TableExpr("connection_tags AS g").ColumnExpr("g.tag AS tag, count(*) AS count").GroupExpr("g.tag").OrderExpr("g.tag").Limit(int64(most))
	if !scope.All {
		q = scope.Filter(q.Join("JOIN connections AS c ON c.id = g.connection_id"), "c.tenant_id")
	}
	if err := q.Scan(ctx, &out); err != nil {
		return nil, fmt.Errorf("listing tags: %w", err)
	}
	return out, nil
}

// SetTags gives a connection tags in place of those that it has.
func (s *Service) SetTags(ctx context.Context, id string, tags []string) error {
	clean, err := cleanTags("tags", tags)
	if err != nil {
		return err
	}
	return s.retag(ctx, id, func([]string) []string { return clean })
}

// cleanTags reads the tags of a connection.
func cleanTags(field string, tags []string) ([]string, error) {
	var wrong fault.List
	out := []string{}
	for _, text := range tags {
		if strings.TrimSpace(text) == "" {
			continue
		}
		tag, err := Tag(field, text)
		if err != nil {
			wrong.Add(field, fmt.Sprintf("%.50q is no tag", text), fmt.Sprintf("use letters, digits and - _ . : /, %d at most", maxTag))
			continue
		}
		out = append(out, tag)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > maxTags {
		wrong.Add(field, fmt.Sprintf("are %d", len(out)), fmt.Sprintf("use %d at most", maxTags))
	}
	return out, wrong.Err()
}

// AddTag adds a tag to a connection; false if it has it.
func (s *Service) AddTag(ctx context.Context, id, text string) (changed bool, err error) {
	tag, err := Tag("tag", text)
	if err != nil {
		return false, err
	}
	return s.change1(ctx, id, func(c Connection) bool { return !slices.Contains(c.Tags, tag) }, func() error {
		return s.retag(ctx, id, func(have []string) []string { return append(have, tag) })
	})
}

// RemoveTag takes a tag from a connection; false if it does not have it.
func (s *Service) RemoveTag(ctx context.Context, id, text string) (changed bool, err error) {
	tag := normal(text)
	return s.change1(ctx, id, func(c Connection) bool { return slices.Contains(c.Tags, tag) }, func() error {
		return s.retag(ctx, id, func(have []string) []string {
			return slices.DeleteFunc(have, func(t string) bool { return t == tag })
		})
	})
}

// change1 does something to a connection unless it is so already; the permission
// is demanded either way.
func (s *Service) change1(ctx context.Context, id string, needed func(Connection) bool, do func() error) (bool, error) {
	c, err := s.Get(ctx, id)
	if err != nil {
		return false, err
	}
	if err := s.Audit.Allow(ctx, c.TenantID, audit.ConnectionManage); err != nil || !needed(c) {
		return false, err
	}
	return true, do()
}

func (s *Service) retag(ctx context.Context, id string, which func(have []string) []string) error {
	return s.change(ctx, id, "connection.tagged", nil, func(ctx context.Context, tx *sqldb.Tx, _ *row) error {
		var have []string
		if err := tx.NewSelect().TableExpr("connection_tags").ColumnExpr("tag").Where("connection_id = ?", id).OrderExpr("tag").Scan(ctx, &have); err != nil {
			return fmt.Errorf("reading tags: %w", err)
		}
		want, err := cleanTags("tags", which(slices.Clone(have)))
		if err != nil {
			return err
		}
		return putTags(ctx, tx, id, want)
	})
}

func putTags(ctx context.Context, tx *sqldb.Tx, id string, tags []string) error {
	if _, err := tx.NewRaw("DELETE FROM connection_tags WHERE connection_id = ?", id).Exec(ctx); err != nil {
		return fmt.Errorf("changing tags: %w", err)
	}
	for _, tag := range tags {
		if _, err := tx.NewRaw("INSERT INTO connection_tags (connection_id, tag) VALUES (?, ?)", id, tag).Exec(ctx); err != nil {
			return fmt.Errorf("changing tags: %w", err)
		}
	}
	return nil
}
