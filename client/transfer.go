package client

import (
	"context"
	"io"
	"net/http"
)

// ImportRequest is a file of connections.
type ImportRequest struct {
	Format string `json:"format" enum:"csv,json"`
	File   string `json:"file" doc:"Its text: UTF-8, 20 MB and 50,000 rows at most"`
	DryRun bool   `json:"dry_run,omitempty" doc:"Only say what would be done"`
}

// ImportReport is what an import does, or would do. Nothing is done while there are
// faults.
type ImportReport struct {
	Rows       int            `json:"rows"`
	Create     int            `json:"create"`
	Update     int            `json:"update"`
	Unchanged  int            `json:"unchanged"`
	FaultCount int            `json:"fault_count"`
	Faults     []ImportFault  `json:"faults" nullable:"false" doc:"The first 500"`
	Changes    []ImportChange `json:"changes" nullable:"false" doc:"The first 500 rows that make or change something"`
	Batch      *Batch         `json:"batch,omitempty" doc:"What was begun; left out for a dry run, and if there are faults"`
}

// ImportFault is what is wrong with a place of a file.
type ImportFault struct {
	Row     int    `json:"row" doc:"As a spreadsheet counts, the heading is 1; in JSON from 1; 0 for the whole file"`
	Column  string `json:"column,omitempty"`
	Problem string `json:"problem"`
	Way     string `json:"way,omitempty" doc:"What would be right"`
}

// ImportChange is what an import does with a row.
type ImportChange struct {
	Row     int      `json:"row"`
	Action  string   `json:"action" enum:"create,update"`
	Tenant  string   `json:"tenant"`
	Name    string   `json:"name"`
	Columns []string `json:"columns" nullable:"false" doc:"That change"`
}

// ExportConnections writes the connections that a filter lets through as csv or
// json, without secrets.
func (c *Client) ExportConnections(ctx context.Context, f ConnectionFilter, format string, w io.Writer) error {
	q := f.query()
	set(q, "format", format)
	return c.do(ctx, request{method: http.MethodGet, path: "/connections/export", query: q, into: w})
}

// ImportConnections makes and changes connections by a file, or says what that would
// do. Credentials are no part of it: those of new connections are to be entered.
func (c *Client) ImportConnections(ctx context.Context, r ImportRequest) (ImportReport, error) {
	return call[ImportReport](ctx, c, request{method: http.MethodPost, path: "/connections/import", body: r})
}
