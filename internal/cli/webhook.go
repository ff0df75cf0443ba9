package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/tenant"
)

func newWebhook(env Env) *cobra.Command {
	return noun("webhook", "Tell other software what happens", "  gatehouse webhook add Tickets --url https://tickets.example/in --kind incident.opened",
		newWebhookList(env), newWebhookAdd(env), newWebhookTest(env), newWebhookSecret(env), newWebhookSwitch(env, "on", true), newWebhookSwitch(env, "off", false), newWebhookRemove(env))
}

// findWebhook takes a webhook's name or id.
func findWebhook(ctx context.Context, c *client.Client, name string) (string, error) {
	if tenant.GUID(strings.ToLower(name)) {
		return name, nil
	}
	found, err := all(func(p client.Page) ([]client.Webhook, string, error) { return c.Webhooks(ctx, p) })
	if err != nil {
		return "", err
	}
	var ids []string
	for _, w := range found {
		if strings.EqualFold(w.Name, name) {
			ids = append(ids, w.ID)
		}
	}
	return one("webhook", name, ids)
}

func newWebhookList(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{Use: "list", Short: "List webhooks", Args: cobra.NoArgs, Example: "  gatehouse webhook list"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			webhooks, err := all(func(p client.Page) ([]client.Webhook, string, error) { return c.Webhooks(ctx, p) })
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, webhooks)
			}
			rows := [][]string{}
			for _, w := range webhooks {
				state := "on"
				switch {
				case !w.Enabled:
					state = "off"
				case w.FailingSince != nil:
					state = "failing since " + when(w.FailingSince)
				}
				place := w.TenantName
				if w.TenantID == "" {
					place = "the whole server"
				}
				rows = append(rows, []string{w.ID, w.Name, place, hostOnly(w.URL), strings.Join(w.Kinds, " "), state, w.DisabledWhy})
			}
			return table(env.Stdout, []string{"ID", "NAME", "OF", "TO", "KINDS", "STATE", "WHY"}, rows)
		})
}

// hostOnly is what a table shows of an address: the rest may hold a key.
func hostOnly(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, "?")
	return scheme + "://" + host
}

func newWebhookAdd(env Env) *cobra.Command {
	r := &remote{env: env}
	var request client.WebhookRequest
	var file, place string
	cmd := r.command(cobra.Command{Use: "add NAME", Short: "Add a webhook; the secret that signs is printed, once", Args: cobra.ExactArgs(1),
		Long: `Add makes a webhook and prints the secret that its receiver checks signatures
with. It is told this once. An address that holds a key belongs into a file
(--url-file): others on this machine see arguments.`,
		Example: "  gatehouse webhook add Tickets --url https://tickets.example/in --kind incident.opened --kind incident.ended\n  gatehouse webhook add Chat --url-file chat.url --kind expiry.due --tenant contoso.com"},
		func(ctx context.Context, c *client.Client, args []string) (err error) {
			request.Name = args[0]
			if (request.URL == "") == (file == "") {
				return usagef("give the address: --url, or --url-file")
			}
			if file != "" {
				address, err := secretFile("--url-file", file)
				if err != nil {
					return err
				}
				request.URL = address.Reveal()
			}
			if place != "" {
				if request.TenantID, err = findTenant(ctx, c, place); err != nil {
					return err
				}
			}
			for i, name := range request.Tenants {
				if request.Tenants[i], err = findTenant(ctx, c, name); err != nil {
					return err
				}
			}
			made, err := c.AddWebhook(ctx, request)
			return r.secret(made, err)
		})
	flags := cmd.Flags()
	flags.StringVar(&request.URL, "url", "", "address that takes the webhooks")
	flags.StringVar(&file, "url-file", "", "file with the address")
	flags.StringArrayVar(&request.Kinds, "kind", nil, "tell of this kind (repeatable): incident.opened, incident.ended, expiry.due, connection.parked, campaign.proposed, campaign.progress, campaign.done, sign_in.needed, sign_in.ends, consent.changed, webhook.disabled")
	flags.StringVar(&place, "tenant", "", "make it one of this tenant; left out, of the whole server")
	flags.StringArrayVar(&request.Tenants, "only", nil, "of one for the whole server: only this tenant (repeatable)")
	flags.BoolVar(&request.Disabled, "off", false, "send it nothing yet")
	return cmd
}

// secret prints the secret of a webhook, which is told once.
func (r *remote) secret(made client.WebhookSecret, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, made)
	}
	fmt.Fprintf(r.env.Stderr, "%s signs with this secret, which is told only now:\n", plain(made.Webhook.Name))
	fmt.Fprintln(r.env.Stdout, made.Secret)
	if made.Webhook.OldSecretUntil != nil {
		fmt.Fprintf(r.env.Stderr, "The one before signs too until %s.\n", when(made.Webhook.OldSecretUntil))
	}
	return nil
}

func newWebhookTest(env Env) *cobra.Command {
	r := &remote{env: env, first: findWebhook}
	return r.command(cobra.Command{Use: "test WEBHOOK", Short: "Send a test, at once", Args: cobra.ExactArgs(1), Example: "  gatehouse webhook test Tickets",
		Long: "Test sends a notice of the kind test and shows the answer.\n\nExit codes: 0 it arrived; 1 it did not; 2 wrong usage; 3 could not find out."},
		func(ctx context.Context, c *client.Client, args []string) error {
			d, err := c.TestWebhook(ctx, args[0])
			return r.tested(d, err)
		})
}

func newWebhookSecret(env Env) *cobra.Command {
	r := &remote{env: env, first: findWebhook}
	return r.command(cobra.Command{Use: "secret WEBHOOK", Short: "Replace the secret; for a day both sign", Args: cobra.ExactArgs(1), Example: "  gatehouse webhook secret Tickets"},
		func(ctx context.Context, c *client.Client, args []string) error {
			made, err := c.RotateWebhookSecret(ctx, args[0])
			return r.secret(made, err)
		})
}

func newWebhookSwitch(env Env, verb string, on bool) *cobra.Command {
	r := &remote{env: env, first: findWebhook}
	return r.command(cobra.Command{Use: verb + " WEBHOOK", Short: "Switch a webhook " + verb, Args: cobra.ExactArgs(1), Example: "  gatehouse webhook " + verb + " Tickets"},
		func(ctx context.Context, c *client.Client, args []string) error {
			w, err := c.Webhook(ctx, args[0])
			if err != nil {
				return err
			}
			_, err = c.ChangeWebhook(ctx, w.ID, client.WebhookChange{Name: w.Name, Kinds: w.Kinds, Tenants: w.Tenants, Enabled: on, Version: w.Version})
			return r.done(err, verb)
		})
}

func newWebhookRemove(env Env) *cobra.Command {
	r := &remote{env: env, first: findWebhook}
	var given string
	cmd := r.command(cobra.Command{Use: "remove WEBHOOK", Short: "Remove a webhook", Args: cobra.ExactArgs(1), Example: "  gatehouse webhook remove Tickets --confirm Tickets"},
		func(ctx context.Context, c *client.Client, args []string) error {
			w, err := c.Webhook(ctx, args[0])
			if err != nil {
				return err
			}
			if err := confirm(env, given, w.Name, "This removes the webhook "+plain(w.Name)+"; what waits for it is not sent."); err != nil {
				return err
			}
			return r.done(c.RemoveWebhook(ctx, w.ID), "removed")
		})
	cmd.Flags().StringVar(&given, "confirm", "", "the webhook's name, to confirm")
	return cmd
}
