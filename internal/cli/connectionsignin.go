package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// signInFlags say how somebody signs in for a connection.
type signInFlags struct {
	device, link, noWait bool
	in                   client.SignInLinkRequest
	days                 int
}

func newConnectionSignIn(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection, timeout: 20 * time.Minute}
	var f signInFlags
	cmd := r.command(cobra.Command{
		Use: "sign-in CONNECTION", Short: "Sign a person in for a connection", Args: cobra.ExactArgs(1),
		Long: `Sign-in prints an address, to be opened in a browser, and waits until the sign-in
has ended. With --device it prints a code that is typed on another device; where the
tenant takes no device codes, it goes on with an address. With --link it prints a
personal link for somebody else, who needs no account here, and does not wait.
The exit code is 1 if the sign-in was refused.`,
		Example: "  gatehouse connection sign-in Reports\n  gatehouse connection sign-in Reports --device\n  gatehouse connection sign-in Reports --link --for ines@contoso.com --why 'The reports need your sign-in'",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		switch {
		case f.link && f.device:
			return usagef("--link and --device exclude each other: a personal link opens in a browser")
		case !f.link && (f.in.For != "" || f.in.Why != "" || f.days != 0):
			return usagef("--for, --why and --days belong to --link: give it too")
		case f.link:
			f.in.Hours = 24 * f.days
			l, err := c.NewSignInLink(ctx, args[0], f.in)
			return r.signInLink(l, err)
		case f.device:
			return r.signInDevice(ctx, c, args[0], f)
		}
		return r.signInBrowser(ctx, c, args[0], f)
	})
	flags := cmd.Flags()
	flags.BoolVar(&f.device, "device", false, "with a device code")
	flags.BoolVar(&f.link, "link", false, "print a personal link for somebody else")
	flags.StringVar(&f.in.For, "for", "", "with --link: user name of who is to sign in")
	flags.StringVar(&f.in.Why, "why", "", "with --link: why, for the person to read")
	flags.IntVar(&f.days, "days", 0, "with --link: days that it is good (default 7, at most 30)")
	flags.StringVar(&f.in.Resource, "resource", "", "service to sign in for first: graph, sharepoint, exchange, business_central")
	flags.BoolVar(&f.noWait, "no-wait", false, "print the address or code and end")
	return cmd
}

func (r *remote) signInLink(l client.SignInLink, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, l)
	}
	fmt.Fprintln(r.env.Stdout, l.URL)
	fmt.Fprintf(r.env.Stderr, "Good once, until %s. Whoever has it can try to sign in with it: send it to the person alone.\n", l.Until.Local().Format(time.DateTime))
	return nil
}

// signInBrowser prints an address and waits for what becomes of it.
func (r *remote) signInBrowser(ctx context.Context, c *client.Client, id string, f signInFlags) error {
	l, err := c.SignInConnection(ctx, id, f.in.ConnectionSignInRequest)
	if err != nil {
		return err
	}
	if f.noWait {
		return r.signInLink(l, nil)
	}
	fmt.Fprintf(r.env.Stderr, "Open this in a browser and sign in, until %s:\n  %s\n", l.Until.Local().Format(time.TimeOnly), l.URL)
	return r.awaitSignIn(ctx, l.Until, time.Second, func() (*client.SignIn, error) {
		all, _, err := c.SignIns(ctx, id, client.Page{Limit: 20})
		for i := range all {
			if all[i].Link == l.ID {
				return &all[i], err
			}
		}
		return nil, err
	})
}

// signInDevice prints a code and waits for what becomes of it.
func (r *remote) signInDevice(ctx context.Context, c *client.Client, id string, f signInFlags) error {
	d, err := c.DeviceSignIn(ctx, id, f.in.ConnectionSignInRequest)
	if p := (*client.Problem)(nil); errors.As(err, &p) && p.Type == client.ProblemMicrosoft && !f.noWait {
		fmt.Fprintf(r.env.Stderr, "%s\n", plain(p.Detail))
		return r.signInBrowser(ctx, c, id, f)
	}
	if err != nil {
		return err
	}
	if f.noWait {
		if r.asJSON {
			return writeJSON(r.env.Stdout, d)
		}
		fmt.Fprintf(r.env.Stdout, "%s at %s\n", d.UserCode, d.Address)
		return nil
	}
	fmt.Fprintf(r.env.Stderr, "Open %s and type %s, until %s\n", plain(d.Address), plain(d.UserCode), d.Until.Local().Format(time.TimeOnly))
	blocked := false
	err = r.awaitSignIn(ctx, d.Until, time.Duration(max(1, d.Interval))*time.Second, func() (*client.SignIn, error) {
		now, err := c.DeviceSignInState(ctx, id, d.ID)
		if err == nil && now.CodeFlow {
			blocked = true
			return nil, errBlocked
		}
		return now.Event, err
	})
	if blocked {
		fmt.Fprintln(r.env.Stderr, "The tenant takes no device codes.")
		return r.signInBrowser(ctx, c, id, f)
	}
	return err
}

var errBlocked = errors.New("device codes are blocked")

// awaitSignIn asks until there is an outcome, and prints it.
func (r *remote) awaitSignIn(ctx context.Context, until time.Time, pause time.Duration, ask func() (*client.SignIn, error)) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		s, err := ask()
		if err != nil {
			return err
		}
		if s != nil {
			return r.oneSignIn(*s)
		}
		if time.Now().After(until.Add(pause)) {
			return unknownf("waiting for the sign-in: nobody signed in in time")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (r *remote) oneSignIn(s client.SignIn) error {
	if r.asJSON {
		if err := writeJSON(r.env.Stdout, s); err != nil {
			return err
		}
	} else {
		fmt.Fprint(r.env.Stdout, wrap(signInWords(s), "", explainWidth))
	}
	if s.Outcome != "signed_in" {
		return &exitError{code: exitNo}
	}
	return nil
}

func signInWords(s client.SignIn) string {
	if s.Outcome == "signed_in" {
		return plain(s.Person) + " signed in"
	}
	text := s.Words
	if s.Diagnosis != nil {
		text += ": " + s.Diagnosis.Title
	}
	if s.Code != "" {
		text += " (" + s.Code + ")"
	}
	return plain(text)
}

func newConnectionSignOut(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var in client.SignOutRequest
	cmd := r.command(cobra.Command{
		Use: "sign-out CONNECTION", Short: "Forget the tokens of a connection; its history stays", Args: cobra.ExactArgs(1),
		Example: "  gatehouse connection sign-out Reports",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		out, err := c.SignOutConnection(ctx, args[0], in)
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, out)
		}
		words := []string{"signed out: the tokens are forgotten"}
		if out.Revoked {
			words = append(words, "Microsoft revoked the person's sign-ins everywhere")
		}
		if out.Why != "" {
			words = append(words, "nothing was revoked at Microsoft: "+out.Why)
		}
		fmt.Fprint(env.Stdout, wrap(plain(strings.Join(words, "; ")), "", explainWidth))
		return nil
	})
	cmd.Flags().BoolVar(&in.Revoke, "revoke", false, "have Microsoft revoke the person's sign-ins, in everything that they use")
	return cmd
}

func newConnectionSignIns(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	return r.command(cobra.Command{
		Use: "sign-ins CONNECTION", Short: "List what became of a connection's sign-ins", Args: cobra.ExactArgs(1), Example: "  gatehouse connection sign-ins Reports",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		found, err := all(func(p client.Page) ([]client.SignIn, string, error) { return c.SignIns(ctx, args[0], p) })
		if err != nil {
			return err
		}
		if r.asJSON {
			return writeJSON(env.Stdout, found)
		}
		rows := [][]string{}
		for _, s := range found {
			rows = append(rows, []string{when(&s.At), s.Outcome, s.Person, s.By, s.Code, s.CorrelationID})
		}
		return table(env.Stdout, []string{"AT", "OUTCOME", "PERSON", "BY", "CODE", "CORRELATION"}, rows)
	})
}
