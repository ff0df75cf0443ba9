package signin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// linksKept is how long links are kept that can no longer be used: whoever opens one
// is told why.
const linksKept = 30 * 24 * time.Hour

// Sweep forgets attempts a day after they ended, and links a month after.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.time()
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.NewRaw("DELETE FROM signin_attempts WHERE expires_at < ?", now.Add(-browserLife)).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting sign-ins: %w", err)
		}
		if _, err := tx.NewRaw("DELETE FROM signin_links WHERE until < ?", now.Add(-linksKept)).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting sign-in links: %w", err)
		}
		return nil
	})
}

// ForgetBefore forgets what became of sign-ins before a time.
func (s *Service) ForgetBefore(ctx context.Context, before time.Time) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.NewRaw("DELETE FROM sign_ins WHERE at < ?", before.UTC()).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting sign-ins: %w", err)
		}
		return nil
	})
}

// erasedWords stand where what was said of a sign-in named somebody.
const erasedWords = "What was said named somebody who was erased"

// Erase takes a person's names out of what they asked for and signed in to, and out of
// the audit log what their links did under their name. User names are the same however
// they are written. It is an [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	names = lowered(names)
	var links []string
	if err := tx.NewRaw("SELECT id FROM signin_links WHERE lower(person) IN (?) ORDER BY id", bun.List(names)).Scan(ctx, &links); err != nil && !sqldb.Missing(err) {
		return fmt.Errorf("erasing a person from sign-ins: %w", err)
	}
	for _, id := range links {
		if err := s.Audit.Erase(ctx, tx, id); err != nil {
			return err
		}
	}
	if _, err := tx.NewRaw("UPDATE sign_ins SET object_id = '' WHERE lower(person) IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from sign-ins: %w", err)
	}
	for _, c := range [][2]string{{"signin_links", "asked_by"}, {"signin_links", "person"}, {"signin_attempts", "actor_name"}, {"sign_ins", "by_name"}, {"sign_ins", "person"}} {
		if _, err := tx.NewRaw("UPDATE ? SET ? = '' WHERE lower(?) IN (?)", bun.Ident(c[0]), bun.Ident(c[1]), bun.Ident(c[1]), bun.List(names)).Exec(ctx); err != nil {
			return fmt.Errorf("erasing a person from sign-ins: %w", err)
		}
	}
	for _, name := range names {
		if !strings.Contains(name, "@") {
			continue // people are called by their user names there
		}
		within := tenant.Like(name)
		if _, err := tx.NewRaw("UPDATE sign_ins SET words = ?, error = '' WHERE lower(words) LIKE ? ESCAPE '!' OR lower(error) LIKE ? ESCAPE '!'", erasedWords, within, within).Exec(ctx); err != nil {
			return fmt.Errorf("erasing a person from sign-ins: %w", err)
		}
	}
	return nil
}

// lowered are names in lower case, but for empty ones.
func lowered(names []string) (out []string) {
	for _, n := range names {
		if n != "" {
			out = append(out, strings.ToLower(n))
		}
	}
	return out
}
