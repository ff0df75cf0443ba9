package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newConnectionSchedule(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	return r.command(cobra.Command{
		Use: "schedule CONNECTION SCHEDULE", Short: "Say when a connection is validated by itself", Args: cobra.ExactArgs(2),
		Long: `Schedule takes off, "every 6h" (1 to 168 hours) or "daily 02:30 Europe/Berlin"; "" goes
back to the tenant's schedule. Within the period each connection has a place of its own.`,
		Example: "  gatehouse connection schedule Backup \"every 6h\"",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		return r.oneConnection(c.SetSchedule(ctx, args[0], args[1]))
	})
}

func newConnectionTag(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var add, remove []string
	cmd := r.command(cobra.Command{
		Use: "tag CONNECTION", Short: "Add and remove tags of a connection", Args: cobra.ExactArgs(1), Example: "  gatehouse connection tag Backup --add finance --remove test",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		if len(add)+len(remove) == 0 {
			return usagef("which tags? give --add or --remove")
		}
		at, err := c.Connection(ctx, args[0])
		if err != nil {
			return err
		}
		tags := slices.DeleteFunc(append(at.Tags, add...), func(tag string) bool {
			return slices.ContainsFunc(remove, func(gone string) bool { return strings.EqualFold(gone, tag) })
		})
		return r.oneConnection(c.SetTags(ctx, args[0], tags))
	})
	cmd.Flags().StringArrayVar(&add, "add", nil, "tag to add (repeatable)")
	cmd.Flags().StringArrayVar(&remove, "remove", nil, "tag to remove (repeatable)")
	return cmd
}

func newSchedule(env Env) *cobra.Command {
	show, set := &remote{env: env}, &remote{env: env}
	var tenant string
	answer := func(r *remote, s client.Schedule, err error) error {
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, s)
		}
		return table(env.Stdout, []string{"OWN", "IN FORCE"}, [][]string{{s.Schedule, s.InForce}})
	}
	showCmd := show.command(cobra.Command{Use: "show", Short: "Show the schedule of the server, or of a tenant", Args: cobra.NoArgs, Example: "  gatehouse schedule show --tenant contoso.com"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			if tenant == "" {
				s, err := c.ServerSchedule(ctx)
				return answer(show, s, err)
			}
			id, err := findTenant(ctx, c, tenant)
			if err != nil {
				return err
			}
			s, err := c.TenantSchedule(ctx, id)
			return answer(show, s, err)
		})
	setCmd := set.command(cobra.Command{
		Use: "set SCHEDULE", Short: "Say when connections are validated, and rules read, by themselves", Args: cobra.ExactArgs(1),
		Long: `Set takes off, "every 6h" (1 to 168 hours) or "daily 02:30 Europe/Berlin"; "" takes the
schedule away, so that the server's counts for the tenant, and once a day for the server.`,
		Example: "  gatehouse schedule set \"daily 02:30 Europe/Berlin\" --tenant contoso.com",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		if tenant == "" {
			s, err := c.SetServerSchedule(ctx, args[0])
			return answer(set, s, err)
		}
		id, err := findTenant(ctx, c, tenant)
		if err != nil {
			return err
		}
		s, err := c.SetTenantSchedule(ctx, id, args[0])
		return answer(set, s, err)
	})
	for _, cmd := range []*cobra.Command{showCmd, setCmd} {
		cmd.Flags().StringVar(&tenant, "tenant", "", "of a tenant: its name, domain or id")
	}
	return noun("schedule", "Say when connections are validated by themselves", "  gatehouse schedule show", showCmd, setCmd)
}
