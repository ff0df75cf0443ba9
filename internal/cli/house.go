package cli

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
)

func newOperator(env Env) *cobra.Command {
	list, role := &remote{env: env}, &remote{env: env, first: findOperator}
	return noun("operator", "Look after those who sign in to Gatehouse", "  gatehouse operator invite eve@contoso.example --role '*=viewer'",
		list.command(cobra.Command{Use: "list", Short: "List operators", Args: cobra.NoArgs, Example: "  gatehouse operator list"},
			func(ctx context.Context, c *client.Client, _ []string) error {
				operators, err := c.Operators(ctx)
				if err != nil {
					return err
				}
				if list.asJSON {
					return writeJSON(env.Stdout, operators)
				}
				rows := [][]string{}
				for _, o := range operators {
					roles := []string{}
					for _, tenant := range slices.Sorted(maps.Keys(o.Roles)) {
						roles = append(roles, tenant+"="+o.Roles[tenant])
					}
					rows = append(rows, []string{o.ID, o.Email, o.Name, strings.Join(roles, " "), when(o.InvitedUntil), when(o.DisabledAt)})
				}
				return table(env.Stdout, []string{"ID", "E-MAIL", "NAME", "ROLES", "INVITED UNTIL", "DISABLED"}, rows)
			}),
		newOperatorInvite(env), newOperatorLink(env),
		newOperatorAct(env, "disable", "Let an operator in no more", (*client.Client).DisableOperator),
		newOperatorAct(env, "enable", "Let an operator in again", (*client.Client).EnableOperator),
		newOperatorRemove(env), newOperatorErase(env), newAssignment(env),
		role.command(cobra.Command{Use: "role OPERATOR TENANT ROLE", Short: "Give a role in a tenant ('*' for all), or take it away with none", Args: cobra.ExactArgs(3), Example: "  gatehouse operator role eve@contoso.example '*' engineer"},
			func(ctx context.Context, c *client.Client, args []string) error {
				at, err := findScope(ctx, c, args[1])
				if err != nil {
					return err
				}
				return role.done(c.SetRole(ctx, args[0], at, args[2]), "set")
			}))
}

func newOperatorInvite(env Env) *cobra.Command {
	r := &remote{env: env}
	var name string
	var roles map[string]string
	cmd := r.command(cobra.Command{Use: "invite EMAIL", Short: "Make an operator; the link for them is mailed, or printed", Args: cobra.ExactArgs(1), Example: "  gatehouse operator invite eve@contoso.example --name Eve --role '*=viewer'"},
		func(ctx context.Context, c *client.Client, args []string) error {
			by := map[string]string{}
			for at, role := range roles {
				id, err := findScope(ctx, c, at)
				if err != nil {
					return err
				}
				by[id] = role
			}
			return r.invitation(c.Invite(ctx, client.InviteRequest{Email: args[0], Name: name, Roles: by}))
		})
	cmd.Flags().StringVar(&name, "name", "", "the operator's name")
	cmd.Flags().StringToStringVar(&roles, "role", nil, "TENANT=ROLE, with '*' for all tenants (repeatable)")
	return cmd
}

func (r *remote) invitation(i client.Invitation, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, i)
	}
	if i.Mailed {
		fmt.Fprintf(r.env.Stdout, "mailed to %s\n", plain(i.Operator.Email))
		return nil
	}
	fmt.Fprintln(r.env.Stdout, i.Link)
	fmt.Fprintf(r.env.Stderr, "Whoever opens this link becomes %s. It works once.\n", i.Operator.Email)
	return nil
}

func newOperatorLink(env Env) *cobra.Command {
	r := &remote{env: env, first: findOperator}
	return r.command(cobra.Command{Use: "link OPERATOR", Short: "Make a new link for an operator who lost password or second factor", Args: cobra.ExactArgs(1), Example: "  gatehouse operator link eve@contoso.example"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.invitation(c.Relink(ctx, args[0]))
		})
}

func newOperatorAct(env Env, verb, short string, act func(*client.Client, context.Context, string) error) *cobra.Command {
	r := &remote{env: env, first: findOperator}
	return r.command(cobra.Command{Use: verb + " OPERATOR", Short: short, Args: cobra.ExactArgs(1), Example: "  gatehouse operator " + verb + " eve@contoso.example"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.done(act(c, ctx, args[0]), verb+"d")
		})
}

func newOperatorErase(env Env) *cobra.Command {
	r := &remote{env: env}
	var given string
	cmd := r.command(cobra.Command{Use: "erase ID", Short: "Erase the name of an operator who was removed", Args: cobra.ExactArgs(1),
		Long: `Erase takes the name and addresses of an operator who was removed out of the audit
log and of everything else that the server keeps. What they did stays, under
their id, and the log still verifies. It cannot be undone. 'gatehouse audit list'
tells the id. Backups that were made before still hold the name: let them expire.`,
		Example: "  gatehouse operator erase 019312ab-0c5e-7d3a-9a41-3a2f6b1c0d9e --confirm 019312ab-0c5e-7d3a-9a41-3a2f6b1c0d9e"},
		func(ctx context.Context, c *client.Client, args []string) error {
			if err := confirm(env, given, args[0], "This erases the name of "+args[0]+" for good."); err != nil {
				return err
			}
			return r.done(c.EraseOperator(ctx, args[0]), "erased")
		})
	cmd.Flags().StringVar(&given, "confirm", "", "the id again")
	return cmd
}

func newOperatorRemove(env Env) *cobra.Command {
	r := &remote{env: env, first: findOperator}
	var given string
	cmd := r.command(cobra.Command{Use: "remove OPERATOR", Short: "Remove an operator", Args: cobra.ExactArgs(1), Example: "  gatehouse operator remove eve@contoso.example --confirm eve@contoso.example"},
		func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.Operator(ctx, args[0])
			if err != nil {
				return err
			}
			if err := confirm(env, given, o.Email, "This removes the operator "+o.Email+"."); err != nil {
				return err
			}
			return r.done(c.RemoveOperator(ctx, args[0]), "removed")
		})
	cmd.Flags().StringVar(&given, "confirm", "", "the operator's e-mail address")
	return cmd
}

func newAudit(env Env) *cobra.Command {
	checkpoint, export := &remote{env: env}, &remote{env: env, timeout: time.Hour}
	var out string
	exporting := export.command(cobra.Command{Use: "export", Short: "Write the whole log, one JSON object a line", Args: cobra.NoArgs, Example: "  gatehouse audit export --out audit.jsonl"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			if out == "" {
				return c.ExportAudit(ctx, env.Stdout)
			}
			f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return usagef("--out: %w", err)
			}
			if err := errors.Join(c.ExportAudit(ctx, f), f.Close()); err != nil {
				return errors.Join(err, os.Remove(out)) // half a log would not verify
			}
			return export.done(nil, "exported to "+out)
		})
	exporting.Flags().StringVar(&out, "out", "", "write to this new file instead of stdout")
	return noun("audit", "Look at the audit log and verify it", "  gatehouse audit list --outcome refused",
		newAuditList(env), newAuditVerify(env), exporting,
		checkpoint.command(cobra.Command{Use: "checkpoint", Short: "Sign the end of the log; keep the answer elsewhere", Args: cobra.NoArgs, Example: "  gatehouse audit checkpoint --json > checkpoint.json"},
			func(ctx context.Context, c *client.Client, _ []string) error {
				p, err := c.Checkpoint(ctx)
				if err != nil {
					return err
				}
				if checkpoint.asJSON {
					return writeJSON(env.Stdout, p)
				}
				fmt.Fprintf(env.Stdout, "entry %d, hash %s\nkey %s\nsignature %s\n", p.Seq, p.Hash, p.Key, p.Signature)
				return nil
			}))
}

func newAuditList(env Env) *cobra.Command {
	r := &remote{env: env}
	var f client.AuditFilter
	var limit int
	cmd := r.command(cobra.Command{Use: "list", Short: "List entries, newest first", Args: cobra.NoArgs, Example: "  gatehouse audit list --outcome refused"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			if f.TenantID != "" {
				var err error
				if f.TenantID, err = findTenant(ctx, c, f.TenantID); err != nil {
					return err
				}
			}
			entries, next, err := c.Audit(ctx, f, client.Page{Limit: limit})
			if err != nil {
				return err
			}
			tellOlder(env, next)
			if r.asJSON {
				return writeJSON(env.Stdout, entries)
			}
			rows := [][]string{}
			for _, e := range entries {
				rows = append(rows, []string{strconv.FormatInt(e.Seq, 10), when(&e.At), e.ActorName, e.Action, e.ObjectName, e.Outcome})
			}
			return table(env.Stdout, []string{"NO", "AT", "WHO", "WHAT", "ON", "OUTCOME"}, rows)
		})
	flags := cmd.Flags()
	flags.StringVar(&f.TenantID, "tenant", "", "only of a tenant: its name, domain or id")
	flags.StringVar(&f.ActorID, "actor", "", "only of an operator, by their id")
	flags.StringVar(&f.Search, "search", "", "only with this in action or name, of the newest 20,000 entries")
	flags.StringVar(&f.ObjectID, "object", "", "only on an object, by its id")
	flags.StringVar(&f.Action, "action", "", "only this action, such as connection.created")
	flags.StringVar(&f.Outcome, "outcome", "", "only done, refused or failed")
	flags.IntVar(&limit, "limit", 50, "how many at most, up to 200")
	return cmd
}

func newAuditVerify(env Env) *cobra.Command {
	r := &remote{env: env, timeout: time.Hour}
	var keys []string
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "Verify the log of the server, or an exported file without a server", Args: cobra.MaximumNArgs(1),
		Long: `Verify reads the whole log and finds the first entry that was changed, removed,
inserted or moved. With a file that 'audit export' wrote it needs no server; give
the public key of the checkpoints (--key), which has to come from elsewhere.

Exit codes: 0 the log is what was written; 1 it is not; 2 wrong usage.`,
		Example: "  gatehouse audit verify\n  gatehouse audit verify audit.jsonl --key 'base64…'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return verifyFile(env, args[0], keys, r.asJSON)
			}
			c, err := r.connect()
			if err != nil {
				return err
			}
			report, err := c.VerifyAudit(cmd.Context())
			if err != nil {
				return r.explain(err)
			}
			return writeReport(env, report, r.asJSON)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringArrayVar(&keys, "key", nil, "public key that signs checkpoints, base64 (repeatable)")
	return cmd
}

func verifyFile(env Env, name string, keys []string, asJSON bool) error {
	var public []ed25519.PublicKey
	for _, k := range keys {
		raw, err := base64.StdEncoding.DecodeString(k)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return usagef("--key: %q is no Ed25519 key in base64", k)
		}
		public = append(public, raw)
	}
	f, err := os.Open(name)
	if err != nil {
		return usagef("%w", err)
	}
	defer f.Close()
	if len(public) == 0 {
		fmt.Fprintln(env.Stderr, "Without --key no signature is checked: somebody who rewrote the whole log would not be found.")
	}
	r, err := audit.VerifyExport(bufio.NewReader(f), public...)
	if err != nil {
		return &exitError{exitNo, err}
	}
	return writeReport(env, client.AuditReport{Entries: r.Entries, Hash: r.Hash, Erased: r.Erased, Checkpoints: r.Checkpoints, Signed: r.Signed}, asJSON)
}

func writeReport(env Env, r client.AuditReport, asJSON bool) error {
	if asJSON {
		return writeJSON(env.Stdout, r)
	}
	signed := "no checkpoint was checked"
	if r.Checkpoints > 0 {
		signed = fmt.Sprintf("%s good, the last one signs entry %d", plural(int(r.Checkpoints), "signed checkpoint"), r.Signed)
	}
	fmt.Fprintf(env.Stdout, "%d entries are as they were written; %s\n", r.Entries, signed)
	return nil
}

// tellOlder says that a list does not end where it seems to.
func tellOlder(env Env, next string) {
	if next != "" {
		fmt.Fprintln(env.Stderr, "There are older ones; narrow the list down to see them.")
	}
}

func newJob(env Env) *cobra.Command {
	list := &remote{env: env}
	var f client.JobFilter
	listing := list.command(cobra.Command{Use: "list", Short: "List jobs, newest first", Args: cobra.NoArgs, Example: "  gatehouse job list --state failed"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			jobs, next, err := c.Jobs(ctx, f, client.Page{Limit: 200})
			if err != nil {
				return err
			}
			tellOlder(env, next)
			if list.asJSON {
				return writeJSON(env.Stdout, jobs)
			}
			rows := [][]string{}
			for _, j := range jobs {
				last := ""
				if n := len(j.Failures); n > 0 {
					last = j.Failures[n-1].Error
				}
				rows = append(rows, []string{strconv.FormatInt(j.ID, 10), j.Kind, j.State, when(&j.Due), last})
			}
			return table(env.Stdout, []string{"ID", "KIND", "STATE", "DUE", "LAST ERROR"}, rows)
		})
	listing.Flags().StringVar(&f.Kind, "kind", "", "only this kind")
	listing.Flags().StringVar(&f.State, "state", "", "only this state: waiting, scheduled, retrying, running, done, cancelled, failed")
	act := func(verb, short, word string, do func(*client.Client, context.Context, int64) error) *cobra.Command {
		r := &remote{env: env}
		return r.command(cobra.Command{Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1), Example: "  gatehouse job " + verb + " 17"},
			func(ctx context.Context, c *client.Client, args []string) error {
				id, err := strconv.ParseInt(args[0], 10, 64)
				if err != nil {
					return usagef("%q is no id of a job: it is a number", args[0])
				}
				return r.done(do(c, ctx, id), word)
			})
	}
	return noun("job", "Look at work in the background", "  gatehouse job list --state failed", listing,
		act("cancel", "End a job; 'job retry' begins it again", "cancelled", (*client.Client).CancelJob), act("retry", "Let a job begin at once", "begun anew", (*client.Client).RetryJob))
}

func newKeys(env Env) *cobra.Command {
	r := &remote{env: env}
	return noun("keys", "Look after the keys that seal secrets", "  gatehouse keys rotate",
		r.command(cobra.Command{Use: "rotate", Short: "Replace the key that seals secrets", Args: cobra.NoArgs, Example: "  gatehouse keys rotate",
			Long: "Rotate begins; the server goes on by itself, while it works, and has sealed every\nsecret anew some minutes later. The audit log says when."},
			func(ctx context.Context, c *client.Client, _ []string) error {
				k, err := c.RotateKeys(ctx)
				if err != nil {
					return err
				}
				if r.asJSON {
					return writeJSON(env.Stdout, k)
				}
				fmt.Fprintln(env.Stdout, "begun")
				return nil
			}))
}

func newOpenAPI(env Env) *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document of the REST API", Args: cobra.NoArgs, Example: "  gatehouse openapi > openapi.json",
		RunE: func(*cobra.Command, []string) error {
			data, err := api.Document(versionName())
			if err != nil {
				return err
			}
			_, err = env.Stdout.Write(append(data, '\n'))
			return err
		},
	}
}
