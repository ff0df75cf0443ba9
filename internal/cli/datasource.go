package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// dataSourceCommands look into what a connection reaches.
func dataSourceCommands(env Env) []*cobra.Command {
	return []*cobra.Command{newEnvironments(env), newCompanies(env), newChoose(env), newSample(env), newSetUpCheck(env)}
}

func newEnvironments(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	return r.command(cobra.Command{Use: "environments CONNECTION", Short: "List the environments of Business Central that it is shown", Args: cobra.ExactArgs(1), Example: "  gatehouse connection environments Ledger"},
		func(ctx context.Context, c *client.Client, args []string) error {
			found, err := c.Environments(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, found)
			}
			rows := [][]string{}
			for _, e := range found.Items {
				rows = append(rows, []string{e.Name, e.Type, e.Country, e.Status})
			}
			if found.StatusUnread != "" {
				fmt.Fprint(env.Stderr, wrap("the status is not known: "+found.StatusUnread, "", explainWidth))
			}
			return table(env.Stdout, []string{"NAME", "TYPE", "COUNTRY", "STATUS"}, rows)
		})
}

func newCompanies(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	environment := ""
	cmd := r.command(cobra.Command{Use: "companies CONNECTION", Short: "List the companies of an environment that it may open", Args: cobra.ExactArgs(1), Example: "  gatehouse connection companies Ledger --environment Sandbox"},
		func(ctx context.Context, c *client.Client, args []string) error {
			found, err := c.Companies(ctx, args[0], environment)
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, found)
			}
			rows := [][]string{}
			for _, company := range found {
				rows = append(rows, []string{company.ID, company.Name, company.DisplayName})
			}
			return table(env.Stdout, []string{"ID", "NAME", "DISPLAY NAME"}, rows)
		})
	cmd.Flags().StringVar(&environment, "environment", "", "another environment than the connection's own")
	return cmd
}

func newChoose(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var choice client.CompanyChoice
	cmd := r.command(cobra.Command{Use: "choose CONNECTION", Short: "Choose the company of Business Central that it is for", Args: cobra.ExactArgs(1),
		Long:    "Choose settles environment and company, which must be among those that the\nconnection is shown at this moment.",
		Example: "  gatehouse connection choose Ledger --environment Production --company CRONUS"},
		func(ctx context.Context, c *client.Client, args []string) error {
			if choice.Environment == "" || choice.Company == "" {
				return usagef("name both with --environment and --company; gatehouse connection companies lists them")
			}
			return r.oneConnection(c.ChooseCompany(ctx, args[0], choice))
		})
	cmd.Flags().StringVar(&choice.Environment, "environment", "", "the environment")
	cmd.Flags().StringVar(&choice.Company, "company", "", "the company, by name or id")
	return cmd
}

func newSample(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var in client.SampleRequest
	cmd := r.command(cobra.Command{Use: "sample CONNECTION", Short: "Read a few records with it, as proof that it gets in", Args: cobra.ExactArgs(1),
		Long:    "Sample shows five customers of the company, the SharePoint site, or the person and\nthe organisation in Microsoft Graph. Nothing of it is kept; that somebody looked is\naudited.",
		Example: "  gatehouse connection sample Ledger\n  gatehouse connection sample Ledger --service graph --json"},
		func(ctx context.Context, c *client.Client, args []string) error {
			s, err := c.Sample(ctx, args[0], in)
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, s)
			}
			fmt.Fprintln(env.Stderr, plain(s.Of))
			head := make([]string, len(s.Columns))
			for i, name := range s.Columns {
				head[i] = strings.ToUpper(name)
			}
			return table(env.Stdout, head, s.Rows)
		})
	cmd.Flags().StringVar(&in.Service, "service", "", "graph, sharepoint or business_central; the one that tells most if not given")
	cmd.Flags().StringVar(&in.Environment, "environment", "", "another environment of Business Central than the connection's own")
	cmd.Flags().StringVar(&in.Company, "company", "", "another company than the connection's own")
	return cmd
}

func newSetUpCheck(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	return r.command(cobra.Command{Use: "set-up CONNECTION", Short: "Go through the set-up of an app in Business Central, step by step", Args: cobra.ExactArgs(1),
		Long: `Set-up looks at registration, credential, permission and consent, and then at
environment, card and permission sets in each environment: a sandbox has cards of its
own. What no connection uses may stay undone, and counts for nothing.

Exit codes: 0 all is done; 1 a step is missing; 2 wrong usage; 3 could not find out.`,
		Example: "  gatehouse connection set-up Ledger"},
		func(ctx context.Context, c *client.Client, args []string) error {
			s, err := c.BusinessCentralSetUp(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				err = writeJSON(env.Stdout, s)
			} else {
				err = printSetUp(env, s)
			}
			switch {
			case err != nil:
				return err
			case s.State == "failed":
				return &exitError{code: exitNo}
			case s.State == "unknown":
				return &exitError{code: exitUnknown}
			}
			return nil
		})
}

func printSetUp(env Env, s client.SetUp) error {
	rows := [][]string{}
	for _, step := range s.Steps {
		state := step.State
		if !step.Needed {
			state += " (not needed)"
		}
		rows = append(rows, []string{strings.ReplaceAll(step.Name, "_", " "), plain(step.Environment), state, plain(step.Reason)})
	}
	if err := table(env.Stdout, []string{"STEP", "ENVIRONMENT", "STATE", "WHY"}, rows); err != nil {
		return err
	}
	for _, step := range s.Steps {
		if step.State != "failed" || !step.Needed || step.Diagnosis == nil || len(step.Diagnosis.Remedies) == 0 {
			continue
		}
		fmt.Fprintf(env.Stdout, "\n%s:\n", plain(step.Diagnosis.Remedies[0].Title))
		for _, line := range step.Diagnosis.Remedies[0].Steps {
			fmt.Fprint(env.Stdout, wrap("- "+plain(line), "  ", explainWidth))
		}
	}
	return nil
}
