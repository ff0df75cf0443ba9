package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/transfer"
)

// filterFlags narrow what a command is about.
func filterFlags(cmd *cobra.Command, f *client.ConnectionFilter) {
	flags := cmd.Flags()
	flags.StringVar(&f.TenantID, "tenant", "", "only those of a tenant: its name, domain or id")
	flags.StringVar(&f.Verdict, "verdict", "", "only those with this verdict: works, works_with_warnings, blocked, failed, unknown, never")
	flags.StringVar(&f.Kind, "kind", "", "only service_account or app")
	flags.StringVar(&f.Search, "search", "", "only those with this in name or user name")
	flags.StringVar(&f.Tag, "tag", "", "only those with this tag")
	flags.StringVar(&f.Service, "service", "", "only those for graph, sharepoint, exchange or business_central")
	flags.StringVar(&f.Parked, "parked", "", "only those that are parked (yes) or not (no)")
}

func newConnectionExport(env Env) *cobra.Command {
	r := &remote{env: env}
	var f client.ConnectionFilter
	var output string
	cmd := r.command(cobra.Command{
		Use: "export", Short: "Write connections into a file, without secrets", Args: cobra.NoArgs,
		Long: `Export writes the connections that the flags let through as CSV, or with --json as
JSON, by name. Passwords and secrets are never among them. A cell that a spreadsheet
would take for a formula has an apostrophe before it, which the import takes away.`,
		Example: "  gatehouse connection export --tag finance > connections.csv",
	}, func(ctx context.Context, c *client.Client, _ []string) (err error) {
		if f.TenantID != "" {
			if f.TenantID, err = findTenant(ctx, c, f.TenantID); err != nil {
				return err
			}
		}
		format := "csv"
		if r.asJSON {
			format = "json"
		}
		out := env.Stdout
		if output != "" {
			file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return usagef("--output: %w", err)
			}
			defer func() {
				if closeErr := file.Close(); err == nil && closeErr != nil {
					err = fmt.Errorf("writing %s: %w", output, closeErr)
				}
			}()
			out = file
		}
		return c.ExportConnections(ctx, f, format, out)
	})
	filterFlags(cmd, &f)
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write (default standard output)")
	return cmd
}

func newConnectionImport(env Env) *cobra.Command {
	r := &remote{env: env}
	var dry, wait bool
	cmd := r.command(cobra.Command{
		Use: "import FILE", Short: "Make and change connections by a file", Args: cobra.ExactArgs(1),
		Long: `Import reads CSV (with commas, semicolons or tabs, as spreadsheets save it) or, of a
file that ends in .json, JSON, with the columns of the export; - stands for standard
input. A row means the connection with its id, or else with its tenant and name; where
there is none, one is made. The credential of a new connection is to be entered
afterwards. With a fault in any row nothing is done.

Exit codes: 0 done, or nothing is wrong with the file; 1 the file has faults, or rows
could not be done; 2 wrong usage; 3 could not find out.`,
		Example: "  gatehouse connection import connections.csv --dry-run\n  gatehouse connection import connections.csv --wait",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		data, err := readInput(env, args[0])
		if err != nil {
			return err
		}
		in := client.ImportRequest{Format: "csv", File: string(data), DryRun: dry}
		if strings.HasSuffix(strings.ToLower(args[0]), ".json") {
			in.Format = "json"
		}
		report, err := c.ImportConnections(ctx, in)
		if err != nil {
			return err
		}
		if wait && report.Batch != nil {
			b, err := r.await(ctx, c, *report.Batch)
			if err != nil {
				return err
			}
			report.Batch = &b
		}
		if r.asJSON {
			err = writeJSON(env.Stdout, report)
		} else {
			err = r.writeReport(ctx, c, report)
		}
		if err == nil && (report.FaultCount > 0 || report.Batch != nil && report.Batch.Outcomes["error"]+report.Batch.Outcomes["refused"]+report.Batch.Outcomes["skipped"] > 0) {
			return &exitError{exitNo, nil}
		}
		return err
	})
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done, and what is wrong")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until all is done")
	return cmd
}

func readInput(env Env, name string) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(io.LimitReader(env.Stdin, transfer.MaxFile+1))
		if err != nil {
			return nil, usagef("reading standard input: %w", err)
		}
		return data, nil
	}
	data, err := readLimited(name, transfer.MaxFile)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return data, nil
}

func (r *remote) writeReport(ctx context.Context, c *client.Client, report client.ImportReport) error {
	out := r.env.Stdout
	fmt.Fprintf(out, "%d rows: %d to make, %d to change, %d as they are, %d faults\n", report.Rows, report.Create, report.Update, report.Unchanged, report.FaultCount)
	rows := [][]string{}
	for _, e := range report.Faults {
		rows = append(rows, []string{fmt.Sprint(e.Row), e.Column, e.Problem, e.Way})
	}
	if len(rows) > 0 {
		return table(out, []string{"ROW", "COLUMN", "WHAT IS WRONG", "WHAT TO DO"}, rows)
	}
	if report.Batch != nil {
		return r.writeBatch(ctx, c, *report.Batch)
	}
	for _, change := range report.Changes {
		rows = append(rows, []string{fmt.Sprint(change.Row), change.Action, change.Tenant, change.Name, strings.Join(change.Columns, ", ")})
	}
	if len(rows) == 0 {
		return nil
	}
	return table(out, []string{"ROW", "WHAT", "TENANT", "CONNECTION", "COLUMNS"}, rows)
}
