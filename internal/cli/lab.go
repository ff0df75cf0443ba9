package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gatehouse/lab"
)

func newLab(env Env) *cobra.Command {
	var cfg lab.Config
	var readyFile, tenantsFile string
	var check, asJSON bool
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Run a simulated Microsoft cloud that enforces MFA",
		Long: `Lab runs a simulated Microsoft cloud on this machine: a sign-in service that
enforces MFA, Microsoft Graph, SharePoint Online, Business Central, and sample
tenants, one for each story. MSAL, azidentity and other clients work with it
unchanged. People's second factors are answered on the phones page. It runs
until Ctrl-C.

The ready file tells addresses, tenants, people, apps and their credentials; it
appears once everything accepts connections. Certificates are signed by the
lab's own authority (ca_file). Tools that insist on Microsoft's host names reach
the lab through its proxy (HTTPS_PROXY=proxy_url).

The lab is for tests. It has no security of its own: keep it on loopback.

Exit codes: 0 ended by Ctrl-C; 1 with --check: the tenants file has faults;
2 the lab could not be started as asked.`,
		Example: `  gatehouse lab --ready-file lab.json
  GATEHOUSE_LAB=lab.json gatehouse check --cloud lab --tenant openharbour.onmicrosoft.com …
  gatehouse lab --tenants my-tenants.json --check`,
		Args: noSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tenantsFile != "" {
				data, err := readLimited(tenantsFile, 64<<20)
				if err != nil {
					return usagef("--tenants: %w", err)
				}
				cfg.Tenants = bytes.NewReader(data)
			}
			if check {
				if tenantsFile == "" {
					return usagef("--check needs --tenants FILE")
				}
				return checkTenants(env, cfg.Tenants, asJSON)
			}
			return runLab(cmd.Context(), env, cfg, readyFile, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Listen, "listen", "", "address of the cloud itself (default a free loopback port)")
	flags.StringVar(&cfg.Control, "control", "", "address of the control port (default a free loopback port)")
	flags.StringVar(&cfg.Proxy, "proxy", "", "address of the proxy (default a free loopback port)")
	flags.StringVar(&readyFile, "ready-file", "", "write addresses and credentials to this file once the lab is ready")
	flags.StringVar(&tenantsFile, "tenants", "", "tenants file instead of the built-in tenants (docs/lab.md has the schema)")
	flags.StringVar(&cfg.State, "state", "", "folder that keeps authority, ids and secrets across starts")
	flags.Uint64Var(&cfg.Seed, "seed", 0, "seed of ids, passwords and secrets (default random, or the state folder's)")
	flags.BoolVar(&cfg.Deterministic, "deterministic", false, "do not vary page sizes, token sizes, lifetimes and member order")
	flags.BoolVar(&cfg.Strict, "strict", false, "enforce restrictions that are announced or to be expected")
	flags.BoolVar(&check, "check", false, "only check the tenants file and name every fault")
	flags.BoolVar(&asJSON, "json", false, "print the ready file (or, with --check, the faults) as JSON on stdout")
	cmd.AddCommand(newLabEnv(env), newLabScenarios(env))
	return cmd
}

func checkTenants(env Env, tenants io.Reader, asJSON bool) error {
	err := lab.Check(tenants)
	var faults lab.FileFaults
	if err != nil && !errors.As(err, &faults) {
		faults = lab.FileFaults{{Problem: err.Error()}}
	}
	if asJSON {
		type fault struct {
			Path    string `json:"path"`
			Problem string `json:"problem"`
		}
		out := struct {
			Faults []fault `json:"faults"`
		}{[]fault{}}
		for _, f := range faults {
			out.Faults = append(out.Faults, fault{f.Path, f.Problem})
		}
		if err := writeJSON(env.Stdout, out); err != nil {
			return err
		}
	} else if len(faults) > 0 {
		fmt.Fprintln(env.Stdout, faults.Error())
	} else {
		fmt.Fprintln(env.Stdout, "the tenants file is fine")
	}
	if len(faults) > 0 {
		return &exitError{code: exitNo, err: fmt.Errorf("the tenants file has %d fault(s)", len(faults))}
	}
	return nil
}

func runLab(ctx context.Context, env Env, cfg lab.Config, readyFile string, asJSON bool) (err error) {
	if os.Getenv("GOGC") == "" {
		// The lab runs beside what it is there to test, and makes much short-lived
		// garbage: collecting three times as often holds it to 60 MB under 200 clients.
		debug.SetGCPercent(35)
	}
	l, err := lab.New(cfg)
	if err != nil {
		var faults lab.FileFaults
		if errors.As(err, &faults) {
			return usagef("the tenants file has %d fault(s):\n%w", len(faults), err)
		}
		return usagef("%w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if readyFile != "" {
		if err := l.WriteReady(readyFile); err != nil {
			return usagef("%w", err)
		}
	}
	if asJSON {
		err = writeJSON(env.Stdout, l.Ready())
	} else {
		err = describeLab(env, l.Ready(), readyFile)
	}
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// describeLab tells a person what is there and what to try first.
func describeLab(env Env, ready lab.Ready, readyFile string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The lab is ready. It is a simulation: keep it on this machine.\n\n  cloud    %s\n  control  %s\n  phones   %s\n  proxy    %s\n  CA file  %s\n  seed     %d\n\n",
		ready.URL, ready.ControlURL, ready.PhoneURL, ready.ProxyURL, ready.CAFile, ready.Seed)
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	for _, t := range ready.Tenants {
		fmt.Fprintf(w, "  %s\t%s\n", t.Domain, firstSentence(t.Story))
	}
	_ = w.Flush() // into a strings.Builder
	if readyFile == "" {
		b.WriteString("\nAdd --ready-file lab.json to get everybody's credentials in a file.\n")
	} else {
		fmt.Fprintf(&b, "\nEverybody's credentials are in %s. In another terminal:\n\n  export GATEHOUSE_LAB=%s\n", readyFile, readyFile)
		if user, tenant, ok := firstUser(ready); ok {
			fmt.Fprintf(&b, "  GATEHOUSE_PASSWORD='%s' gatehouse check --cloud lab --tenant %s --username %s --service graph\n", *user.Password, tenant.Domain, user.UPN)
		}
	}
	b.WriteString("\nCtrl-C ends it.\n")
	_, err := io.WriteString(env.Stdout, b.String())
	return err
}

func firstUser(ready lab.Ready) (lab.ReadyUser, lab.ReadyTenant, bool) {
	for _, t := range ready.Tenants {
		for _, u := range t.Users {
			if u.Password != nil {
				return u, t, true
			}
		}
	}
	return lab.ReadyUser{}, lab.ReadyTenant{}, false
}

func firstSentence(s string) string {
	if i := strings.IndexAny(s, ".:"); i > 0 {
		return s[:i]
	}
	return s
}

// readLimited reads a file of at most limit bytes.
func readLimited(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return data, nil
}
