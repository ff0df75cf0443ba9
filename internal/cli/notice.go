package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newNotice(env Env) *cobra.Command {
	return noun("notice", "Look at what was told to whom, and send it again", "  gatehouse notice list --state failed",
		newNoticeList(env), newNoticeShow(env), newNoticeReplay(env), newNoticeMine(env), newNoticeTest(env))
}

func newNoticeList(env Env) *cobra.Command {
	r := &remote{env: env}
	var f client.NoticeFilter
	var limit int
	cmd := r.command(cobra.Command{Use: "list", Short: "List notices with their deliveries, newest first", Args: cobra.NoArgs, Example: "  gatehouse notice list --state failed"},
		func(ctx context.Context, c *client.Client, _ []string) (err error) {
			if f.TenantID != "" {
				if f.TenantID, err = findTenant(ctx, c, f.TenantID); err != nil {
					return err
				}
			}
			if f.WebhookID != "" {
				if f.WebhookID, err = findWebhook(ctx, c, f.WebhookID); err != nil {
					return err
				}
			}
			notices, next, err := c.Notices(ctx, f, client.Page{Limit: limit})
			if err != nil {
				return err
			}
			tellOlder(env, next)
			if r.asJSON {
				return writeJSON(env.Stdout, notices)
			}
			rows := [][]string{}
			for _, n := range notices {
				if len(n.Deliveries) == 0 {
					rows = append(rows, []string{"", when(&n.CreatedAt), n.Kind, n.TenantName, n.Title, "nobody", "", ""})
				}
				for _, d := range n.Deliveries {
					rows = append(rows, []string{d.ID, when(&n.CreatedAt), n.Kind, n.TenantName, n.Title, d.Channel + " " + d.Name, d.State, d.Reason})
				}
			}
			return table(env.Stdout, []string{"DELIVERY", "AT", "KIND", "TENANT", "WHAT", "TO", "STATE", "WHY"}, rows)
		})
	flags := cmd.Flags()
	flags.StringVar(&f.TenantID, "tenant", "", "only of a tenant: its name, domain or id")
	flags.StringVar(&f.Kind, "kind", "", "only of a kind, such as incident.opened")
	flags.StringVar(&f.State, "state", "", "only with a delivery that is waiting, delivered, failed or withheld")
	flags.StringVar(&f.WebhookID, "webhook", "", "only to a webhook: its name or id")
	flags.IntVar(&limit, "limit", 50, "how many at most, up to 200")
	return cmd
}

func newNoticeShow(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{Use: "show NOTICE", Short: "Show a notice with all attempts to deliver it", Args: cobra.ExactArgs(1), Example: "  gatehouse notice show 0198c1d0-1b2c-7def-8123-456789abcdef",
		Long: "Show wants the id of a notice, which 'notice list --json' tells and the header\nwebhook-id carries."},
		func(ctx context.Context, c *client.Client, args []string) error {
			n, err := c.Notice(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, n)
			}
			fmt.Fprintf(env.Stdout, "%s\n  %s, %s\n%s", plain(n.Title), n.Kind, when(&n.At), wrap(plain(n.Text), "  ", explainWidth))
			for _, d := range n.Deliveries {
				writeDelivery(env, d)
			}
			return nil
		})
}

func writeDelivery(env Env, d client.Delivery) {
	fmt.Fprintf(env.Stdout, "%s to %s: %s", d.Channel, plain(d.Name), d.State)
	if d.Reason != "" {
		fmt.Fprintf(env.Stdout, " (%s)", plain(d.Reason))
	}
	if d.DueAt != nil {
		fmt.Fprintf(env.Stdout, ", tried next %s", when(d.DueAt))
	}
	fmt.Fprintln(env.Stdout)
	for _, a := range d.Attempts {
		fmt.Fprintf(env.Stdout, "  %s %s", when(&a.At), a.Outcome)
		if a.Status != 0 {
			fmt.Fprintf(env.Stdout, ", status %d", a.Status)
		}
		fmt.Fprintf(env.Stdout, ", %d ms", a.TookMS)
		if a.Reason != "" {
			fmt.Fprintf(env.Stdout, ": %s", plain(a.Reason))
		}
		fmt.Fprintln(env.Stdout)
		if a.Answer != "" {
			fmt.Fprintf(env.Stdout, "    answer: %s\n", plain(a.Answer))
		}
	}
}

func newNoticeReplay(env Env) *cobra.Command {
	r := &remote{env: env}
	var since time.Duration
	var webhook string
	cmd := r.command(cobra.Command{Use: "replay [DELIVERY]", Short: "Send a delivery once more, or all that failed", Args: cobra.MaximumNArgs(1),
		Example: "  gatehouse notice replay 0198c1d0-1b2c-7def-8123-456789abcdef\n  gatehouse notice replay --failed-within 48h --webhook Tickets",
		Long:    "Replay sends under the id of before: a receiver that had the notice already can tell."},
		func(ctx context.Context, c *client.Client, args []string) (err error) {
			if (len(args) == 1) == (since > 0) {
				return usagef("name a delivery, or say --failed-within 24h")
			}
			if len(args) == 1 {
				return r.done(c.ReplayDelivery(ctx, args[0]), "queued")
			}
			request := client.ReplayRequest{Since: time.Now().Add(-since)}
			if webhook != "" {
				if request.WebhookID, err = findWebhook(ctx, c, webhook); err != nil {
					return err
				}
			}
			n, err := c.ReplayFailed(ctx, request)
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, client.Replayed{Count: n})
			}
			fmt.Fprintf(env.Stdout, "%d queued\n", n)
			return nil
		})
	cmd.Flags().DurationVar(&since, "failed-within", 0, "what failed of the notices of this time, such as 24h")
	cmd.Flags().StringVar(&webhook, "webhook", "", "with --failed-within: only to a webhook, by its name or id")
	return cmd
}

func newNoticeMine(env Env) *cobra.Command {
	r := &remote{env: env}
	var kinds, tenants []string
	var none bool
	var cmd *cobra.Command
	cmd = r.command(cobra.Command{Use: "mine", Short: "Show, or choose, what I hear by mail", Args: cobra.NoArgs,
		Example: "  gatehouse notice mine\n  gatehouse notice mine --kind incident.opened --kind expiry.due --tenant contoso.com"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			wish, err := c.MyNotices(ctx)
			if err != nil {
				return err
			}
			if none || cmd.Flags().Changed("kind") || cmd.Flags().Changed("tenant") {
				request := client.NoticeWishRequest{Kinds: kinds}
				switch {
				case none && len(kinds) > 0:
					return usagef("--none and --kind do not go together")
				case none:
					request.Kinds = []string{}
				case len(kinds) == 0:
					request.Kinds = wish.Kinds
				}
				for _, name := range tenants {
					id, err := findTenant(ctx, c, name)
					if err != nil {
						return err
					}
					request.Tenants = append(request.Tenants, id)
				}
				if wish, err = c.ChooseNotices(ctx, request); err != nil {
					return err
				}
			}
			return r.writeWish(wish)
		})
	cmd.Flags().StringArrayVar(&kinds, "kind", nil, "hear of this kind (repeatable)")
	cmd.Flags().StringArrayVar(&tenants, "tenant", nil, "only of this tenant: its name, domain or id (repeatable)")
	cmd.Flags().BoolVar(&none, "none", false, "hear of nothing")
	return cmd
}

func (r *remote) writeWish(w client.NoticeWish) error {
	out := r.env.Stdout
	if r.asJSON {
		return writeJSON(out, w)
	}
	fmt.Fprintf(out, "to %s", plain(w.Address))
	if w.Normal {
		fmt.Fprint(out, " (the defaults of your role)")
	}
	fmt.Fprintln(out)
	for _, k := range w.Kinds {
		fmt.Fprintf(out, "  %s\n", k)
	}
	switch {
	case len(w.Kinds) == 0:
		fmt.Fprintln(out, "  nothing")
	case len(w.Tenants) == 0:
		fmt.Fprintln(out, "of all tenants that you may see")
	default:
		fmt.Fprintf(out, "of %s\n", plural(len(w.Tenants), "tenant"))
	}
	if !w.Mail {
		fmt.Fprintln(r.env.Stderr, "No mail server is configured (mail.server): nothing is sent.")
	}
	return nil
}

func newNoticeTest(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{Use: "test", Short: "Send a test to my address, at once", Args: cobra.NoArgs, Example: "  gatehouse notice test"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			d, err := c.TestMail(ctx)
			return r.tested(d, err)
		})
}

// tested shows what became of a test: exit 1 if it did not arrive.
func (r *remote) tested(d client.Delivery, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		err = writeJSON(r.env.Stdout, d)
	} else {
		writeDelivery(r.env, d)
	}
	if err == nil && d.State != "delivered" {
		return &exitError{exitNo, fmt.Errorf("the test did not arrive: %s", plain(d.Reason))}
	}
	return err
}
