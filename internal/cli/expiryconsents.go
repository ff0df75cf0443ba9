package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newExpiryConsents(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	return r.command(cobra.Command{
		Use: "consents TENANT", Short: "List which permissions of apps came or went", Args: cobra.ExactArgs(1),
		Long: `Application and delegated permissions of the apps that connections and the reader
use are compared with the reading before; the newest 200 changes are listed.
user_consent is what single people consented to for themselves.`,
		Example: "  gatehouse expiry consents Contoso",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		changes, err := c.ConsentChanges(ctx, args[0])
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, changes)
		}
		rows := [][]string{}
		for _, d := range changes {
			rows = append(rows, []string{d.Change, d.Permission, d.Resource, d.Kind, d.Name, when(&d.Since), when(&d.SeenAt)})
		}
		return table(env.Stdout, []string{"CHANGE", "PERMISSION", "API", "KIND", "APP", "BETWEEN", "AND"}, rows)
	})
}
