package conversion

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/pfx"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// SetRegistration says which app registration the consumer is to use. Another
// one than before begins again with the credential.
func (s *Service) SetRegistration(ctx context.Context, id, clientID string) (Conversion, error) {
	r, c, err := s.load(ctx, id)
	if err != nil {
		return Conversion{}, err
	}
	clientID = strings.ToLower(strings.TrimSpace(clientID))
	if !tenant.GUID(clientID) {
		return Conversion{}, tenant.Fault("client_id", "is no application (client) id", "copy it from the app registration's overview; it looks like 11111111-2222-3333-4444-555555555555")
	}
	if c.AppID != "" && clientID != c.ClientID {
		return Conversion{}, tenant.Fault("client_id", "is another one than that of the app's connection, which is there already", "give this conversion up and start another one for another registration")
	}
	c.ClientID = clientID
	return s.step(ctx, r, c.Progress, "conversion.registration_chosen", map[string]any{"client_id": clientID})
}

// CredentialRequest is how the app proves itself.
type CredentialRequest struct {
	Way      string
	Public   string // the consumer's certificate, for [Own]
	Signing  string // its request, for [Signing]
	Secret   secrets.Value
	NotAfter *time.Time // of the secret
}

func (in CredentialRequest) credential() connection.CredentialRequest {
	switch in.Way {
	case Own:
		return connection.CredentialRequest{Public: in.Public}
	case Signing:
		return connection.CredentialRequest{Signing: in.Signing}
	case Secret:
		return connection.CredentialRequest{Secret: in.Secret, NotAfter: in.NotAfter}
	}
	return connection.CredentialRequest{Generate: true}
}

func (in CredentialRequest) check() error {
	missing := map[string]bool{MadeHere: false, Own: strings.TrimSpace(in.Public) == "", Signing: strings.TrimSpace(in.Signing) == "", Secret: in.Secret.Empty()}
	empty, known := missing[in.Way]
	field := map[string]string{Own: "public", Signing: "signing", Secret: "secret"}[in.Way]
	switch {
	case !known:
		return tenant.Fault("way", fmt.Sprintf("is %.40q", in.Way), "use made_here, own, signing or secret")
	case empty:
		return tenant.Fault(field, "is missing", "paste it, or choose another way")
	}
	return nil
}

// holder is who keeps the credential: with a key of its own the consumer alone.
func (in CredentialRequest) holder() string {
	if in.Way == Own || in.Way == Signing {
		return connection.HeldByConsumer
	}
	return connection.HeldHere
}

// SetCredential makes the app's connection beside the old one, or gives it
// another credential. What was handed over of an earlier one no longer counts.
func (s *Service) SetCredential(ctx context.Context, id string, in CredentialRequest) (Conversion, error) {
	r, c, err := s.load(ctx, id)
	switch {
	case err != nil:
		return Conversion{}, err
	case c.ClientID == "":
		return Conversion{}, ErrOrder
	}
	if err := in.check(); err != nil {
		return Conversion{}, err
	}
	old, err := s.Connections.Get(ctx, c.ConnectionID)
	if err != nil {
		return Conversion{}, err
	}
	c.Way, c.Handed, c.Seen, c.Looked = in.Way, nil, nil, nil
	also := func(ctx context.Context, tx *sqldb.Tx, appID string) error {
		if err := s.Audit.Act(ctx, tx, s.entry(r, "conversion.credential_set", map[string]any{"way": in.Way, "app": appID})); err != nil {
			return err
		}
		r.AppID = &appID
		return s.save(ctx, tx, r, c.Progress)
	}
	if c.AppID == "" {
		_, err = s.Connections.CreateAnd(ctx, connection.CreateRequest{TenantID: old.TenantID, Kind: connection.App, Profile: appProfile(old, c.ClientID, in.holder()), Credential: in.credential()}, also)
	} else {
		err = s.replace(ctx, c.AppID, in, also)
	}
	if errors.Is(err, connection.ErrTaken) {
		return Conversion{}, tenant.Fault("name", "of the app's connection ("+appName(old.Name)+") is taken in this tenant", "rename that connection first")
	}
	if err != nil {
		return Conversion{}, err
	}
	return s.Get(ctx, id)
}

// replace gives the app's connection another credential, and another holder first
// where that changes.
func (s *Service) replace(ctx context.Context, appID string, in CredentialRequest, also func(context.Context, *sqldb.Tx, string) error) error {
	app, err := s.Connections.Get(ctx, appID)
	if err != nil {
		return err
	}
	if app.Consumer.HoldsCredential != in.holder() {
		return tenant.Fault("way", "would have another holder of the key than the app's connection", "give this conversion up and start another one")
	}
	_, err = s.Connections.SetCredentialAnd(ctx, appID, in.credential(), also)
	return err
}

func appName(old string) string { return old + " (app)" }

// appProfile is the old profile as an app's.
func appProfile(old connection.Connection, clientID, holder string) connection.Profile {
	consumer := old.Consumer
	consumer.HoldsCredential = holder
	return connection.Profile{
		Name: appName(old.Name), Description: old.Description, ClientID: clientID, Services: old.Services, Site: old.Site, AdminURL: old.AdminURL,
		Environment: old.Environment, Company: old.Company, Consumer: consumer,
	}
}

// Consented notes that the tenant's administrator has consented.
func (s *Service) Consented(ctx context.Context, id string) (Conversion, error) {
	r, c, err := s.load(ctx, id)
	switch {
	case err != nil:
		return Conversion{}, err
	case c.AppID == "":
		return Conversion{}, ErrOrder
	}
	c.Consented = s.mark(ctx, "")
	return s.step(ctx, r, c.Progress, "conversion.consented", nil)
}

// ConsentURL is where the tenant's administrator consents.
func (s *Service) ConsentURL(ctx context.Context, c Conversion) (string, error) {
	at, err := s.Tenants.Directory(ctx, c.TenantID)
	if err != nil {
		return "", err
	}
	return s.Cloud.Login + "/" + at.DirectoryID + "/adminconsent?" + url.Values{"client_id": {c.ClientID}}.Encode(), nil
}

// Validate validates the app's connection; the old one is left alone.
func (s *Service) Validate(ctx context.Context, id string) (validation.Run, error) {
	_, c, err := s.load(ctx, id)
	switch {
	case err != nil:
		return validation.Run{}, err
	case c.AppID == "":
		return validation.Run{}, ErrOrder
	}
	return s.Runs.Start(ctx, c.AppID)
}

// Package is a certificate with its key, to be handed over.
type Package struct {
	Name     string // of the file
	Data     []byte // PKCS #12
	Password secrets.Value
}

// letters of one-time passwords: none that is taken for another.
const letters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"

// Package hands the certificate over, once: the file, and the password that opens
// it. Neither is kept.
func (s *Service) Package(ctx context.Context, id string) (Package, error) {
	r, c, err := s.load(ctx, id)
	switch {
	case err != nil:
		return Package{}, err
	case c.AppID == "":
		return Package{}, ErrOrder
	case c.Handed != nil:
		return Package{}, ErrHanded
	case c.Way != MadeHere:
		return Package{}, ErrNothing
	}
	opened, err := s.Connections.Open(ctx, c.AppID)
	if err != nil {
		return Package{}, err
	}
	password, err := s.password()
	if err != nil {
		return Package{}, err
	}
	certificate, key, _ := strings.Cut(opened.Secret.Reveal(), "-----BEGIN PRIVATE KEY-----")
	data, err := pfx.Encode(s.random(), certificate, secrets.New("-----BEGIN PRIVATE KEY-----"+key), password)
	if err != nil {
		return Package{}, err
	}
	c.Handed = s.mark(ctx, opened.Thumbprint)
	// What is not written down is not handed over.
	if _, err := s.step(ctx, r, c.Progress, "conversion.certificate_handed_over", map[string]any{"thumbprint": opened.Thumbprint}); err != nil {
		return Package{}, err
	}
	return Package{Name: "app-" + opened.Thumbprint[:min(8, len(opened.Thumbprint))] + ".pfx", Data: data, Password: password}, nil
}

func (s *Service) random() io.Reader {
	if s.Random != nil {
		return s.Random
	}
	return rand.Reader
}

// password is 20 letters, some 115 bits.
func (s *Service) password() (secrets.Value, error) {
	var out strings.Builder
	for out.Len() < 24 {
		if out.Len()%6 == 5 {
			out.WriteByte('-')
			continue
		}
		var b [1]byte
		if _, err := s.random().Read(b[:]); err != nil {
			return secrets.Value{}, fmt.Errorf("making a password: %w", err)
		}
		if int(b[0]) < 256/len(letters)*len(letters) { // each as likely as another
			out.WriteByte(letters[int(b[0])%len(letters)])
		}
	}
	return secrets.New(out.String()), nil
}

// Confirm notes that somebody says that the consumer signs in as the app.
func (s *Service) Confirm(ctx context.Context, id string) (Conversion, error) {
	r, c, err := s.load(ctx, id)
	switch {
	case err != nil:
		return Conversion{}, err
	case c.AppID == "":
		return Conversion{}, ErrOrder
	}
	c.Seen = &Evidence{Mark: *s.mark(ctx, "")}
	return s.step(ctx, r, c.Progress, "conversion.use_confirmed", nil)
}

// Retire ends a conversion once the consumer uses the app: the old profile is
// parked.
func (s *Service) Retire(ctx context.Context, id string) (Conversion, error) {
	r, c, err := s.load(ctx, id)
	switch {
	case err != nil:
		return Conversion{}, err
	case c.Seen == nil:
		return Conversion{}, ErrOrder
	}
	app, err := s.Connections.Get(ctx, c.AppID)
	if err != nil {
		return Conversion{}, err
	}
	now := s.time()
	r.State, r.EndedAt = Done, &now
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, s.entry(r, "conversion.finished", map[string]any{"app": c.AppID, "seen_in_log": c.Seen.Log})); err != nil {
			return err
		}
		if err := s.Connections.Retire(ctx, tx, c.ConnectionID, "it was converted to the app "+app.Name); err != nil {
			return err
		}
		return s.save(ctx, tx, r, c.Progress)
	})
	if err != nil {
		return Conversion{}, err
	}
	return s.Get(ctx, id)
}

// GiveUp ends a conversion without touching either connection.
func (s *Service) GiveUp(ctx context.Context, id string) (Conversion, error) {
	r, c, err := s.load(ctx, id)
	if err != nil {
		return Conversion{}, err
	}
	now := s.time()
	r.State, r.EndedAt = GivenUp, &now
	return s.step(ctx, r, c.Progress, "conversion.given_up", nil)
}
