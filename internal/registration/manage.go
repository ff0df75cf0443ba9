package registration

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Clouds are those in which a registration can have a client id besides the one that
// this process serves.
var Clouds = []string{"public", "usgov", "usgov-dod", "china"}

// Details are what a registration says of itself.
type Details struct {
	Name      string
	Purpose   string
	Clients   map[string]string // client ids by cloud
	Redirects []Redirect        // further ones, besides those that Gatehouse needs
	// Publisher is verified, unverified or unknown, as somebody entered it. A reading
	// of the directory takes its place. "" leaves it as it is.
	Publisher     string
	PublisherName string
}

// CreateRequest is a registration to make.
type CreateRequest struct {
	Details
	Kind Kind
	// Permissions are those of its first manifest; the scopes of the sign-in if empty.
	Permissions []Permission
}

// UpdateRequest is details in place of those that had a version.
type UpdateRequest struct {
	Details
	Version int64
}

// Bounds.
const (
	maxRedirects   = 50
	maxPermissions = 300
)

func (d *Details) tidy() {
	d.Name, d.Purpose, d.PublisherName = strings.TrimSpace(d.Name), strings.TrimSpace(d.Purpose), strings.TrimSpace(d.PublisherName)
	clients := map[string]string{}
	for cloud, id := range d.Clients {
		if id = strings.ToLower(strings.TrimSpace(id)); id != "" {
			clients[strings.TrimSpace(cloud)] = id
		}
	}
	d.Clients = clients
	for i := range d.Redirects {
		d.Redirects[i] = Redirect{URI: strings.TrimSpace(d.Redirects[i].URI), Note: strings.TrimSpace(d.Redirects[i].Note)}
	}
}

// faults are the faults of details; known are further clouds that may be named.
func (d Details) faults(known ...string) error {
	var f Faults
	if d.Name == "" {
		f.Add("name", "is missing", "enter the name that the registration has in the Microsoft Entra admin centre")
	}
	f.Text("name", d.Name, 120)
	f.Text("publisher_name", d.PublisherName, 200)
	if len(d.Purpose) > 2000 || strings.ContainsRune(d.Purpose, 0) {
		f.Add("purpose", "is too long", "shorten it to 2000 bytes")
	}
	for _, cloud := range slices.Sorted(maps.Keys(d.Clients)) {
		if !slices.Contains(append(Clouds, known...), cloud) {
			f.Add("client_ids", fmt.Sprintf("names the cloud %.40q", cloud), "use "+strings.Join(append(slices.Clone(known), Clouds...), ", "))
		}
		if !tenant.GUID(d.Clients[cloud]) {
			f.Add("client_ids", fmt.Sprintf("has %.60q, which is no application (client) id", d.Clients[cloud]), "copy it from the app registration's overview; it looks like 11111111-2222-3333-4444-555555555555")
		}
	}
	if len(d.Redirects) > maxRedirects {
		f.Add("redirects", "has more than 50 entries", "note those that are still in use")
	}
	for _, r := range d.Redirects {
		redirectFault(&f, r)
	}
	if !slices.Contains([]string{"", PublisherVerified, PublisherUnverified, PublisherUnknown}, d.Publisher) {
		f.Add("publisher", fmt.Sprintf("is %.40q", d.Publisher), "use verified, unverified or unknown")
	}
	return f.Err()
}

// redirectFault demands what an app registration takes: https, http on the machine
// itself, or a scheme of an app's own, without fragment (entra-sign-in §3).
func redirectFault(f *Faults, r Redirect) {
	u, err := url.Parse(r.URI)
	address := err == nil && u.Scheme != "" && len(r.URI) <= 1000 && u.Fragment == "" && u.User == nil && !strings.ContainsAny(r.URI, " *\t\r\n\x00")
	if address && u.Scheme == "http" {
		ip, _ := netip.ParseAddr(u.Hostname())
		address = u.Hostname() == "localhost" || ip.IsLoopback()
	}
	if !address || (u.Scheme == "https" || u.Scheme == "http") && u.Host == "" || slices.Contains([]string{"javascript", "data", "vbscript", "file"}, u.Scheme) {
		f.Add("redirects", fmt.Sprintf("has %.100q, which no app registration takes", r.URI), "write https://host/path, http://localhost for an app on people's own machines, or its own scheme")
	}
	f.Text("redirects", r.Note, 200)
}

// Create makes a registration. Faults in what was entered are [Faults].
func (s *Service) Create(ctx context.Context, in CreateRequest) (Registration, error) {
	in.tidy()
	actor, _ := audit.From(ctx)
	now := s.time()
	r := &row{ID: newID(), Kind: in.Kind, CreatedBy: actor.Name, CreatedAt: now, Version: 1, Publisher: PublisherUnknown, Seen: "null"}
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.SettingsManage); err != nil {
		return Registration{}, err
	}
	var f Faults
	if in.Kind != Confidential && in.Kind != Public {
		f.Add("kind", fmt.Sprintf("is %.40q", in.Kind), "use confidential for an app with a secret or certificate, public for one on people's own machines")
	}
	if len(in.Permissions) == 0 {
		in.Permissions = SignInPermissions()
	}
	permissions, err := tidyPermissions(in.Permissions)
	for _, err := range []error{f.Err(), in.faults(s.Cloud.Name), err} {
		if err != nil {
			return Registration{}, err
		}
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r.apply(in.Details, now)
		if err := s.Audit.Act(ctx, tx, r.entry("registration.created", map[string]any{"kind": r.Kind, "client_ids": in.Clients})); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			return taken(err, "making an app registration")
		}
		if _, err := s.putClients(ctx, tx, r, in.Clients); err != nil {
			return err
		}
		m := &manifestRow{RegistrationID: r.ID, Version: 1, Permissions: encode(permissions), MadeBy: actor.Name, MadeAt: now}
		if _, err := tx.NewInsert().Model(m).Exec(ctx); err != nil {
			return fmt.Errorf("keeping a manifest: %w", err)
		}
		return s.announce(ctx, tx, r.ID, "created")
	})
	if err != nil {
		return Registration{}, err
	}
	return s.Get(ctx, r.ID)
}

func taken(err error, doing string) error {
	if sqldb.Duplicate(err) {
		return ErrTaken
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func (r *row) apply(d Details, now time.Time) {
	r.Name, r.Purpose, r.Redirects = d.Name, d.Purpose, encode(append([]Redirect{}, d.Redirects...))
	if d.Publisher != "" && (d.Publisher != r.Publisher || d.PublisherName != r.PublisherName) {
		r.Publisher, r.PublisherName, r.PublisherSource, r.PublisherAt = d.Publisher, d.PublisherName, "entered", &now
	}
	if r.Publisher == PublisherUnknown {
		r.PublisherName, r.PublisherSource, r.PublisherAt = "", "", nil
	}
}

// putClients sets the client ids of a registration and gives the former one of this
// cloud. A former one stays known; one that comes back is the present one again.
func (s *Service) putClients(ctx context.Context, tx *sqldb.Tx, r *row, clients map[string]string) (former string, err error) {
	var all []clientRow
	if err := tx.NewSelect().Model(&all).Where("k.registration_id = ?", r.ID).Scan(ctx); err != nil {
		return "", fmt.Errorf("reading client ids: %w", err)
	}
	now := s.time()
	present := map[string]string{}
	for _, c := range all {
		if c.Until == nil {
			present[c.Cloud] = c.ClientID
		}
	}
	for cloud, id := range present {
		if clients[cloud] == id {
			continue
		}
		if _, err := tx.NewRaw("UPDATE registration_clients SET until = ? WHERE registration_id = ? AND cloud = ? AND until IS NULL", now, r.ID, cloud).Exec(ctx); err != nil {
			return "", fmt.Errorf("changing a client id: %w", err)
		}
	}
	for cloud, id := range clients {
		if present[cloud] == id {
			continue
		}
		known := slices.ContainsFunc(all, func(c clientRow) bool { return c.Cloud == cloud && c.ClientID == id })
		if known {
			_, err = tx.NewRaw("UPDATE registration_clients SET until = NULL, since = ? WHERE registration_id = ? AND cloud = ? AND client_id = ?", now, r.ID, cloud, id).Exec(ctx)
		} else {
			one := clientRow{RegistrationID: r.ID, Cloud: cloud, ClientID: id, Since: now}
			all = append(all, one)
			_, err = tx.NewInsert().Model(&one).Exec(ctx)
		}
		if err != nil {
			return "", taken(err, "changing a client id")
		}
	}
	r.index(all)
	if _, err := tx.NewRaw("UPDATE registrations SET search = ? WHERE id = ?", r.Search, r.ID).Exec(ctx); err != nil {
		return "", fmt.Errorf("changing an app registration: %w", err)
	}
	return present[s.Cloud.Name], nil
}

// change loads a registration, authorises, records and does something to it.
func (s *Service) change(ctx context.Context, id, action string, details map[string]any, do func(context.Context, *sqldb.Tx, *row) error) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, r.entry(action, details)); err != nil {
			return err
		}
		if err := do(ctx, tx, r); err != nil {
			return err
		}
		return s.announce(ctx, tx, id, action)
	})
}

// Update changes a registration's details. [ErrConflict] if somebody else did
// meanwhile. Another client id for this cloud makes people sign in again; where a
// credential is in use, the new one needs one first, so that nobody is refused.
func (s *Service) Update(ctx context.Context, id string, in UpdateRequest) (Registration, error) {
	in.tidy()
	before, err := s.Get(ctx, id)
	if err != nil {
		return Registration{}, err
	}
	known := []string{s.Cloud.Name}
	for _, c := range before.Clients {
		known = append(known, c.Cloud)
	}
	slices.Sort(known)
	if err := in.faults(slices.Compact(known)...); err != nil {
		return Registration{}, err
	}
	err = s.change(ctx, id, "registration.changed", map[string]any{"client_ids": in.Clients}, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if r.Version != in.Version {
			return ErrConflict
		}
		r.apply(in.Details, s.time())
		r.Version++
		done, err := tx.NewUpdate().Model(r).Column("name", "purpose", "redirects", "publisher", "publisher_name", "publisher_source", "publisher_at", "version").Where("id = ? AND version = ?", id, in.Version).Exec(ctx)
		if err != nil {
			return taken(err, "changing an app registration")
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return ErrConflict
		}
		old, err := s.putClients(ctx, tx, r, in.Clients)
		if err != nil {
			return err
		}
		next := in.Clients[s.Cloud.Name]
		if old == next || old == "" {
			return nil
		}
		if err := s.replaceable(ctx, tx, r, old, next); err != nil {
			return err
		}
		return s.changed(ctx, tx, Change{id, ChangedClientID, old, next})
	})
	if err != nil {
		return Registration{}, err
	}
	return s.Get(ctx, id)
}

// replaceable demands a credential of the next client id where the old one has one.
func (s *Service) replaceable(ctx context.Context, tx *sqldb.Tx, r *row, old, next string) error {
	if r.Kind == Public || next == "" {
		return nil
	}
	var with []string
	err := tx.NewSelect().Model((*credentialRow)(nil)).Column("client_id").Where("r.registration_id = ? AND r.cloud = ? AND r.state = ?", r.ID, s.Cloud.Name, Active).Scan(ctx, &with)
	if err != nil {
		return fmt.Errorf("reading credentials: %w", err)
	}
	if slices.Contains(with, old) && !slices.Contains(with, next) {
		return tenant.Fault("client_ids", "has a new client id without a credential: everybody would be refused", "add a credential for the new client id first, then change it")
	}
	return nil
}

// Remove forgets a registration with its credentials. [ErrUsed] while connections use
// it.
func (s *Service) Remove(ctx context.Context, id string) error {
	return s.change(ctx, id, "registration.removed", nil, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		n, err := tx.NewSelect().TableExpr("connections AS c").Where("c.registration_id = ?", id).Count(ctx)
		if err != nil {
			return fmt.Errorf("looking who uses an app registration: %w", err)
		}
		if n > 0 {
			return ErrUsed
		}
		if _, err := tx.NewRaw("DELETE FROM registrations WHERE id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("removing an app registration: %w", err)
		}
		return s.changed(ctx, tx, Change{RegistrationID: id, What: Removed, Old: r.Name})
	})
}
