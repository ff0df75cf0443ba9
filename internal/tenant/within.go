package tenant

import (
	"context"
	"fmt"

	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/sqldb"
)

// PausedIn reports, within a transaction, whether a tenant is paused; one that is
// gone counts as such.
func (s *Service) PausedIn(ctx context.Context, tx *sqldb.Tx, id string) (bool, error) {
	var paused bool
	err := tx.NewSelect().Model((*row)(nil)).Column("paused").Where("id = ?", id).Scan(ctx, &paused)
	if sqldb.Missing(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading a tenant: %w", err)
	}
	return paused, nil
}

// ReaderGraph gives Microsoft Graph of a tenant as its reader sees it, for features that
// have authorised on an object of it; [ErrNoReader] if it has none that works.
func (s *Service) ReaderGraph(ctx context.Context, id string) (*graph.Client, error) {
	at, err := s.Directory(ctx, id)
	if err != nil {
		return nil, err
	}
	reading, err := s.Reading(ctx, id)
	if err != nil {
		return nil, err
	}
	if reading == nil {
		return nil, ErrNoReader
	}
	client, _, err := s.client(ctx, at.DirectoryID, reading)
	return client, err
}
