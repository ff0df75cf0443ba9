package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

func newConnectionToken(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var in client.TokenRequest
	cmd := r.command(cobra.Command{
		Use: "token CONNECTION", Short: "Print an access token of a connection, for scripts", Args: cobra.ExactArgs(1),
		Long: `Token prints an access token on stdout and nothing else: what it is for, and until
when, is on stderr, and with --json beside it. Ask before each call: one that is still
good is given at once. It needs the permission connection.use, which an API key in
GATEHOUSE_API_KEY may have; such a key names the connection by its id.
Where there is no token, the state of the connection, the reason and the page where it
can be mended are on stderr, and the exit code is 1; it is 3 while Microsoft, or the
way to it, is in trouble.`,
		Example: "  gatehouse connection token Reports\n  gatehouse connection token Reports --service sharepoint --json\n  curl -H \"Authorization: Bearer $(gatehouse connection token Reports --service graph)\" https://graph.microsoft.com/v1.0/organization",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		if in.Service != "" && in.Resource != "" {
			return usagef("--service and --resource exclude each other: both say what the token is for")
		}
		t, err := c.NewToken(ctx, args[0], in)
		if err != nil {
			return noToken(err)
		}
		if r.asJSON {
			return writeJSON(env.Stdout, t)
		}
		fmt.Fprintln(env.Stdout, t.AccessToken)
		fmt.Fprintf(env.Stderr, "For %s, until %s.\n", plain(t.Resource), t.ExpiresAt.Local().Format(time.DateTime))
		if t.State != client.TokenReady {
			fmt.Fprintf(env.Stderr, "It is one of the last: the connection is %s.\n", plain(t.State))
		}
		return nil
	})
	flags := cmd.Flags()
	flags.StringVar(&in.Service, "service", "", "what it is for: graph, sharepoint, exchange, business_central (default the connection's only service)")
	flags.StringVar(&in.Resource, "resource", "", "instead of --service: the service's address, as https://graph.microsoft.com")
	flags.StringVar(&in.Claims, "claims", "", "a claims challenge that the service answered with, as JSON")
	flags.BoolVar(&in.CAE, "cae", false, "the token is for software that passes claims challenges on (continuous access evaluation)")
	return cmd
}

// noToken tells a refusal with the connection's state and the page where it can be
// mended, and keeps its exit code.
func noToken(err error) error {
	var p *client.Problem
	if !errors.As(err, &p) || p.Type != client.ProblemNoToken {
		return err
	}
	code := exitNo
	if p.State == client.TokenReady {
		code = exitUnknown
	}
	text := fmt.Sprintf("no token: the connection is %s: %s", p.State, p.Error())
	if p.RetryAfter > 0 {
		text += fmt.Sprintf("\n  Microsoft is asked again in %s", time.Duration(p.RetryAfter)*time.Second)
	}
	return &exitError{code, fmt.Errorf("%s\n  mend it at %s", text, p.Link)}
}
