package console

import (
	"context"
	"net/http"
	"strconv"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
)

// jobList is what the page of jobs shows.
type jobList struct {
	Jobs    []jobs.Job
	Tenants map[string]string // names by id
	State   string
	Next    string
}

func (c *console) jobs(w http.ResponseWriter, r *http.Request, f *frame) error {
	scope, err := audit.Tenants(r.Context(), audit.JobView)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	filter := jobs.Filter{Tenants: scope.IDs, AllTenants: scope.All}
	if s := q.Get("state"); s != "" {
		filter.States = []jobs.State{jobs.State(s)}
	}
	all, next, err := c.Jobs.List(r.Context(), filter, q.Get("after"), 50)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, j := range all {
		if j.Tenant == "" || names[j.Tenant] != "" {
			continue
		}
		t, err := c.Tenants.Get(r.Context(), j.Tenant)
		if err == nil {
			names[j.Tenant] = t.Name
		} else if !missing(err) { // it may have been removed since
			return err
		}
	}
	f.Title, f.Noun = "Jobs", "jobs"
	return show(w, r, http.StatusOK, jobsPage(f, jobList{all, names, q.Get("state"), onward(r, next)}))
}

// jobAct starts or cancels a job. The queue belongs to no feature, so that the
// face itself authorises and records.
func (c *console) jobAct(w http.ResponseWriter, r *http.Request, _ *frame) error {
	acts := map[string]struct {
		action, said string
		do           func(context.Context, *sqldb.Tx, int64) error
	}{
		"retry":  {"job.retried", "job-retried", c.Jobs.RetryNow},
		"cancel": {"job.cancelled", "job-cancelled", c.Jobs.Cancel},
	}
	act, known := acts[r.PathValue("act")]
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || !known {
		return errNoPage
	}
	job, err := c.Jobs.Get(r.Context(), id)
	if err != nil {
		return err
	}
	err = c.DB.Change(r.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := c.Audit.Act(ctx, tx, audit.Entry{
			Permission: audit.JobManage, TenantID: job.Tenant, Action: act.action, ObjectKind: "job", ObjectID: r.PathValue("id"), ObjectName: job.Kind,
		}); err != nil {
			return err
		}
		return act.do(ctx, tx, id)
	})
	if err != nil {
		return err
	}
	return back(w, r, "/jobs", act.said)
}

// ended reports whether nothing more happens with a job by itself.
func ended(s jobs.State) bool { return s == jobs.Done || s == jobs.Failed || s == jobs.Cancelled }

var jobStates = []jobs.State{jobs.Waiting, jobs.Scheduled, jobs.Retrying, jobs.Running, jobs.Done, jobs.Failed, jobs.Cancelled}

func jobStateOptions() []option {
	options := []option{{"", "All"}}
	for _, s := range jobStates {
		options = append(options, option{string(s), jobState(s).Word})
	}
	return options
}
