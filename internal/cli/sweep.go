package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/batch"
	"gatehouse/internal/validation"
)

// sweepFlags choose many connections.
type sweepFlags struct {
	all, wait         bool
	tenant, tag, name string
}

func (f *sweepFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "all connections")
	flags.StringVar(&f.tenant, "tenant", "", "those of a tenant: its name, domain or id")
	flags.StringVar(&f.tag, "tag", "", "those with a tag")
	flags.StringVar(&f.name, "filter", "", "those of a saved filter: its name or id")
	flags.BoolVar(&f.wait, "wait", false, "wait for the end of the sweep")
}

func (f *sweepFlags) asked() bool { return f.all || f.tenant != "" || f.tag != "" || f.name != "" }

// request is the batch that the flags describe.
func (f *sweepFlags) request(ctx context.Context, c *client.Client) (client.BatchRequest, error) {
	in := client.BatchRequest{Action: client.ActionValidate}
	if f.name != "" {
		if f.all || f.tenant != "" || f.tag != "" {
			return in, usagef("--filter says which connections: leave out --all, --tenant and --tag")
		}
		in.Saved = f.name
		return in, nil
	}
	if f.all && (f.tenant != "" || f.tag != "") {
		return in, usagef("--all means all connections: leave out --tenant and --tag")
	}
	in.Filter = &client.ConnectionSearch{Tag: f.tag}
	if f.tenant != "" {
		var err error
		if in.Filter.TenantID, err = findTenant(ctx, c, f.tenant); err != nil {
			return in, err
		}
	}
	return in, nil
}

func (r *remote) sweep(ctx context.Context, c *client.Client, f sweepFlags) error {
	in, err := f.request(ctx, c)
	if err != nil {
		return err
	}
	b, err := c.StartBatch(ctx, in)
	if err != nil {
		return err
	}
	if f.wait {
		if b, err = r.await(ctx, c, b); err != nil {
			return err
		}
	}
	if r.asJSON {
		err = writeJSON(r.env.Stdout, b)
	} else {
		err = r.writeBatch(ctx, c, b)
	}
	if err != nil || !f.wait {
		return err
	}
	return sweepExit(b)
}

// await waits for a batch and tells how far it is.
func (r *remote) await(ctx context.Context, c *client.Client, b client.Batch) (client.Batch, error) {
	told := -1
	b, err := c.AwaitBatch(ctx, b.ID, func(now client.Batch) {
		if tenth := now.Done * 10 / max(now.Total, 1); tenth != told && !r.asJSON {
			told = tenth
			fmt.Fprintf(r.env.Stderr, "  %d of %d, %.1f a second\n", now.Done, now.Total, now.PerSecond)
		}
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return b, fmt.Errorf("waiting for %s, which goes on ('gatehouse batch show %s'): %w", b.ID, b.ID, err)
	}
	return b, err
}

// sweepExit is 1 if a connection does not get in, and 3 if it is not known of one
// that was tried.
func sweepExit(b client.Batch) error {
	no := b.Outcomes[string(validation.Blocked)] + b.Outcomes[string(validation.Failed)]
	open := b.Outcomes[string(validation.Unknown)] + b.Outcomes[batch.Failed] + b.Outcomes[batch.Refused] + b.Outcomes[batch.CalledOff]
	switch {
	case no > 0:
		return &exitError{exitNo, nil}
	case open > 0:
		return &exitError{exitUnknown, nil}
	}
	return nil
}

// outcomes are the counts of a batch in a line.
func outcomes(b client.Batch) string {
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(b.Outcomes)) {
		parts = append(parts, fmt.Sprintf("%d %s", b.Outcomes[outcome], strings.ReplaceAll(outcome, "_", " ")))
	}
	return strings.Join(parts, ", ")
}

// shownItems is how many connections that are not fine are listed.
const shownItems = 50

func (r *remote) writeBatch(ctx context.Context, c *client.Client, b client.Batch) error {
	out := r.env.Stdout
	fmt.Fprintf(out, "%s: %d of %d, %s\n  id %s\n", plain(b.Words), b.Done, b.Total, b.State, b.ID)
	if len(b.Outcomes) > 0 {
		fmt.Fprintf(out, "  %s\n", outcomes(b))
	}
	if b.SecondsLeft > 0 {
		fmt.Fprintf(out, "  about %d s left\n", b.SecondsLeft)
	}
	if !b.Ended() {
		return nil
	}
	rows := [][]string{}
	for _, outcome := range []string{string(validation.Blocked), string(validation.Failed), string(validation.Unknown), batch.Failed, batch.Refused, batch.Skipped} {
		if b.Outcomes[outcome] == 0 || len(rows) >= shownItems {
			continue
		}
		items, _, err := c.BatchItems(ctx, b.ID, outcome, client.Page{Limit: shownItems - len(rows)})
		if err != nil {
			return err
		}
		for _, i := range items {
			rows = append(rows, []string{i.Outcome, i.Name, i.Note})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return table(out, []string{"OUTCOME", "CONNECTION", "WHY"}, rows)
}

func newBatch(env Env) *cobra.Command {
	list, show, cancel := &remote{env: env}, &remote{env: env}, &remote{env: env}
	return noun("batch", "Look at what is done to many connections", "  gatehouse batch list",
		list.command(cobra.Command{Use: "list", Short: "List batches, newest first", Args: cobra.NoArgs, Example: "  gatehouse batch list"},
			func(ctx context.Context, c *client.Client, _ []string) error {
				all, next, err := c.Batches(ctx, client.Page{Limit: 50})
				if err != nil {
					return err
				}
				tellOlder(env, next)
				if list.asJSON {
					return writeJSON(env.Stdout, all)
				}
				rows := [][]string{}
				for _, b := range all {
					rows = append(rows, []string{b.ID, b.Words, b.State, fmt.Sprintf("%d of %d", b.Done, b.Total), outcomes(b), b.RequestedBy, when(&b.CreatedAt)})
				}
				return table(env.Stdout, []string{"ID", "WHAT", "STATE", "DONE", "OUTCOMES", "BY", "BEGUN"}, rows)
			}),
		show.command(cobra.Command{Use: "show BATCH", Short: "Show a batch with what became of its connections", Args: cobra.ExactArgs(1), Example: "  gatehouse batch show 0193-…"},
			func(ctx context.Context, c *client.Client, args []string) error {
				b, err := c.Batch(ctx, args[0])
				if err != nil {
					return err
				}
				if show.asJSON {
					return writeJSON(env.Stdout, b)
				}
				return show.writeBatch(ctx, c, b)
			}),
		cancel.command(cobra.Command{Use: "cancel BATCH", Short: "Call a batch off; what was done stays", Args: cobra.ExactArgs(1), Example: "  gatehouse batch cancel 0193-…"},
			func(ctx context.Context, c *client.Client, args []string) error {
				b, err := c.CancelBatch(ctx, args[0])
				if err != nil {
					return err
				}
				if cancel.asJSON {
					return writeJSON(env.Stdout, b)
				}
				return cancel.writeBatch(ctx, c, b)
			}))
}
