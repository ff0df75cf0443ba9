package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/transfer"
)

// maxImport bounds an import with what JSON adds to the file, in bytes.
const maxImport = transfer.MaxFile + transfer.MaxFile/2

func (f *face) transfers(h huma.API) {
	const tag = "Connections"
	add(f, h, route{access: needs(audit.ConnectionView), method: http.MethodGet, path: "/connections/export", id: "export-connections", tag: tag, summary: "Write connections into a file",
		long: "Those that the filter lets through, as CSV or JSON, never with a secret. In CSV a cell that a spreadsheet would take for a formula has an apostrophe before it, which the import takes away."}, f.exportConnections)
	describeStream(h, "/connections/export", "text/csv", "Connections, by name", &huma.Schema{Type: huma.TypeString})
	add(f, h, route{access: needs(audit.ConnectionManage), method: http.MethodPost, path: "/connections/import", id: "import-connections", tag: tag, summary: "Make and change connections by a file", maxBody: maxImport,
		long: "A row means the connection with its id, or else with its tenant and name; where there is none, one is made. What the file has no column for stays. " +
			"The credential of a new connection is still to be entered: until then its consumer holds it. With faults nothing is done; without, a batch does it."}, f.importConnections)
}

type exportQuery struct {
	ConnectionFilter
	Format string `query:"format" enum:"csv,json" default:"csv"`
}

func (f *face) exportConnections(ctx context.Context, in *exportQuery) (*huma.StreamResponse, error) {
	kind := "text/csv; charset=utf-8"
	if in.Format == string(transfer.JSON) {
		kind = "application/json"
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		h.SetHeader("Content-Type", kind)
		h.SetHeader("Content-Disposition", `attachment; filename="connections.`+in.Format+`"`)
		if err := f.Transfer.Export(ctx, in.filter(), transfer.Format(in.Format), newPatient(h)); err != nil {
			f.Log.ErrorContext(ctx, "exporting connections", "error", err, "request", requestID(ctx))
			panic(http.ErrAbortHandler) // the answer is under way
		}
	}}, nil
}

func (f *face) importConnections(ctx context.Context, in *body[client.ImportRequest]) (*body[client.ImportReport], error) {
	data, format := []byte(in.Body.File), transfer.Format(in.Body.Format)
	if in.Body.DryRun {
		r, err := f.Transfer.Look(ctx, data, format)
		if err != nil {
			return nil, err
		}
		return with(reportOf(r)), nil
	}
	r, begun, err := f.Transfer.Begin(ctx, data, format)
	if err != nil {
		return nil, err
	}
	out := reportOf(r)
	if begun != nil {
		b := f.batchOf(*begun)
		out.Batch = &b
	}
	return with(out), nil
}

func reportOf(r *transfer.Report) client.ImportReport {
	out := client.ImportReport{Rows: r.Rows, Create: r.Create, Update: r.Update, Unchanged: r.Unchanged, FaultCount: r.FaultCount, Faults: []client.ImportFault{}, Changes: []client.ImportChange{}}
	for _, e := range r.Faults {
		out.Faults = append(out.Faults, client.ImportFault{Row: e.Row, Column: e.Column, Problem: e.Problem, Way: e.Way})
	}
	for _, c := range r.Changes {
		out.Changes = append(out.Changes, client.ImportChange{Row: c.Row, Action: c.Action, Tenant: c.Tenant, Name: c.Name, Columns: orEmpty(c.Columns)})
	}
	return out
}
