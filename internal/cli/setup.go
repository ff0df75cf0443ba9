package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newSetup(env Env) *cobra.Command {
	r, in := &remote{env: env}, bufio.NewReader(env.Stdin)
	var email, name, passwordFile, secretFile string
	cmd := r.command(cobra.Command{
		Use: "setup [LINK]", Short: "Use a set-up link; make the app registrations that Gatehouse needs", Args: cobra.MaximumNArgs(1),
		Long: `Setup uses the link that the server printed at its first start, or that somebody
was invited with. It sets the password, shows the secret of a code generator to
be added to an authenticator app, and asks for the first code. Without LINK it
asks for that as well: arguments can be seen by others on this machine.

'setup registrations' makes the app registrations that Gatehouse needs at
Microsoft, or prints how to.`,
		Example: `  gatehouse setup --email ada@contoso.example
  gatehouse setup https://gatehouse.example/setup/… --email ada@contoso.example
  gatehouse setup registrations`,
	}, func(ctx context.Context, c *client.Client, args []string) error {
		if name == "" { // the first administrator needs one
			name = email
		}
		word, err := password(env, passwordFile, "the new account")
		if err != nil {
			return err
		}
		if _, err := c.SetUp(ctx, client.SetUpRequest{Link: args[0], Email: email, Name: name, Password: word.Reveal()}); err != nil {
			return err
		}
		g, err := c.NewGenerator(ctx)
		if err != nil {
			return err
		}
		if secretFile != "" {
			if err := os.WriteFile(secretFile, []byte(g.Secret+"\n"), 0o600); err != nil {
				return fmt.Errorf("writing the generator's secret: %w", err)
			}
		} else {
			fmt.Fprintf(env.Stderr, "Add this secret to an authenticator app:\n\n  %s\n  %s\n\n", g.Secret, g.URL)
		}
		code, err := line(env, in, "The code that it shows: ")
		if err != nil {
			return err
		}
		s, err := c.ConfirmGenerator(ctx, client.GeneratorRequest{Name: "code generator", Code: code})
		if err != nil {
			return err
		}
		return r.signedIn(s)
	})
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			link, err := line(env, in, "Set-up link: ")
			if err != nil {
				return err
			}
			args = []string{link}
		}
		before, _, ok := strings.Cut(args[0], "/setup/")
		if !ok {
			return usagef("%q is no set-up link: it looks like https://gatehouse.example/setup/… and is what the server printed at its start", plain(args[0]))
		}
		if r.server == "" { // the link names it
			r.server = before
		}
		return run(cmd, args)
	}
	cmd.Flags().StringVar(&email, "email", "", "your e-mail address, if you are the first administrator")
	cmd.Flags().StringVar(&name, "name", "", "your name (of the first administrator, default the e-mail address)")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "file with the new password (default GATEHOUSE_PASSWORD, or a prompt)")
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "write the code generator's secret to this file instead of showing it")
	cmd.AddCommand(newSetupRegistrations(env))
	return cmd
}
