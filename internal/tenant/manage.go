package tenant

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
)

// Detected is what Microsoft tells anybody about a tenant.
type Detected struct {
	DirectoryID string
	Domain      string // as given; "" if an id was
	Cloud       string
	Realm       string // managed, federated, unknown; of the domain
}

var (
	guid   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	domain = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?)+$`)
)

// GUID reports whether a text has the form of an id in Entra.
func GUID(text string) bool { return guid.MatchString(text) }

// Detect looks a tenant up by domain or directory id. Nothing is stored.
func (s *Service) Detect(ctx context.Context, nameOrID string) (Detected, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.TenantCreate); err != nil {
		return Detected{}, err
	}
	return s.detect(pace.Interactive(ctx), nameOrID)
}

const fieldTenant = "tenant"

func (s *Service) detect(ctx context.Context, nameOrID string) (Detected, error) {
	name := strings.ToLower(strings.TrimSpace(nameOrID))
	if !GUID(name) && (!domain.MatchString(name) || len(name) > 253) {
		return Detected{}, Fault(fieldTenant, "is neither a domain nor a directory id", "enter a domain such as contoso.onmicrosoft.com, or the directory (tenant) id")
	}
	found, err := s.login.Tenant(ctx, name)
	var refused *microsoft.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest:
		return Detected{}, Fault(fieldTenant, "is not known in the cloud "+s.Cloud.Name, "check the spelling; a tenant of another cloud needs a Gatehouse that is set to that cloud")
	case err != nil:
		return Detected{}, err
	case !GUID(found.ID):
		return Detected{}, fmt.Errorf("looking up the tenant: Microsoft's answer names no directory id but %.60q", found.ID)
	case found.Cloud != "" && s.Cloud.Instance != "" && found.Cloud != s.Cloud.Instance:
		return Detected{}, Fault(fieldTenant, "is in another cloud ("+found.Cloud+")", "use a Gatehouse that is set to that cloud")
	}
	d := Detected{DirectoryID: strings.ToLower(found.ID), Cloud: s.Cloud.Name, Realm: "unknown"}
	if GUID(name) {
		return d, nil
	}
	d.Domain = name
	d.Realm, err = s.realm(ctx, name)
	return d, err
}

// realm says who checks the passwords of a domain. The name of the user does
// not matter to that (entra-sign-in §7).
func (s *Service) realm(ctx context.Context, domain string) (string, error) {
	realm, err := s.login.Realm(ctx, "gatehouse@"+domain)
	if err != nil {
		return "", err
	}
	if kind := strings.ToLower(realm.Type); kind == "managed" || kind == "federated" {
		return kind, nil
	}
	return "unknown", nil
}

// AddRequest names a tenant to add.
type AddRequest struct {
	NameOrID string // domain or directory id
	Name     string // for people; the domain or id if empty
}

// Add adds a tenant. [ErrTaken] if it is here already.
func (s *Service) Add(ctx context.Context, in AddRequest) (Tenant, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.TenantCreate); err != nil {
		return Tenant{}, err
	}
	if err := checkName(in.Name); err != nil {
		return Tenant{}, err
	}
	d, err := s.detect(pace.Interactive(ctx), in.NameOrID)
	if err != nil {
		return Tenant{}, err
	}
	r := &row{ID: newID(), DirectoryID: d.DirectoryID, Name: strings.TrimSpace(in.Name), Domain: d.Domain, Cloud: d.Cloud, Realm: d.Realm, CreatedAt: s.time(), Version: 1}
	if r.Name == "" {
		r.Name = strings.ToLower(strings.TrimSpace(in.NameOrID))
	}
	r.index()
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, r.entry(audit.TenantCreate, "tenant.added", map[string]any{"directory_id": r.DirectoryID, "cloud": r.Cloud, "realm": r.Realm})); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			if sqldb.Duplicate(err) {
				return ErrTaken
			}
			return fmt.Errorf("adding a tenant: %w", err)
		}
		if r.Domain != "" {
			if err := addDomains(ctx, tx, r.ID, []string{r.Domain}); err != nil {
				return err
			}
		}
		return s.announce(ctx, tx, r.ID, "added")
	})
	if err != nil {
		return Tenant{}, err
	}
	return s.Get(ctx, r.ID)
}

func checkName(name string) error {
	var f Faults
	f.Text("name", name, 200)
	return f.Err()
}

func addDomains(ctx context.Context, tx *sqldb.Tx, id string, domains []string) error {
	var rows []domainRow
	for _, d := range domains {
		if d = strings.ToLower(d); domain.MatchString(d) && !slices.ContainsFunc(rows, func(r domainRow) bool { return r.Domain == d }) {
			rows = append(rows, domainRow{TenantID: id, Domain: d})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if _, err := tx.NewInsert().Model(&rows).On("CONFLICT (tenant_id, domain) DO NOTHING").Exec(ctx); err != nil {
		return fmt.Errorf("noting a tenant's domains: %w", err)
	}
	return nil
}

// change loads a tenant, authorises, records and does something to it.
func (s *Service) change(ctx context.Context, id string, p audit.Permission, action string, details map[string]any, do func(context.Context, *sqldb.Tx, *row) error) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, r.entry(p, action, details)); err != nil {
			return err
		}
		if err := do(ctx, tx, r); err != nil {
			return err
		}
		return s.announce(ctx, tx, id, action)
	})
}

// save writes a tenant's row as its next version.
func (r *row) save(ctx context.Context, tx *sqldb.Tx) error {
	r.Version++
	r.index()
	if _, err := tx.NewUpdate().Model(r).WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("changing a tenant: %w", err)
	}
	return nil
}

// Pause ends, or with false resumes, what is started for a tenant: nobody's
// validation runs there meanwhile.
func (s *Service) Pause(ctx context.Context, id string, paused bool) error {
	action := "tenant.paused"
	if !paused {
		action = "tenant.resumed"
	}
	return s.change(ctx, id, audit.TenantManage, action, nil, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		r.Paused = paused
		if err := r.save(ctx, tx); err != nil || !paused {
			return err
		}
		return s.connections.Paused(ctx, tx, id)
	})
}

// Rename gives a tenant another name for people.
func (s *Service) Rename(ctx context.Context, id, name string) error {
	name = strings.TrimSpace(name)
	if name == "" {
		return Fault("name", "is missing", "enter a name")
	}
	if err := checkName(name); err != nil {
		return err
	}
	return s.change(ctx, id, audit.TenantManage, "tenant.renamed", map[string]any{"name": name}, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		r.Name = name
		return r.save(ctx, tx)
	})
}

// Removal is what goes with a tenant.
type Removal struct {
	Name        string   // what must be typed to confirm
	Connections int      // with their credentials and validations
	Some        []string // names of some of these
	Reader      bool     // its key
	Snapshot    bool
	// Stays is what remains in the tenant and has to be removed there.
	Stays []string
}

// Removal says what would be removed with a tenant.
func (s *Service) Removal(ctx context.Context, id string) (Removal, error) {
	t, err := s.Get(ctx, id)
	if err != nil {
		return Removal{}, err
	}
	out := Removal{Name: t.Name, Reader: t.Reader != nil, Snapshot: t.SnapshotAt != nil}
	if out.Some, out.Connections, err = s.connections.Names(ctx, id); err != nil {
		return Removal{}, err
	}
	if t.Reader != nil {
		out.Stays = append(out.Stays, "the reader's app registration "+t.Reader.ClientID)
	}
	if out.Connections > 0 {
		out.Stays = append(out.Stays, "the accounts and app registrations of the connections")
	}
	return out, nil
}

// Remove forgets a tenant with everything that depends on it. It is confirmed
// with the tenant's name. In the tenant itself nothing is changed.
func (s *Service) Remove(ctx context.Context, id, confirm string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, r.entry(audit.TenantManage, "tenant.removed", map[string]any{"directory_id": r.DirectoryID})); err != nil {
			return err
		}
		if strings.TrimSpace(confirm) != r.Name {
			return Fault("confirm", "is not the tenant's name", "type the name exactly as it is shown")
		}
		if err := s.connections.Remove(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*row)(nil)).ModelTableExpr("tenants").Where("id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("removing a tenant: %w", err)
		}
		return s.announce(ctx, tx, id, "removed")
	})
}

// Directory is what signing in to a tenant needs, for features that have
// authorised on an object of it. Jobs use it too.
type Directory struct {
	DirectoryID string
	Initial     string // its initial domain (name.onmicrosoft.com); "" while not known
	Paused      bool
}

// Directory gives what signing in to a tenant needs.
func (s *Service) Directory(ctx context.Context, id string) (Directory, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Directory{}, err
	}
	var domains []string
	if err := s.DB.Read().NewSelect().Model((*domainRow)(nil)).Column("domain").Where("tenant_id = ?", id).Order("domain").Scan(ctx, &domains); err != nil {
		return Directory{}, fmt.Errorf("reading a tenant's domains: %w", err)
	}
	return Directory{DirectoryID: r.DirectoryID, Initial: initial(domains), Paused: r.Paused}, nil
}

// initial finds the domain that a tenant was made with, by its form: it alone
// has a single label before onmicrosoft (.mail. is Exchange's own).
func initial(domains []string) string {
	for _, d := range domains {
		name, rest, _ := strings.Cut(d, ".")
		if name != "" && (rest == "onmicrosoft.com" || rest == "onmicrosoft.us" || rest == "partner.onmschina.cn") {
			return d
		}
	}
	return ""
}
