package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/validation"
)

func newConnection(env Env) *cobra.Command {
	show, unpark, certificate := &remote{env: env, first: findConnection}, &remote{env: env, first: findConnection}, &remote{env: env, first: findConnection}
	cmd := noun("connection", "Look after connections", "  gatehouse connection list --verdict blocked",
		newConnectionConvert(env), newConnectionSheet(env), newConnectionOwner(env), newConnectionNotes(env),
		newConnectionList(env), newConnectionAdd(env), newConnectionChange(env), newConnectionCredential(env), newConnectionHistory(env), newConnectionRemove(env), newConnectionExport(env), newConnectionImport(env), newConnectionSchedule(env), newConnectionTag(env),
		newConnectionSignIn(env), newConnectionSignOut(env), newConnectionSignIns(env), newConnectionToken(env),
		show.command(cobra.Command{Use: "show CONNECTION", Short: "Show a connection", Args: cobra.ExactArgs(1), Example: "  gatehouse connection show Backup"},
			func(ctx context.Context, c *client.Client, args []string) error {
				return show.oneConnection(c.Connection(ctx, args[0]))
			}),
		unpark.command(cobra.Command{Use: "unpark CONNECTION", Short: "Let a refused password be tried once more", Args: cobra.ExactArgs(1), Example: "  gatehouse connection unpark Backup"},
			func(ctx context.Context, c *client.Client, args []string) error {
				return unpark.oneConnection(c.Unpark(ctx, args[0]))
			}),
		certificate.command(cobra.Command{Use: "certificate CONNECTION", Short: "Print a connection's certificate, without its key", Args: cobra.ExactArgs(1), Example: "  gatehouse connection certificate Backup > app.pem"},
			func(ctx context.Context, c *client.Client, args []string) error {
				pem, err := c.Certificate(ctx, args[0])
				if err != nil {
					return err
				}
				if certificate.asJSON {
					return writeJSON(env.Stdout, client.CertificateAnswer{PEM: pem})
				}
				fmt.Fprint(env.Stdout, pem)
				return nil
			}))
	cmd.AddCommand(dataSourceCommands(env)...)
	return cmd
}

func newConnectionList(env Env) *cobra.Command {
	r := &remote{env: env}
	var f client.ConnectionFilter
	cmd := r.command(cobra.Command{Use: "list", Short: "List connections", Args: cobra.NoArgs, Example: "  gatehouse connection list --verdict blocked"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			if f.TenantID != "" {
				var err error
				if f.TenantID, err = findTenant(ctx, c, f.TenantID); err != nil {
					return err
				}
			}
			connections, err := all(func(p client.Page) ([]client.Connection, string, error) { return c.Connections(ctx, f, p) })
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, connections)
			}
			rows := [][]string{}
			for _, c := range connections {
				rows = append(rows, []string{c.ID, c.TenantName, c.Name, c.Kind, c.Verdict, when(c.ValidatedAt)})
			}
			return table(env.Stdout, []string{"ID", "TENANT", "NAME", "KIND", "VERDICT", "VALIDATED"}, rows)
		})
	filterFlags(cmd, &f)
	return cmd
}

func (r *remote) oneConnection(c client.Connection, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, c)
	}
	out := r.env.Stdout
	identity := c.Username
	if identity == "" {
		identity = "app " + c.ClientID
	}
	fmt.Fprintf(out, "%s (%s)\n  id %s\n  %s, %s\n  services: %s\n", plain(c.Name), plain(c.TenantName), c.ID, plain(identity), c.Credential, strings.Join(c.Services, ", "))
	if c.CredentialNotAfter != nil {
		fmt.Fprintf(out, "  credential ends %s\n", when(c.CredentialNotAfter))
	}
	if c.Consumer.Name != "" {
		fmt.Fprint(out, wrap("used by "+c.Consumer.Name+addressWords(c.Consumer.Addresses), "  ", explainWidth))
	}
	if c.Verdict != "" {
		fmt.Fprintf(out, "  %s (%s)\n", verdictWords[validation.Verdict(c.Verdict)], when(c.ValidatedAt))
		fmt.Fprint(out, wrap(c.Sentence, "    ", explainWidth))
	}
	if c.Parked {
		fmt.Fprint(out, wrap("parked: "+c.ParkedReason, "  ", explainWidth))
	}
	if len(c.Tags) > 0 {
		fmt.Fprintf(out, "  tags: %s\n", plain(strings.Join(c.Tags, ", ")))
	}
	fmt.Fprintf(out, "  schedule: %s", c.ScheduleInForce)
	if c.NextAt != nil {
		fmt.Fprintf(out, ", next %s", when(c.NextAt))
	}
	fmt.Fprintln(out)
	for _, w := range c.Warnings {
		fmt.Fprint(out, wrap("warning: "+w, "  ", explainWidth))
	}
	return nil
}

func addressWords(addresses []string) string {
	if len(addresses) == 0 {
		return ""
	}
	return ", from " + strings.Join(addresses, ", ")
}

// credentialFlags say where a connection's credential comes from.
type credentialFlags struct {
	passwordFile, secretFile, certificateFile, kind, until string
	generate                                               bool
}

func (f *credentialFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the account's password")
	flags.StringVar(&f.secretFile, "secret-file", "", "file with the app's client secret")
	flags.StringVar(&f.until, "secret-ends", "", "day on which the client secret ends, as Microsoft shows it: 2027-01-31")
	flags.StringVar(&f.certificateFile, "certificate", "", "PEM file with the app's certificate and private key")
	flags.BoolVar(&f.generate, "generate", false, "make a certificate on the server")
	flags.StringVar(&f.kind, "credential", "", "kind of the credential, where its file does not say it: app_password, federated")
}

func (f *credentialFlags) request() (client.CredentialRequest, error) {
	r := client.CredentialRequest{Kind: f.kind, Generate: f.generate}
	if f.until != "" {
		day, err := time.Parse(time.DateOnly, f.until)
		if err != nil {
			return r, usagef("--secret-ends: %q is no day: write it as 2027-01-31", f.until)
		}
		if f.secretFile == "" {
			return r, usagef("--secret-ends belongs to a client secret: give --secret-file too")
		}
		r.NotAfter = &day
	}
	for _, from := range []struct {
		flag, file string
		into       *string
	}{{"--password-file", f.passwordFile, &r.Password}, {"--secret-file", f.secretFile, &r.Secret}} {
		if from.file != "" {
			v, err := secretFile(from.flag, from.file)
			if err != nil {
				return r, err
			}
			*from.into = v.Reveal()
		}
	}
	if f.certificateFile != "" {
		data, err := readLimited(f.certificateFile, 64<<10)
		if err != nil {
			return r, usagef("--certificate: %w", err)
		}
		r.CertificatePEM = string(data)
	}
	return r, nil
}

func newConnectionAdd(env Env) *cobra.Command {
	r := &remote{env: env}
	var in client.ConnectionRequest
	var credential credentialFlags
	cmd := r.command(cobra.Command{
		Use: "add NAME", Short: "Add a connection", Args: cobra.ExactArgs(1),
		Example: `  gatehouse connection add Backup --tenant contoso.com --kind service_account --username svc-backup@contoso.com --password-file pw.txt --service sharepoint
  gatehouse connection add Ledger --tenant contoso.com --kind delegated --registration REGISTRATION --username ines@contoso.com --service business_central
  gatehouse connection add Reports --tenant contoso.com --kind app --client-id 11111111-2222-3333-4444-555555555555 --generate --service graph`,
	}, func(ctx context.Context, c *client.Client, args []string) error {
		if in.TenantID == "" {
			return usagef("--tenant is missing: give the tenant's name, domain or id")
		}
		in.Name = args[0]
		var err error
		if in.TenantID, err = findTenant(ctx, c, in.TenantID); err != nil {
			return err
		}
		if in.Credential, err = credential.request(); err != nil {
			return err
		}
		return r.oneConnection(c.AddConnection(ctx, in))
	})
	flags := cmd.Flags()
	flags.StringVar(&in.TenantID, "tenant", "", "the tenant: name, domain or id (required)")
	flags.StringVar(&in.Kind, "kind", "service_account", "delegated, service_account or app")
	profileFlags(cmd, &in.Profile)
	flags.BoolVar(&in.Existing, "existing", false, "the profile is in use elsewhere already")
	flags.StringVar(&in.Schedule, "schedule", "", "validate it by itself: off, every 6h, or 'daily 02:30 Europe/Berlin'; as the tenant if left out")
	credential.add(cmd)
	return cmd
}

func newConnectionCredential(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var credential credentialFlags
	cmd := r.command(cobra.Command{Use: "credential CONNECTION", Short: "Set a new credential", Args: cobra.ExactArgs(1), Example: "  gatehouse connection credential Backup --password-file pw.txt"},
		func(ctx context.Context, c *client.Client, args []string) error {
			in, err := credential.request()
			if err != nil {
				return err
			}
			return r.oneConnection(c.SetCredential(ctx, args[0], in))
		})
	credential.add(cmd)
	return cmd
}

func newConnectionRemove(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var given string
	cmd := r.command(cobra.Command{Use: "remove CONNECTION", Short: "Remove a connection with its validations", Args: cobra.ExactArgs(1), Example: "  gatehouse connection remove Backup --confirm Backup"},
		func(ctx context.Context, c *client.Client, args []string) error {
			it, err := c.Connection(ctx, args[0])
			if err != nil {
				return err
			}
			if err := confirm(env, given, it.Name, "This removes the connection "+it.Name+" of "+it.TenantName+" with its credential and validations."); err != nil {
				return err
			}
			return r.done(c.RemoveConnection(ctx, args[0]), "removed")
		})
	cmd.Flags().StringVar(&given, "confirm", "", "the connection's name")
	return cmd
}
