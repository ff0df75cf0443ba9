package console

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/transfer"
)

// saveFilter keeps the filter of the list under a name.
func (c *console) saveFilter(w http.ResponseWriter, r *http.Request, _ *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	f, err := connection.ParseFilter(typed.Values)
	if err != nil {
		return err
	}
	if _, err := c.Connections.SaveFilter(r.Context(), typed.text("name"), f, typed.on("shared")); err != nil {
		return err
	}
	q := f.Query()
	q.Set("said", "filter-saved")
	return to(w, r, "/connections?"+q.Encode())
}

func (c *console) forgetFilter(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Connections.ForgetFilter(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/connections", "filter-gone")
}

// setDaily stores tags and schedule of a connection.
func (c *console) setDaily(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	tags := strings.FieldsFunc(typed.Get("tags"), func(r rune) bool { return r == ',' || r == '\n' || r == '\r' })
	_, err = c.Connections.SetSchedule(r.Context(), id, typed.Get("schedule"))
	if err == nil {
		err = c.Connections.SetTags(r.Context(), id, tags)
	}
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showConnection(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/connections/"+id, "daily")
}

// setFallback stores the schedule of a tenant.
func (c *console) setFallback(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := typed.refused(c.Connections.SetFallback(r.Context(), id, typed.Get("schedule"))); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showTenant(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/tenants/"+id, "daily")
}

// scheduleView is what the page of the server's schedule shows.
type scheduleView struct {
	Form    *form
	Own     string
	InForce string
}

func (c *console) schedulePage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showSchedule(w, r, f, nil, http.StatusOK)
}

func (c *console) showSchedule(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	if err := c.Audit.Allow(r.Context(), audit.AllTenants, audit.SettingsView); err != nil {
		return err
	}
	all, err := c.Connections.Schedules(r.Context())
	if err != nil {
		return err
	}
	v := scheduleView{Form: typed, Own: all.Own(connection.ServerSchedule).String(), InForce: all.For("", "").String()}
	if typed == nil {
		v.Form = &form{Values: url.Values{"schedule": {v.Own}}}
	}
	f.Title, f.Noun = "Schedule", "settings"
	return show(w, r, status, schedulePage(f, v))
}

func (c *console) setSchedule(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if err := typed.refused(c.Connections.SetFallback(r.Context(), connection.ServerSchedule, typed.Get("schedule"))); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showSchedule(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/settings/schedule", "daily")
}

// export sends the connections that the list shows, and all that follow.
func (c *console) export(w http.ResponseWriter, r *http.Request, _ *frame) error {
	f, err := connection.ParseFilter(r.URL.Query())
	if err != nil {
		return err
	}
	format, kind := transfer.CSV, "text/csv; charset=utf-8"
	if r.URL.Query().Get("format") == string(transfer.JSON) {
		format, kind = transfer.JSON, "application/json"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="connections.`+string(format)+`"`)
	if err := c.Transfer.Export(r.Context(), f, format, w); err != nil {
		c.Log.ErrorContext(r.Context(), "exporting connections", "error", err)
		panic(http.ErrAbortHandler) // the answer may be under way: breaking it off is the only way to say so
	}
	return nil
}

// importView is what the page of an import shows.
type importView struct {
	Form   *form
	Report *transfer.Report // nil: no file was looked at
	Text   string           // of the file, where it is short enough to be carried on
	Format transfer.Format
}

// carried bounds the file that a page carries on, in bytes: a larger one is chosen
// again.
const carried = 512 << 10

func (c *console) importPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	f.Title, f.Noun = "Import connections", "connections"
	return show(w, r, http.StatusOK, importPage(f, importView{Form: &form{Values: url.Values{}}}))
}

func (c *console) importFile(w http.ResponseWriter, r *http.Request, f *frame) error {
	r.Body = http.MaxBytesReader(w, r.Body, transfer.MaxFile+transfer.MaxFile/2)
	v := importView{Form: &form{Values: url.Values{}}, Format: transfer.CSV}
	data, name, err := upload(r)
	if err != nil {
		v.Form.Faults.Add("file", "is missing or too large", "choose a CSV or JSON file of 20 MB at most")
	}
	if strings.HasSuffix(strings.ToLower(name), ".json") {
		v.Format = transfer.JSON
	}
	f.Title, f.Noun = "Import connections", "connections"
	if len(v.Form.Faults) > 0 {
		return show(w, r, http.StatusUnprocessableEntity, importPage(f, v))
	}
	if r.FormValue("apply") == "" {
		v.Report, err = c.Transfer.Look(r.Context(), data, v.Format)
	} else {
		report, begun, beginErr := c.Transfer.Begin(r.Context(), data, v.Format)
		if beginErr == nil && begun != nil {
			return to(w, r, "/batches/"+begun.ID)
		}
		v.Report, err = report, beginErr
	}
	if err := v.Form.refused(err); err != nil {
		return err
	}
	if len(data) <= carried {
		v.Text = string(data)
	}
	status := http.StatusOK
	if len(v.Form.Faults) > 0 || v.Report != nil && v.Report.FaultCount > 0 {
		status = http.StatusUnprocessableEntity
	}
	return show(w, r, status, importPage(f, v))
}

// upload is the file of a form, or the text that the page before carried on.
func upload(r *http.Request) (data []byte, name string, err error) {
	file, head, err := r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) && r.FormValue("text") != "" {
		// A browser sends line ends as CR LF; the file's own are not told from them.
		return []byte(r.FormValue("text")), "carried." + r.FormValue("format"), nil
	}
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	data, err = io.ReadAll(file)
	return data, head.Filename, err
}
