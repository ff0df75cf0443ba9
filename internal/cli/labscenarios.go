package cli

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gatehouse/internal/diagnosis"
	"gatehouse/lab"
)

func newLabScenarios(env Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "scenarios [NAME]",
		Short: "List ways to meet an error code, or play one",
		Long: `Scenarios lists named ways to meet error codes of the sign-in service in the
lab's built-in tenants: story, steps, code. With a NAME it plays that scenario in
a lab of its own and shows the refusal, and what it means.

Exit codes: 0 listed, or the code was met; 1 another answer came; 2 wrong usage.`,
		Example: "  gatehouse lab scenarios\n  gatehouse lab scenarios refresh-token-revoked",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return playScenario(cmd, env, args[0], asJSON)
			}
			if asJSON {
				return writeJSON(env.Stdout, lab.Scenarios())
			}
			w := tabwriter.NewWriter(env.Stdout, 0, 4, 2, ' ', 0)
			for _, s := range lab.Scenarios() {
				fmt.Fprintf(w, "AADSTS%d\t%s\t%s\n", s.Code, s.Name, s.Story)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the list, or the answer that the scenario met")
	return cmd
}

func playScenario(cmd *cobra.Command, env Env, name string, asJSON bool) error {
	i := slices.IndexFunc(lab.Scenarios(), func(s lab.Scenario) bool { return s.Name == name })
	if i < 0 {
		return usagef("no scenario is called %q; 'gatehouse lab scenarios' lists them", name)
	}
	s := lab.Scenarios()[i]
	l, err := lab.New(lab.Config{})
	if err != nil {
		return fmt.Errorf("starting the lab: %w", err)
	}
	code, body, err := l.Play(cmd.Context(), name)
	if closeErr := l.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return &exitError{exitNo, err}
	}
	if asJSON {
		err = writeJSON(env.Stdout, body)
	} else {
		fmt.Fprintf(env.Stdout, "%s\n\n", s.Story)
		for n, step := range s.Steps {
			fmt.Fprintf(env.Stdout, "  %d. %s\n", n+1, step)
		}
		description, _ := body["error_description"].(string)
		fmt.Fprintf(env.Stdout, "\n  %s\n\n", strings.ReplaceAll(description, "\r\n", "\n  "))
		err = writeDiagnosis(env.Stdout, diagnosis.Explain(description), isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == "")
	}
	if err == nil && code != s.Code {
		err = &exitError{exitNo, fmt.Errorf("met AADSTS%d instead of AADSTS%d", code, s.Code)}
	}
	return err
}
