package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newKey(env Env) *cobra.Command {
	list := &remote{env: env}
	return noun("key", "Look after API keys, with which programs act ('gatehouse keys' is about the seal of secrets)", "  gatehouse key add report --permission connection.view --tenant contoso.com",
		list.command(cobra.Command{Use: "list", Short: "List API keys", Args: cobra.NoArgs, Example: "  gatehouse key list"},
			func(ctx context.Context, c *client.Client, _ []string) error {
				keys, err := c.Keys(ctx)
				if err != nil {
					return err
				}
				if list.asJSON {
					return writeJSON(env.Stdout, keys)
				}
				rows := [][]string{}
				for _, k := range keys {
					rows = append(rows, []string{k.ID, k.Name, k.Hint + "…", k.Owner, strings.Join(k.Permissions, " "), strings.Join(k.Tenants, " "), when(&k.ExpiresAt), when(k.UsedAt)})
				}
				return table(env.Stdout, []string{"ID", "NAME", "KEY", "OWNER", "MAY", "TENANTS", "ENDS", "LAST USED"}, rows)
			}),
		newKeyAdd(env), newKeyRemove(env))
}

func newKeyAdd(env Env) *cobra.Command {
	r := &remote{env: env}
	var request client.KeyRequest
	cmd := r.command(cobra.Command{
		Use: "add NAME", Short: "Make an API key and print it, once", Args: cobra.ExactArgs(1),
		Long: `Add makes a key for a program and prints it on stdout: it is shown now and never
again. A key can do what it names, where it names it, as long as its owner can;
no key makes keys or looks after operators. Programs send it as Authorization:
Bearer; this command takes it from GATEHOUSE_API_KEY or the file that
GATEHOUSE_API_KEY_FILE names, in place of a session.`,
		Example: "  gatehouse key add report --permission connection.view --permission tenant.view --tenant contoso.com > report.key\n  GATEHOUSE_API_KEY_FILE=report.key gatehouse connection list --server https://gatehouse.example",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		request.Name = args[0]
		for i, name := range request.Tenants {
			id, err := findScope(ctx, c, name)
			if err != nil {
				return err
			}
			request.Tenants[i] = id
		}
		made, err := c.AddKey(ctx, request)
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, made)
		}
		fmt.Fprintln(env.Stdout, made.Token)
		fmt.Fprintf(env.Stderr, "Keep it where the program keeps its secrets: it is not shown again. It ends %s.\n", when(&made.Key.ExpiresAt))
		return nil
	})
	cmd.Flags().StringSliceVar(&request.Permissions, "permission", nil, "what it may do, such as connection.view (repeatable)")
	cmd.Flags().StringSliceVar(&request.Tenants, "tenant", nil, "where: name, domain or id, or '*' for all of your own (repeatable)")
	cmd.Flags().IntVar(&request.Days, "days", 90, "until it ends, 365 at most")
	return cmd
}

func newKeyRemove(env Env) *cobra.Command {
	r := &remote{env: env, first: findKey}
	return r.command(cobra.Command{Use: "remove KEY", Short: "End an API key at once", Args: cobra.ExactArgs(1), Example: "  gatehouse key remove report"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.done(c.RevokeKey(ctx, args[0]), "removed")
		})
}

// findKey takes a key's name or id.
func findKey(ctx context.Context, c *client.Client, name string) (string, error) {
	keys, err := c.Keys(ctx)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, k := range keys {
		if k.ID == name {
			return name, nil
		}
		if strings.EqualFold(k.Name, name) {
			ids = append(ids, k.ID)
		}
	}
	return one("API key", name, ids)
}
