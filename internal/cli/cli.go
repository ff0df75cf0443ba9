// Package cli is the command line: one file per noun. Results go to stdout,
// talk goes to stderr. A command parses its flags, calls one function of a
// feature, renders the answer; it decides nothing itself.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Env is what a command may touch of the process around it.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
}

// The common exit codes (a contract).
const (
	exitFine    = 0
	exitNo      = 1 // the answer is no
	exitUsage   = 2 // the command was not understood
	exitUnknown = 3 // could not find out, or part of the input was unreadable
)

// exitError ends a command with a code. A nil err means that everything worth
// saying has been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usagef is an error in how the command was called: exit code 2.
func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// unknownf says that the answer could not be found out: exit code 3.
func unknownf(format string, args ...any) error {
	return &exitError{exitUnknown, fmt.Errorf(format, args...)}
}

// Main runs one command line and returns the exit code of the process.
func Main(ctx context.Context, args []string, env Env) int {
	root := newRoot(env)
	root.SetArgs(append([]string{}, args...)) // nil would mean the process's own
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	// What cobra itself refuses (unknown command or flag) is wrong usage; what a
	// command refuses carries its code.
	code := exitUsage
	var exit *exitError
	if errors.As(err, &exit) {
		code, err = exit.code, exit.err
	}
	if err != nil {
		fmt.Fprintf(env.Stderr, "gatehouse: %s\n", plainLines(err.Error()))
		if code == exitUsage {
			fmt.Fprintln(env.Stderr, "gatehouse: see 'gatehouse help'")
		}
	}
	return code
}

func newRoot(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "Keep software connected to Microsoft 365 tenants that enforce MFA",
		Long: `Gatehouse answers one question: can this software get into Microsoft 365
without a person, and if not, which rule says no, who must act, and what is the
smallest safe change?`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetUsageFunc(usage)
	root.AddCommand(newExplain(env), newCheck(env), newPosture(env), newPolicies(env), newLab(env), newDemo(env),
		newServe(env), newSetup(env), newSession(env), newTenant(env), newConnection(env), newRegistration(env), newValidate(env), newIncident(env), newBatch(env), newSchedule(env), newExpiry(env), newConsent(env), newCampaign(env), newOperator(env), newAudit(env), newJob(env), newNotice(env), newWebhook(env), newKey(env), newKeys(env), newBackup(env), newRestore(env), newDoctor(env),
		newOpenAPI(env), newVersion(env))
	return root
}

// usage is cobra's own with the examples at the end, where the eye stops. It is
// no template: cobra links text/template only if it is given one, and with it
// the linker keeps every exported method (docs/decisions/0001-stack.md).
func usage(cmd *cobra.Command) error {
	var b strings.Builder
	flags := cmd.LocalFlags() // first: it brings in the parents' flags
	b.WriteString("Usage:")
	if cmd.Runnable() {
		fmt.Fprintf(&b, "\n  %s", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n  %s [command]\n\nAvailable Commands:", cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(&b, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if flags.HasAvailableFlags() {
		fmt.Fprintf(&b, "\n\nFlags:\n%s", strings.TrimRightFunc(flags.FlagUsages(), unicode.IsSpace))
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\n\nExamples:\n%s", cmd.Example)
	}
	b.WriteString("\n")
	_, err := io.WriteString(cmd.OutOrStderr(), b.String())
	return err
}

// noSubcommand refuses what is no subcommand of a noun.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%q is no command of '%s'", args[0], cmd.CommandPath())
	}
	return nil
}

// isTerminal reports whether w is a terminal: only there are colours used.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
