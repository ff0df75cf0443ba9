package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sso"
)

// The kinds of what has a role by assignment.
const (
	PersonKind = "person"
	GroupKind  = "group"
)

// Assignment gives a person or a group of a directory a role in a tenant.
type Assignment struct {
	bun.BaseModel `bun:"table:directory_assignments,alias:a" json:"-"`

	ID        string    `bun:"id,pk" json:"id"`
	Directory string    `json:"directory"` // a tenant's id at Entra, else the issuer
	Kind      string    `json:"kind"`      // person, group
	ObjectID  string    `json:"object_id"` // at Entra; else the subject, or the group as the issuer writes it
	Name      string    `json:"name"`      // for people to read
	TenantID  string    `json:"tenant_id"` // audit.AllTenants for all
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

// ErrAssigned says that there is such an assignment already.
var ErrAssigned = errors.New("this person or group has a role in this tenant already: remove that assignment first")

// maxAssignments bounds how many there are in one tenant.
const maxAssignments = 1000

// SignOn says how operators sign in through a directory: what the button calls it
// and whose people can; false if it is not configured.
func (s *Service) SignOn() (name string, directories []string, ok bool) {
	if s.sso == nil {
		return "", nil, false
	}
	return s.sso.Name, s.sso.Directories(), true
}

// EntraDirectory reports whether a directory is a tenant of Entra whose people can
// sign in: its people and groups can be looked up where Gatehouse may read it.
func (s *Service) EntraDirectory(directory string) bool {
	return s.sso != nil && s.sso.Entra() && slices.Contains(s.sso.Directories(), directory)
}

// Assignments lists those of the tenants in which the actor may see operators.
func (s *Service) Assignments(ctx context.Context) ([]Assignment, error) {
	scope, err := audit.Tenants(ctx, audit.OperatorView)
	if err != nil {
		return nil, err
	}
	all := []Assignment{}
	q := scope.Filter(s.db.Read().NewSelect().Model(&all), "tenant_id").OrderExpr("a.name, a.id")
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing assignments: %w", err)
	}
	return all, nil
}

func (s *Service) checkAssignment(a *Assignment) error {
	var f fault.List
	if s.sso == nil {
		f.Add("directory", "cannot be used", "configure single sign-on first (oidc.issuer)")
		return f
	}
	directories := s.sso.Directories()
	if a.Directory == "" && len(directories) == 1 {
		a.Directory = directories[0]
	}
	a.ObjectID, a.Name = strings.TrimSpace(a.ObjectID), strings.TrimSpace(a.Name)
	if s.sso.Entra() {
		a.Directory, a.ObjectID = strings.ToLower(a.Directory), strings.ToLower(a.ObjectID)
		if !objectID.MatchString(a.ObjectID) {
			f.Add("object_id", "is no object id", "copy it from the person's or group's page in the Microsoft Entra admin centre; it looks like 11111111-2222-3333-4444-555555555555")
		}
	} else if a.ObjectID == "" {
		f.Add("object_id", "is missing", "write the subject of the person, or the group, as the issuer does in its tokens")
	}
	if !slices.Contains(directories, a.Directory) {
		f.Add("directory", "is none whose people can sign in", "take one of "+strings.Join(directories, ", "))
	}
	if a.Kind != PersonKind && a.Kind != GroupKind {
		f.Add("kind", "is none", "write person or group")
	}
	if a.Name == "" {
		a.Name = a.ObjectID
	}
	f.Text("object_id", a.ObjectID, 255)
	f.Text("name", a.Name, 200)
	if f.Err() != nil {
		return fmt.Errorf("assigning a role: %w", f)
	}
	return nil
}

// Assign gives a person or group of a directory a role in a tenant. It counts from
// the next sign-in on. It needs the management of operators there.
func (s *Service) Assign(ctx context.Context, a Assignment, role audit.Role) (Assignment, error) {
	if err := s.audit.Allow(ctx, a.TenantID, audit.OperatorManage); err != nil {
		return a, err
	}
	if err := s.checkAssignment(&a); err != nil {
		return a, err
	}
	if role < audit.Viewer || role > audit.Administrator {
		return a, fault.Of("role", "is none", "choose one of viewer, technician, engineer, administrator")
	}
	a.ID, a.Role, a.CreatedAt = newID(), role.String(), s.time()
	err := s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Act(ctx, tx, a.entry("assignment.added")); err != nil {
			return err
		}
		n, err := tx.NewSelect().Model((*Assignment)(nil)).Where("tenant_id = ?", a.TenantID).Count(ctx)
		if err != nil {
			return fmt.Errorf("assigning a role: %w", err)
		}
		if n >= maxAssignments {
			return fault.Of("tenant_id", fmt.Sprintf("has %d assignments already, which is the most", n), "assign the role to a group")
		}
		if _, err := tx.NewInsert().Model(&a).Exec(ctx); err != nil {
			if sqldb.Duplicate(err) {
				return ErrAssigned
			}
			return fmt.Errorf("assigning a role: %w", err)
		}
		return nil
	})
	return a, err
}

func (a *Assignment) entry(action string) audit.Entry {
	return audit.Entry{
		Permission: audit.OperatorManage, TenantID: a.TenantID, Action: action, ObjectKind: "assignment", ObjectID: a.ID, ObjectName: a.Name,
		Details: map[string]any{"directory": a.Directory, "kind": a.Kind, "object_id": a.ObjectID, "role": a.Role},
	}
}

// FindAssignment gives one of [Service.Assignments].
func (s *Service) FindAssignment(ctx context.Context, id string) (Assignment, error) {
	var a Assignment
	err := s.db.Read().NewSelect().Model(&a).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return a, ErrMissing
	}
	if err != nil {
		return a, fmt.Errorf("reading an assignment: %w", err)
	}
	return a, s.audit.Allow(ctx, a.TenantID, audit.OperatorView)
}

// Unassign takes an assignment away. Whoever has the role through it, in a session
// or by a key, loses it at once.
func (s *Service) Unassign(ctx context.Context, id string) error {
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var a Assignment
		err := tx.NewSelect().Model(&a).Where("id = ?", id).Scan(ctx)
		if sqldb.Missing(err) {
			return ErrMissing
		}
		if err != nil {
			return fmt.Errorf("removing an assignment: %w", err)
		}
		if err := s.audit.Act(ctx, tx, a.entry("assignment.removed")); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*held)(nil)).Where("assignment_id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("removing an assignment: %w", err)
		}
		_, err = tx.NewDelete().Model(&a).WherePK().Exec(ctx)
		return err
	})
}

// meeting gives the assignments that a person has: their own, and those of their
// groups, which are asked for only where some group has a role.
func (s *Service) meeting(ctx context.Context, who *sso.Person) ([]Assignment, error) {
	var all, found []Assignment
	if err := s.db.Read().NewSelect().Model(&all).Where("directory = ?", who.Directory).Order("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading assignments: %w", err)
	}
	groups := map[string]bool{}
	if slices.ContainsFunc(all, func(a Assignment) bool { return a.Kind == GroupKind }) {
		ids, err := who.Groups(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if s.sso.Entra() {
				id = strings.ToLower(id)
			}
			groups[id] = true
		}
	}
	for _, a := range all {
		if a.Kind == PersonKind && a.ObjectID == who.Subject || a.Kind == GroupKind && groups[a.ObjectID] {
			found = append(found, a)
		}
	}
	return found, nil
}
