package registration

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/sqldb"
)

// App gives the app of a registration with the credential in use, opened, for
// features that have authorised on an object of theirs: no permission is asked.
// [ErrNoClient] if it has no client id in this cloud, [ErrNoCredential] if a
// confidential one has none in use.
func (s *Service) App(ctx context.Context, id string) (login.App, error) {
	present, err := s.present(ctx, id)
	if err != nil {
		return login.App{}, err
	}
	return s.AppOf(ctx, id, present)
}

// present gives the client id of a registration in this cloud.
func (s *Service) present(ctx context.Context, id string) (string, error) {
	var found struct{ ClientID string }
	err := s.DB.Read().NewSelect().TableExpr("registrations AS g").ColumnExpr("coalesce(k.client_id, '') AS client_id").
		Join("LEFT JOIN registration_clients AS k ON k.registration_id = g.id AND k.cloud = ? AND k.until IS NULL", s.Cloud.Name).Where("g.id = ?", id).Scan(ctx, &found)
	switch {
	case sqldb.Missing(err):
		return "", ErrMissing
	case err != nil:
		return "", fmt.Errorf("reading an app registration: %w", err)
	case found.ClientID == "":
		return "", ErrNoClient
	}
	return found.ClientID, nil
}

// AppOf is [Service.App] for a client id of a registration, the present one or one
// that it had before: a refresh token works with the client id alone that it was
// given to. [ErrMissing] if the registration never had it.
func (s *Service) AppOf(ctx context.Context, id, clientID string) (login.App, error) {
	var found struct {
		Kind           Kind
		Credential     *string
		CredentialKind *string
		Certificate    *string
		Secret         []byte
		UsedAt         *time.Time
	}
	clientID = strings.ToLower(clientID)
	err := s.DB.Read().NewSelect().TableExpr("registrations AS g").
		ColumnExpr("g.kind AS kind, r.id AS credential, r.kind AS credential_kind, r.certificate AS certificate, r.secret AS secret, r.used_at AS used_at").
		Join("JOIN registration_clients AS k ON k.registration_id = g.id AND k.cloud = ? AND k.client_id = ?", s.Cloud.Name, clientID).
		Join("LEFT JOIN registration_credentials AS r ON r.registration_id = g.id AND r.cloud = k.cloud AND r.client_id = k.client_id AND r.state = ?", Active).
		Where("g.id = ?", id).Scan(ctx, &found)
	switch {
	case sqldb.Missing(err):
		return login.App{}, ErrMissing
	case err != nil:
		return login.App{}, fmt.Errorf("reading an app registration: %w", err)
	case found.Kind == Public:
		return login.App{ClientID: clientID}, nil
	case found.Credential == nil:
		return login.App{}, ErrNoCredential
	}
	app, err := s.open(ctx, clientID, credentialRow{ID: *found.Credential, Kind: CredentialKind(*found.CredentialKind), Certificate: *found.Certificate, Secret: found.Secret})
	if err != nil {
		return login.App{}, err
	}
	return app, s.used(ctx, *found.Credential, found.UsedAt)
}

// open unseals a credential.
func (s *Service) open(ctx context.Context, clientID string, r credentialRow) (login.App, error) {
	app := login.App{ClientID: clientID}
	value, err := s.Keys.Open(ctx, "registration_credentials", r.ID, "secret", r.Secret)
	if err != nil {
		return app, err
	}
	if r.Kind == SecretCredential {
		app.Secret = value
		return app, nil
	}
	certificate, err := login.ReadCertificate([]byte(r.Certificate + value.Reveal()))
	if err != nil {
		return app, err
	}
	app.Certificate = &certificate
	return app, nil
}

// used notes, once a minute at most, that a credential was handed out. Within a
// change of somebody else's it is left out: the next call notes it.
func (s *Service) used(ctx context.Context, credentialID string, before *time.Time) error {
	now := s.time()
	if before != nil && now.Sub(*before) < time.Minute || sqldb.InChange(ctx) {
		return nil
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw("UPDATE registration_credentials SET used_at = ? WHERE id = ? AND (used_at IS NULL OR used_at < ?)", now, credentialID, now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("noting the use of a credential: %w", err)
		}
		return nil
	})
}
