package rotation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// State is how far a rotation is: see the package's documentation.
type State string

// The states.
const (
	Planned     State = "planned"
	Adding      State = "adding"
	Proving     State = "proving"
	Switched    State = "switched"
	Removing    State = "removing"
	Withdrawing State = "withdrawing"
	Done        State = "done"
	Undone      State = "undone"
	Guided      State = "guided"
)

// Successes is how many sign-ins in a row the token endpoint has to accept before a
// new certificate is used: it is many machines, which hear of it one by one.
const Successes = 5

// The waits of a rotation.
const (
	between     = 10 * time.Second     // between sign-ins with the new certificate
	settle      = 5 * time.Minute      // until a call without an answer is sent again
	longest     = 24 * time.Hour       // for the new one to be accepted; then it is withdrawn
	grace       = 10 * time.Minute     // from using the new one to removing the old one
	undoable    = 7 * 24 * time.Hour   // how long the old key is kept
	life        = 730 * 24 * time.Hour // of a new certificate
	removeTries = 24 * time.Hour       // for the old one to be removed; then a person is asked
)

// Target names what is rotated: a tenant's reader, or the certificate of one of its
// connections.
type Target struct {
	TenantID     string
	ConnectionID string // "" for the reader
}

// Credential is a credential of the app, on its application or service principal.
type Credential struct {
	Holder string     `json:"holder"` // application or service_principal
	Kind   string     `json:"kind"`   // secret or certificate
	KeyID  string     `json:"key_id"`
	Label  string     `json:"label,omitempty"`
	Ends   *time.Time `json:"ends,omitempty"`
}

// Rotation is a certificate that is being replaced, or was.
type Rotation struct {
	ID, TenantID, TenantName string
	ConnectionID             string // "" for the reader
	Name                     string // of the connection, or "Reader"
	ClientID                 string
	State                    State
	Holder, ObjectID         string // where the key lies: application or service_principal
	OldThumbprint, OldKeyID  string
	OldNotAfter              time.Time
	NewThumbprint, NewKeyID  string
	NewNotAfter              time.Time
	Others                   []Credential // left alone
	Successes                int
	Reason                   string // why it waits, was taken back, or needs a person
	Undoes                   string // the rotation that this one takes back
	StartedBy                string
	CreatedAt, ChangedAt     time.Time
	EndedAt                  *time.Time
	Undoable                 bool // it can be taken back
}

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such rotation.
	ErrMissing = errors.New("there is no such rotation")
	// ErrOpen says that the certificate is being replaced already.
	ErrOpen = errors.New("the certificate is being replaced already")
	// ErrTooLate says that a rotation cannot be taken back any more.
	ErrTooLate = errors.New("the rotation cannot be taken back any more: the old key was forgotten, or ends too soon")
)

// Config is what the service needs; all but Transport and Now must be given.
type Config struct {
	DB          *sqldb.DB
	Audit       *audit.Log
	Keys        *secrets.Keyring // opened with [Columns]
	Jobs        *jobs.Queue      // not yet started
	Live        *live.Hub
	Pace        *pace.Governor
	Cloud       microsoft.Cloud
	Tenants     *tenant.Service
	Connections *connection.Service
	// Transport replaces the cloud's own transport, for tests with another route
	// to it.
	Transport http.RoundTripper
	Now       func() time.Time // time.Now if nil
}

// Columns are the columns of this package that hold sealed secrets.
var Columns = []secrets.Column{{Table: "rotations", Key: "id", Name: "old_key"}, {Table: "rotations", Key: "id", Name: "new_key"}}

type workArgs struct {
	Rotation string `json:"rotation"`
}

// Service replaces certificates.
type Service struct {
	Config
	login *login.Client
	work  *jobs.Kind[workArgs]
}

// New makes the service and registers its jobs.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{Config: c, login: login.New(login.Config{Cloud: c.Cloud, Pace: c.Pace, Transport: c.Transport})}
	s.work = jobs.Register(c.Jobs, jobs.Kind[workArgs]{Name: "certificate_rotation", Work: s.run, Timeout: 5 * time.Minute, Attempts: 20, Unique: true})
	return s
}

// Repeat has the queue go on with rotations that stand still, begin those that are
// due, and forget old keys.
func (s *Service) Repeat() {
	jobs.Every(s.Jobs, 10*time.Minute, jobs.Kind[jobs.Tick]{Name: "rotation_resume", Work: func(ctx context.Context, _ jobs.Tick) error {
		ctx = audit.AsSystem(ctx, "rotation_resume")
		return errors.Join(s.resume(ctx), s.forget(ctx))
	}})
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// may demands that the actor may replace the target's certificate.
func (s *Service) may(ctx context.Context, t Target) error {
	if t.ConnectionID != "" {
		return s.Audit.Allow(ctx, t.TenantID, audit.ConnectionManage)
	}
	return s.Audit.Allow(ctx, t.TenantID, audit.ConsentManage)
}

// held is the present certificate of a target.
type held struct {
	clientID, certificate, thumbprint string
	key                               secrets.Value
	notAfter                          time.Time
}

func (s *Service) held(ctx context.Context, t Target) (held, error) {
	if t.ConnectionID != "" {
		h, err := s.Connections.HeldCertificate(ctx, t.ConnectionID)
		return held{h.ClientID, h.Certificate, h.Thumbprint, h.Key, h.NotAfter}, err
	}
	h, err := s.Tenants.ReaderCertificate(ctx, t.TenantID)
	return held{h.ClientID, h.Certificate, h.Thumbprint, h.Key, h.NotAfter}, err
}

// Begin makes a new certificate and has it put in place of the present one.
// [ErrOpen] if that is under way already.
func (s *Service) Begin(ctx context.Context, t Target) (Rotation, error) {
	if t.ConnectionID != "" {
		c, err := s.Connections.Get(ctx, t.ConnectionID)
		if err != nil {
			return Rotation{}, err
		}
		t.TenantID = c.TenantID
	}
	if _, err := s.Tenants.Directory(ctx, t.TenantID); err != nil {
		return Rotation{}, err
	}
	if err := s.may(ctx, t); err != nil {
		return Rotation{}, err
	}
	h, err := s.held(ctx, t)
	if err != nil {
		return Rotation{}, err
	}
	name := "Gatehouse reader"
	if t.ConnectionID != "" {
		name = "Gatehouse connection"
	}
	made, err := login.MakeCertificate(name, s.Now(), life)
	if err != nil {
		return Rotation{}, err
	}
	return s.begin(ctx, t, h, made, "")
}

// begin writes a rotation down, with its job.
func (s *Service) begin(ctx context.Context, t Target, h held, made login.Made, undoes string) (Rotation, error) {
	r := s.row(ctx, t, h, made, undoes)
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.insert(ctx, tx, r, h.key, made.Key) })
	if err != nil {
		return Rotation{}, err
	}
	return s.Get(ctx, r.ID)
}

func (s *Service) row(ctx context.Context, t Target, h held, made login.Made, undoes string) *row {
	actor, _ := audit.From(ctx)
	now := s.time()
	r := &row{
		ID: uuid.Must(uuid.NewV7()).String(), TenantID: t.TenantID, ClientID: h.clientID, State: Planned, OldThumbprint: h.thumbprint, OldCertificate: h.certificate, OldNotAfter: h.notAfter,
		NewThumbprint: made.Thumbprint, NewCertificate: made.Certificate, NewNotAfter: made.NotAfter, Others: "[]", Undoes: undoes, StartedBy: actor.Name, CreatedAt: now, ChangedAt: now,
	}
	if t.ConnectionID != "" {
		r.ConnectionID = &t.ConnectionID
	}
	return r
}

func (s *Service) insert(ctx context.Context, tx *sqldb.Tx, r *row, oldKey, newKey secrets.Value) (err error) {
	details := map[string]any{"from": r.OldThumbprint, "to": r.NewThumbprint}
	if r.Undoes != "" {
		details["undoes"] = r.Undoes
	}
	if err := s.Audit.Act(ctx, tx, r.entry("rotation.begun", details)); err != nil {
		return err
	}
	if r.OldKey, err = s.Keys.Seal(ctx, tx, "rotations", r.ID, "old_key", oldKey); err != nil {
		return err
	}
	if r.NewKey, err = s.Keys.Seal(ctx, tx, "rotations", r.ID, "new_key", newKey); err != nil {
		return err
	}
	if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
		if sqldb.Duplicate(err) {
			return ErrOpen
		}
		return fmt.Errorf("writing a rotation down: %w", err)
	}
	if _, err := s.work.Add(ctx, tx, workArgs{r.ID}, jobs.Options{Tenant: r.TenantID, Ahead: true}); err != nil {
		return err
	}
	return s.announce(ctx, tx, r)
}

// Undo takes a rotation back. Before the new certificate is used its key is removed
// again; after that, the old one is put back in its place, by a rotation of its own
// that sees it accepted first. [ErrTooLate] if the old key was forgotten.
func (s *Service) Undo(ctx context.Context, id string) (Rotation, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Rotation{}, err
	}
	if err := s.may(ctx, r.target()); err != nil {
		return Rotation{}, err
	}
	switch {
	case r.State == Planned || r.State == Adding || r.State == Proving:
		err := s.move(ctx, r, Withdrawing, "rotation.withdrawn", func(r *row) { r.SentAt, r.Reason = nil, "it was taken back" })
		if err != nil {
			return Rotation{}, err
		}
		return s.Get(ctx, id)
	case !r.undoable(s.Now()):
		return Rotation{}, ErrTooLate
	}
	return s.reverse(ctx, r)
}

// reverse begins a rotation from the new certificate back to the old one.
func (s *Service) reverse(ctx context.Context, r *row) (Rotation, error) {
	now, err := s.held(ctx, r.target())
	if err != nil {
		return Rotation{}, err
	}
	if now.thumbprint != r.NewThumbprint {
		return Rotation{}, ErrTooLate // it is another one by now
	}
	old, err := s.Keys.Open(ctx, "rotations", r.ID, "old_key", r.OldKey)
	if err != nil {
		return Rotation{}, err
	}
	back := s.row(ctx, r.target(), now, login.Made{Certificate: r.OldCertificate, Key: old, Thumbprint: r.OldThumbprint, NotAfter: r.OldNotAfter.UTC()}, r.ID)
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if r.EndedAt == nil {
			end := s.time()
			r.State, r.Reason, r.EndedAt = Undone, "it was taken back", &end
			if err := s.save(ctx, tx, r); err != nil {
				return err
			}
		}
		return s.insert(ctx, tx, back, now.key, old)
	})
	if err != nil {
		return Rotation{}, err
	}
	return s.Get(ctx, back.ID)
}
