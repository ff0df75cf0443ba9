package cli

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/validation"
)

func newValidate(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection, timeout: 3 * time.Minute}
	var sweep sweepFlags
	cmd := r.command(cobra.Command{
		Use: "validate [CONNECTION]", Short: "Validate a connection of a server, or many, and say what stops them", Args: cobra.MaximumNArgs(1),
		Long: `Validate has the server sign in as a connection and say whether it gets in without
a person; if not, which rule says no, who acts, and what helps. CONNECTION is its
name, TENANT/NAME, or its id. A password is tried once: after a refusal the
connection is parked.

With --all, --tenant, --tag or --filter many are validated in a sweep, which keeps
to Microsoft's limits for each tenant and leaves parked connections and paused
tenants alone. It goes on in the background; --wait waits for its end.

Exit codes: 0 it works, or all that were tried do (without --wait: the sweep has
begun); 1 blocked or failed; 2 wrong usage; 3 could not find out.`,
		Example: "  gatehouse validate Backup\n  gatehouse validate contoso.com/Backup --json\n  gatehouse validate --tag finance --wait",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		if many := sweep.asked(); many == (len(args) == 1) {
			return usagef("what to validate? name one connection, or choose many with --all, --tenant, --tag or --filter")
		} else if many {
			return r.sweep(ctx, c, sweep)
		}
		v, err := r.validate(ctx, c, args[0])
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
	sweep.add(cmd)
	return cmd
}

// validate waits for a validation and tells, to people, each probe as it ends.
func (r *remote) validate(ctx context.Context, c *client.Client, id string) (client.Validation, error) {
	v, err := c.StartValidation(ctx, id)
	told := 0
	for pause := 20 * time.Millisecond; err == nil && !v.Ended(); pause = min(2*pause, time.Second) {
		for ; told < len(v.Probes) && !r.asJSON; told++ {
			fmt.Fprintf(r.env.Stderr, "  %s: %s\n", plain(v.Probes[told].Name), plain(v.Probes[told].State))
		}
		select {
		case <-ctx.Done():
			return v, fmt.Errorf("waiting for the validation, which goes on ('gatehouse connection history'): %w", ctx.Err())
		case <-time.After(pause):
		}
		v, err = c.Validation(ctx, v.ID)
	}
	return v, err
}

func writeValidation(env Env, v client.Validation) error {
	out := env.Stdout
	if v.Verdict == "" {
		fmt.Fprintf(out, "%s\n%s", verdictWords[validation.Unknown], wrap(v.Reason, "  ", explainWidth))
		return nil
	}
	headline := verdictWords[validation.Verdict(v.Verdict)]
	if v.Rule != nil {
		headline += " by " + ruleText(ruleHere(*v.Rule))
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, plain(headline))
	if v.Diagnosis != nil {
		fmt.Fprintln(&b)
		if err := writeDiagnosis(&b, diagnosisHere(*v.Diagnosis), isTerminal(out) && env.Getenv("NO_COLOR") == ""); err != nil {
			return err
		}
	}
	var probes []validation.Probe
	for _, p := range v.Probes {
		probes = append(probes, validation.Probe{Name: p.Name, State: validation.State(p.State), Evidence: p.Evidence, Reason: &p.Reason})
	}
	writeProbes(&b, probes)
	_, err := out.Write(b.Bytes())
	return err
}

func ruleHere(r client.Rule) diagnosis.Rule {
	return diagnosis.Rule{Kind: diagnosis.RuleKind(r.Kind), ID: r.ID, Name: r.Name}
}

// diagnosisHere is a diagnosis of the API as the one that is printed everywhere.
func diagnosisHere(d client.Diagnosis) diagnosis.Diagnosis {
	out := diagnosis.Diagnosis{
		Category: d.Category, Detail: d.Detail, Code: d.Code, Actor: diagnosis.Actor(d.Actor), Title: d.Title, Cause: d.Cause, Confidence: diagnosis.Confidence(d.Confidence),
	}
	for _, r := range d.Remedies {
		out.Remedies = append(out.Remedies, diagnosis.Remedy{
			ID: r.ID, Title: r.Title, Actor: diagnosis.Actor(r.Actor), Steps: r.Steps, Automatic: r.Automatic, LowersProtection: r.LowersProtection, Reference: r.Reference,
		})
	}
	for _, a := range d.Alternatives {
		out.Alternatives = append(out.Alternatives, diagnosis.Alternative{Category: a.Category, Actor: diagnosis.Actor(a.Actor), Cause: a.Cause, Confidence: diagnosis.Confidence(a.Confidence)})
	}
	return out
}

func newConnectionHistory(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var limit int
	cmd := r.command(cobra.Command{Use: "history CONNECTION", Short: "List the validations of a connection, newest first", Args: cobra.ExactArgs(1), Example: "  gatehouse connection history Backup"},
		func(ctx context.Context, c *client.Client, args []string) error {
			runs, next, err := c.Validations(ctx, args[0], client.Page{Limit: limit})
			if err != nil {
				return err
			}
			tellOlder(env, next)
			if r.asJSON {
				return writeJSON(env.Stdout, runs)
			}
			rows := [][]string{}
			for _, v := range runs {
				verdict := v.Verdict
				if verdict == "" {
					verdict = v.State
				}
				why := v.Reason
				if v.Rule != nil {
					why = ruleText(ruleHere(*v.Rule))
				} else if v.Diagnosis != nil {
					why = v.Diagnosis.Title
				}
				rows = append(rows, []string{when(&v.CreatedAt), verdict, why, v.RequestedBy})
			}
			return table(env.Stdout, []string{"ASKED FOR", "VERDICT", "WHY", "BY"}, rows)
		})
	cmd.Flags().IntVar(&limit, "limit", 20, "how many at most, up to 200")
	return cmd
}
