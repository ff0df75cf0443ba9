package tenant

import (
	"context"
	"fmt"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
)

// DirectoryObject is a person or a group of a tenant, to choose from.
type DirectoryObject struct {
	Group    bool
	ID       string
	Name     string
	Username string // of a person
}

// maxFound bounds the people, and the groups, that a search gives.
const maxFound = 10

// FindInDirectory looks for people and groups of the tenant with a directory id
// whose names begin with a text. It needs the management of operators there, and
// a reader that works: [ErrNoReader] otherwise.
func (s *Service) FindInDirectory(ctx context.Context, directoryID, text string) ([]DirectoryObject, error) {
	var r row
	err := s.DB.Read().NewSelect().Model(&r).Where("directory_id = ?", strings.ToLower(directoryID)).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrNoReader
	}
	if err != nil {
		return nil, fmt.Errorf("reading a tenant: %w", err)
	}
	if err := s.Audit.Allow(ctx, r.ID, audit.OperatorManage); err != nil {
		return nil, err
	}
	if text = strings.TrimSpace(text); len([]rune(text)) < 2 || len(text) > 100 {
		return nil, Fault("search", "is too short or too long", "write the first letters of the name, at least two")
	}
	reading, err := s.Reading(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if reading == nil {
		return nil, ErrNoReader
	}
	client, _, err := s.client(pace.Interactive(ctx), r.DirectoryID, reading)
	if err != nil {
		return nil, err
	}
	quoted := graph.QueryValue("'" + strings.ReplaceAll(text, "'", "''") + "'")
	groups, err := firstPage(ctx, client, "/v1.0/groups?$select=id,displayName&$top=10&$filter=startswith(displayName,"+quoted+")")
	if err != nil {
		return nil, err
	}
	people, err := firstPage(ctx, client, "/v1.0/users?$select=id,displayName,userPrincipalName&$top=10&$filter=startswith(displayName,"+quoted+")%20or%20startswith(userPrincipalName,"+quoted+")")
	if err != nil {
		return nil, err
	}
	out := make([]DirectoryObject, 0, len(groups)+len(people))
	for _, g := range groups {
		out = append(out, DirectoryObject{Group: true, ID: g.ID, Name: g.DisplayName})
	}
	for _, p := range people {
		out = append(out, DirectoryObject{ID: p.ID, Name: p.DisplayName, Username: p.UserPrincipalName})
	}
	return out, nil
}

type found struct {
	ID                string `json:"id"`
	DisplayName       string `json:"displayName"`
	UserPrincipalName string `json:"userPrincipalName"`
}

// firstPage reads no more than one page: who searches narrows the search down.
func firstPage(ctx context.Context, c *graph.Client, path string) ([]found, error) {
	var page struct {
		Value []found `json:"value"`
	}
	if err := c.Get(pace.Interactive(ctx), path, &page); err != nil {
		return nil, err
	}
	return page.Value[:min(len(page.Value), maxFound)], nil
}
