package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// newAssignment is below the noun operator: who becomes one through a directory.
func newAssignment(env Env) *cobra.Command {
	list, remove := &remote{env: env}, &remote{env: env}
	return noun("directory", "Look after the roles of people and groups of the directory", "  gatehouse operator directory assign group 11111111-2222-3333-4444-555555555555 '*' viewer --name 'Night shift'",
		list.command(cobra.Command{Use: "list", Short: "List the roles of people and groups", Args: cobra.NoArgs, Example: "  gatehouse operator directory list"},
			func(ctx context.Context, c *client.Client, _ []string) error {
				assignments, err := c.Assignments(ctx)
				if err != nil {
					return err
				}
				if list.asJSON {
					return writeJSON(env.Stdout, assignments)
				}
				rows := [][]string{}
				for _, a := range assignments {
					rows = append(rows, []string{a.ID, a.Kind, a.Name, a.ObjectID, a.TenantID, a.Role, a.Directory})
				}
				return table(env.Stdout, []string{"ID", "KIND", "NAME", "OBJECT", "TENANT", "ROLE", "DIRECTORY"}, rows)
			}),
		newAssign(env),
		remove.command(cobra.Command{Use: "remove ASSIGNMENT", Short: "Take such a role away at once", Args: cobra.ExactArgs(1), Example: "  gatehouse operator directory remove 01a205fd-9163-7768-af02-49c97756bcfc"},
			func(ctx context.Context, c *client.Client, args []string) error {
				return remove.done(c.Unassign(ctx, args[0]), "removed")
			}))
}

func newAssign(env Env) *cobra.Command {
	r := &remote{env: env}
	var request client.AssignmentRequest
	cmd := r.command(cobra.Command{
		Use: "assign person|group OBJECT TENANT ROLE", Short: "Give a person or group a role in a tenant ('*' for all)", Args: cobra.ExactArgs(4),
		Long: `Assign gives a role to whoever signs in through the directory and is OBJECT, or
is in it. At Microsoft Entra OBJECT is an object id; at other issuers the subject
of a person, or a group as the issuer writes it. It counts from the next sign-in.`,
		Example: "  gatehouse operator directory assign group 11111111-2222-3333-4444-555555555555 '*' viewer --name 'Night shift'",
	}, func(ctx context.Context, c *client.Client, args []string) (err error) {
		request.Kind, request.ObjectID, request.Role = args[0], args[1], args[3]
		if request.TenantID, err = findScope(ctx, c, args[2]); err != nil {
			return err
		}
		a, err := c.Assign(ctx, request)
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, a)
		}
		fmt.Fprintln(env.Stdout, a.ID)
		return nil
	})
	cmd.Flags().StringVar(&request.Name, "name", "", "name to show (default the object)")
	cmd.Flags().StringVar(&request.Directory, "directory", "", "id of the Entra tenant, or the issuer, if there are several")
	return cmd
}
