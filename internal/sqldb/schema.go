package sqldb

import (
	"context"
	"fmt"
)

// Schema is the version of the database's schema, 0 if it has none yet.
func (db *DB) Schema(ctx context.Context) (int64, error) {
	provider, err := db.provider()
	if err != nil {
		return 0, err
	}
	now, _, err := provider.GetVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the version of the schema: %w", err)
	}
	return now, nil
}

// Newest is the version of the schema that this release knows.
func (db *DB) Newest() (int64, error) {
	provider, err := db.provider()
	if err != nil {
		return 0, err
	}
	sources := provider.ListSources()
	return sources[len(sources)-1].Version, nil
}
