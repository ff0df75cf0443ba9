package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
)

// auditView is what the page of the audit log shows.
type auditView struct {
	Records []audit.Record
	Tenants []option
	Query   url.Values
	Next    string
	Form    *form

	Report *audit.Report // after a verification
	Broken *audit.Broken
}

func (c *console) audit(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showAudit(w, r, f, auditView{Form: &form{}})
}

func (c *console) showAudit(w http.ResponseWriter, r *http.Request, f *frame, v auditView) error {
	scope, err := audit.Tenants(r.Context(), audit.AuditView)
	if err != nil {
		return err
	}
	if !scope.All && len(scope.IDs) == 0 {
		return c.Audit.Allow(r.Context(), audit.AllTenants, audit.AuditView)
	}
	v.Query = r.URL.Query()
	filter := audit.Filter{TenantID: v.Query.Get("tenant"), ActorID: v.Query.Get("actor"), ObjectID: v.Query.Get("object"), Action: v.Query.Get("action"), Search: strings.TrimSpace(v.Query.Get("search")), Outcome: audit.Outcome(v.Query.Get("outcome")), Limit: 50}
	filter.From, filter.To = day(&v, "from"), day(&v, "to")
	if !filter.To.IsZero() {
		filter.To = filter.To.AddDate(0, 0, 1)
	}
	filter.Before, _ = strconv.ParseInt(v.Query.Get("after"), 10, 64) // anything else is the first page
	if v.Records, err = c.Audit.List(r.Context(), filter); err != nil {
		return err
	}
	if len(v.Records) == filter.Limit {
		v.Next = onward(r, strconv.FormatInt(v.Records[len(v.Records)-1].Seq, 10))
	}
	if v.Tenants, err = c.tenantOptions(r, ""); err != nil {
		return err
	}
	f.Title, f.Noun = "Audit", "audit"
	return show(w, r, http.StatusOK, auditPage(f, v))
}

// day reads a date of the filter, in UTC.
func day(v *auditView, name string) time.Time {
	text := v.Query.Get(name)
	if text == "" {
		return time.Time{}
	}
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		v.Form.Faults.Add(name, "is no date", "write it as 2026-11-22")
	}
	return d
}

// verifyAudit reads the whole log. Checkpoints are checked by the command, which
// is given the keys from elsewhere.
func (c *console) verifyAudit(w http.ResponseWriter, r *http.Request, f *frame) error {
	v := auditView{Form: &form{}}
	report, err := c.Audit.Verify(r.Context(), nil)
	if broken, ok := errors.AsType[*audit.Broken](err); ok {
		v.Broken = broken
	} else if err != nil {
		return err
	} else {
		v.Report = &report
	}
	return c.showAudit(w, r, f, v)
}
