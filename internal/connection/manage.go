package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/schedule"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Profile is what a connection says of itself; everything but tenant, kind and
// credential.
type Profile struct {
	Name        string
	Description string
	MFA         bool
	Username    string // of a service account
	ClientID    string // of an app; of a service account the app it signs in through, or ""
	// RegistrationID is the app registration of a delegated connection. The client
	// id is its; the user name is who is to sign in, or "" for whoever does first.
	RegistrationID string
	Services       []string
	Site           string
	AdminURL       string
	Environment    string
	Company        string
	Consumer       Consumer
}

// CreateRequest is a connection to make.
type CreateRequest struct {
	TenantID string
	Kind     Kind
	Profile
	Credential CredentialRequest
	// Existing: the profile is in use elsewhere already. Only then may it have
	// an app password, or a client secret for SharePoint.
	Existing bool
	// Schedule is its own, as package schedule writes it; "" for the tenant's.
	Schedule string
}

// CredentialRequest is a new credential. Exactly one of the members that hold
// it is set, or none where the consumer alone has it.
type CredentialRequest struct {
	Kind           CredentialKind // "" for what the set member says
	Password       secrets.Value
	Secret         secrets.Value
	CertificatePEM secrets.Value // certificate and private key
	Generate       bool          // make a certificate here
	NotAfter       *time.Time    // when a client secret ends, if that is known
	// Public is a certificate (PEM) whose key the consumer alone has, Signing its
	// request for one.
	Public, Signing string
}

// UpdateRequest is a profile in place of the one that had a version.
type UpdateRequest struct {
	Profile
	Version int64
}

// Create makes a connection. Faults in what was entered are [Faults].
func (s *Service) Create(ctx context.Context, in CreateRequest) (Connection, error) {
	return s.CreateAnd(ctx, in, func(context.Context, *sqldb.Tx, string) error { return nil })
}

// CreateAnd is [Service.Create] with what else is to happen in its transaction.
func (s *Service) CreateAnd(ctx context.Context, in CreateRequest, also func(ctx context.Context, tx *sqldb.Tx, id string) error) (Connection, error) {
	in.tidy()
	r := &row{ID: newID(), TenantID: in.TenantID, Kind: in.Kind, CreatedAt: s.time(), Version: 1, CredentialVersion: 1, Warnings: "[]", PreviousSecret: []byte{}}
	if _, err := s.Tenants.Directory(ctx, in.TenantID); err != nil {
		return Connection{}, err
	}
	if err := s.Audit.Allow(ctx, in.TenantID, audit.ConnectionManage); err != nil {
		return Connection{}, err
	}
	own, wrong := schedule.Parse("schedule", in.Schedule)
	c, err := s.prepare(in.Kind, in.Profile, in.Credential, in.Existing)
	if err := together(err, wrong); err != nil {
		return Connection{}, err
	}
	r.Schedule = own.String() // when it is due next, the job that keeps to schedules works out
	if r.AdminProbe, err = s.askAdmin(ctx, in.TenantID, &in.Profile); err != nil {
		return Connection{}, err
	}
	if in.Kind == Delegated {
		if in.ClientID, err = s.clientOf(ctx, in.Profile); err != nil {
			return Connection{}, err
		}
	}
	r.apply(in.Profile)
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, r.entry(audit.ConnectionManage, "connection.created", map[string]any{"kind": r.Kind, "credential": c.kind, "services": in.Services})); err != nil {
			return err
		}
		if err := s.put(ctx, tx, r, c); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			if sqldb.Duplicate(err) {
				return ErrTaken
			}
			return fmt.Errorf("making a connection: %w", err)
		}
		if err := also(ctx, tx, r.ID); err != nil {
			return err
		}
		return s.announce(ctx, tx, r, "created")
	})
	if err != nil {
		return Connection{}, err
	}
	return s.Get(ctx, r.ID)
}

// together is what is wrong with what was entered, of several checks.
func together(errs ...error) error {
	var all fault.List
	for _, err := range errs {
		some, ok := errors.AsType[fault.List](err)
		if err != nil && !ok {
			return err
		}
		all = append(all, some...)
	}
	return all.Err()
}

func (r *row) apply(p Profile) {
	r.Name, r.Description, r.MFA, r.Username, r.ClientID, r.RegistrationID = p.Name, p.Description, p.MFA, p.Username, p.ClientID, p.RegistrationID
	r.Services, r.Site, r.AdminURL, r.Environment, r.Company, r.Consumer = encode(p.Services), p.Site, p.AdminURL, p.Environment, p.Company, encode(p.Consumer)
	r.Search = strings.ToLower(p.Name + "\n" + p.Username + "\n" + p.ClientID)
}

// tidy takes blanks away and fills in what is usual.
func (p *Profile) tidy() {
	for _, text := range []*string{&p.Name, &p.Description, &p.Username, &p.ClientID, &p.RegistrationID, &p.Site, &p.AdminURL, &p.Environment, &p.Company, &p.Consumer.Name} {
		*text = strings.TrimSpace(*text)
	}
	p.ClientID = strings.ToLower(p.ClientID)
	if len(p.Services) == 0 {
		p.Services = []string{Graph}
	}
	slices.Sort(p.Services)
	p.Services = slices.Compact(p.Services)
	if p.Consumer.HoldsCredential == "" {
		p.Consumer.HoldsCredential = HeldHere
	}
}

// put seals a credential into a row.
func (s *Service) put(ctx context.Context, tx *sqldb.Tx, r *row, c credential) error {
	r.Credential, r.Certificate, r.Thumbprint, r.CredentialNotAfter, r.Secret = c.kind, c.certificate, c.thumbprint, utc(c.notAfter), []byte{}
	if c.secret.Empty() {
		return nil
	}
	var err error
	r.Secret, err = s.Keys.Seal(ctx, tx, "connections", r.ID, "secret", c.secret)
	return err
}

// change loads a connection, authorises, records and does something to it.
func (s *Service) change(ctx context.Context, id, action string, details map[string]any, do func(context.Context, *sqldb.Tx, *row) error) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if s.DB.Postgres() { // SQLite has one writer at a time
			if _, err := tx.NewRaw("SELECT 1 FROM connections WHERE id = ? FOR NO KEY UPDATE", id).Exec(ctx); err != nil {
				return fmt.Errorf("holding a connection: %w", err)
			}
		}
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, r.entry(audit.ConnectionManage, action, details)); err != nil {
			return err
		}
		if err := do(ctx, tx, r); err != nil {
			return err
		}
		return s.announce(ctx, tx, r, action)
	})
}

// Update changes a connection's profile. [ErrConflict] if somebody else did
// meanwhile. With another user name the password counts as a new one.
func (s *Service) Update(ctx context.Context, id string, in UpdateRequest) (Connection, error) {
	in.tidy()
	probe, asked, err := s.askAnew(ctx, id, &in.Profile)
	if err != nil {
		return Connection{}, err
	}
	err = s.change(ctx, id, "connection.changed", map[string]any{"services": in.Services}, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if r.Version != in.Version {
			return ErrConflict
		}
		var f faults
		if r.Kind == Delegated {
			f.delegated(r, &in.Profile)
		}
		f.profile(r.Kind, in.Profile)
		f.holder(r.Credential, in.Profile, r.Held)
		before, err := r.connection()
		if err != nil {
			return err
		}
		f.sharePoint(r.Credential, in.Profile, before.outdated())
		if err := f.Err(); err != nil {
			return err
		}
		another := !strings.EqualFold(r.Username, in.Username)
		if r.Kind == Delegated {
			in.ClientID = r.ClientID
		}
		r.apply(in.Profile)
		r.Version++
		if asked {
			r.AdminProbe = probe
		}
		if another {
			r.CredentialVersion++
			r.Parked, r.ParkedReason = false, ""
		}
		if err := r.save(ctx, tx, in.Version, "name", "description", "mfa", "username", "client_id", "services", "site", "admin_url", "environment", "company", "consumer", "search", "version",
			"credential_version", "parked", "parked_reason", "admin_probe"); err != nil {
			return err
		}
		return s.changed(ctx, tx, id, nil)
	})
	if err != nil {
		return Connection{}, err
	}
	return s.Get(ctx, id)
}

// save writes columns of a row that had a version.
func (r *row) save(ctx context.Context, tx *sqldb.Tx, version int64, columns ...string) error {
	done, err := tx.NewUpdate().Model(r).Column(columns...).Where("id = ? AND version = ?", r.ID, version).Exec(ctx)
	if err != nil {
		if sqldb.Duplicate(err) {
			return ErrTaken
		}
		return fmt.Errorf("changing a connection: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return ErrConflict
	}
	return nil
}

// SetCredential gives a connection a new credential and takes it out of park.
func (s *Service) SetCredential(ctx context.Context, id string, in CredentialRequest) (Connection, error) {
	return s.SetCredentialAnd(ctx, id, in, func(context.Context, *sqldb.Tx, string) error { return nil })
}

// SetCredentialAnd is [Service.SetCredential] with what else is to happen in its
// transaction.
func (s *Service) SetCredentialAnd(ctx context.Context, id string, in CredentialRequest, also func(ctx context.Context, tx *sqldb.Tx, id string) error) (Connection, error) {
	before, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Connection{}, err
	}
	if err := s.Audit.Allow(ctx, before.TenantID, audit.ConnectionManage); err != nil {
		return Connection{}, err
	}
	known, err := before.connection()
	if err != nil {
		return Connection{}, err
	}
	if known.Kind == Delegated {
		return Connection{}, tenant.Fault("credential", "cannot be replaced: the connection is a person's sign-in", "let the person sign in again")
	}
	c, err := s.prepare(known.Kind, known.profile(), in, known.outdated())
	if err != nil {
		return Connection{}, err
	}
	err = s.change(ctx, id, "credential.replaced", map[string]any{"credential": c.kind, "thumbprint": c.thumbprint}, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		version := r.Version
		if err := s.put(ctx, tx, r, c); err != nil {
			return err
		}
		r.Version++
		r.CredentialVersion++
		r.Parked, r.ParkedReason = false, ""
		if err := also(ctx, tx, id); err != nil {
			return err
		}
		if err := r.save(ctx, tx, version, "credential", "certificate", "thumbprint", "credential_not_after", "secret", "version", "credential_version", "parked", "parked_reason"); err != nil {
			return err
		}
		return s.changed(ctx, tx, id, nil)
	})
	if err != nil {
		return Connection{}, err
	}
	return s.Get(ctx, id)
}

func (c Connection) profile() Profile {
	return Profile{c.Name, c.Description, c.MFA, c.Username, c.ClientID, c.RegistrationID, c.Services, c.Site, c.AdminURL, c.Environment, c.Company, c.Consumer}
}

// outdated reports a profile that a new connection could not have: with an app
// password, or with a client secret for SharePoint.
func (c Connection) outdated() bool {
	return c.Credential == AppPassword || c.Credential == Secret && slices.Contains(c.Services, SharePoint)
}

// Remove forgets a connection with its credential and validations.
func (s *Service) Remove(ctx context.Context, id string) error {
	return s.change(ctx, id, "connection.removed", nil, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if err := s.left(ctx, tx, Leaving{ConnectionID: r.ID, TenantID: r.TenantID}); err != nil {
			return err
		}
		if _, err := tx.NewRaw("DELETE FROM connections WHERE id = ?", r.ID).Exec(ctx); err != nil {
			return fmt.Errorf("removing a connection: %w", err)
		}
		return nil
	})
}

// Certificate gives the public part of a connection's certificate as PEM, to be
// uploaded to the app registration. [ErrNoCertificate] if it has none.
func (s *Service) Certificate(ctx context.Context, id string) (string, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return "", err
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.ConnectionView); err != nil {
		return "", err
	}
	var text string
	if err := s.DB.Read().NewSelect().Model((*row)(nil)).Column("certificate").Where("id = ?", id).Scan(ctx, &text); err != nil {
		return "", fmt.Errorf("reading a certificate: %w", err)
	}
	if text == "" {
		return "", ErrNoCertificate
	}
	return text, nil
}
