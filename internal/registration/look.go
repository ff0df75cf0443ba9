package registration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/sqldb"
)

// Seen is what a tenant's directory showed of a registration.
type Seen struct {
	ClientID  string    `json:"client_id"`
	TenantID  string    `json:"tenant_id"` // whose reader read it
	At        time.Time `json:"at"`
	Name      string    `json:"name"`      // as the directory shows it
	Enabled   bool      `json:"enabled"`   // people can sign in to it there
	Owner     string    `json:"owner"`     // directory id of the tenant that owns it
	Redirects []string  `json:"redirects"` // that the registration has
}

// Bounds of what is kept of a directory's answer.
const (
	maxSeenRedirects = 300
	maxSeenText      = 300
)

type publisher struct {
	Name *string `json:"displayName"`
	ID   *string `json:"verifiedPublisherId"`
}

// Look reads a registration's service principal in a tenant with that tenant's reader:
// the redirect addresses that it has, and its publisher (servicePrincipal: replyUrls,
// verifiedPublisher; Application.Read.All). [tenant.ErrNoReader] without one.
func (s *Service) Look(ctx context.Context, id, tenantID string) (Registration, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.SettingsManage); err != nil {
		return Registration{}, err
	}
	present, err := s.present(ctx, id)
	if err != nil {
		return Registration{}, err
	}
	client, err := s.Tenants.ReaderGraph(ctx, tenantID)
	if err != nil {
		return Registration{}, err
	}
	var p struct {
		Name      string     `json:"displayName"`
		Enabled   *bool      `json:"accountEnabled"`
		Owner     *string    `json:"appOwnerOrganizationId"`
		Redirects []string   `json:"replyUrls"`
		Publisher *publisher `json:"verifiedPublisher"`
	}
	if err := client.Get(ctx, "/v1.0/servicePrincipals(appId='"+graph.PathKey(present)+"')?$select=id,displayName,accountEnabled,appOwnerOrganizationId,replyUrls,verifiedPublisher", &p); err != nil {
		return Registration{}, fmt.Errorf("reading the app in the tenant's directory: %w", err)
	}
	seen := Seen{ClientID: present, TenantID: tenantID, At: s.time(), Name: clip(p.Name), Enabled: p.Enabled == nil || *p.Enabled, Redirects: []string{}}
	if p.Owner != nil {
		seen.Owner = clip(*p.Owner)
	}
	for _, uri := range p.Redirects[:min(len(p.Redirects), maxSeenRedirects)] {
		seen.Redirects = append(seen.Redirects, clip(uri))
	}
	slices.Sort(seen.Redirects)
	state, name := PublisherUnverified, ""
	if p.Publisher != nil && p.Publisher.ID != nil && *p.Publisher.ID != "" {
		state = PublisherVerified
		if p.Publisher.Name != nil {
			name = clip(*p.Publisher.Name)
		}
	}
	err = s.change(ctx, id, "registration.looked_up", map[string]any{"tenant": tenantID, "publisher": state}, func(ctx context.Context, tx *sqldb.Tx, _ *row) error {
		_, err := tx.NewRaw("UPDATE registrations SET seen = ?, publisher = ?, publisher_name = ?, publisher_source = 'directory', publisher_at = ? WHERE id = ?", encode(seen), state, name, seen.At, id).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keeping what a directory showed: %w", err)
		}
		return nil
	})
	if err != nil {
		return Registration{}, err
	}
	return s.Get(ctx, id)
}

// clip bounds a text that others gave, and takes out what no database stores.
func clip(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
	if runes := []rune(text); len(runes) > maxSeenText {
		return string(runes[:maxSeenText])
	}
	return text
}
