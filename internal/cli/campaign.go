package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newCampaign(env Env) *cobra.Command {
	return noun("campaign", "Have everybody consent and sign in again, and follow it to the last one", "  gatehouse campaign list",
		newCampaignStart(env), newCampaignList(env), newCampaignShow(env), newCampaignPeople(env), newCampaignAdd(env), newCampaignExport(env), newCampaignRemind(env), newCampaignLinks(env), newCampaignEnd(env))
}

// findCampaign gives the id of a campaign by its id or name.
func findCampaign(ctx context.Context, c *client.Client, name string) (string, error) {
	campaigns, err := all(func(p client.Page) ([]client.Campaign, string, error) { return c.Campaigns(ctx, "", p) })
	if err != nil {
		return "", err
	}
	found := ""
	for _, one := range campaigns {
		switch {
		case one.ID == name:
			return one.ID, nil
		case strings.EqualFold(one.Name, name) && found != "":
			return "", usagef("several campaigns are called %q: give the id, which gatehouse campaign list shows", name)
		case strings.EqualFold(one.Name, name):
			found = one.ID
		}
	}
	if found == "" {
		return "", usagef("no campaign is called %q: gatehouse campaign list shows them", name)
	}
	return found, nil
}

func newCampaignStart(env Env) *cobra.Command {
	r := &remote{env: env}
	in := client.CampaignRequest{CampaignSettings: client.CampaignSettings{Remind: true, MailUsernames: true}}
	var deadline, draft string
	var silent, asDraft bool
	cmd := r.command(cobra.Command{
		Use: "start [NAME]", Short: "Start a campaign, or a draft that was proposed", Args: cobra.MaximumNArgs(1),
		Long: `With --draft a campaign that waits is started: one that was proposed when a
registration changed, or made with --as-draft. Otherwise a new one of this name is
made, and started unless --as-draft is given. People of an app that is not
registered here (--app) are added with gatehouse campaign add before the start.`,
		Example: "  gatehouse campaign start --draft \"New app id, 2 November 2026\"\n  gatehouse campaign start \"New app\" --app Reports --reason client_id --old OLD-ID --new NEW-ID --as-draft",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		if draft != "" {
			id, err := findCampaign(ctx, c, draft)
			if err != nil {
				return err
			}
			return r.oneCampaign(c.StartCampaign(ctx, id))
		}
		if len(args) == 0 {
			return usagef("what is it called? give a NAME, or --draft")
		}
		in.Name, in.Remind = args[0], !silent
		if deadline != "" {
			at, err := time.Parse(time.RFC3339, deadline)
			if err != nil {
				return usagef("--deadline: write it as 2026-12-31T18:00:00Z")
			}
			in.Deadline = &at
		}
		made, err := c.CreateCampaign(ctx, in)
		if err != nil || asDraft {
			return r.oneCampaign(made, err)
		}
		return r.oneCampaign(c.StartCampaign(ctx, made.ID))
	})
	flags := cmd.Flags()
	flags.StringVar(&draft, "draft", "", "start this draft: its name or id")
	flags.BoolVar(&asDraft, "as-draft", false, "make it, and do not start it")
	flags.StringVar(&in.Registration, "registration", "", "id of the app registration whose connections it reaches")
	flags.StringVar(&in.App, "app", "", "instead: name of an app that is not registered here")
	flags.StringVar(&in.Reason, "reason", "by_hand", "client_id, manifest, credential, revocation or by_hand")
	flags.StringVar(&in.Old, "old", "", "client id before")
	flags.StringVar(&in.New, "new", "", "client id after")
	flags.StringVar(&deadline, "deadline", "", "when all are to have signed in: 2026-12-31T18:00:00Z")
	flags.StringVar(&in.Note, "note", "", "a sentence of your own in the mails")
	flags.StringVar(&in.SignInURL, "sign-in-url", "", "where people of apps that keep their own tokens sign in")
	flags.StringVar(&in.Zone, "zone", "UTC", "time zone of the reminders")
	flags.IntSliceVar(&in.RemindDays, "remind-days", []int{3, 7, 14}, "days after the start on which people are reminded")
	flags.IntSliceVar(&in.RemindBefore, "remind-before", []int{2}, "days before the deadline on which they are, too")
	flags.BoolVar(&silent, "no-reminders", false, "write to nobody by itself")
	return cmd
}

func (r *remote) oneCampaign(o client.Campaign, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, o)
	}
	fmt.Fprintf(r.env.Stdout, "%s: %s\n  id %s\n  signed in: %d of %d (%d %%), %d asked, %d pending, %d failed\n  tenants: %d of %d done, %d without consent\n",
		plain(o.Name), o.State, o.ID, o.Done, o.People, o.Percent, o.Reminded, o.Pending, o.Failed, o.TenantsDone, o.Tenants, o.NoConsent)
	if o.Reason == "client_id" {
		if o.OldCanBeRemoved {
			fmt.Fprintln(r.env.Stdout, "  old app: nobody needs it any more, it can be removed")
		} else {
			fmt.Fprintf(r.env.Stdout, "  old app: %d were seen on it last; leave it in place\n", o.OnOld)
		}
	}
	return nil
}

func newCampaignList(env Env) *cobra.Command {
	r := &remote{env: env}
	var state string
	cmd := r.command(cobra.Command{Use: "list", Short: "List campaigns, the newest first", Args: cobra.NoArgs, Example: "  gatehouse campaign list --state running"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			campaigns, err := all(func(p client.Page) ([]client.Campaign, string, error) { return c.Campaigns(ctx, state, p) })
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, campaigns)
			}
			rows := [][]string{}
			for _, o := range campaigns {
				rows = append(rows, []string{o.ID, o.Name, o.State, fmt.Sprintf("%d of %d", o.Done, o.People), fmt.Sprintf("%d of %d", o.TenantsDone, o.Tenants), fmt.Sprint(o.Failed)})
			}
			return table(env.Stdout, []string{"ID", "NAME", "STATE", "SIGNED IN", "TENANTS", "FAILED"}, rows)
		})
	cmd.Flags().StringVar(&state, "state", "", "only draft, running, paused, done or ended")
	return cmd
}

func newCampaignShow(env Env) *cobra.Command {
	r := &remote{env: env, first: findCampaign}
	return r.command(cobra.Command{Use: "show CAMPAIGN", Short: "Show how far a campaign is, and its tenants, the worst first", Args: cobra.ExactArgs(1), Example: "  gatehouse campaign show \"New app\""},
		func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.Campaign(ctx, args[0])
			if err != nil || r.asJSON {
				return r.oneCampaign(o, err)
			}
			if err := r.oneCampaign(o, nil); err != nil {
				return err
			}
			tenants, err := all(func(p client.Page) ([]client.CampaignTenant, string, error) {
				return c.CampaignTenants(ctx, args[0], client.CampaignTenantFilter{}, p)
			})
			if err != nil {
				return err
			}
			rows := [][]string{}
			for _, t := range tenants {
				rows = append(rows, []string{t.TenantName, strings.ReplaceAll(t.Consent, "_", " "), fmt.Sprintf("%d of %d", t.Done, t.People), fmt.Sprint(t.Failed)})
			}
			return table(env.Stdout, []string{"TENANT", "CONSENT", "SIGNED IN", "FAILED"}, rows)
		})
}

func newCampaignPeople(env Env) *cobra.Command {
	r := &remote{env: env, first: findCampaign}
	var f client.CampaignPersonFilter
	cmd := r.command(cobra.Command{Use: "people CAMPAIGN", Short: "List who has signed in, and who has not", Args: cobra.ExactArgs(1), Example: "  gatehouse campaign people \"New app\" --state failed"},
		func(ctx context.Context, c *client.Client, args []string) (err error) {
			if f.TenantID != "" {
				if f.TenantID, err = findTenant(ctx, c, f.TenantID); err != nil {
					return err
				}
			}
			people, err := all(func(p client.Page) ([]client.CampaignPerson, string, error) {
				return c.CampaignPeople(ctx, args[0], f, p)
			})
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, people)
			}
			rows := [][]string{}
			for _, p := range people {
				rows = append(rows, []string{p.ID, p.Username, p.TenantName, p.State, when(p.RemindedAt), p.Reason})
			}
			return table(env.Stdout, []string{"ID", "PERSON", "TENANT", "STATE", "LAST ASKED", "WHY"}, rows)
		})
	flags := cmd.Flags()
	flags.StringVar(&f.TenantID, "tenant", "", "only those of a tenant: its name, domain or id")
	flags.StringVar(&f.State, "state", "", "only pending, reminded, done or failed")
	flags.StringVar(&f.Search, "search", "", "only those with this in user name, name or address")
	flags.BoolVar(&f.OnOld, "on-old", false, "only those seen on the old app last")
	return cmd
}

func newCampaignAdd(env Env) *cobra.Command {
	r := &remote{env: env, first: findCampaign}
	var dry bool
	cmd := r.command(cobra.Command{
		Use: "add CAMPAIGN FILE", Short: "Add tenants and people by a CSV file", Args: cobra.ExactArgs(2),
		Long: `The file has a heading of tenant, username, object_id, name, email. A row is a
person of an app that keeps its own tokens, or a tenant alone. With faults nothing
is done: each is told with its row, and the command ends with 1.`,
		Example: "  gatehouse campaign add \"New app\" people.csv --dry-run",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		data, err := os.ReadFile(args[1])
		if err != nil {
			return usagef("FILE: %w", err)
		}
		a, err := c.AddCampaignPeople(ctx, args[0], client.CampaignPeople{File: string(data), DryRun: dry})
		if err != nil {
			return err
		}
		if r.asJSON {
			if err := writeJSON(env.Stdout, a); err != nil {
				return err
			}
		} else {
			for _, e := range a.Faults {
				fmt.Fprintf(env.Stdout, "row %d: %s %s: %s\n", e.Row, plain(e.Column), plain(e.Problem), plain(e.Way))
			}
			fmt.Fprintf(env.Stdout, "%d rows: %d join, %d changed, %d as they are, %d faults\n", a.Rows, a.Joining, a.Changed, a.Unchanged, a.FaultCount)
		}
		if a.FaultCount > 0 {
			return &exitError{exitNo, nil}
		}
		return nil
	})
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	return cmd
}

func newCampaignExport(env Env) *cobra.Command {
	r := &remote{env: env, first: findCampaign}
	var format string
	cmd := r.command(cobra.Command{Use: "export CAMPAIGN", Short: "Print the people with their states, without links", Args: cobra.ExactArgs(1), Example: "  gatehouse campaign export \"New app\" --format csv > people.csv"},
		func(ctx context.Context, c *client.Client, args []string) error {
			return c.ExportCampaign(ctx, args[0], client.CampaignPersonFilter{}, format, env.Stdout)
		})
	cmd.Flags().StringVar(&format, "format", "csv", "csv or json")
	return cmd
}

func newCampaignRemind(env Env) *cobra.Command {
	r := &remote{env: env, first: findCampaign}
	var in client.RemindRequest
	cmd := r.command(cobra.Command{Use: "remind CAMPAIGN", Short: "Have people reminded who have not signed in", Args: cobra.ExactArgs(1), Long: "By mail, within a minute; nobody twice within a day.", Example: "  gatehouse campaign remind \"New app\" --tenant Contoso"},
		func(ctx context.Context, c *client.Client, args []string) (err error) {
			if in.Tenant != "" {
				if in.Tenant, err = findTenant(ctx, c, in.Tenant); err != nil {
					return err
				}
			}
			got, err := c.RemindCampaign(ctx, args[0], in)
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, got)
			}
			fmt.Fprintf(env.Stdout, "%d are written to, %d were within the last day, %d wait for consent, %d have signed in\n", got.Due, got.Today, got.NoConsent, got.Finished)
			return nil
		})
	flags := cmd.Flags()
	flags.StringVar(&in.Tenant, "tenant", "", "only those of a tenant: its name, domain or id")
	flags.StringVar(&in.State, "state", "", "only pending, reminded or failed")
	return cmd
}

func newCampaignLinks(env Env) *cobra.Command {
	r := &remote{env: env, first: findCampaign}
	var consent bool
	cmd := r.command(cobra.Command{
		Use: "links CAMPAIGN TENANT", Short: "Make links to hand out where no mail is sent", Args: cobra.ExactArgs(2),
		Long:    "A sign-in link for each of the tenant who has not signed in, or its administrator's\nconsent link. Each is shown once; whoever has it can use it.",
		Example: "  gatehouse campaign links \"New app\" Contoso --consent",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		tenant, err := findTenant(ctx, c, args[1])
		if err != nil {
			return err
		}
		links := []client.CampaignLink{{}}
		if consent {
			links[0], err = c.CampaignConsentLink(ctx, args[0], tenant)
		} else {
			links, err = c.CampaignSignInLinks(ctx, args[0], tenant)
		}
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, links)
		}
		for _, l := range links {
			fmt.Fprintf(env.Stdout, "%s\t%s\n", plain(l.Username), l.URL)
		}
		return nil
	})
	cmd.Flags().BoolVar(&consent, "consent", false, "the link for the tenant's administrator")
	return cmd
}

func newCampaignEnd(env Env) *cobra.Command {
	r := &remote{env: env, first: findCampaign}
	var confirm string
	cmd := r.command(cobra.Command{
		Use: "end CAMPAIGN", Short: "End a campaign early, or discard a draft", Args: cobra.ExactArgs(1),
		Long:    "Nobody is reminded any more and no sign-in counts. Connections stay as they are.\nIt cannot be undone: --confirm repeats the name, but for a draft.",
		Example: "  gatehouse campaign end \"New app\" --confirm \"New app\"",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		return r.oneCampaign(c.EndCampaign(ctx, args[0], confirm))
	})
	cmd.Flags().StringVar(&confirm, "confirm", "", "the campaign's name")
	return cmd
}
