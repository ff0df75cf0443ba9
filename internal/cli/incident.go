package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/tenant"
)

func newIncident(env Env) *cobra.Command {
	acknowledge := &remote{env: env, first: findIncident}
	return noun("incident", "See what goes wrong: many failures, one cause", "  gatehouse incident list", newIncidentList(env), newIncidentShow(env), newIncidentComment(env),
		acknowledge.command(cobra.Command{Use: "acknowledge INCIDENT", Short: "Say that you take care of an incident", Args: cobra.ExactArgs(1), Example: "  gatehouse incident acknowledge 'Security Defaults'"},
			func(ctx context.Context, c *client.Client, args []string) error {
				i, err := c.AcknowledgeIncident(ctx, args[0])
				if err != nil {
					return err
				}
				if acknowledge.asJSON {
					return writeJSON(env.Stdout, i)
				}
				fmt.Fprintf(env.Stdout, "acknowledged by %s\n", plain(i.AcknowledgedBy))
				return nil
			}))
}

func newIncidentList(env Env) *cobra.Command {
	r := &remote{env: env}
	f := client.IncidentFilter{}
	cmd := r.command(cobra.Command{
		Use: "list", Short: "List incidents, newest first", Args: cobra.NoArgs,
		Long: `List shows the incidents that have not ended, or those in another state. Each is
one cause for which connections do not work: a policy, an app, a credential that
has ended, a parked account, trouble of a service.

Exit codes: 0 the list was had, whatever is on it; 1 the server refused; 2 wrong
usage; 3 could not find out.`,
		Example: "  gatehouse incident list\n  gatehouse incident list --state ended --tenant contoso.com --json",
	}, func(ctx context.Context, c *client.Client, _ []string) error {
		if f.TenantID != "" {
			var err error
			if f.TenantID, err = findTenant(ctx, c, f.TenantID); err != nil {
				return err
			}
		}
		incidents, err := all(func(p client.Page) ([]client.Incident, string, error) { return c.Incidents(ctx, f, p) })
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, incidents)
		}
		rows := [][]string{}
		for _, i := range incidents {
			rows = append(rows, []string{i.ID, i.State, i.Headline, fmt.Sprint(i.Connections), fmt.Sprint(i.Tenants), actorText(i.Actor), when(&i.Since)})
		}
		return table(env.Stdout, []string{"ID", "STATE", "WHAT", "CONNECTIONS", "TENANTS", "WHO ACTS", "SINCE"}, rows)
	})
	cmd.Flags().StringVar(&f.State, "state", "current", "only these: current (not ended), open, acknowledged, ended")
	cmd.Flags().StringVar(&f.TenantID, "tenant", "", "only those of a tenant: its name, domain or id")
	cmd.Flags().StringVar(&f.Search, "search", "", "only those with this in what they are about, or in the name of a connection or tenant")
	return cmd
}

// findIncident takes an incident's id, or words that find one alone among those
// that have not ended, or else among all.
func findIncident(ctx context.Context, c *client.Client, words string) (string, error) {
	if tenant.GUID(strings.ToLower(words)) {
		return words, nil
	}
	var ids []string
	for _, state := range []string{"current", ""} {
		found, err := all(func(p client.Page) ([]client.Incident, string, error) {
			return c.Incidents(ctx, client.IncidentFilter{State: state, Search: words}, p)
		})
		if err != nil {
			return "", err
		}
		for _, i := range found {
			ids = append(ids, i.ID)
		}
		if len(ids) > 0 {
			break
		}
	}
	return one("incident", words, ids)
}

func actorText(actor string) string { return strings.ReplaceAll(actor, "_", " ") }

func newIncidentShow(env Env) *cobra.Command {
	r := &remote{env: env, first: findIncident}
	return r.command(cobra.Command{
		Use: "show INCIDENT", Short: "Show an incident: its reach, what helps, what was written", Args: cobra.ExactArgs(1),
		Long: `Show says what the cause is, who must act, what helps, which connections it
affects, and what was written about it. INCIDENT is its id, or words that find one
alone: of the policy or account, of a connection or a tenant.

Exit codes: 0 it was had, whether it has ended or not; 1 there is none, or the
server refused; 2 wrong usage; 3 could not find out.`,
		Example: "  gatehouse incident show svc-backup@contoso.com",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		i, err := c.Incident(ctx, args[0])
		if err != nil {
			return err
		}
		connections, err := all(func(p client.Page) ([]client.IncidentConnection, string, error) {
			return c.IncidentConnections(ctx, args[0], p)
		})
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, struct {
				client.IncidentDetail
				Reach []client.IncidentConnection `json:"reach"`
			}{i, connections})
		}
		return writeIncident(env, i, connections)
	})
}

func writeIncident(env Env, i client.IncidentDetail, connections []client.IncidentConnection) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n  id %s\n  %s since %s, %s in %s\n", plain(i.Headline), i.ID, i.State, when(&i.Since), plural(i.Connections, "connection"), plural(i.Tenants, "tenant"))
	if i.EndedAt != nil {
		fmt.Fprintf(&b, "  ended %s\n", when(i.EndedAt))
	}
	if i.AcknowledgedBy != "" {
		fmt.Fprintf(&b, "  acknowledged by %s, %s\n", plain(i.AcknowledgedBy), when(i.AcknowledgedAt))
	}
	if i.Diagnosis != nil {
		fmt.Fprintln(&b)
		if err := writeDiagnosis(&b, diagnosisHere(*i.Diagnosis), isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == ""); err != nil {
			return err
		}
	} else if i.Help != "" {
		fmt.Fprint(&b, wrap("what helps: "+i.Help+" ("+actorText(i.Actor)+")", "  ", explainWidth))
	}
	fmt.Fprintln(&b)
	rows := [][]string{}
	for _, c := range connections {
		rows = append(rows, []string{c.TenantName, c.Name, when(&c.Since), endingText(c)})
	}
	if err := table(&b, []string{"TENANT", "CONNECTION", "SINCE", "NOW"}, rows); err != nil {
		return err
	}
	for _, c := range i.Comments {
		fmt.Fprintf(&b, "\n%s, %s\n%s", plain(c.Author), when(&c.At), wrap(c.Text, "  ", explainWidth))
	}
	_, err := io.Copy(env.Stdout, &b)
	return err
}

// endingText says how a connection is now.
func endingText(c client.IncidentConnection) string {
	switch {
	case c.Until == nil:
		return "affected"
	case c.Proof != nil && c.Proof.State == "seen":
		return "works, seen from the tool " + when(c.Proof.SeenAt)
	case c.Proof != nil && c.Proof.State == "waiting":
		return "works from Gatehouse, not yet seen from the tool"
	case c.Proof != nil:
		return "works from Gatehouse; from the tool unknown: " + c.Proof.Reason
	}
	return map[string]string{"works": "works", "removed": "removed", "paused": "its tenant is paused", "another": "stopped by something else", "unsure": "not known"}[c.Ending]
}

func newIncidentComment(env Env) *cobra.Command {
	r := &remote{env: env, first: findIncident}
	return r.command(cobra.Command{
		Use: "comment INCIDENT TEXT", Short: "Write something about an incident", Args: cobra.ExactArgs(2),
		Long:    "Comment is shown to those who may see all tenants of the incident that you can see.",
		Example: "  gatehouse incident comment 'CA001 MFA' \"The partner takes the policy back at 14:00\"",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		made, err := c.CommentIncident(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, made)
		}
		fmt.Fprintln(env.Stdout, "written")
		return nil
	})
}
