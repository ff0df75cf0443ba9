package consent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

const day = 24 * time.Hour

// How long a page for an administrator opens.
const (
	DefaultLife = 30 * day
	LongestLife = 90 * day
)

// mostLive bounds how many pages of one consent may open at a time.
const mostLive = 20

// Endpoints of Microsoft's admin consent (entra-sign-in §9.2).
const (
	V1 = "v1"
	V2 = "v2"
)

// Ask makes a page for the administrator of a tenant. Its address is in the answer
// alone. [ErrNoManifest] if the registration asks for nothing.
func (s *Service) Ask(ctx context.Context, tenantID, registrationID string, o AskOptions) (Request, error) {
	if _, err := s.Tenants.Directory(ctx, tenantID); err != nil {
		return Request{}, err
	}
	if err := s.Audit.Allow(ctx, tenantID, audit.ConsentManage); err != nil {
		return Request{}, err
	}
	if err := o.check(); err != nil {
		return Request{}, err
	}
	if _, err := s.named(ctx, registrationID); err != nil {
		return Request{}, err
	}
	m, err := s.Manifest(ctx, registrationID)
	if err != nil {
		return Request{}, err
	}
	if len(m.Permissions) == 0 {
		return Request{}, ErrNoManifest
	}
	token, actor, now := newToken(), "", s.time()
	if a, ok := audit.From(ctx); ok {
		actor = a.Name
	}
	r := &requestRow{ID: uuid.Must(uuid.NewV7()).String(), TenantID: tenantID, RegistrationID: registrationID, TokenHash: hashOf(token), Why: strings.TrimSpace(o.Why), Endpoint: o.Endpoint, CreatedBy: actor, CreatedAt: now, ExpiresAt: now.Add(o.Until)}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.putRequest(ctx, tx, r) })
	if err != nil {
		return Request{}, err
	}
	out := r.request()
	out.URL = secrets.New(s.PublicURL + "/consent/" + token)
	return out, nil
}

func (s *Service) putRequest(ctx context.Context, tx *sqldb.Tx, r *requestRow) error {
	if err := s.Audit.Act(ctx, tx, r.entry("consent.asked", map[string]any{"until": r.ExpiresAt, "endpoint": r.Endpoint})); err != nil {
		return err
	}
	count, err := tx.NewSelect().Model((*requestRow)(nil)).Where("tenant_id = ? AND registration_id = ? AND withdrawn_at IS NULL AND expires_at > ?", r.TenantID, r.RegistrationID, s.time()).Count(ctx)
	if err != nil {
		return fmt.Errorf("counting pages for administrators: %w", err)
	}
	if count >= mostLive {
		return tenant.Fault("registration", fmt.Sprintf("has %d pages for this tenant's administrators that still open", count), "withdraw some, or send one of them again")
	}
	if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
		return fmt.Errorf("making a page for an administrator: %w", err)
	}
	if _, err := hold(ctx, tx, r.TenantID, r.RegistrationID); err != nil { // so that lists show it, and somebody looks how it stands
		return err
	}
	if err := s.pend(ctx, tx, r.TenantID); err != nil {
		return err
	}
	if err := s.lookSoon(ctx, tx, r.TenantID, r.RegistrationID); err != nil {
		return err
	}
	return s.announce(ctx, tx, r.TenantID, r.RegistrationID)
}

// check fills in what is left out, and finds faults.
func (o *AskOptions) check() error {
	var f tenant.Faults
	if o.Until == 0 {
		o.Until = DefaultLife
	}
	if o.Until < time.Hour || o.Until > LongestLife {
		f.Add("until", "is out of bounds", "use between an hour and 90 days")
	}
	if o.Endpoint == "" {
		o.Endpoint = V2
	}
	if o.Endpoint != V1 && o.Endpoint != V2 {
		f.Add("endpoint", "is not known", "use v2, or v1 for an old registration")
	}
	f.Text("why", o.Why, 500)
	return f.Err()
}

func newToken() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// named gives a registration that somebody named.
func (s *Service) named(ctx context.Context, id string) (Registration, error) {
	app, err := s.Registration(ctx, id)
	if errors.Is(err, ErrMissing) {
		return app, tenant.Fault("registration", "is not known", "list the app registrations, and take an id from there")
	}
	return app, err
}

// Requests are the pages of a consent, the newest first: 50 at most.
func (s *Service) Requests(ctx context.Context, tenantID, registrationID string) ([]Request, error) {
	if err := s.viewing(ctx, tenantID); err != nil {
		return nil, err
	}
	var rows []requestRow
	if err := s.DB.Read().NewSelect().Model(&rows).Where("tenant_id = ? AND registration_id = ?", tenantID, registrationID).OrderExpr("id DESC").Limit(50).Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing pages for administrators: %w", err)
	}
	out := make([]Request, len(rows))
	for i := range rows {
		out[i] = rows[i].request()
	}
	return out, nil
}

// Withdraw closes a page. What was consented to stays.
func (s *Service) Withdraw(ctx context.Context, requestID string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var r requestRow
		err := tx.NewSelect().Model(&r).Where("id = ?", requestID).Scan(ctx)
		if sqldb.Missing(err) {
			return ErrMissing
		}
		if err != nil {
			return fmt.Errorf("reading a page for an administrator: %w", err)
		}
		if err := s.Audit.Act(ctx, tx, r.entry("consent.withdrawn", nil)); err != nil {
			return err
		}
		if r.WithdrawnAt != nil {
			return nil
		}
		if _, err := tx.NewRaw("UPDATE consent_requests SET withdrawn_at = ? WHERE id = ?", s.time(), r.ID).Exec(ctx); err != nil {
			return fmt.Errorf("withdrawing a page for an administrator: %w", err)
		}
		return s.announce(ctx, tx, r.TenantID, r.RegistrationID)
	})
}

// viewing demands that the actor may see a tenant's consents.
func (s *Service) viewing(ctx context.Context, tenantID string) error {
	if _, err := s.Tenants.Directory(ctx, tenantID); err != nil {
		return err
	}
	return s.Audit.Allow(ctx, tenantID, audit.ConsentView)
}

func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, tenantID, registrationID string) error {
	return s.Live.Publish(ctx, tx, Topic(tenantID), tenantID, map[string]string{"tenant": tenantID, "registration": registrationID})
}
