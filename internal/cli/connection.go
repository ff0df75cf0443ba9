package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/validation"
)

func newConnection(env Env) *cobra.Command {
	show, unpark, certificate := &remote{env: env}, &remote{env: env}, &remote{env: env}
	return noun("connection", "Look after connections", "  gatehouse connection list --verdict blocked",
		newConnectionList(env), newConnectionAdd(env), newConnectionCredential(env), newConnectionRemove(env),
		show.command(cobra.Command{Use: "show ID", Short: "Show a connection", Args: cobra.ExactArgs(1), Example: "  gatehouse connection show 0190f3c2-…"},
			func(ctx context.Context, c *client.Client, args []string) error {
				return show.oneConnection(c.Connection(ctx, args[0]))
			}),
		unpark.command(cobra.Command{Use: "unpark ID", Short: "Let a refused password be tried once more", Args: cobra.ExactArgs(1), Example: "  gatehouse connection unpark 0190f3c2-…"},
			func(ctx context.Context, c *client.Client, args []string) error {
				return unpark.oneConnection(c.Unpark(ctx, args[0]))
			}),
		certificate.command(cobra.Command{Use: "certificate ID", Short: "Print a connection's certificate, without its key", Args: cobra.ExactArgs(1), Example: "  gatehouse connection certificate 0190f3c2-… > app.pem"},
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
}

func newConnectionList(env Env) *cobra.Command {
	r := &remote{env: env}
	var f client.ConnectionFilter
	cmd := r.command(cobra.Command{Use: "list", Short: "List connections", Args: cobra.NoArgs, Example: "  gatehouse connection list --verdict blocked"},
		func(ctx context.Context, c *client.Client, _ []string) error {
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
	cmd.Flags().StringVar(&f.TenantID, "tenant", "", "only those of a tenant, by its id")
	cmd.Flags().StringVar(&f.Verdict, "verdict", "", "only those with this verdict: works, works_with_warnings, blocked, failed, unknown, never")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "only service_account or app")
	cmd.Flags().StringVar(&f.Search, "search", "", "only those with this in name or user name")
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
	fmt.Fprintf(out, "%s (%s)\n  id %s\n  %s, %s\n  services: %s\n", c.Name, c.TenantName, c.ID, identity, c.Credential, strings.Join(c.Services, ", "))
	if c.Verdict != "" {
		fmt.Fprintf(out, "  %s (%s)\n", verdictWords[validation.Verdict(c.Verdict)], when(c.ValidatedAt))
		fmt.Fprint(out, wrap(c.Sentence, "    ", explainWidth))
	}
	if c.Parked {
		fmt.Fprint(out, wrap("parked: "+c.ParkedReason, "  ", explainWidth))
	}
	for _, w := range c.Warnings {
		fmt.Fprint(out, wrap("warning: "+w, "  ", explainWidth))
	}
	return nil
}

// credentialFlags say where a connection's credential comes from.
type credentialFlags struct {
	passwordFile, secretFile, certificateFile, kind string
	generate                                        bool
}

func (f *credentialFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the account's password")
	flags.StringVar(&f.secretFile, "secret-file", "", "file with the app's client secret")
	flags.StringVar(&f.certificateFile, "certificate", "", "PEM file with the app's certificate and private key")
	flags.BoolVar(&f.generate, "generate", false, "make a certificate on the server")
	flags.StringVar(&f.kind, "credential", "", "kind of the credential, where its file does not say it: app_password, federated")
}

func (f *credentialFlags) request() (client.CredentialRequest, error) {
	r := client.CredentialRequest{Kind: f.kind, Generate: f.generate}
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
		Example: `  gatehouse connection add Backup --tenant 0190f3c2-… --kind service_account --username svc-backup@contoso.com --password-file pw.txt --service sharepoint
  gatehouse connection add Reports --tenant 0190f3c2-… --kind app --client-id 11111111-2222-3333-4444-555555555555 --generate --service graph`,
	}, func(ctx context.Context, c *client.Client, args []string) error {
		in.Name = args[0]
		var err error
		if in.Credential, err = credential.request(); err != nil {
			return err
		}
		return r.oneConnection(c.AddConnection(ctx, in))
	})
	flags := cmd.Flags()
	flags.StringVar(&in.TenantID, "tenant", "", "id of the tenant (required)")
	flags.StringVar(&in.Kind, "kind", "service_account", "service_account or app")
	flags.StringVar(&in.Description, "description", "", "what it is for")
	flags.BoolVar(&in.MFA, "mfa", false, "the organisation uses MFA")
	flags.StringVar(&in.Username, "username", "", "user name of a service account")
	flags.StringVar(&in.ClientID, "client-id", "", "client id of the app")
	flags.StringArrayVar(&in.Services, "service", nil, "service that it reaches: graph, sharepoint, exchange, business_central (repeatable)")
	flags.StringVar(&in.Site, "site", "", "SharePoint site")
	flags.StringVar(&in.AdminURL, "admin-url", "", "SharePoint admin centre, if it is not the default")
	flags.StringVar(&in.Environment, "environment", "", "Business Central environment")
	flags.StringVar(&in.Company, "company", "", "Business Central company")
	flags.StringVar(&in.Consumer.Name, "consumer", "", "name of the software that uses it")
	flags.StringVar(&in.Consumer.HoldsCredential, "held-by", "", "who keeps the credential: gatehouse or consumer")
	flags.StringArrayVar(&in.Consumer.Accepts, "accepts", nil, "what the software can be given: certificate, secret, password (repeatable)")
	flags.StringArrayVar(&in.Consumer.Addresses, "address", nil, "address that the software signs in from (repeatable)")
	flags.BoolVar(&in.Existing, "existing", false, "the profile is in use elsewhere already")
	credential.add(cmd)
	return cmd
}

func newConnectionCredential(env Env) *cobra.Command {
	r := &remote{env: env}
	var credential credentialFlags
	cmd := r.command(cobra.Command{Use: "credential ID", Short: "Set a new credential", Args: cobra.ExactArgs(1), Example: "  gatehouse connection credential 0190f3c2-… --password-file pw.txt"},
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
	r := &remote{env: env}
	var given string
	cmd := r.command(cobra.Command{Use: "remove ID", Short: "Remove a connection with its validations", Args: cobra.ExactArgs(1), Example: "  gatehouse connection remove 0190f3c2-… --confirm Backup"},
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

func newValidate(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{
		Use: "validate CONNECTION", Short: "Validate a connection of a server and say what stops it", Args: cobra.ExactArgs(1),
		Long: `Validate has the server sign in as a connection and say whether it gets in without
a person; if not, which rule says no, who acts, and what helps.

Exit codes: 0 it works; 1 blocked or failed; 2 wrong usage; 3 could not find out.`,
		Example: "  gatehouse validate 0190f3c2-…",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		v, err := c.Validate(ctx, args[0])
		if err != nil {
			return err
		}
		if r.asJSON {
			err = writeJSON(env.Stdout, v)
		} else {
			err = writeValidation(env, v)
		}
		if err != nil {
			return err
		}
		return verdictExit(validation.Verdict(v.Verdict))
	})
}

func writeValidation(env Env, v client.Validation) error {
	out := env.Stdout
	if v.Verdict == "" {
		fmt.Fprintf(out, "Could not find out\n%s", wrap(v.Reason, "  ", explainWidth))
		return nil
	}
	headline := verdictWords[validation.Verdict(v.Verdict)]
	if v.Rule != nil {
		headline += " by " + ruleText(diagnosis.Rule{Kind: diagnosis.RuleKind(v.Rule.Kind), ID: v.Rule.ID, Name: v.Rule.Name})
	}
	fmt.Fprintln(out, headline)
	rows := [][]string{}
	for _, p := range v.Probes {
		rows = append(rows, []string{"  " + p.Name, p.State, p.Reason})
	}
	if err := table(out, []string{"  PROBE", "STATE", "REASON"}, rows); err != nil {
		return err
	}
	if d := v.Diagnosis; d != nil {
		fmt.Fprintf(out, "\n%s; %s acts\n%s", d.Title, actorNames[diagnosis.Actor(d.Actor)], wrap(d.Cause, "  ", explainWidth))
		for i, r := range d.Remedies {
			fmt.Fprintf(out, "%d. %s\n", i+1, r.Title)
		}
	}
	return nil
}
