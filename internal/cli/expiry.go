package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newExpiry(env Env) *cobra.Command {
	return noun("expiry", "See what ends: secrets, certificates, SAML keys, passwords", "  gatehouse expiry list --within 30",
		newExpiryList(env), newExpiryShow(env), newExpiryRefresh(env), newExpiryCalendar(env), newExpiryConsents(env), newExpiryRotate(env))
}

func newExpiryList(env Env) *cobra.Command {
	r := &remote{env: env}
	var f client.ExpiryFilter
	cmd := r.command(cobra.Command{
		Use: "list", Short: "List what ends, the first one first", Args: cobra.NoArgs,
		Long: `What connections and readers use is listed; --all lists the credentials of all
apps of the tenants. What is unknown stands at the end, with the reason.`,
		Example: "  gatehouse expiry list --within 30\n  gatehouse expiry list --tenant Contoso --kind saml_key --all --json",
	}, func(ctx context.Context, c *client.Client, _ []string) error {
		if f.TenantID != "" {
			var err error
			if f.TenantID, err = findTenant(ctx, c, f.TenantID); err != nil {
				return err
			}
		}
		items, err := all(func(p client.Page) ([]client.Expiry, string, error) { return c.Expiries(ctx, f, p) })
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, items)
		}
		rows := [][]string{}
		for _, i := range items {
			end := when(i.NotAfter)
			if end == "" {
				end = i.State + ": " + i.Reason
			}
			uses := []string{}
			for _, u := range i.Uses {
				uses = append(uses, u.Name)
			}
			rows = append(rows, []string{i.ID, i.TenantName, i.Kind, i.Name, end, i.Level, strings.Join(uses, ", ")})
		}
		return table(env.Stdout, []string{"ID", "TENANT", "KIND", "NAME", "ENDS", "WITHIN", "USED BY"}, rows)
	})
	flags := cmd.Flags()
	flags.StringVar(&f.TenantID, "tenant", "", "only those of a tenant: its name, domain or id")
	flags.StringVar(&f.Kind, "kind", "", "only secret, certificate, saml_key, password or reader")
	flags.StringVar(&f.Within, "within", "", "only what ends within 90, 30 or 7 days, is past, unknown or never")
	flags.StringVar(&f.Search, "search", "", "only those with this in name, label or key id")
	flags.BoolVar(&f.All, "all", false, "of all apps of the tenants, not only of those that are used here")
	return cmd
}

func newExpiryShow(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{Use: "show ID", Short: "Show a credential: its end, who uses it, what to do", Args: cobra.ExactArgs(1), Example: "  gatehouse expiry show 0f343b0931126a20f133d67c2b018a3b"},
		func(ctx context.Context, c *client.Client, args []string) error {
			i, err := c.Expiry(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, i)
			}
			end := when(i.NotAfter)
			if end == "" {
				end = i.State + ", " + i.Reason
			}
			of := i.TenantName
			if i.RegistrationID != "" {
				of = "app registration"
			}
			fmt.Fprintf(env.Stdout, "%s of %s (%s)\n  ends: %s\n", i.Kind, plain(i.Name), plain(of), plain(end))
			if i.CredentialID != "" {
				fmt.Fprintf(env.Stdout, "  key id: %s, on the %s\n", plain(i.CredentialID), strings.ReplaceAll(i.Holder, "_", " "))
			}
			last := when(i.UsedAt)
			if last == "" {
				last = "unknown"
			}
			fmt.Fprintf(env.Stdout, "  last sign-in with it: %s\n", last)
			for _, u := range i.Uses {
				maybe := ""
				if !u.Certain {
					maybe = " (perhaps: it uses one of this app's)"
				}
				fmt.Fprintf(env.Stdout, "  used by: %s of %s%s, last %s\n", plain(u.Name), plain(u.TenantName), maybe, when(u.UsedAt))
			}
			fmt.Fprintf(env.Stdout, "  who acts: %s\n", strings.ReplaceAll(i.Actor, "_", " "))
			for _, s := range i.Steps {
				fmt.Fprint(env.Stdout, wrap("- "+plain(s), "    ", explainWidth))
			}
			return nil
		})
}

func newExpiryRefresh(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	return r.command(cobra.Command{Use: "refresh TENANT", Short: "Have a tenant's credentials read anew", Args: cobra.ExactArgs(1), Example: "  gatehouse expiry refresh Contoso"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.done(c.RefreshExpiries(ctx, args[0]), "requested")
		})
}

func newExpiryCalendar(env Env) *cobra.Command {
	r := &remote{env: env}
	var out, feed, revoke string
	cmd := r.command(cobra.Command{
		Use: "calendar", Short: "Get what ends as a calendar, or a secret address for it", Args: cobra.NoArgs,
		Long: `Without flags the calendar (iCalendar, RFC 5545) is printed. With --feed a secret
address is made at which a calendar program reads what you may see: it is printed
once. --revoke ends one; --json without others lists them.`,
		Example: "  gatehouse expiry calendar --out expiries.ics\n  gatehouse expiry calendar --feed Outlook",
	}, func(ctx context.Context, c *client.Client, _ []string) error {
		switch {
		case revoke != "":
			return r.done(c.RevokeCalendarFeed(ctx, revoke), "revoked")
		case feed != "":
			made, err := c.NewCalendarFeed(ctx, client.FeedRequest{Name: feed})
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, made)
			}
			fmt.Fprintln(env.Stderr, "Whoever has this address reads your calendar. It is not shown again.")
			fmt.Fprintln(env.Stdout, made.Address)
			return nil
		case r.asJSON:
			feeds, err := c.CalendarFeeds(ctx)
			if err != nil {
				return err
			}
			return writeJSON(env.Stdout, feeds)
		}
		text, err := c.Calendar(ctx)
		if err != nil {
			return err
		}
		if out == "" {
			fmt.Fprint(env.Stdout, text)
			return nil
		}
		if err := os.WriteFile(out, []byte(text), 0o600); err != nil {
			return usagef("--out: %w", err)
		}
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&out, "out", "", "write the calendar to a file")
	flags.StringVar(&feed, "feed", "", "make a secret address, with a name for the calendar that reads it")
	flags.StringVar(&revoke, "revoke", "", "end the secret address with this id")
	return cmd
}

func newExpiryRotate(env Env) *cobra.Command {
	r := &remote{env: env}
	var in client.RotationRequest
	var undo string
	cmd := r.command(cobra.Command{
		Use: "rotate", Short: "Have a certificate replaced that is kept on the server", Args: cobra.NoArgs,
		Long: `The app adds the new key itself, and the old one is removed once the new one has
been accepted several times in a row. --undo takes a rotation back.`,
		Example: "  gatehouse expiry rotate --tenant Contoso\n  gatehouse expiry rotate --connection Reports",
	}, func(ctx context.Context, c *client.Client, _ []string) (err error) {
		if undo != "" {
			return r.oneRotation(c.UndoRotation(ctx, undo))
		}
		if (in.TenantID == "") == (in.ConnectionID == "") {
			return usagef("what is to be rotated? give --tenant, for its reader, or --connection")
		}
		if in.TenantID != "" {
			in.TenantID, err = findTenant(ctx, c, in.TenantID)
		} else {
			in.ConnectionID, err = findConnection(ctx, c, in.ConnectionID)
		}
		if err != nil {
			return err
		}
		return r.oneRotation(c.BeginRotation(ctx, in))
	})
	flags := cmd.Flags()
	flags.StringVar(&in.TenantID, "tenant", "", "the certificate of this tenant's reader")
	flags.StringVar(&in.ConnectionID, "connection", "", "the certificate of this connection")
	flags.StringVar(&undo, "undo", "", "take back the rotation with this id")
	return cmd
}

func (r *remote) oneRotation(o client.Rotation, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, o)
	}
	fmt.Fprintf(r.env.Stdout, "%s of %s: %s\n  id %s\n  from %s to %s\n", plain(o.Name), plain(o.TenantName), o.State, o.ID, o.OldThumbprint, o.NewThumbprint)
	if o.Reason != "" {
		fmt.Fprint(r.env.Stdout, wrap(plain(o.Reason), "  ", explainWidth))
	}
	return nil
}
