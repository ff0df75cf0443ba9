package expiry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
)

// user is a connection or reader that may use a credential.
type user struct {
	ID, TenantID, TenantName, Name, ClientID, Username, Credential, Thumbprint, Consumer, Verdict string
	UsedAt                                                                                        *time.Time
	Reader                                                                                        bool
}

// addUses finds who uses some items: in all tenants that the actor may see, as the
// credential of an application opens every tenant that it is in.
func (s *Service) addUses(ctx context.Context, items []Item) error {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return err
	}
	clients, names := keysOf(items)
	var users, readers []user
	q := s.DB.Read().NewSelect().TableExpr("connections AS c").
		ColumnExpr("c.id, c.tenant_id, t.name AS tenant_name, c.name, c.client_id, lower(c.username) AS username, c.credential, c.thumbprint, c.consumer, CASE WHEN c.parked THEN 'parked' ELSE c.verdict END AS verdict, c.validated_at AS used_at").
		Join("JOIN tenants AS t ON t.id = c.tenant_id").Where("(c.kind = ? AND c.client_id IN (?) OR lower(c.username) IN (?))", connection.App, bun.List(clients), bun.List(names)).OrderExpr("c.name, c.id")
	if err := scope.Filter(q, "c.tenant_id").Scan(ctx, &users); err != nil {
		return fmt.Errorf("looking who uses a credential: %w", err)
	}
	q = s.DB.Read().NewSelect().TableExpr("readers AS r").
		ColumnExpr("r.tenant_id AS id, r.tenant_id, t.name AS tenant_name, 'Reader of ' || t.name AS name, r.client_id, 'certificate' AS credential, r.thumbprint, r.state AS verdict, r.checked_at AS used_at, true AS reader").
		Join("JOIN tenants AS t ON t.id = r.tenant_id").Where("r.client_id IN (?)", bun.List(clients)).OrderExpr("t.name, t.id")
	if err := scope.Filter(q, "r.tenant_id").Scan(ctx, &readers); err != nil {
		return fmt.Errorf("looking which readers use a credential: %w", err)
	}
	users = append(readers, users...)
	for i := range items {
		for _, u := range users {
			if fits, certain := u.uses(items[i]); fits {
				items[i].Uses = append(items[i].Uses, u.use(certain))
			}
		}
		slices.SortStableFunc(items[i].Uses, func(a, b Use) int {
			switch {
			case a.Certain == b.Certain:
				return 0
			case a.Certain:
				return -1
			}
			return 1
		})
	}
	return nil
}

// uses reports whether somebody may use a credential, and whether it is known to be
// this one. The secrets of an app cannot be told apart from here: whoever proves
// itself with a secret may use each of them.
func (u user) uses(i Item) (fits, certain bool) {
	same := u.TenantID == i.TenantID
	switch {
	case i.Kind == Reader:
		return u.Reader && same, true
	case i.ConnectionID != "" && u.ID == i.ConnectionID:
		return true, true
	case i.Kind == Password:
		return same && !u.Reader && strings.EqualFold(u.Username, i.Username), true
	case u.ClientID != i.ClientID || !same && i.Holder != Application:
		return false, false // a service principal's credential opens its own tenant alone
	case i.Kind == Certificate && u.Credential == string(connection.Certificate):
		known := u.Thumbprint != "" && i.Thumbprint != ""
		return !known || u.Thumbprint == i.Thumbprint, known
	case i.Kind == Secret && u.Credential == string(connection.Secret):
		return true, false
	}
	return false, false
}

func (u user) use(certain bool) Use {
	out := Use{Kind: "connection", ID: u.ID, Name: u.Name, TenantID: u.TenantID, TenantName: u.TenantName, Certain: certain, Verdict: u.Verdict, UsedAt: utc(u.UsedAt)}
	if u.Reader {
		out.Kind, out.Consumer = "reader", "Gatehouse"
		return out
	}
	var consumer connection.Consumer
	if json.Unmarshal([]byte(u.Consumer), &consumer) == nil { // a document of ours
		out.Consumer = consumer.Name
	}
	return out
}
