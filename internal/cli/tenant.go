package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newTenant(env Env) *cobra.Command {
	return noun("tenant", "Look after tenants", "  gatehouse tenant add contoso.onmicrosoft.com",
		newTenantList(env), newTenantDetect(env), newTenantAdd(env), newTenantShow(env), newTenantPause(env, "pause", true), newTenantPause(env, "resume", false),
		newTenantRename(env), newTenantRemove(env), newTenantReader(env), newTenantSnapshot(env), newTenantSharePoint(env))
}

func newTenantList(env Env) *cobra.Command {
	r := &remote{env: env}
	var search string
	cmd := r.command(cobra.Command{Use: "list", Short: "List tenants", Args: cobra.NoArgs, Example: "  gatehouse tenant list --search contoso"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			tenants, err := all(func(p client.Page) ([]client.Tenant, string, error) {
				return c.Tenants(ctx, client.TenantFilter{Search: search}, p)
			})
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, tenants)
			}
			rows := [][]string{}
			for _, t := range tenants {
				state := "active"
				if t.Paused {
					state = "paused"
				}
				reader := ""
				if t.Reader != nil {
					reader = t.Reader.State
				}
				rows = append(rows, []string{t.ID, t.Name, t.Domain, state, reader})
			}
			return table(env.Stdout, []string{"ID", "NAME", "DOMAIN", "STATE", "READER"}, rows)
		})
	cmd.Flags().StringVar(&search, "search", "", "only those with this in name or domain")
	return cmd
}

func newTenantDetect(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{Use: "detect DOMAIN|ID", Short: "Ask Microsoft about a tenant; nothing is stored", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant detect contoso.com"},
		func(ctx context.Context, c *client.Client, args []string) error {
			d, err := c.DetectTenant(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, d)
			}
			fmt.Fprintf(env.Stdout, "tenant %s, cloud %s, %s\n", d.DirectoryID, d.Cloud, d.Realm)
			return nil
		})
}

// oneTenant answers with a tenant.
func (r *remote) oneTenant(t client.Tenant, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, t)
	}
	out := r.env.Stdout
	fmt.Fprintf(out, "%s (%s)\n  id %s\n  tenant %s, cloud %s, %s\n", plain(t.Name), plain(t.Domain), t.ID, t.DirectoryID, t.Cloud, t.Realm)
	if t.Paused {
		fmt.Fprintln(out, "  paused")
	}
	for _, s := range t.Switches {
		state := s.State
		if !s.Available {
			state = "not in this release"
		}
		fmt.Fprintf(out, "  %s: %s\n", s.Name, state)
		if s.Reason != "" {
			fmt.Fprint(out, wrap(s.Reason, "    ", explainWidth))
		}
	}
	if t.SnapshotAt != nil {
		fmt.Fprintf(out, "  rules read %s (%s)\n", when(t.SnapshotAt), t.SnapshotSource)
	}
	return nil
}

func newTenantAdd(env Env) *cobra.Command {
	r := &remote{env: env}
	var name string
	cmd := r.command(cobra.Command{Use: "add DOMAIN|ID", Short: "Add a tenant", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant add contoso.onmicrosoft.com --name Contoso"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.oneTenant(c.AddTenant(ctx, client.TenantRequest{Tenant: args[0], Name: name}))
		})
	cmd.Flags().StringVar(&name, "name", "", "name for people (default the domain)")
	return cmd
}

func newTenantShow(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	return r.command(cobra.Command{Use: "show TENANT", Short: "Show a tenant", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant show contoso.com"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.oneTenant(c.Tenant(ctx, args[0]))
		})
}

func newTenantPause(env Env, verb string, paused bool) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	short := "Do nothing in a tenant for a while"
	if !paused {
		short = "Go on with a paused tenant"
	}
	return r.command(cobra.Command{Use: verb + " TENANT", Short: short, Args: cobra.ExactArgs(1), Example: "  gatehouse tenant " + verb + " contoso.com"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.oneTenant(c.ChangeTenant(ctx, args[0], client.TenantChange{Paused: &paused}))
		})
}

func newTenantRename(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	return r.command(cobra.Command{Use: "rename TENANT NAME", Short: "Give a tenant another name", Args: cobra.ExactArgs(2), Example: "  gatehouse tenant rename contoso.com 'Contoso Ltd'"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.oneTenant(c.ChangeTenant(ctx, args[0], client.TenantChange{Name: &args[1]}))
		})
}

func newTenantRemove(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	var given string
	cmd := r.command(cobra.Command{Use: "remove TENANT", Short: "Remove a tenant with its connections", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant remove contoso.com --confirm Contoso"},
		func(ctx context.Context, c *client.Client, args []string) error {
			gone, err := c.Removal(ctx, args[0])
			if err != nil {
				return err
			}
			if err := confirm(env, given, gone.Name, fmt.Sprintf("This removes the tenant %s with %s, for good.", gone.Name, plural(gone.Connections, "connection"))); err != nil {
				return err
			}
			if err := c.RemoveTenant(ctx, args[0], gone.Name); err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, gone)
			}
			fmt.Fprintf(env.Stdout, "removed %s\n", gone.Name)
			for _, s := range gone.Stays {
				fmt.Fprint(env.Stdout, wrap("stays in the tenant: "+s, "  ", explainWidth))
			}
			return nil
		})
	cmd.Flags().StringVar(&given, "confirm", "", "the tenant's name")
	return cmd
}

func newTenantReader(env Env) *cobra.Command {
	return noun("reader", "Set up the app that reads a tenant's rules", "  gatehouse tenant reader onboard contoso.com --client-id 11111111-2222-3333-4444-555555555555 --out reader.pem",
		newReaderOnboard(env), newReaderCheck(env), newReaderRemove(env))
}

func newReaderOnboard(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	var clientID, out, given string
	cmd := r.command(cobra.Command{Use: "onboard TENANT", Short: "Make the reader's certificate and say what is left to do", Args: cobra.ExactArgs(1),
		Example: "  gatehouse tenant reader onboard contoso.com --client-id 11111111-2222-3333-4444-555555555555 --out reader.pem"},
		func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.Tenant(ctx, args[0])
			if err != nil {
				return err
			}
			if t.Reader != nil && t.Reader.State == "works" {
				if err := confirm(env, given, t.Name, "The reader of "+t.Name+" works. This replaces its key, so that it stops working until the new certificate is uploaded."); err != nil {
					return err
				}
			}
			o, err := c.OnboardReader(ctx, args[0], client.ReaderRequest{ClientID: clientID})
			if err != nil {
				return err
			}
			if out != "" {
				if err := os.WriteFile(out, []byte(o.CertificatePEM), 0o644); err != nil { //nolint:gosec // a certificate is for everybody to read
					return fmt.Errorf("writing the certificate: %w", err)
				}
			}
			if r.asJSON {
				return writeJSON(env.Stdout, o)
			}
			if out == "" {
				fmt.Fprint(env.Stdout, o.CertificatePEM)
			}
			for i, step := range o.Steps {
				fmt.Fprintf(env.Stdout, "%d. %s\n", i+1, step)
			}
			fmt.Fprintf(env.Stdout, "consent: %s\n", o.ConsentURL)
			return nil
		})
	cmd.Flags().StringVar(&clientID, "client-id", "", "client id of the app registration (required)")
	cmd.Flags().StringVar(&out, "out", "", "write the certificate to this file")
	cmd.Flags().StringVar(&given, "confirm", "", "the tenant's name, to replace a reader that works")
	return cmd
}

func newReaderCheck(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	return r.command(cobra.Command{Use: "check TENANT", Short: "Sign the reader in and look what it may read", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant reader check contoso.com"},
		func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.CheckReader(ctx, args[0])
			if err := r.oneTenant(t, err); err != nil {
				return err
			}
			if t.Reader == nil || t.Reader.State != "works" {
				return &exitError{code: exitNo}
			}
			return nil
		})
}

func newReaderRemove(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	var given string
	cmd := r.command(cobra.Command{Use: "remove TENANT", Short: "Forget the reader", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant reader remove contoso.com --confirm Contoso"},
		func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.Tenant(ctx, args[0])
			if err != nil {
				return err
			}
			if err := confirm(env, given, t.Name, "This forgets the reader of "+t.Name+" with its key."); err != nil {
				return err
			}
			if err := c.RemoveReader(ctx, args[0]); err != nil {
				return err
			}
			return r.oneTenant(c.Tenant(ctx, args[0]))
		})
	cmd.Flags().StringVar(&given, "confirm", "", "the tenant's name")
	return cmd
}

func newTenantSnapshot(env Env) *cobra.Command {
	refresh, upload, show := &remote{env: env, first: findTenant}, &remote{env: env, first: findTenant}, &remote{env: env, first: findTenant}
	return noun("snapshot", "Look after the copy of a tenant's rules", "  gatehouse tenant snapshot upload contoso.com posture.json",
		refresh.command(cobra.Command{Use: "refresh TENANT", Short: "Have the rules read anew, soon", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant snapshot refresh contoso.com"},
			func(ctx context.Context, c *client.Client, args []string) error {
				return refresh.done(c.RefreshSnapshot(ctx, args[0]), "asked for")
			}),
		upload.command(cobra.Command{Use: "upload TENANT FILE", Short: "Store a snapshot that 'posture snapshot' wrote", Args: cobra.ExactArgs(2), Example: "  gatehouse tenant snapshot upload contoso.com posture.json"},
			func(ctx context.Context, c *client.Client, args []string) error {
				data, err := readLimited(args[1], 32<<20)
				if err != nil {
					return usagef("reading the snapshot: %w", err)
				}
				return upload.done(c.UploadSnapshot(ctx, args[0], data), "stored")
			}),
		show.command(cobra.Command{Use: "show TENANT", Short: "Print the rules as read last, as JSON", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant snapshot show contoso.com > posture.json"},
			func(ctx context.Context, c *client.Client, args []string) error {
				s, err := c.Snapshot(ctx, args[0])
				if err != nil {
					return err
				}
				return writeJSON(env.Stdout, s)
			}))
}

// done says that something that has no answer was done.
func (r *remote) done(err error, word string) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, map[string]string{"done": word})
	}
	fmt.Fprintln(r.env.Stdout, word)
	return nil
}
