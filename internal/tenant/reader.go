package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// OnboardRequest names the app registration that becomes the reader.
type OnboardRequest struct {
	ClientID string // of the registration that an administrator made
}

// Onboarding is what the administrator does next.
type Onboarding struct {
	CertificatePEM string // to be uploaded to the registration
	Thumbprint     string
	ConsentURL     string
	Steps          []string
}

// certificateLife is how long a certificate made here is valid.
const certificateLife = 2 * 365 * 24 * time.Hour

// OnboardReader makes a certificate for a tenant's reader, in place of one that
// is there, and says what the administrator does next. The reader works after
// that, and [Service.CheckReader].
func (s *Service) OnboardReader(ctx context.Context, id string, in OnboardRequest) (Onboarding, error) {
	client := strings.ToLower(strings.TrimSpace(in.ClientID))
	if !GUID(client) {
		return Onboarding{}, Fault("client_id", "is no application (client) id", "copy it from the app registration's overview; it looks like 11111111-2222-3333-4444-555555555555")
	}
	made, err := login.MakeCertificate("Gatehouse reader", s.Now(), certificateLife)
	if err != nil {
		return Onboarding{}, err
	}
	var out Onboarding
	err = s.change(ctx, id, audit.ConsentManage, "reader.onboarded", map[string]any{"client_id": client, "thumbprint": made.Thumbprint}, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		sealed, err := s.Keys.Seal(ctx, tx, "readers", id, "private_key", made.Key)
		if err != nil {
			return err
		}
		reader := &readerRow{TenantID: id, ClientID: client, Certificate: made.Certificate, PrivateKey: sealed, Thumbprint: made.Thumbprint, NotAfter: made.NotAfter, State: ReaderUnchecked}
		if _, err := tx.NewDelete().Model((*readerRow)(nil)).Where("tenant_id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("replacing a reader: %w", err)
		}
		if _, err := tx.NewInsert().Model(reader).Exec(ctx); err != nil {
			return fmt.Errorf("keeping a reader: %w", err)
		}
		out = s.steps(r, reader)
		return putSwitch(ctx, tx, switchRow{TenantID: id, Name: Diagnose, State: Pending})
	})
	return out, err
}

// Steps says again what the administrator does for the reader that a tenant has,
// without a new certificate; [ErrNoReader] if it has none.
func (s *Service) Steps(ctx context.Context, id string) (Onboarding, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Onboarding{}, err
	}
	if err := s.Audit.Allow(ctx, id, audit.ConsentManage); err != nil {
		return Onboarding{}, err
	}
	reader, err := findReader(ctx, s.DB.Read(), id)
	if err != nil {
		return Onboarding{}, err
	}
	if reader == nil {
		return Onboarding{}, ErrNoReader
	}
	return s.steps(r, reader), nil
}

func (s *Service) steps(r *row, reader *readerRow) Onboarding {
	consent := s.Cloud.Login + "/" + r.DirectoryID + "/adminconsent?" + url.Values{"client_id": {reader.ClientID}}.Encode()
	return Onboarding{CertificatePEM: reader.Certificate, Thumbprint: reader.Thumbprint, ConsentURL: consent, Steps: []string{
		"In the Microsoft Entra admin centre open Entra ID > App registrations and the registration with the client id " + reader.ClientID + ".",
		"Certificates & secrets > Certificates > Upload certificate: upload the certificate that is shown here (thumbprint " + reader.Thumbprint + ").",
		"API permissions > Add a permission > Microsoft Graph > Application permissions: add " + strings.Join(required(), ", ") + ".",
		"API permissions > Grant admin consent, or open the consent address. " + catalogue[0].WhoConsents,
		"Come back and check the reader. A new certificate or consent can take a few minutes to work.",
	}}
}

// Reading is a tenant's reader, ready to sign in.
type Reading struct {
	ClientID    string
	Certificate *login.Certificate
}

// Reading gives the reader of a tenant for features that have authorised on an
// object of it; nil if it has none, or one that does not work.
func (s *Service) Reading(ctx context.Context, id string) (*Reading, error) {
	r, err := findReader(ctx, s.DB.Read(), id)
	if err != nil || r == nil || r.State != ReaderWorks {
		return nil, err
	}
	return s.open(ctx, r)
}

func (s *Service) open(ctx context.Context, r *readerRow) (*Reading, error) {
	key, err := s.Keys.Open(ctx, "readers", r.TenantID, "private_key", r.PrivateKey)
	if err != nil {
		return nil, err
	}
	certificate, err := login.ReadCertificate([]byte(r.Certificate + key.Reveal()))
	if err != nil {
		return nil, err
	}
	return &Reading{r.ClientID, &certificate}, nil
}

// client signs the reader in.
func (s *Service) client(ctx context.Context, directoryID string, reading *Reading) (*graph.Client, login.Token, error) {
	token, err := s.login.Certificate(ctx, directoryID, reading.ClientID, *reading.Certificate, []string{s.Cloud.GraphResource + "/.default"})
	if err != nil {
		return nil, token, err
	}
	client, err := graph.New(graph.Config{Cloud: s.Cloud, Pace: s.Pace, Tenant: directoryID, Token: func(context.Context) (secrets.Value, error) { return token.Access, nil }})
	return client, token, err
}

// Graph is Graph as a tenant's reader, for features that have authorised on an
// object of it.
func (s *Service) Graph(ctx context.Context, directoryID string, reading *Reading) (*graph.Client, error) {
	client, _, err := s.client(ctx, directoryID, reading)
	return client, err
}

// CheckReader signs the reader in, holds what was granted against what is
// needed, and switches diagnose on, or marks it broken with the reason. That the
// reader does not work is no error: the tenant's state says it.
func (s *Service) CheckReader(ctx context.Context, id string) (Tenant, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Tenant{}, err
	}
	if err := s.Audit.Allow(ctx, r.ID, audit.ConsentManage); err != nil {
		return Tenant{}, err
	}
	reader, err := findReader(ctx, s.DB.Read(), id)
	if err != nil {
		return Tenant{}, err
	}
	if reader == nil {
		return Tenant{}, ErrNoReader
	}
	found, err := s.inspect(pace.Interactive(ctx), r, reader)
	if err != nil {
		return Tenant{}, err
	}
	if err := s.note(ctx, reader, found); err != nil {
		return Tenant{}, err
	}
	if found.state == ReaderWorks {
		if err := s.Refresh(ctx, id); err != nil && !errors.Is(err, ErrPaused) {
			return Tenant{}, err
		}
	}
	return s.Get(ctx, id)
}

// inspection is what a check of a reader found.
type inspection struct{ state, reason, principal string }

// inspect tries the reader. The error is for what says nothing about it.
func (s *Service) inspect(ctx context.Context, r *row, reader *readerRow) (inspection, error) {
	reading, err := s.open(ctx, reader)
	if err != nil {
		return inspection{}, err
	}
	client, token, err := s.client(ctx, r.DirectoryID, reading)
	if err != nil {
		d := diagnosis.Of(err, diagnosis.Facts{AppOnly: true, ClientName: "The reader", Account: reader.ClientID, Tenant: r.Name, TenantID: r.DirectoryID, Login: s.Cloud.Login})
		if d.Undecided() {
			return inspection{}, err
		}
		return inspection{state: ReaderBroken, reason: fmt.Sprintf("%s (%s). First: %s.", d.Title, err, d.Remedies[0].Title)}, nil
	}
	found := inspection{state: ReaderWorks, principal: token.Claims.ObjectID}
	var missing, surplus []string
	for _, p := range required() {
		if !slices.Contains(token.Claims.Roles, p) {
			missing = append(missing, p)
		}
	}
	for _, p := range token.Claims.Roles {
		if !slices.Contains(required(), p) && p != PermissionDomains && p != PermissionGrants {
			surplus = append(surplus, p)
		}
	}
	var organization json.RawMessage // read as JSON: somebody else's page is no answer
	if err := client.Get(ctx, "/v1.0/organization?$select=id", &organization); err != nil {
		if diagnosis.Of(err, diagnosis.Facts{AppOnly: true}).Undecided() {
			return inspection{}, err
		}
		found.state, found.reason = ReaderBroken, "Microsoft Graph refuses the reader: "+err.Error()
	}
	switch {
	case len(missing) > 0:
		found.state, found.reason = ReaderBroken, "These permissions are missing or not consented to: "+strings.Join(missing, ", ")+". Add them to the app registration and grant admin consent."
	case len(surplus) > 0 && found.state == ReaderWorks:
		found.reason = "The app holds more than the reader needs: " + strings.Join(surplus, ", ") + ". Remove these permissions, or use a registration of its own."
	}
	return found, nil
}

func (s *Service) note(ctx context.Context, reader *readerRow, found inspection) error {
	actor, _ := audit.From(ctx)
	return s.change(ctx, reader.TenantID, audit.ConsentManage, "reader.checked", map[string]any{"state": found.state}, func(ctx context.Context, tx *sqldb.Tx, _ *row) error {
		now := s.time()
		// Only the reader that was tried: it may have been replaced meanwhile.
		done, err := tx.NewUpdate().Model((*readerRow)(nil)).Set("state = ?, reason = ?, principal_id = ?, checked_at = ?", found.state, found.reason, found.principal, now).
			Where("tenant_id = ? AND thumbprint = ?", reader.TenantID, reader.Thumbprint).Exec(ctx)
		if err != nil {
			return fmt.Errorf("noting a reader's state: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		w := switchRow{TenantID: reader.TenantID, Name: Diagnose, State: On, ConsentedBy: actor.Name, ConsentedAt: &now}
		if found.state != ReaderWorks {
			w = switchRow{TenantID: reader.TenantID, Name: Diagnose, State: Broken, Reason: found.reason}
		}
		return putSwitch(ctx, tx, w)
	})
}

// RemoveReader forgets a tenant's reader with its key, and the snapshot that it
// took. What stays in the tenant the switch says.
func (s *Service) RemoveReader(ctx context.Context, id string) error {
	return s.change(ctx, id, audit.ConsentManage, "reader.removed", nil, func(ctx context.Context, tx *sqldb.Tx, _ *row) error {
		done, err := tx.NewDelete().Model((*readerRow)(nil)).Where("tenant_id = ?", id).Exec(ctx)
		if err != nil {
			return fmt.Errorf("removing a reader: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNoReader)
		}
		if _, err := tx.NewDelete().Model((*snapshotRow)(nil)).Where("tenant_id = ? AND source = ?", id, FromReader).Exec(ctx); err != nil {
			return fmt.Errorf("removing a reader's snapshot: %w", err)
		}
		return putSwitch(ctx, tx, switchRow{TenantID: id, Name: Diagnose, State: Off})
	})
}
