package expiry

import (
	"cmp"
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
	"gatehouse/internal/tenant"
)

// ConsentKind is how a permission was consented to.
type ConsentKind string

// The kinds of consent (Microsoft Graph, resource types appRoleAssignment and
// oAuth2PermissionGrant with its consentType).
const (
	OfApplication ConsentKind = "application"  // for the app itself
	OfDelegated   ConsentKind = "delegated"    // for everybody who signs in to the app
	OfPeople      ConsentKind = "user_consent" // by single people, each for themselves
)

// appGrants are the permissions of an app, each sort with when it was read.
type appGrants struct {
	Name        string      `json:"name"`
	Granted     []permitted `json:"granted"` // application permissions; nil: never read
	At          time.Time   `json:"at,omitzero"`
	Delegated   []permitted `json:"delegated"` // delegated ones; nil: never read
	DelegatedAt time.Time   `json:"delegated_at,omitzero"`
}

// permitted is one permission on one API.
type permitted struct {
	Kind       ConsentKind `json:"kind,omitempty"` // OfApplication if empty
	Resource   string      `json:"resource"`
	Permission string      `json:"permission"` // by name; by id where the API does not tell
}

const (
	partGrants    = "granted permissions"
	partDelegated = "delegated permissions"
)

// api is what is known of an API that permissions are for.
type api struct {
	Name  string                       `json:"displayName"`
	Roles []struct{ ID, Value string } `json:"appRoles"`
}

// resource reads an API, once.
func (f *fetcher) resource(ctx context.Context, id string) (*api, error) {
	if known := f.apis[id]; known != nil {
		return known, nil
	}
	read := &api{}
	if err := f.client.Get(ctx, "/v1.0/servicePrincipals/"+graph.PathKey(id)+"?$select=displayName,appRoles", read); err != nil {
		return nil, err
	}
	if f.apis == nil {
		f.apis = map[string]*api{}
	}
	f.apis[id] = read
	return read, nil
}

// readGrants reads which permissions the apps of the connections, and the reader,
// hold. What cannot be read is left nil.
func (f *fetcher) readGrants(ctx context.Context) error {
	f.grants = map[string]appGrants{}
	for _, part := range []struct {
		name, way string
		read      func(context.Context, object) ([]permitted, error)
		keep      func(*appGrants, []permitted)
	}{
		{partGrants, "", f.assigned, func(g *appGrants, all []permitted) { g.Granted, g.At = all, f.now }},
		{partDelegated, ". The reader may read them with " + tenant.PermissionGrants, f.delegated, func(g *appGrants, all []permitted) { g.Delegated, g.DelegatedAt = all, f.now }},
	} {
		read := map[string][]permitted{}
		var err error
		for _, o := range f.apps {
			if read[strings.ToLower(o.AppID)], err = part.read(ctx, o); err != nil {
				break
			}
		}
		if err != nil {
			if err := f.skip(part.name, err); err != nil {
				return err
			}
			f.unread[len(f.unread)-1].Reason += part.way
			continue
		}
		for _, o := range f.apps {
			id := strings.ToLower(o.AppID)
			g := f.grants[id]
			g.Name = clip(o.Name)
			part.keep(&g, read[id])
			f.grants[id] = g
		}
	}
	return nil
}

// assigned are an app's application permissions.
func (f *fetcher) assigned(ctx context.Context, o object) ([]permitted, error) {
	list, err := graph.List[graph.AppRoleAssignment](ctx, f.client, "/v1.0/servicePrincipals/"+graph.PathKey(o.ID)+"/appRoleAssignments")
	if err != nil {
		return nil, err
	}
	all := []permitted{}
	for _, a := range list {
		known, err := f.resource(ctx, a.ResourceID)
		if err != nil {
			return nil, err
		}
		name := a.AppRoleID
		for _, role := range known.Roles {
			if role.ID == a.AppRoleID && role.Value != "" {
				name = role.Value
			}
		}
		all = append(all, permitted{Resource: clip(a.ResourceDisplayName), Permission: clip(name)})
	}
	return all, nil
}

// scopes is a consent to delegated permissions (resource type
// oAuth2PermissionGrant).
type scopes struct {
	ConsentType string `json:"consentType"` // AllPrincipals or Principal
	ResourceID  string `json:"resourceId"`
	Scope       string `json:"scope"` // names with spaces between them
}

// delegated are an app's delegated permissions. Who consented for themselves is not
// kept: that somebody did is.
func (f *fetcher) delegated(ctx context.Context, o object) ([]permitted, error) {
	list, err := graph.List[scopes](ctx, f.client, "/v1.0/servicePrincipals/"+graph.PathKey(o.ID)+"/oauth2PermissionGrants")
	if err != nil {
		return nil, err
	}
	all := []permitted{}
	for _, g := range list {
		known, err := f.resource(ctx, g.ResourceID)
		if err != nil {
			return nil, err
		}
		kind := OfPeople
		if g.ConsentType == "AllPrincipals" {
			kind = OfDelegated
		}
		for _, name := range strings.Fields(g.Scope) {
			if p := (permitted{kind, clip(known.Name), clip(name)}); !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// ConsentChange is a permission that came or went.
type ConsentChange struct {
	bun.BaseModel `bun:"table:consent_changes,alias:d"`

	ID         string `bun:"id,pk"`
	TenantID   string
	ClientID   string
	Name       string // of the app
	Kind       ConsentKind
	Resource   string
	Permission string
	Change     string    // added or removed
	Since      time.Time // the reading before: it changed between the two
	SeenAt     time.Time
}

// drift notes what came and went since the reading before, and gives what is to be
// kept. An app that is read for the first time, or is gone, has not changed.
func (s *Service) drift(ctx context.Context, tx *sqldb.Tx, tenantID string, before tenantRow, found *findings) (string, error) {
	if len(found.grants) == 0 {
		return before.Grants, nil
	}
	var known map[string]appGrants
	if err := json.Unmarshal([]byte(before.Grants), &known); err != nil {
		return "", fmt.Errorf("reading the last state of consents: %w", err)
	}
	var changes []ConsentChange
	for _, id := range slices.Sorted(maps.Keys(found.grants)) {
		was, is := known[id], found.grants[id]
		if before.ReadAt != nil && was.At.IsZero() { // of a version that kept one time for all
			was.At = *before.ReadAt
		}
		changes = append(changes, compared(was.Granted, is.Granted, was.At)...)
		changes = append(changes, compared(was.Delegated, is.Delegated, was.DelegatedAt)...)
		for i := range changes {
			if c := &changes[i]; c.ClientID == "" {
				c.ID, c.TenantID, c.ClientID, c.Name, c.SeenAt = uuid.Must(uuid.NewV7()).String(), tenantID, id, is.Name, s.time()
			}
		}
		if is.Granted == nil { // what could not be read this time stays as it was
			is.Granted, is.At = was.Granted, was.At
		}
		if is.Delegated == nil {
			is.Delegated, is.DelegatedAt = was.Delegated, was.DelegatedAt
		}
		found.grants[id] = is
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

// compared are the differences between two readings; none if either is missing.
func compared(was, is []permitted, since time.Time) (changes []ConsentChange) {
	if was == nil || is == nil {
		return nil
	}
	note := func(from, to []permitted, change string) {
		for _, p := range from {
			if !slices.Contains(to, p) {
				changes = append(changes, ConsentChange{Kind: cmp.Or(p.Kind, OfApplication), Resource: p.Resource, Permission: p.Permission, Change: change, Since: since.UTC()})
			}
		}
	}
	note(was, is, "removed")
	note(is, was, "added")
	return changes
}

// ConsentChanges gives the newest changes of permissions in a tenant, so many at
// most.
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
