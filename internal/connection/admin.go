package connection

import (
	"context"
	"time"

	"gatehouse/internal/audit"
)

// AdminProbe is what the address of an admin centre said when it was asked.
type AdminProbe struct {
	URL    string    `json:"url"`
	State  string    `json:"state"` // AdminOwn or AdminUnknown
	Tenant string    `json:"tenant,omitempty"`
	Reason string    `json:"reason,omitempty"` // why it is unknown
	At     time.Time `json:"at"`
}

// What an admin centre said. One of another tenant is refused, so it is not
// kept.
const (
	AdminOwn     = "own"     // it names the tenant
	AdminUnknown = "unknown" // it could not be told
)

// askAdmin asks a given admin-centre address, puts its plain form into the
// profile, and gives what is kept of the answer.
func (s *Service) askAdmin(ctx context.Context, tenantID string, p *Profile) (string, error) {
	if p.AdminURL == "" || s.AdminURL == nil {
		return "", nil
	}
	probe, err := s.AdminURL(ctx, tenantID, p.AdminURL)
	if err != nil {
		return "", err
	}
	p.AdminURL = probe.URL
	return encode(probe), nil
}

// askAnew is askAdmin for a change, which asks only about another address than
// the one that is kept. It reports whether what is kept of it changes.
func (s *Service) askAnew(ctx context.Context, id string, p *Profile) (probe string, changes bool, err error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return "", false, err
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.ConnectionManage); err != nil {
		return "", false, err
	}
	if p.AdminURL == r.AdminURL && (r.AdminProbe != "" || p.AdminURL == "") {
		return "", false, nil
	}
	probe, err = s.askAdmin(ctx, r.TenantID, p)
	return probe, true, err
}
