package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newConsent(env Env) *cobra.Command {
	return noun("consent", "Get an administrator's consent to an app registration, and see how it stands", "  gatehouse consent link Contoso --registration 0192…",
		newConsentLink(env), newConsentStatus(env), newConsentList(env), newConsentWithdraw(env), newConsentOnboard(env))
}

func newConsentLink(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	var ask client.ConsentRequest
	cmd := r.command(cobra.Command{
		Use: "link TENANT", Short: "Make a page for the tenant's administrator", Args: cobra.ExactArgs(1),
		Long: `The address of the page is printed once. Whoever has it sees what is asked, who may
approve and how to check the page, and comes to Microsoft's consent page from there.
It needs no account here, and can be opened many times until it expires or is withdrawn.`,
		Example: "  gatehouse consent link Contoso --registration 0192f3a1-0000-7000-8000-000000000001 --why \"Reports read Business Central\" --hours 168",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		made, err := c.AskConsent(ctx, args[0], ask)
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, made)
		}
		fmt.Fprintf(env.Stderr, "Send it to the tenant's administrator. It opens until %s and is not shown again.\n", when(&made.Until))
		fmt.Fprintln(env.Stdout, made.Address)
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&ask.RegistrationID, "registration", "", "id of the app registration (required)")
	flags.StringVar(&ask.Why, "why", "", "what it is for: the administrator reads it")
	flags.IntVar(&ask.Hours, "hours", 0, "how long it opens; 30 days if left out")
	flags.StringVar(&ask.Endpoint, "endpoint", "", "Microsoft's page: v2 (default), or v1 for an old registration")
	return cmd
}

func newConsentStatus(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	var registration string
	var look bool
	cmd := r.command(cobra.Command{
		Use: "status TENANT", Short: "Show how a tenant's consent stands: what is missing, what stands in the way", Args: cobra.ExactArgs(1),
		Example: "  gatehouse consent status Contoso --registration 0192f3a1-0000-7000-8000-000000000001 --look",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		get := c.Consent
		if look {
			get = c.LookAtConsent
		}
		d, err := get(ctx, args[0], registration)
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, d)
		}
		writeConsent(env, d)
		return nil
	})
	cmd.Flags().StringVar(&registration, "registration", "", "id of the app registration (required)")
	cmd.Flags().BoolVar(&look, "look", false, "read it at Microsoft right now")
	return cmd
}

func writeConsent(env Env, d client.ConsentDetail) {
	out := env.Stdout
	fmt.Fprintf(out, "%s, %s: %s\n", plain(d.TenantName), plain(d.Name), strings.ReplaceAll(d.State, "_", " "))
	if d.Reason != "" {
		fmt.Fprint(out, wrap(plain(d.Reason), "  ", explainWidth))
	}
	if d.ReadAt != nil {
		fmt.Fprintf(out, "  read from the %s %s\n", d.ReadFrom, when(d.ReadAt))
	}
	for _, p := range d.Missing {
		fmt.Fprintf(out, "  missing: %s (%s, %s)\n", plain(p.Name), p.Kind, plain(p.ResourceName))
	}
	for _, p := range d.Problems {
		fmt.Fprint(out, wrap("! "+plain(p.Text), "  ", explainWidth))
		for _, s := range p.Steps {
			fmt.Fprint(out, wrap("- "+plain(s), "    ", explainWidth))
		}
	}
	if d.Policy != nil {
		fmt.Fprint(out, wrap(plain(d.Policy.Words), "  ", explainWidth))
	}
	fmt.Fprintf(out, "  who may approve: %s\n", strings.Join(d.Roles, ", "))
}

func newConsentList(env Env) *cobra.Command {
	r := &remote{env: env}
	var f client.ConsentFilter
	cmd := r.command(cobra.Command{Use: "list", Short: "List consents by tenant", Args: cobra.NoArgs, Example: "  gatehouse consent list --state missing"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			if f.TenantID != "" {
				var err error
				if f.TenantID, err = findTenant(ctx, c, f.TenantID); err != nil {
					return err
				}
			}
			items, err := all(func(p client.Page) ([]client.Consent, string, error) { return c.Consents(ctx, f, p) })
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, items)
			}
			rows := [][]string{}
			for _, i := range items {
				missing := []string{}
				for _, p := range i.Missing {
					missing = append(missing, p.Name)
				}
				rows = append(rows, []string{i.TenantName, i.Name, i.RegistrationID, i.State, strings.Join(missing, ", "), when(i.ReadAt)})
			}
			return table(env.Stdout, []string{"TENANT", "APP", "REGISTRATION", "STATE", "MISSING", "READ"}, rows)
		})
	flags := cmd.Flags()
	flags.StringVar(&f.TenantID, "tenant", "", "only those of a tenant: its name, domain or id")
	flags.StringVar(&f.RegistrationID, "registration", "", "only those to an app registration")
	flags.StringVar(&f.State, "state", "", "only unknown, missing, partly, granted or approved_not_read")
	return cmd
}

func newConsentWithdraw(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{Use: "withdraw PAGE", Short: "Close a page for an administrator", Args: cobra.ExactArgs(1), Long: "What was consented to stays: the tenant's administrator takes that back.", Example: "  gatehouse consent withdraw 0192f3a1-0000-7000-8000-000000000002"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.done(c.WithdrawConsentPage(ctx, args[0]), "withdrawn")
		})
}

func newConsentOnboard(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	var in client.OnboardRequest
	var customers []string
	var everybody bool
	cmd := r.command(cobra.Command{
		Use: "onboard PARTNER", Short: "Consent for a partner's customers through Partner Center", Args: cobra.ExactArgs(1),
		Long: `Consents to the delegated permissions of an app registration in the tenants of a
partner's customers, as a batch: gatehouse batch show tells of each how it went. Without
--customer or --all the customers are listed. --undo takes the consent back. The
registration is the one through which the connection's person signs in, with MFA:
Partner Center takes a consent to an app from that app alone.`,
		Example: "  gatehouse consent onboard Fabrikam --connection 0192… --registration 0192…\n  gatehouse consent onboard Fabrikam --connection 0192… --registration 0192… --customer 5f3c6c9e-0000-4000-8000-000000000001",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		known, err := partnerCustomers(ctx, c, args[0], in, everybody || len(customers) == 0)
		if err != nil {
			return err
		}
		if !everybody && len(customers) == 0 {
			return listCustomers(r, known)
		}
		for _, one := range known {
			in.Customers = append(in.Customers, client.CustomerRef{ID: one.ID, Name: one.Name})
		}
		for _, id := range customers {
			in.Customers = append(in.Customers, client.CustomerRef{ID: id})
		}
		started, err := c.OnboardCustomers(ctx, args[0], in)
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, started)
		}
		fmt.Fprintf(env.Stdout, "%s: batch %s, %d customers\n", plain(started.Words), started.ID, len(in.Customers))
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&in.ConnectionID, "connection", "", "id of the partner's connection: of an admin agent (required)")
	flags.StringVar(&in.RegistrationID, "registration", "", "id of the app registration (required)")
	flags.StringArrayVar(&customers, "customer", nil, "directory id of a customer (repeatable)")
	flags.BoolVar(&everybody, "all", false, "all customers of the partner")
	flags.BoolVar(&in.Undo, "undo", false, "take the consent back")
	return cmd
}

// partnerCustomers reads all pages of a partner's customers.
func partnerCustomers(ctx context.Context, c *client.Client, tenantID string, in client.OnboardRequest, wanted bool) (out []client.PartnerCustomer, err error) {
	for after := ""; wanted; {
		page, next, err := c.PartnerCustomers(ctx, tenantID, in.ConnectionID, in.RegistrationID, after)
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if after = next; next == "" {
			break
		}
	}
	return out, nil
}

func listCustomers(r *remote, all []client.PartnerCustomer) error {
	if r.asJSON {
		return writeJSON(r.env.Stdout, all)
	}
	rows := [][]string{}
	for _, one := range all {
		rows = append(rows, []string{one.ID, one.Name, one.Domain, one.State, one.Read, one.Note})
	}
	return table(r.env.Stdout, []string{"ID", "CUSTOMER", "DOMAIN", "STATE", "READ BACK", "NOTE"}, rows)
}
