package cli

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gatehouse/client"
)

func newSession(env Env) *cobra.Command {
	example := "  gatehouse session start --server https://gatehouse.example --email ada@contoso.example"
	return noun("session", "Sign in to a server and out", example, newSessionStart(env), newSessionShow(env), newSessionEnd(env))
}

// line reads a line from the person or the pipe before us.
func line(env Env, in *bufio.Reader, prompt string) (string, error) {
	if f, ok := env.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(env.Stderr, prompt)
	}
	text, err := in.ReadString('\n')
	text = strings.TrimSpace(text)
	if text == "" && err != nil {
		return "", usagef("%s nothing was given: type it, or pipe it in", strings.TrimSpace(prompt))
	}
	return text, nil
}

func newSessionStart(env Env) *cobra.Command {
	r := &remote{env: env}
	var email, passwordFile, codeFile string
	cmd := r.command(cobra.Command{
		Use: "start", Short: "Sign in", Args: cobra.NoArgs,
		Long: `Start signs in with e-mail address, password and the code of a code generator.
Programs use an API key instead ('gatehouse key add').
The session is kept in a file that only you can read (GATEHOUSE_SESSION names
another), and ends after eight hours without use.`,
		Example: "  gatehouse session start --server https://gatehouse.example --email ada@contoso.example",
	}, func(ctx context.Context, c *client.Client, _ []string) error {
		in := bufio.NewReader(env.Stdin)
		if email == "" {
			var err error
			if email, err = line(env, in, "E-mail address: "); err != nil {
				return err
			}
		}
		word, err := password(env, passwordFile, email)
		if err != nil {
			return err
		}
		if _, err := c.SignIn(ctx, email, word.Reveal()); err != nil {
			return err
		}
		code, err := givenCode(env, in, codeFile)
		if err != nil {
			return err
		}
		s, err := c.GiveCode(ctx, code)
		if err != nil {
			return err
		}
		return r.signedIn(s)
	})
	cmd.Flags().StringVar(&email, "email", "", "e-mail address (default asked for)")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "file with the password (default GATEHOUSE_PASSWORD, or a prompt)")
	cmd.Flags().StringVar(&codeFile, "code-file", "", "file with the code of the code generator (default asked for, or read from stdin)")
	return cmd
}

// givenCode takes the code from a file, the person or the pipe before us; never
// from an argument, which others on this machine can see.
func givenCode(env Env, in *bufio.Reader, file string) (string, error) {
	if file == "" {
		return line(env, in, "Code: ")
	}
	value, err := secretFile("--code-file", file)
	return strings.TrimSpace(value.Reveal()), err
}

func (r *remote) signedIn(s client.Session) error {
	if err := r.keep(s); err != nil {
		return err
	}
	s.Token = "" // is in the file, and nowhere else
	if r.asJSON {
		return writeJSON(r.env.Stdout, s)
	}
	fmt.Fprintf(r.env.Stdout, "signed in to %s as %s\n", r.server, s.Operator.Email)
	return nil
}

func newSessionShow(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{Use: "show", Short: "Say who is signed in", Args: cobra.NoArgs, Example: "  gatehouse session show"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			s, err := c.Session(ctx)
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, s)
			}
			fmt.Fprintf(env.Stdout, "%s at %s\n", s.Operator.Email, r.server)
			for _, tenant := range slices.Sorted(maps.Keys(s.Operator.Roles)) {
				fmt.Fprintf(env.Stdout, "  %s: %s\n", strings.Replace(tenant, client.AllTenants, "all tenants", 1), s.Operator.Roles[tenant])
			}
			return nil
		})
}

func newSessionEnd(env Env) *cobra.Command {
	r := &remote{env: env}
	return r.command(cobra.Command{Use: "end", Short: "Sign out", Args: cobra.NoArgs, Example: "  gatehouse session end"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			if err := c.SignOut(ctx); err != nil {
				return err
			}
			path, err := sessionFile(env)
			if err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("removing the session: %w", err)
			}
			if r.asJSON {
				return writeJSON(env.Stdout, map[string]bool{"signed_out": true})
			}
			fmt.Fprintln(env.Stdout, "signed out")
			return nil
		})
}
