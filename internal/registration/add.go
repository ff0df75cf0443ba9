package registration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// maxSecret bounds a client secret, in bytes; Entra makes them of some 40.
const maxSecret = 1024

// maxCredentials bounds how many credentials that are not retired a registration
// has: more than it can have at Microsoft at a time is of no use.
const maxCredentials = 20

// certificateLife is how long a certificate made here is valid.
const certificateLife = 2 * 365 * 24 * time.Hour

// CredentialRequest is a credential to add: one of Secret, CertificatePEM and
// Generate is set.
type CredentialRequest struct {
	// ClientID is the one that it belongs to: the present one in this cloud if "".
	// It may be one that the registration is to have, so that its credential is ready
	// before the change.
	ClientID       string
	Kind           string // secret, certificate; "" for what is given
	Label          string
	Secret         secrets.Value
	NotAfter       *time.Time    // of a secret, if that is known
	KeyID          string        // of a secret, as Microsoft shows it; ""
	CertificatePEM secrets.Value // certificate and private key
	Generate       bool          // make a certificate here
}

func (in CredentialRequest) faults(now time.Time) error {
	var f Faults
	given := 0
	for _, set := range []bool{!in.Secret.Empty(), !in.CertificatePEM.Empty(), in.Generate} {
		if set {
			given++
		}
	}
	secret := in.Secret.Reveal()
	switch {
	case in.Kind == "federated":
		f.Add("kind", "is federated, which the token endpoint takes with a token of another identity provider that this release does not ask for", "let Gatehouse make a certificate: its key never leaves it")
	case in.Kind != "" && in.Kind != string(SecretCredential) && in.Kind != string(CertificateCredential):
		f.Add("kind", fmt.Sprintf("is %.40q", in.Kind), "use secret or certificate")
	case given == 0:
		f.Add("credential", "is missing", "paste a client secret, upload a certificate with its key, or let Gatehouse make one")
	case given > 1:
		f.Add("credential", "is given in more than one form", "give one secret or one certificate")
	case in.Kind == string(SecretCredential) && in.Secret.Empty() || in.Kind == string(CertificateCredential) && !in.Secret.Empty():
		f.Add("kind", "is another than what is given", "leave it out")
	case len(secret) > maxSecret || strings.ContainsFunc(secret, func(r rune) bool { return r < '!' || r > '~' }):
		f.Add("secret", "is no client secret", "paste its value, as it is shown once when it is made")
	case tenant.GUID(secret):
		f.Add("secret", "looks like the id of a secret", "paste its value, which is shown once when it is made")
	}
	if in.NotAfter != nil && in.Secret.Empty() {
		f.Add("not_after", "belongs to a secret", "leave it out: a certificate says itself when it ends")
	}
	if in.NotAfter != nil && !in.NotAfter.After(now) {
		f.Add("not_after", "has passed", "make a new secret")
	}
	if in.KeyID != "" && !tenant.GUID(in.KeyID) {
		f.Add("key_id", "is no key id", "copy the Secret ID from the admin centre, or leave it out")
	}
	if in.ClientID != "" && !tenant.GUID(in.ClientID) {
		f.Add("client_id", "is no application (client) id", "leave it out for the present one")
	}
	f.Text("label", in.Label, 120)
	return f.Err()
}

// AddCredential adds a credential to a confidential registration. The first one of a
// client id is in use at once; any other has to pass a check before it can be.
func (s *Service) AddCredential(ctx context.Context, id string, in CredentialRequest) (Credential, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.SettingsManage); err != nil {
		return Credential{}, err
	}
	g, err := s.load(ctx, id)
	if err != nil {
		return Credential{}, err
	}
	in.ClientID, in.KeyID, in.Label = strings.ToLower(strings.TrimSpace(in.ClientID)), strings.ToLower(strings.TrimSpace(in.KeyID)), strings.TrimSpace(in.Label)
	if err := in.faults(s.Now()); err != nil {
		return Credential{}, err
	}
	if in.ClientID == "" {
		in.ClientID = g.ClientID
	}
	switch {
	case g.Kind == Public:
		return Credential{}, tenant.Fault("credential", "does not belong to a public client, which proves itself with nothing", "make a confidential registration for it")
	case in.ClientID == "":
		return Credential{}, tenant.Fault("client_id", "is missing: the registration has none in the cloud "+s.Cloud.Name, "enter the registration's client id first")
	}
	actor, _ := audit.From(ctx)
	r := &credentialRow{ID: newID(), RegistrationID: id, Cloud: s.Cloud.Name, ClientID: in.ClientID, Kind: SecretCredential, Origin: Pasted, Label: in.Label, State: Added, KeyID: in.KeyID, NotAfter: utc(in.NotAfter), AddedBy: actor.Name, AddedAt: s.time(), Version: 1}
	value, err := r.prepare(in, g.Name, s.Now())
	if err != nil {
		return Credential{}, err
	}
	err = s.change(ctx, id, "registration.credential_added", map[string]any{"credential": r.ID, "kind": r.Kind, "origin": r.Origin, "client_id": r.ClientID, "thumbprint": r.Thumbprint}, func(ctx context.Context, tx *sqldb.Tx, _ *row) error {
		return s.insert(ctx, tx, r, value)
	})
	return r.credential(), err
}

// prepare makes or reads a certificate, and gives what is to be sealed.
func (r *credentialRow) prepare(in CredentialRequest, name string, now time.Time) (secrets.Value, error) {
	if !in.Secret.Empty() {
		return in.Secret, nil
	}
	r.Kind, r.Origin = CertificateCredential, Uploaded
	var made login.Made
	var err error
	if in.Generate {
		r.Origin = MadeHere
		made, err = login.MakeCertificate("Gatehouse "+name, now, certificateLife)
	} else if made, err = login.SplitCertificate(in.CertificatePEM); err != nil {
		return secrets.Value{}, tenant.Fault("certificate", "cannot be used ("+err.Error()+")", "upload one PEM file with certificate and unencrypted private key, or let Gatehouse make one")
	} else if !made.NotAfter.After(now) {
		return secrets.Value{}, tenant.Fault("certificate", "ended on "+made.NotAfter.Format(time.DateOnly), "upload one that is valid, or let Gatehouse make one")
	}
	r.Certificate, r.Thumbprint, r.NotAfter = made.Certificate, made.Thumbprint, utc(&made.NotAfter)
	return made.Key, err
}

func (s *Service) insert(ctx context.Context, tx *sqldb.Tx, r *credentialRow, value secrets.Value) error {
	var all []credentialRow
	err := tx.NewSelect().Model(&all).Column("id", "state", "client_id", "thumbprint").Where("r.registration_id = ? AND r.cloud = ? AND r.state <> ?", r.RegistrationID, r.Cloud, Retired).Scan(ctx)
	if err != nil {
		return fmt.Errorf("reading credentials: %w", err)
	}
	switch {
	case len(all) >= maxCredentials:
		return tenant.Fault("credential", "would be the 21st that is not retired", "retire those that are not used any more")
	case r.Thumbprint != "" && slices.ContainsFunc(all, func(o credentialRow) bool { return o.Thumbprint == r.Thumbprint && o.ClientID == r.ClientID }):
		return tenant.Fault("certificate", "is there already", "upload another one")
	}
	first := !slices.ContainsFunc(all, func(o credentialRow) bool { return o.State == Active && o.ClientID == r.ClientID })
	if first {
		now := s.time()
		r.State, r.ActiveAt = Active, &now
	}
	if r.Secret, err = s.Keys.Seal(ctx, tx, "registration_credentials", r.ID, "secret", value); err != nil {
		return err
	}
	if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
		return fmt.Errorf("keeping a credential: %w", err)
	}
	if first {
		return s.changed(ctx, tx, Change{r.RegistrationID, ChangedCredential, "", r.ID})
	}
	return nil
}

func (s *Service) credential(ctx context.Context, id, credentialID string) (*credentialRow, error) {
	r, err := findCredential(ctx, s.DB.Read(), credentialID)
	if err == nil && r.RegistrationID != id {
		return nil, ErrMissing
	}
	return r, err
}

// CertificatePEM gives the public half of a certificate, to be uploaded to the app
// registration. [ErrMissing] of a secret.
func (s *Service) CertificatePEM(ctx context.Context, id, credentialID string) (string, error) {
	if err := s.view(ctx); err != nil {
		return "", err
	}
	r, err := s.credential(ctx, id, credentialID)
	if err != nil {
		return "", err
	}
	if r.Certificate == "" {
		return "", ErrMissing
	}
	return r.Certificate, nil
}

// Retire forgets a credential that is not in use. At Microsoft it stays until it is
// removed there: [Removal] says how.
func (s *Service) Retire(ctx context.Context, id, credentialID string) (Credential, error) {
	var out Credential
	err := s.change(ctx, id, "registration.credential_retired", map[string]any{"credential": credentialID}, func(ctx context.Context, tx *sqldb.Tx, _ *row) error {
		r, err := findCredential(ctx, tx, credentialID)
		switch {
		case err != nil:
			return err
		case r.RegistrationID != id:
			return ErrMissing
		case r.State == Retired:
			out = r.credential()
			return nil
		}
		err = s.retire(ctx, tx, r)
		out = r.credential()
		return err
	})
	return out, err
}

// retire forgets a credential. The one in use of a former client id may go too: once
// nobody is left on it.
func (s *Service) retire(ctx context.Context, tx *sqldb.Tx, r *credentialRow) error {
	if r.State == Active {
		var n int
		err := tx.NewSelect().TableExpr("registration_clients AS k").ColumnExpr("(SELECT count(*) FROM connections AS c WHERE c.registration_id = k.registration_id AND c.client_id = k.client_id AND c.object_id <> '') + CASE WHEN k.until IS NULL THEN 1 ELSE 0 END").
			Where("k.registration_id = ? AND k.cloud = ? AND k.client_id = ?", r.RegistrationID, r.Cloud, r.ClientID).Scan(ctx, &n)
		if err != nil && !sqldb.Missing(err) {
			return fmt.Errorf("looking who uses a credential: %w", err)
		}
		if n > 0 {
			return ErrInUse
		}
	}
	now := s.time()
	r.State, r.RetiredAt, r.Secret, r.ThenSwitch, r.ThenRetire = Retired, &now, []byte{}, false, false
	if r.CheckState == CheckRunning {
		r.CheckState, r.CheckReason = CheckFailed, "it was retired"
	}
	return s.save(ctx, tx, r, "state", "retired_at", "secret", "then_switch", "then_retire", "check_state", "check_reason")
}

// Removal says how a credential is removed at Microsoft, once it is not in use here:
// that one, and no other.
func (c Credential) Removal() string {
	at := "Microsoft Entra admin centre: Entra ID > App registrations > the registration with client id " + c.ClientID + " > Certificates & secrets"
	if c.Kind == CertificateCredential {
		return at + " > Certificates: delete the one with the thumbprint " + c.Thumbprint + ", and no other."
	}
	which := "the one that was pasted here"
	if c.Label != "" {
		which += " as " + c.Label
	}
	if c.KeyID != "" {
		which = "the one with the Secret ID " + c.KeyID
	} else if c.NotAfter != nil {
		which += " and ends on " + c.NotAfter.Format(time.DateOnly)
	}
	return at + " > Client secrets: delete " + which + ", and no other."
}
