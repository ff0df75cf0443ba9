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
	RegistrationID                                                                                string
	UsedAt                                                                                        *time.Time
	Reader                                                                                        bool
	Caller                                                                                        string // who asked for tokens through the connection
}

// addUses finds who uses some items: in all tenants that the actor may see, as the
// credential of an application opens every tenant that it is in.
func (s *Service) addUses(ctx context.Context, items []Item) error {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return err
	}
	clients, names := keysOf(items)
	registrations := registrationsOf(items)
	var users, readers []user
	q := s.DB.Read().NewSelect().TableExpr("connections AS c").
		ColumnExpr("c.id, c.tenant_id, t.name AS tenant_name, c.name, c.client_id, lower(c.username) AS username, c.credential, c.thumbprint, c.consumer, c.registration_id, CASE WHEN c.parked THEN 'parked' ELSE c.verdict END AS verdict, c.validated_at AS used_at").
		Join("JOIN tenants AS t ON t.id = c.tenant_id").Where("(c.kind = ? AND c.client_id IN (?) OR c.kind <> ? AND lower(c.username) IN (?) OR c.registration_id IN (?))", connection.App, bun.List(clients), connection.Delegated, bun.List(names), bun.List(registrations)).OrderExpr("c.name, c.id")
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
	callers, err := s.callers(ctx, scope, registrations)
	if err != nil {
		return err
	}
	users = append(users, callers...)
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
	case i.RegistrationID != "":
		return i.Active && u.RegistrationID == i.RegistrationID && u.ClientID == i.ClientID, true
	case u.RegistrationID != "":
		return false, false // a person's sign-in: what lies at Microsoft is not told apart from here
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
	if u.Caller != "" {
		out.Kind, out.Name = "caller", u.Caller+", through "+u.Name
	}
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

// registrationsOf are the app registrations of items.
func registrationsOf(items []Item) []string {
	out := []string{"-"} // never an empty list, and no registration's id
	for _, i := range items {
		if i.RegistrationID != "" {
			out = append(out, i.RegistrationID)
		}
	}
	return out
}

// callers are those who were given tokens through connections of registrations, and
// when last: the operators whose sessions and API keys asked, as the sums of uses name
// them.
func (s *Service) callers(ctx context.Context, scope audit.Scope, registrations []string) (out []user, err error) {
	if len(registrations) == 1 {
		return nil, nil
	}
	q := s.DB.Read().NewSelect().TableExpr("audit_uses AS u").
		ColumnExpr("c.id, c.tenant_id, t.name AS tenant_name, c.name, c.client_id, c.registration_id, c.consumer, coalesce(o.name, u.actor_id) AS caller, max(u.minute) AS used_at").
		Join("JOIN connections AS c ON c.id = u.object_id").Join("JOIN tenants AS t ON t.id = c.tenant_id").
		Join("LEFT JOIN operators AS o ON o.id = u.actor_id").
		Where("c.registration_id IN (?)", bun.List(registrations)).
		GroupExpr("c.id, c.tenant_id, t.name, c.name, c.client_id, c.registration_id, c.consumer, coalesce(o.name, u.actor_id)").OrderExpr("used_at DESC, c.id").Limit(callersShown)
	if err := scope.Filter(q, "c.tenant_id").Scan(ctx, &out); err != nil {
		return nil, fmt.Errorf("looking which callers use a credential: %w", err)
	}
	return out, nil
}

// callersShown bounds how many callers one question names.
const callersShown = 500
