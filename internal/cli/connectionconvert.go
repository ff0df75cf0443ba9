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

// convertFlags say what of a conversion is done.
type convertFlags struct {
	to, passwordFile                                  string
	clientID, way, public, signing, secretFile, until string
	handOver                                          string
	undo, consented, look, confirm, retire, giveUp    bool
}

func (f *convertFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "common or app (required)")
	flags.StringVar(&f.passwordFile, "password-file", "", "common: file with the account's ordinary password")
	flags.BoolVar(&f.undo, "undo", false, "common: undo, until the new password was accepted")
	flags.StringVar(&f.clientID, "client-id", "", "app: client id of the app registration")
	flags.StringVar(&f.way, "credential", "", "app: how it proves itself: made_here, own, signing, secret")
	flags.StringVar(&f.public, "public", "", "app: file with the software's own certificate, without its key")
	flags.StringVar(&f.signing, "signing-request", "", "app: file with the software's signing request")
	flags.StringVar(&f.secretFile, "secret-file", "", "app: file with a client secret")
	flags.StringVar(&f.until, "secret-ends", "", "app: day on which the client secret ends: 2027-01-31")
	flags.BoolVar(&f.consented, "consented", false, "app: the tenant's administrator has consented")
	flags.StringVar(&f.handOver, "hand-over", "", "app: file to which certificate and key are written, once; the password is printed")
	flags.BoolVar(&f.look, "look", false, "app: look for the software's own sign-in in the tenant's log")
	flags.BoolVar(&f.confirm, "confirm", false, "app: you saw the software sign in as the app")
	flags.BoolVar(&f.retire, "retire", false, "app: finish; the old profile is parked")
	flags.BoolVar(&f.giveUp, "give-up", false, "app: end without changing either connection")
}

func newConnectionConvert(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var f convertFlags
	cmd := r.command(cobra.Command{
		Use: "convert CONNECTION", Short: "Convert an old profile to a common one, or to an app", Args: cobra.ExactArgs(1),
		Long: `Convert --to common clears the MFA flag and signs in with the account's ordinary
password. It can be undone until that password was accepted.

Convert --to app leads to an app of its own: what the flags name is done, in
order, and the steps are shown. It can be left and taken up again. The old
profile works until --retire.`,
		Example: `  gatehouse connection convert Backup --to common --password-file pw.txt
  gatehouse connection convert Backup --to app --client-id 11111111-2222-3333-4444-555555555555 --credential made_here
  gatehouse connection convert Backup --to app --hand-over app.pfx`,
	}, func(ctx context.Context, c *client.Client, args []string) error {
		switch f.to {
		case "common":
			return f.common(ctx, c, r, args[0])
		case "app":
			return f.app(ctx, c, r, args[0])
		}
		return usagef("--to is %q: use common or app", f.to)
	})
	f.add(cmd)
	return cmd
}

func (f *convertFlags) common(ctx context.Context, c *client.Client, r *remote, id string) error {
	if f.undo {
		return r.oneConnection(c.UndoCommon(ctx, id))
	}
	at, err := c.Connection(ctx, id)
	if err != nil {
		return err
	}
	in := client.CommonRequest{Version: at.Version}
	if f.passwordFile != "" {
		password, err := secretFile("--password-file", f.passwordFile)
		if err != nil {
			return err
		}
		in.Password = password.Reveal()
	}
	return r.oneConnection(c.ConvertToCommon(ctx, id, in))
}

// credential is the request that the flags make; false if they name none.
func (f *convertFlags) credential() (in client.AppCredentialRequest, given bool, err error) {
	in.Way = f.way
	for _, from := range []struct {
		flag, file, way string
		into            *string
	}{{"--public", f.public, "own", &in.Public}, {"--signing-request", f.signing, "signing", &in.Signing}} {
		if from.file != "" {
			data, err := readLimited(from.file, 32<<10)
			if err != nil {
				return in, false, usagef("%s: %w", from.flag, err)
			}
			*from.into, in.Way = string(data), from.way
		}
	}
	if f.secretFile != "" {
		secret, err := secretFile("--secret-file", f.secretFile)
		if err != nil {
			return in, false, err
		}
		in.Secret, in.Way = secret.Reveal(), "secret"
	}
	if f.until != "" {
		day, err := time.Parse(time.DateOnly, f.until)
		if err != nil {
			return in, false, usagef("--secret-ends: %q is no day: write it as 2027-01-31", f.until)
		}
		in.NotAfter = &day
	}
	return in, in.Way != "", nil
}

func (f *convertFlags) app(ctx context.Context, c *client.Client, r *remote, id string) error {
	credential, given, err := f.credential()
	if err != nil {
		return err
	}
	// One that has ended is shown, and begun anew only for another registration.
	at, err := c.Conversion(ctx, id)
	if err != nil || at.State != "open" && f.clientID != "" {
		if at, err = c.StartConversion(ctx, id); err != nil {
			return err
		}
	}
	if f.clientID != "" {
		if at, err = c.SetRegistration(ctx, id, f.clientID); err != nil {
			return err
		}
	}
	if given {
		if at, err = c.SetAppCredential(ctx, id, credential); err != nil {
			return err
		}
	}
	if f.handOver != "" {
		return f.writePackage(ctx, c, r, id)
	}
	for _, act := range []struct {
		on   bool
		name string
	}{{f.consented, "consented"}, {f.look, "look"}, {f.confirm, "confirm"}, {f.retire, "retire"}, {f.giveUp, "give-up"}} {
		if act.on {
			if at, err = c.ConversionAct(ctx, id, act.name); err != nil {
				return err
			}
		}
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, at)
	}
	for i, s := range at.Steps {
		fmt.Fprint(r.env.Stdout, wrap(fmt.Sprintf("%d. [%s] %s", i+1, s.State, s.Words), "", explainWidth))
	}
	for _, n := range at.Needs {
		fmt.Fprint(r.env.Stdout, wrap(n.Service+", to "+n.Task+": "+orWords(n.Least, "the least that the software asks for")+withWords(n.Beside, n.Roles), "   ", explainWidth))
	}
	if at.ConsentURL != "" {
		fmt.Fprintf(r.env.Stdout, "consent: %s\n", at.ConsentURL)
	}
	return nil
}

func orWords(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func withWords(beside string, roles []string) string {
	switch {
	case len(roles) > 0:
		return ", with the directory role " + strings.Join(roles, " or ")
	case beside != "":
		return ", with " + beside
	}
	return ""
}

// writePackage writes the certificate with its key. The file is made first, so that
// what is handed over once is not lost for want of a place.
func (f *convertFlags) writePackage(ctx context.Context, c *client.Client, r *remote, id string) error {
	file, err := os.OpenFile(f.handOver, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usagef("--hand-over: %w", err)
	}
	p, err := c.HandOver(ctx, id)
	if err == nil {
		_, err = file.Write(p.PFX)
	} else {
		_ = os.Remove(f.handOver) // nothing is in it
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, p)
	}
	fmt.Fprintf(r.env.Stdout, "written to %s\npassword: %s\nIt is shown only now.\n", f.handOver, p.Password)
	return nil
}

func newConnectionSheet(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	return r.command(cobra.Command{Use: "sheet CONNECTION", Short: "Print the hand-over sheet of a conversion; nothing secret is on it", Args: cobra.ExactArgs(1), Example: "  gatehouse connection sheet Backup"},
		func(ctx context.Context, c *client.Client, args []string) error {
			s, err := c.Sheet(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, s)
			}
			fmt.Fprintf(env.Stdout, "%s, tenant %s\n\n", plain(orWords(s.Consumer, s.Connection)), plain(s.TenantName))
			for _, f := range s.Fields {
				fmt.Fprintf(env.Stdout, "%-28s %s\n", f.Label, plain(f.Value))
			}
			fmt.Fprintln(env.Stdout)
			for i, step := range s.Steps {
				fmt.Fprint(env.Stdout, wrap(fmt.Sprintf("%d. %s", i+1, step), "", explainWidth))
			}
			for _, w := range s.Warnings {
				fmt.Fprint(env.Stdout, wrap("warning: "+w, "", explainWidth))
			}
			return nil
		})
}

func newConnectionOwner(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	return r.command(cobra.Command{Use: "owner CONNECTION", Short: "Look whether a service account is a person's own", Args: cobra.ExactArgs(1), Example: "  gatehouse connection owner Backup"},
		func(ctx context.Context, c *client.Client, args []string) error {
			look, err := c.LookAtOwner(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, look)
			}
			fmt.Fprintf(env.Stdout, "a person's own: %s (never certain)\n", map[string]string{"likely": "likely", "perhaps": "perhaps", "no_sign": "no sign of it", "unknown": "unknown"}[look.Conclusion])
			for _, s := range look.Signs {
				fmt.Fprint(env.Stdout, wrap(s.Says+": "+s.Words, "  ", explainWidth))
			}
			return nil
		})
}

func newConnectionNotes(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	return r.command(cobra.Command{Use: "notes CONNECTION", Short: "Limits, roles and permissions of a profile", Args: cobra.ExactArgs(1), Example: "  gatehouse connection notes Backup"},
		func(ctx context.Context, c *client.Client, args []string) error {
			n, err := c.ProfileNotes(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, n)
			}
			for _, l := range n.Limits {
				fmt.Fprint(env.Stdout, wrap(fmt.Sprintf("limit (%s): %s %s Way out: %s", map[bool]string{true: "binds here", false: "does not bind here"}[l.Binds], l.Limit, l.Here, l.Way), "", explainWidth))
			}
			for _, role := range n.Roles {
				fmt.Fprint(env.Stdout, wrap(role.Service+": "+role.Suffices+withWords(role.Beside, nil)+", instead of "+role.Demanded, "", explainWidth))
			}
			for _, need := range n.Needs {
				fmt.Fprint(env.Stdout, wrap("needs: "+need.Service+", to "+need.Task+": "+orWords(need.Least, "any permission")+withWords(need.Beside, need.Roles), "", explainWidth))
			}
			return nil
		})
}

func newTenantSharePoint(env Env) *cobra.Command {
	r := &remote{env: env, first: findTenant}
	return r.command(cobra.Command{Use: "sharepoint TENANT", Short: "Look where a tenant's SharePoint admin centres are, and ask whose they are", Args: cobra.ExactArgs(1), Example: "  gatehouse tenant sharepoint Contoso"},
		func(ctx context.Context, c *client.Client, args []string) error {
			found, err := c.FindSharePointHosts(ctx, args[0])
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, found)
			}
			if found.Reason != "" {
				fmt.Fprint(env.Stdout, wrap("not known: "+found.Reason, "", explainWidth))
			}
			for _, h := range found.Hosts {
				fmt.Fprint(env.Stdout, wrap(strings.TrimSpace(strings.Join([]string{h.AdminURL, h.Location, h.State, h.Reason}, "  ")), "", explainWidth))
			}
			if found.From != "" {
				fmt.Fprintf(env.Stdout, "from: %s\n", strings.ReplaceAll(found.From, "_", " "))
			}
			if found.Why != "" {
				fmt.Fprint(env.Stdout, wrap("not from Graph: "+found.Why, "", explainWidth))
			}
			return nil
		})
}
