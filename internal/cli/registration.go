package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/tenant"
)

func newRegistration(env Env) *cobra.Command {
	return noun("registration", "Look after the app registrations through which people sign in", "  gatehouse registration list",
		newRegistrationList(env), newRegistrationShow(env), newRegistrationAdd(env), newRegistrationChange(env), newRegistrationRemove(env), newRegistrationLook(env),
		newRegistrationCredential(env), newRegistrationCheck(env), newRegistrationRotate(env), newRegistrationSwitch(env), newRegistrationUndo(env), newRegistrationRetire(env), newRegistrationManifest(env))
}

// findRegistration takes a registration's name, client id, or id.
func findRegistration(ctx context.Context, c *client.Client, name string) (string, error) {
	found, err := all(func(p client.Page) ([]client.Registration, string, error) { return c.Registrations(ctx, "", p) })
	if err != nil {
		return "", err
	}
	var ids []string
	for _, g := range found {
		if strings.EqualFold(g.ID, name) || strings.EqualFold(g.Name, name) || g.ClientID != "" && strings.EqualFold(g.ClientID, name) {
			ids = append(ids, g.ID)
		}
	}
	return one("registration", name, ids)
}

// findCredential takes a credential's label, thumbprint or id.
func findCredential(ctx context.Context, c *client.Client, registrationID, name string) (client.RegistrationCredential, error) {
	g, err := c.Registration(ctx, registrationID)
	if err != nil {
		return client.RegistrationCredential{}, err
	}
	var found []client.RegistrationCredential
	for _, k := range g.Credentials {
		if k.ID == name {
			return k, nil
		}
		if k.State != "retired" && (strings.EqualFold(k.Label, name) && name != "" || strings.EqualFold(k.Thumbprint, name) && name != "") {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return client.RegistrationCredential{}, &exitError{exitNo, fmt.Errorf("there is no credential %q: 'gatehouse registration show' lists them", name)}
	}
	return client.RegistrationCredential{}, usagef("%d credentials are called %q: give the id", len(found), name)
}

func newRegistrationList(env Env) *cobra.Command {
	r := &remote{env: env}
	var search string
	cmd := r.command(cobra.Command{Use: "list", Short: "List app registrations", Args: cobra.NoArgs, Example: "  gatehouse registration list --search ledger"},
		func(ctx context.Context, c *client.Client, _ []string) error {
			found, err := all(func(p client.Page) ([]client.Registration, string, error) { return c.Registrations(ctx, search, p) })
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, found)
			}
			rows := [][]string{}
			for _, g := range found {
				state := "ready"
				if g.Lacks != "" {
					state = "lacks " + g.Lacks
				}
				rows = append(rows, []string{g.ID, g.Name, g.Kind, g.ClientID, state, fmt.Sprint(g.Connections)})
			}
			return table(env.Stdout, []string{"ID", "NAME", "KIND", "CLIENT ID", "STATE", "CONNECTIONS"}, rows)
		})
	cmd.Flags().StringVar(&search, "search", "", "only those with this in name or client id")
	return cmd
}

func newRegistrationShow(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration}
	return r.command(cobra.Command{Use: "show REGISTRATION", Short: "Show an app registration: credentials, redirect addresses, what it asks for", Args: cobra.ExactArgs(1), Example: "  gatehouse registration show \"Ledger Link\""},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.oneRegistration(c.Registration(ctx, args[0]))
		})
}

// oneRegistration answers with a registration.
func (r *remote) oneRegistration(g client.Registration, err error) error {
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, g)
	}
	out := r.env.Stdout
	fmt.Fprintf(out, "%s (%s)\n  id %s\n", plain(g.Name), g.Kind, g.ID)
	if g.Lacks != "" {
		fmt.Fprintf(out, "  nobody can sign in through it: it lacks %s\n", plain(g.Lacks))
	}
	for _, k := range g.Clients {
		until := ""
		if k.Until != nil {
			until = " (until " + when(k.Until) + ")"
		}
		fmt.Fprintf(out, "  client id, %s: %s%s\n", plain(k.Cloud), k.ClientID, until)
	}
	fmt.Fprintf(out, "  publisher: %s %s\n  connections: %d\n", g.Publisher.State, plain(g.Publisher.Name), g.Connections)
	for _, d := range g.Redirects {
		fmt.Fprintf(out, "  redirect address: %s (%s)\n", plain(d.URI), d.State)
	}
	for _, k := range g.Credentials {
		r.sayCredential(k, "  ")
	}
	r.sayPermissions(g.Manifest.Permissions, fmt.Sprintf("  asks for (version %d):", g.Manifest.Version))
	return nil
}

func (r *remote) sayCredential(k client.RegistrationCredential, lead string) {
	end := when(k.NotAfter)
	if end == "" {
		end = "at an unknown time"
	}
	fmt.Fprintf(r.env.Stdout, "%s%s %s: %s, ends %s\n%s  id %s\n", lead, k.Kind, plain(k.Label), k.State, end, lead, k.ID)
	if k.Thumbprint != "" {
		fmt.Fprintf(r.env.Stdout, "%s  thumbprint %s\n", lead, k.Thumbprint)
	}
	if k.UsedAt != nil {
		fmt.Fprintf(r.env.Stdout, "%s  used last %s\n", lead, when(k.UsedAt))
	}
	if k.Check != nil {
		fmt.Fprintf(r.env.Stdout, "%s  check %s: %d of %d\n", lead, k.Check.State, k.Check.Successes, k.Check.Need)
		if k.Check.Reason != "" {
			fmt.Fprint(r.env.Stdout, wrap(plain(k.Check.Reason), lead+"    ", explainWidth))
		}
	}
}

func (r *remote) sayPermissions(all []client.ManifestPermission, head string) {
	const lead = "    "
	if len(all) > 0 {
		fmt.Fprintln(r.env.Stdout, head)
	}
	for _, p := range all {
		api, words := p.ResourceName, p.Words
		if api == "" {
			api = p.Resource
		}
		if words == "" {
			words = "not known to Gatehouse"
		}
		fmt.Fprintf(r.env.Stdout, "%s%s (%s, %s): %s\n", lead, plain(p.Name), p.Kind, plain(api), words)
	}
}

// registrationFlags are the flags for what a registration says of itself.
func registrationFlags(cmd *cobra.Command, d *client.RegistrationDetails, redirects *[]string) {
	flags := cmd.Flags()
	flags.StringVar(&d.Purpose, "purpose", "", "what it is for, for the administrators who consent")
	flags.StringToStringVar(&d.ClientIDs, "client-id", nil, "client id in a cloud, as public=11111111-… (repeatable)")
	flags.StringArrayVar(redirects, "redirect", nil, "further redirect address, with a note after a blank (repeatable)")
	flags.StringVar(&d.Publisher, "publisher", "", "verified, unverified or unknown")
	flags.StringVar(&d.PublisherName, "publisher-name", "", "name of the verified publisher")
}

func redirectsOf(lines []string) (out []client.Redirect) {
	for _, l := range lines {
		uri, note, _ := strings.Cut(strings.TrimSpace(l), " ")
		out = append(out, client.Redirect{URI: uri, Note: note})
	}
	return out
}

func newRegistrationAdd(env Env) *cobra.Command {
	r := &remote{env: env}
	in := client.NewRegistration{}
	var redirects []string
	var manifest string
	cmd := r.command(cobra.Command{Use: "add NAME", Short: "Make an app registration known", Args: cobra.ExactArgs(1),
		Example: "  gatehouse registration add \"Ledger Link\" --client-id public=11111111-2222-3333-4444-555555555555 --manifest ledger.json"},
		func(ctx context.Context, c *client.Client, args []string) error {
			in.Name, in.Redirects = args[0], redirectsOf(redirects)
			if manifest != "" {
				var err error
				if in.Permissions, err = readManifest(manifest); err != nil {
					return err
				}
			}
			return r.oneRegistration(c.AddRegistration(ctx, in))
		})
	cmd.Flags().StringVar(&in.Kind, "kind", "confidential", "confidential or public")
	cmd.Flags().StringVar(&manifest, "manifest", "", "file with its permissions, as 'registration manifest --json' prints them")
	registrationFlags(cmd, &in.RegistrationDetails, &redirects)
	return cmd
}

func newRegistrationChange(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration}
	var typed client.RegistrationDetails
	var redirects []string
	var cmd *cobra.Command
	cmd = r.command(cobra.Command{Use: "change REGISTRATION", Short: "Change an app registration's details; what no flag names stays", Args: cobra.ExactArgs(1),
		Long: `Change changes what the flags name and leaves the rest. Another client id in the
server's cloud makes everybody sign in again; its credential has to be here first
('registration credential add --for').`,
		Example: "  gatehouse registration change \"Ledger Link\" --client-id public=22222222-3333-4444-5555-666666666666"},
		func(ctx context.Context, c *client.Client, args []string) error {
			g, err := c.Registration(ctx, args[0])
			if err != nil {
				return err
			}
			in := client.RegistrationChange{Version: g.Version, RegistrationDetails: client.RegistrationDetails{Name: g.Name, Purpose: g.Purpose, ClientIDs: map[string]string{}, Redirects: g.Redirects}}
			for _, k := range g.Clients {
				if k.Until == nil {
					in.ClientIDs[k.Cloud] = k.ClientID
				}
			}
			for cloud, id := range typed.ClientIDs {
				in.ClientIDs[cloud] = id
			}
			for flag, set := range map[string]func(){
				"name": func() { in.Name = typed.Name }, "purpose": func() { in.Purpose = typed.Purpose }, "redirect": func() { in.Redirects = redirectsOf(redirects) },
				"publisher": func() { in.Publisher, in.PublisherName = typed.Publisher, typed.PublisherName },
			} {
				if cmd.Flags().Changed(flag) {
					set()
				}
			}
			return r.oneRegistration(c.ChangeRegistration(ctx, args[0], in))
		})
	cmd.Flags().StringVar(&typed.Name, "name", "", "another name")
	registrationFlags(cmd, &typed, &redirects)
	return cmd
}

func newRegistrationRemove(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration}
	return r.command(cobra.Command{Use: "remove REGISTRATION", Short: "Forget an app registration with its credentials", Args: cobra.ExactArgs(1), Example: "  gatehouse registration remove \"Ledger Link\""},
		func(ctx context.Context, c *client.Client, args []string) error {
			return r.done(c.RemoveRegistration(ctx, args[0]), "removed")
		})
}

func newRegistrationLook(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration}
	var at string
	cmd := r.command(cobra.Command{Use: "look REGISTRATION", Short: "Read redirect addresses and publisher in a tenant, with its reader", Args: cobra.ExactArgs(1), Example: "  gatehouse registration look \"Ledger Link\" --tenant Contoso"},
		func(ctx context.Context, c *client.Client, args []string) error {
			id, err := findTenant(ctx, c, at)
			if err != nil {
				return err
			}
			return r.oneRegistration(c.LookUpRegistration(ctx, args[0], id))
		})
	cmd.Flags().StringVar(&at, "tenant", "", "a tenant that has consented to it")
	_ = cmd.MarkFlagRequired("tenant") // it is there
	return cmd
}

func newRegistrationManifest(env Env) *cobra.Command {
	r := &remote{env: env, first: findRegistration}
	var file, reason string
	var versions bool
	cmd := r.command(cobra.Command{Use: "manifest REGISTRATION", Short: "Show what an app registration asks for, its versions, or make a new one", Args: cobra.ExactArgs(1),
		Long: `Without flags the newest version is shown. --set makes a new one from a JSON file: a
list of {"resource", "kind", "name", "why"}, or what --json printed. resource is
graph, sharepoint, exchange, business_central or the app id of an API.`,
		Example: "  gatehouse registration manifest \"Ledger Link\" --versions\n  gatehouse registration manifest \"Ledger Link\" --set ledger.json --reason \"reports read ledgers\""},
		func(ctx context.Context, c *client.Client, args []string) error {
			all, err := c.Manifests(ctx, args[0])
			if err != nil || len(all) == 0 {
				return err
			}
			if file != "" {
				permissions, err := readManifest(file)
				if err != nil {
					return err
				}
				m, err := c.SetManifest(ctx, args[0], client.ManifestRequest{Permissions: permissions, Reason: reason, Version: all[0].Version})
				if err != nil {
					return err
				}
				all = []client.Manifest{m}
			} else if !versions {
				all = all[:1]
			}
			if r.asJSON && versions {
				return writeJSON(env.Stdout, all)
			}
			if r.asJSON {
				return writeJSON(env.Stdout, all[0])
			}
			for _, m := range all {
				fmt.Fprintf(env.Stdout, "version %d, %s, %s %s\n", m.Version, when(&m.At), plain(m.By), plain(m.Reason))
				r.sayPermissions(m.Added, "  added:")
				r.sayPermissions(m.Removed, "  removed:")
				if !versions && file == "" {
					r.sayPermissions(m.Permissions, "  asks for:")
				}
			}
			return nil
		})
	cmd.Flags().BoolVar(&versions, "versions", false, "all versions, each with what it added and removed")
	cmd.Flags().StringVar(&file, "set", "", "JSON file with the permissions of a new version")
	cmd.Flags().StringVar(&reason, "reason", "", "why it changes")
	return cmd
}

// readManifest reads permissions from a file: a list, or a manifest with one.
func readManifest(file string) ([]client.ManifestPermission, error) {
	data, err := readLimited(file, 1<<20)
	if err != nil {
		return nil, usagef("%w", err)
	}
	var whole client.Manifest
	if err := json.Unmarshal(data, &whole.Permissions); err == nil {
		return whole.Permissions, nil
	}
	if err := json.Unmarshal(data, &whole); err != nil || len(whole.Permissions) == 0 {
		return nil, usagef("%s is neither a JSON list of permissions nor a manifest with one", file)
	}
	return whole.Permissions, nil
}

// writePEM writes a certificate to a file, or prints it.
func (r *remote) writePEM(file, text string) error {
	if file == "" {
		_, err := fmt.Fprint(r.env.Stdout, text)
		return err
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return &exitError{exitUnknown, fmt.Errorf("writing the certificate: %w", err)}
	}
	fmt.Fprintf(r.env.Stderr, "The certificate is in %s: upload it to the app registration.\n", file)
	return nil
}

// tenantFlag takes a tenant's name; "" stays.
func tenantFlag(ctx context.Context, c *client.Client, name string) (string, error) {
	if name == "" || tenant.GUID(strings.ToLower(name)) {
		return name, nil
	}
	return findTenant(ctx, c, name)
}

// day reads a day.
func day(flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, usagef("%s: %q is no day: write 2027-11-30", flag, text)
	}
	return &at, nil
}
