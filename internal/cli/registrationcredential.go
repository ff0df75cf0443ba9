package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// appCredential are the flags for a new credential.
type appCredential struct {
	secret, certificate, ends string
	in                        client.NewCredential
}

func (f *appCredential) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.in.Label, "label", "", "name for people")
	flags.StringVar(&f.secret, "secret-file", "", "file with the value of a client secret")
	flags.StringVar(&f.ends, "ends", "", "day on which the secret ends, as 2027-11-30")
	flags.StringVar(&f.in.KeyID, "key-id", "", "id of the secret, as Microsoft shows it")
	flags.StringVar(&f.certificate, "certificate-file", "", "PEM file with certificate and private key")
	flags.StringVar(&f.in.ClientID, "for", "", "client id that the registration is to have (default the present one)")
}

// request reads the files. Without any, a certificate is made by the server.
func (f *appCredential) request() (client.NewCredential, error) {
	in := f.in
	var err error
	if in.NotAfter, err = day("--ends", f.ends); err != nil {
		return in, err
	}
	if f.secret != "" {
		value, err := secretFile("--secret-file", f.secret)
		if err != nil {
			return in, err
		}
		in.Secret = value.Reveal()
	}
	if f.certificate != "" {
		value, err := secretFile("--certificate-file", f.certificate)
		if err != nil {
			return in, err
		}
		in.CertificatePEM = value.Reveal()
	}
	in.Generate = in.Secret == "" && in.CertificatePEM == ""
	return in, nil
}

func newRegistrationCredential(env Env) *cobra.Command {
	return noun("credential", "Add a credential to an app registration", "  gatehouse registration credential add \"Ledger Link\" --label 2026", newRegistrationCredentialAdd(env))
}

func newRegistrationCredentialAdd(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration}
	var f appCredential
	var out string
	cmd := r.command(cobra.Command{Use: "add REGISTRATION", Short: "Add a secret or certificate; without files a certificate is made by the server", Args: cobra.ExactArgs(1),
		Long: `The first credential of a client id is in use at once. Any other is checked
('registration check') before it can be switched to. Of a certificate that the
server makes, the public half is written to --out, to be uploaded; the key never
leaves.`,
		Example: "  gatehouse registration credential add \"Ledger Link\" --label 2026 --out ledger.pem\n  gatehouse registration credential add \"Ledger Link\" --secret-file value.txt --ends 2027-11-30"},
		func(ctx context.Context, c *client.Client, args []string) error {
			in, err := f.request()
			if err != nil {
				return err
			}
			k, err := c.AddRegistrationCredential(ctx, args[0], in)
			if err != nil {
				return err
			}
			if k.Kind == "certificate" && out != "" {
				pem, err := c.RegistrationCertificate(ctx, args[0], k.ID)
				if err != nil {
					return err
				}
				if err := r.writePEM(out, pem); err != nil {
					return err
				}
			}
			return r.oneCredential(k, nil)
		})
	f.add(cmd)
	cmd.Flags().StringVar(&out, "out", "", "file for the certificate to be uploaded")
	return cmd
}

func (r *remote) oneCredential(k client.RegistrationCredential, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, k)
	}
	r.sayCredential(k, "")
	if k.State == "retired" && k.Removal != "" {
		fmt.Fprint(r.env.Stdout, wrap("Remove it at Microsoft too. "+plain(k.Removal), "  ", explainWidth))
	}
	return nil
}

// acting is a command about one credential.
func acting(env Env, use, short, example string, do func(ctx context.Context, c *client.Client, id, credentialID string) (client.RegistrationCredential, error)) *cobra.Command {
	r := &remote{env: env, first: findRegistration}
	return r.command(cobra.Command{Use: use + " REGISTRATION CREDENTIAL", Short: short, Args: cobra.ExactArgs(2), Example: example},
		func(ctx context.Context, c *client.Client, args []string) error {
			k, err := findCredential(ctx, c, args[0], args[1])
			if err != nil {
				return err
			}
			return r.oneCredential(do(ctx, c, args[0], k.ID))
		})
}

func newRegistrationSwitch(env Env) *cobra.Command {
	return acting(env, "switch", "Put a checked credential into use", "  gatehouse registration switch \"Ledger Link\" 2026",
		func(ctx context.Context, c *client.Client, id, credentialID string) (client.RegistrationCredential, error) {
			return c.SwitchRegistrationCredential(ctx, id, credentialID)
		})
}

func newRegistrationRetire(env Env) *cobra.Command {
	return acting(env, "retire", "Forget a credential that is not in use, and say how it is removed at Microsoft", "  gatehouse registration retire \"Ledger Link\" 2025",
		func(ctx context.Context, c *client.Client, id, credentialID string) (client.RegistrationCredential, error) {
			return c.RetireRegistrationCredential(ctx, id, credentialID)
		})
}

func newRegistrationUndo(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration}
	return r.command(cobra.Command{Use: "undo REGISTRATION", Short: "Go back to the credential that was in use before, once it is accepted again", Args: cobra.ExactArgs(1), Example: "  gatehouse registration undo \"Ledger Link\""},
		func(ctx context.Context, c *client.Client, args []string) error {
			k, err := c.UndoRegistrationSwitch(ctx, args[0])
			if err != nil {
				return err
			}
			return r.oneCredential(r.checked(ctx, c, args[0], k))
		})
}

func newRegistrationCheck(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration, timeout: 30 * time.Minute}
	var at string
	var in client.CheckRequest
	var wait bool
	cmd := r.command(cobra.Command{Use: "check REGISTRATION CREDENTIAL", Short: "Try a credential at the token endpoint, several times in a row", Args: cobra.ExactArgs(2),
		Long: `The server tries by itself until the credential was accepted often enough, for a day
at most. With --wait the command follows it.

Exit codes: 0 accepted, or begun without --wait; 1 refused; 3 not known yet.`,
		Example: "  gatehouse registration check \"Ledger Link\" 2026 --tenant Contoso --switch --wait"},
		func(ctx context.Context, c *client.Client, args []string) error {
			k, err := findCredential(ctx, c, args[0], args[1])
			if err != nil {
				return err
			}
			if in.TenantID, err = tenantFlag(ctx, c, at); err != nil {
				return err
			}
			if k, err = c.CheckRegistrationCredential(ctx, args[0], k.ID, in); err == nil && wait {
				k, err = r.checked(ctx, c, args[0], k)
			}
			return r.oneCredential(k, err)
		})
	flags := cmd.Flags()
	flags.StringVar(&at, "tenant", "", "a tenant that has consented to the app (default as last time, or that of a connection)")
	flags.BoolVar(&in.Switch, "switch", false, "put it into use once it passed")
	flags.BoolVar(&in.Retire, "retire", false, "and retire the one that was in use")
	flags.BoolVar(&wait, "wait", false, "wait for the end")
	return cmd
}

// checked follows a check to its end, and says how it goes.
func (r *remote) checked(ctx context.Context, c *client.Client, id string, k client.RegistrationCredential) (client.RegistrationCredential, error) {
	tick, said := time.NewTicker(2*time.Second), ""
	defer tick.Stop()
	for k.Check != nil && k.Check.State == "running" {
		if line := fmt.Sprintf("%d of %d in a row accepted. %s", k.Check.Successes, k.Check.Need, plain(k.Check.Reason)); line != said {
			said = line
			fmt.Fprintln(r.env.Stderr, line)
		}
		select {
		case <-ctx.Done():
			return k, &exitError{exitUnknown, fmt.Errorf("the check has not ended; the server goes on with it: 'gatehouse registration show' tells")}
		case <-tick.C:
		}
		g, err := c.Registration(ctx, id)
		if err != nil {
			return k, err
		}
		for _, now := range g.Credentials {
			if now.ID == k.ID {
				k = now
			}
		}
	}
	if k.Check != nil && k.Check.State == "failed" {
		return k, &exitError{exitNo, fmt.Errorf("the credential was not accepted: %s", plain(k.Check.Reason))}
	}
	return k, nil
}

func newRegistrationRotate(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration, timeout: 30 * time.Minute}
	var f appCredential
	var at, out string
	var keep bool
	cmd := r.command(cobra.Command{Use: "rotate REGISTRATION", Short: "Add a credential, check it, switch to it, and retire the one before", Args: cobra.ExactArgs(1),
		Long: `Rotate adds a credential, a certificate made by the server unless a file is given,
has it tried at the token endpoint until it was accepted several times in a row,
switches to it, and retires the one that was in use. Callers get the one in use all
the while, so that none of their calls fails. Upload the certificate from --out while
the command waits; it goes on by itself once Microsoft knows it.

The retired one is removed at Microsoft by a person: the command says which one.`,
		Example: "  gatehouse registration rotate \"Ledger Link\" --tenant Contoso --label 2026 --out ledger.pem"},
		func(ctx context.Context, c *client.Client, args []string) error {
			in, err := f.request()
			if err != nil {
				return err
			}
			before, err := c.Registration(ctx, args[0])
			if err != nil {
				return err
			}
			check := client.CheckRequest{Switch: true, Retire: !keep}
			if check.TenantID, err = tenantFlag(ctx, c, at); err != nil {
				return err
			}
			k, err := c.AddRegistrationCredential(ctx, args[0], in)
			if err != nil {
				return err
			}
			if in.Generate {
				pem, err := c.RegistrationCertificate(ctx, args[0], k.ID)
				if err != nil {
					return err
				}
				if err := r.writePEM(out, pem); err != nil {
					return err
				}
			}
			if k, err = c.CheckRegistrationCredential(ctx, args[0], k.ID, check); err == nil {
				k, err = r.checked(ctx, c, args[0], k)
			}
			if err != nil {
				return err
			}
			return r.rotated(ctx, c, before, k, keep)
		})
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&at, "tenant", "", "a tenant that has consented to the app (default as last time, or that of a connection)")
	flags.StringVar(&out, "out", "", "file for the certificate to be uploaded (default standard output)")
	flags.BoolVar(&keep, "keep", false, "do not retire the one that was in use")
	return cmd
}

// rotated says what is in use, and what a person removes at Microsoft.
func (r *remote) rotated(ctx context.Context, c *client.Client, before client.Registration, k client.RegistrationCredential, keep bool) error {
	if err := r.oneCredential(k, nil); err != nil || keep || r.asJSON {
		return err
	}
	for _, old := range before.Credentials {
		if old.State != "active" || old.ClientID != k.ClientID || old.ID == k.ID {
			continue
		}
		gone, err := findCredential(ctx, c, before.ID, old.ID)
		if err != nil {
			return err
		}
		fmt.Fprint(r.env.Stderr, wrap("Now remove the old one at Microsoft. "+plain(gone.Removal), "", explainWidth))
	}
	return nil
}
