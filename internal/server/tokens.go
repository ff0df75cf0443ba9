package server

import (
	"context"
	"time"
)

// sharePointHost is the name of a tenant's SharePoint host, "" if it is not known.
func (s *Server) sharePointHost(ctx context.Context, tenantID string) (string, error) {
	name, _, err := s.sites.Known(ctx, tenantID)
	return name, err
}

// keepAlive is after how long idle sign-ins are refreshed; never for 0 days.
func keepAlive(days int) time.Duration {
	if days == 0 {
		return -1
	}
	return time.Duration(days) * 24 * time.Hour
}
