package expiry

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/sqldb"
)

// appGrants are the application permissions of an app.
type appGrants struct {
	Name    string      `json:"name"`
	Granted []permitted `json:"granted"`
}

// permitted is one application permission on one API.
type permitted struct {
	Resource   string `json:"resource"`
	Permission string `json:"permission"` // by name; by id where the API does not tell
}

const partGrants = "granted permissions"

// readGrants reads which application permissions the apps of the connections, and
// the reader, hold. Delegated grants need a right that the reader does not have.
func (f *fetcher) readGrants(ctx context.Context) error {
	all := map[string]appGrants{}
	names := map[string]map[string]string{} // by API, by id
	for _, o := range f.apps {
		list, err := graph.List[graph.AppRoleAssignment](ctx, f.client, "/v1.0/servicePrincipals/"+graph.PathKey(o.ID)+"/appRoleAssignments")
		if err != nil {
			return f.skip(partGrants, err)
		}
		g := appGrants{Name: clip(o.Name), Granted: []permitted{}}
		for _, a := range list {
			known, read := names[a.ResourceID]
			if !read {
				var api struct {
					Roles []struct{ ID, Value string } `json:"appRoles"`
				}
				if err := f.client.Get(ctx, "/v1.0/servicePrincipals/"+graph.PathKey(a.ResourceID)+"?$select=appRoles", &api); err != nil {
					return f.skip(partGrants, err)
				}
				known = map[string]string{}
				for _, role := range api.Roles {
					known[role.ID] = role.Value
				}
				names[a.ResourceID] = known
			}
			name := known[a.AppRoleID]
			if name == "" {
				name = a.AppRoleID
			}
			g.Granted = append(g.Granted, permitted{clip(a.ResourceDisplayName), clip(name)})
		}
		all[strings.ToLower(o.AppID)] = g
	}
	f.grants = all
	return nil
}

// ConsentChange is an application permission that came or went.
type ConsentChange struct {
	bun.BaseModel `bun:"table:consent_changes,alias:d"`

	ID         string `bun:"id,pk"`
	TenantID   string
	ClientID   string
	Name       string // of the app
	Resource   string
	Permission string
	Change     string    // added or removed
	Since      time.Time // the reading before: it changed between the two
	SeenAt     time.Time
}

// drift notes what came and went since the reading before, and gives what is to be
// kept. An app that is read for the first time, or is gone, has not changed.
func (s *Service) drift(ctx context.Context, tx *sqldb.Tx, tenantID string, before tenantRow, found *findings) (string, error) {
	if found.grants == nil {
		return before.Grants, nil
	}
	var known map[string]appGrants
	if err := json.Unmarshal([]byte(before.Grants), &known); err != nil {
		return "", fmt.Errorf("reading the last state of consents: %w", err)
	}
	var changes []ConsentChange
	now := s.time()
	for _, id := range slices.Sorted(maps.Keys(found.grants)) {
		was, read := known[id]
		if !read || before.ReadAt == nil {
			continue
		}
		is := found.grants[id]
		note := func(p permitted, change string) {
			changes = append(changes, ConsentChange{ID: uuid.Must(uuid.NewV7()).String(), TenantID: tenantID, ClientID: id, Name: is.Name, Resource: p.Resource, Permission: p.Permission, Change: change, Since: before.ReadAt.UTC(), SeenAt: now})
		}
		for _, p := range was.Granted {
			if !slices.Contains(is.Granted, p) {
				note(p, "removed")
			}
		}
		for _, p := range is.Granted {
			if !slices.Contains(was.Granted, p) {
				note(p, "added")
			}
		}
	}
	if len(changes) > 0 {
		if _, err := tx.NewInsert().Model(&changes).Exec(ctx); err != nil {
			return "", fmt.Errorf("noting changed consents: %w", err)
		}
	}
	text, err := json.Marshal(found.grants)
	if err != nil {
		return "", fmt.Errorf("encoding consents: %w", err)
	}
	return string(text), nil
}

// ConsentChanges gives the newest changes of application permissions in a tenant,
// so many at most.
func (s *Service) ConsentChanges(ctx context.Context, tenantID string, most int) ([]ConsentChange, error) {
	if _, err := s.Tenants.Directory(ctx, tenantID); err != nil {
		return nil, err
	}
	if err := s.Audit.Allow(ctx, tenantID, audit.TenantView); err != nil {
		return nil, err
	}
	var all []ConsentChange
	if err := s.DB.Read().NewSelect().Model(&all).Where("tenant_id = ?", tenantID).OrderExpr("id DESC").Limit(int64(most)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading changed consents: %w", err)
	}
	for i := range all {
		all[i].Since, all[i].SeenAt = all[i].Since.UTC(), all[i].SeenAt.UTC()
	}
	return all, nil
}
