package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
)

func (f *face) jobs(h huma.API) {
	const tag = "Jobs"
	add(f, h, route{access: needs(audit.JobView), method: http.MethodGet, path: "/jobs", id: "list-jobs", tag: tag, summary: "List jobs, newest first"}, f.listJobs)
	add(f, h, route{access: needs(audit.JobView), method: http.MethodGet, path: "/jobs/{id}", id: "get-job", tag: tag, summary: "Get a job"}, f.getJob)
	add(f, h, route{access: needs(audit.JobManage), method: http.MethodPost, path: "/jobs/{id}/cancel", id: "cancel-job", tag: tag, summary: "End a job for good"}, f.cancelJob)
	add(f, h, route{access: needs(audit.JobManage), method: http.MethodPost, path: "/jobs/{id}/retry", id: "retry-job", tag: tag, summary: "Let a job begin at once"}, f.retryJob)
}

type jobList struct {
	Paging
	Kind  string `query:"kind" maxLength:"64"`
	State string `query:"state" enum:"waiting,scheduled,retrying,running,done,cancelled,failed"`
}

func jobOf(j jobs.Job) client.Job {
	out := client.Job{
		ID: j.ID, Kind: j.Kind, TenantID: j.Tenant, State: string(j.State), Attempt: j.Attempt, Attempts: j.Attempts, Created: j.Created, Due: j.Due,
		Started: j.Started, Finished: j.Finished, Replica: j.Replica, Failures: []client.JobFailure{},
	}
	for _, e := range j.Failures {
		out.Failures = append(out.Failures, client.JobFailure{At: e.At, Attempt: e.Attempt, Error: e.Error})
	}
	return out
}

func (f *face) listJobs(ctx context.Context, in *jobList) (*body[client.List[client.Job]], error) {
	scope, err := audit.Tenants(ctx, audit.JobView)
	if err != nil {
		return nil, err
	}
	if _, err := number(in.After); err != nil {
		return nil, err
	}
	filter := jobs.Filter{Tenants: scope.IDs, AllTenants: scope.All}
	if in.Kind != "" {
		filter.Kinds = []string{in.Kind}
	}
	if in.State != "" {
		filter.States = []jobs.State{jobs.State(in.State)}
	}
	all, next, err := f.Jobs.List(ctx, filter, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return list(all, next, jobOf), nil
}

type byNumber struct {
	ID int64 `path:"id" minimum:"1"`
}

func (f *face) getJob(ctx context.Context, in *byNumber) (*body[client.Job], error) {
	j, err := f.Jobs.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := f.Audit.Allow(ctx, j.Tenant, audit.JobView); err != nil {
		return nil, hide(err)
	}
	return with(jobOf(j)), nil
}

// hide keeps from those with a role in some tenants that there is a job of none:
// they cannot tell it from one that is not there.
func hide(err error) error {
	var refused *audit.Refused
	if errors.As(err, &refused) && refused.TenantID == audit.AllTenants {
		return jobs.ErrMissing
	}
	return err
}

func (f *face) cancelJob(ctx context.Context, in *byNumber) (*empty, error) {
	return nil, f.manageJob(ctx, in.ID, "job.cancelled", f.Jobs.Cancel)
}

func (f *face) retryJob(ctx context.Context, in *byNumber) (*empty, error) {
	return nil, f.manageJob(ctx, in.ID, "job.retried", f.Jobs.RetryNow)
}

// manageJob authorises and records what is done to a job: the queue itself is
// ground and knows nobody.
func (f *face) manageJob(ctx context.Context, id int64, action string, do func(context.Context, *sqldb.Tx, int64) error) error {
	j, err := f.Jobs.Get(ctx, id)
	if err != nil {
		return err
	}
	return f.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := f.Audit.Act(ctx, tx, audit.Entry{
			Permission: audit.JobManage, TenantID: j.Tenant, Action: action, ObjectKind: "job", ObjectID: strconv.FormatInt(id, 10), ObjectName: j.Kind,
		}); err != nil {
			return hide(err)
		}
		return do(ctx, tx, id)
	})
}
