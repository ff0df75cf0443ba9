package tenant

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb"
)

// Account is one that a tenant's snapshot holds.
type Account struct {
	bun.BaseModel `bun:"table:snapshot_accounts,alias:a"`

	TenantID  string `bun:"tenant_id,pk"`
	AccountID string `bun:"account_id,pk"` // object id in the directory
	UPN       string `bun:"upn"`
	Name      string
	Search    string

	TenantName string `bun:"tenant_name,scanonly"`
}

// keepAccounts puts the accounts of a new snapshot in place of the old one's.
func keepAccounts(ctx context.Context, tx *sqldb.Tx, id string, snapshot *posture.Snapshot) error {
	if _, err := tx.NewDelete().Model((*Account)(nil)).Where("tenant_id = ?", id).Exec(ctx); err != nil {
		return fmt.Errorf("replacing a tenant's accounts: %w", err)
	}
	var rows []Account
	for _, a := range snapshot.Accounts {
		if key := cmp.Or(a.ID, a.UPN); key != "" {
			rows = append(rows, Account{TenantID: id, AccountID: key, UPN: a.UPN, Name: a.Name, Search: strings.ToLower(a.Name + " " + a.UPN)})
		}
	}
	const part = 500
	for ; len(rows) > 0; rows = rows[min(part, len(rows)):] {
		some := rows[:min(part, len(rows))]
		if _, err := tx.NewInsert().Model(&some).On("CONFLICT DO NOTHING").Exec(ctx); err != nil {
			return fmt.Errorf("keeping a tenant's accounts: %w", err)
		}
	}
	return nil
}

// Accounts gives those with a text in their name, of the snapshots that the actor
// may see, by name; so many at most.
func (s *Service) Accounts(ctx context.Context, text string, most int) ([]Account, error) {
	scope, err := audit.Tenants(ctx, audit.PostureView)
	if err != nil {
		return nil, err
	}
	var all []Account
	q := s.DB.Read().NewSelect().Model(&all).ColumnExpr("a.*, t.name AS tenant_name").Join("JOIN tenants AS t ON t.id = a.tenant_id").
		Where("a.search LIKE ? ESCAPE '!'", Like(text)).Order("a.name", "a.tenant_id", "a.account_id").Limit(int64(most))
	if err := scope.Filter(q, "a.tenant_id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("looking accounts up: %w", err)
	}
	return all, nil
}
