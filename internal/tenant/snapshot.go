package tenant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb"
)

type refreshArgs struct {
	Tenant string `json:"tenant"`
}

// Refresh adds the job that takes a new snapshot of a tenant's rules with its
// reader.
func (s *Service) Refresh(ctx context.Context, id string) error {
	return s.change(ctx, id, audit.PostureRefresh, "snapshot.requested", nil, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		if r.Paused {
			return ErrPaused
		}
		reader, err := findReader(ctx, tx, id)
		if err != nil {
			return err
		}
		if reader == nil || reader.State != ReaderWorks {
			return ErrNoReader
		}
		_, err = s.refresh.Add(ctx, tx, refreshArgs{id}, jobs.Options{Tenant: id, Ahead: true})
		return err
	})
}

// takeSnapshot is the job.
func (s *Service) takeSnapshot(ctx context.Context, args refreshArgs) error {
	ctx = audit.AsSystem(ctx, "tenant_refresh")
	r, err := find(ctx, s.DB.Read(), args.Tenant)
	if errors.Is(err, ErrMissing) {
		return jobs.Stop(err)
	}
	if err != nil {
		return err
	}
	reading, err := s.Reading(ctx, args.Tenant)
	if err != nil {
		return err
	}
	if reading == nil || r.Paused {
		return jobs.Stop(ErrNoReader)
	}
	want, err := s.connections.Identities(ctx, args.Tenant)
	if err != nil {
		return err
	}
	snapshot, err := s.load(ctx, r, reading, want)
	var refused *microsoft.Error
	if errors.As(err, &refused) && refused.RetryAfter > 0 {
		return jobs.Later(refused.RetryAfter, err)
	}
	if err != nil {
		return err
	}
	data, err := json.Marshal(snapshot)
	if err != nil {
		return fmt.Errorf("encoding the snapshot: %w", err)
	}
	return s.keep(ctx, args.Tenant, audit.PostureRefresh, snapshot, FromReader, data)
}

// fewAccounts are looked up in the registration report one by one: Microsoft
// answers five such calls in ten seconds.
const fewAccounts = 3

func (s *Service) load(ctx context.Context, r *row, reading *Reading, want posture.Want) (*posture.Snapshot, error) {
	client, _, err := s.client(ctx, r.DirectoryID, reading)
	if err != nil {
		return nil, err
	}
	if len(want.Accounts) > fewAccounts {
		want.Report = posture.LoadReport(ctx, client)
	}
	return posture.Load(ctx, client, s.Now(), want)
}

// keep stores a snapshot unless a newer one is there, and notes what it says of
// the tenant itself.
func (s *Service) keep(ctx context.Context, id string, p audit.Permission, snapshot *posture.Snapshot, source string, data []byte) error {
	details := map[string]any{"source": source, "taken_at": snapshot.TakenAt.UTC().Format(time.RFC3339), "unread": len(snapshot.Unread)}
	return s.change(ctx, id, p, "snapshot.stored", details, func(ctx context.Context, tx *sqldb.Tx, r *row) error {
		kept := &snapshotRow{TenantID: id, TakenAt: snapshot.TakenAt.UTC(), Source: source, Data: string(data)}
		stored, err := tx.NewInsert().Model(kept).On("CONFLICT (tenant_id) DO UPDATE").Set("taken_at = EXCLUDED.taken_at, source = EXCLUDED.source, data = EXCLUDED.data").
			Where("s.taken_at <= EXCLUDED.taken_at").Exec(ctx)
		if err != nil {
			return fmt.Errorf("keeping a snapshot: %w", err)
		}
		if n, err := stored.RowsAffected(); err == nil && n > 0 { // a newer one stays, with its accounts
			if err := keepAccounts(ctx, tx, id, snapshot); err != nil {
				return err
			}
		}
		if err := addDomains(ctx, tx, id, snapshot.Domains); err != nil {
			return err
		}
		if r.Domain == "" && initial(snapshot.Domains) != "" {
			r.Domain = strings.ToLower(initial(snapshot.Domains))
			return r.save(ctx, tx)
		}
		return nil
	})
}

// UploadSnapshot keeps a snapshot that 'gatehouse posture snapshot' wrote, for a
// tenant without reader.
func (s *Service) UploadSnapshot(ctx context.Context, id string, data []byte) error {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return err
	}
	if err := s.Audit.Allow(ctx, r.ID, audit.PostureRefresh); err != nil {
		return err
	}
	snapshot, err := posture.Read(bytes.NewReader(data))
	if err != nil {
		return Fault("snapshot", "cannot be read ("+err.Error()+")", "upload the file that 'gatehouse posture snapshot' wrote")
	}
	switch {
	case !strings.EqualFold(snapshot.TenantID, r.DirectoryID):
		return Fault("snapshot", fmt.Sprintf("is of tenant %.40q", snapshot.TenantID), "upload a snapshot of tenant "+r.DirectoryID)
	case snapshot.TakenAt.After(s.Now().Add(5 * time.Minute)):
		return Fault("snapshot", "was taken in the future", "set the clock of the machine that took it, and take it again")
	}
	return s.keep(ctx, id, audit.PostureRefresh, snapshot, FromUpload, data)
}

// Snapshot gives the last snapshot of a tenant's rules; [ErrNoSnapshot] if there
// is none.
func (s *Service) Snapshot(ctx context.Context, id string) (*posture.Snapshot, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return nil, err
	}
	if err := s.Audit.Allow(ctx, r.ID, audit.PostureView); err != nil {
		return nil, err
	}
	var kept snapshotRow
	err = s.DB.Read().NewSelect().Model(&kept).Where("tenant_id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrNoSnapshot
	}
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	return posture.Read(strings.NewReader(kept.Data))
}
