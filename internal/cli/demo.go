package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

func newDemo(env Env) *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what Gatehouse finds out, on a simulated cloud",
		Long: `Demo starts the lab on free loopback ports, checks every sample account and app
of its tenants, and says for each what stops it, who has to act and what helps
first. Then it starts a server with these tenants and tells how to sign in. It
needs nothing configured, talks to this machine only, and keeps nothing.`,
		Example: "  gatehouse demo\n  gatehouse demo --tour",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), env, only) },
	}
	cmd.Flags().BoolVar(&only, "tour", false, "end after the tour, without a server")
	return cmd
}

func demo(ctx context.Context, env Env, tourOnly bool) (err error) {
	l, err := lab.New(lab.Config{})
	if err != nil {
		return fmt.Errorf("starting the lab: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	ready := l.Ready()
	cloud := microsoft.Cloud{Name: "lab", Login: ready.URL, Graph: ready.URL, GraphResource: "https://graph.microsoft.com", Roots: l.Roots()}
	if err := tour(ctx, env, ready, cloud); err != nil || tourOnly {
		return err
	}
	return serveDemo(ctx, env, ready, cloud)
}

// tourClients are the apps that people of some tenants, or single people, sign
// in with; elsewhere it is the default of check.
var tourClients = map[string]string{
	"azurequay.onmicrosoft.com":      "Microsoft Azure CLI",
	"ledgerlane.onmicrosoft.com":     "Ledger Link",
	"carla.novak@ledgerlane.example": "Ledger Reports",
}

func tour(ctx context.Context, env Env, ready lab.Ready, cloud microsoft.Cloud) error {
	out := env.Stdout
	fmt.Fprintf(out, "This is a demo: a simulated Microsoft cloud on this machine, at %s.\nEach account below signs in once, without a person.\n", ready.URL)
	checked, stopped := 0, 0
	service := validation.Service{Rules: &posture.Cache{}, Pace: pace.New(pace.Config{})} // each tenant's rules are read once
	for _, t := range ready.Tenants {
		fmt.Fprintf(out, "\n%s (%s)\n%s", t.Name, t.Domain, wrap(t.Story, "  ", explainWidth))
		requests, err := tourRequests(cloud, t)
		if err != nil {
			return err
		}
		for _, request := range requests {
			result := service.Run(ctx, request)
			if err := ctx.Err(); err != nil {
				return err
			}
			checked++
			if result.Verdict != validation.Works && result.Verdict != validation.WorksWithWarnings {
				stopped++
			}
			writeStop(env, t, request, result)
		}
	}
	fmt.Fprintf(out, `
%d identities checked, %d stopped. To try it by hand:

  gatehouse lab --ready-file lab.json
  GATEHOUSE_LAB=lab.json gatehouse check --cloud lab --help
  gatehouse explain "AADSTS50076: you must use multi-factor authentication"
`, checked, stopped)
	return nil
}

// tourRequests are the sign-ins of a tenant that the tour tries: everybody
// with a password, and every app that signs in for itself.
func tourRequests(cloud microsoft.Cloud, t lab.ReadyTenant) ([]validation.Request, error) {
	reader := &validation.Reader{}
	var requests []validation.Request
	for _, a := range t.Apps {
		credential, err := appCredential(a)
		if err != nil {
			return nil, err
		}
		switch a.Purpose {
		case "reader":
			*reader = validation.Reader{ClientID: a.ClientID, Credential: credential}
		case "service":
			requests = append(requests, validation.Request{Cloud: cloud, Tenant: t.Domain, ClientID: a.ClientID, Credential: credential, Reader: reader})
		}
	}
	var people []validation.Request
	for _, u := range t.Users {
		if u.Password != nil {
			client := validation.GraphCommandLineTools
			for _, key := range []string{t.Domain, u.UPN} {
				if name := tourClients[key]; name != "" {
					client = t.App(name).ClientID
				}
			}
			people = append(people, validation.Request{
				Cloud: cloud, Tenant: t.Domain, Username: u.UPN, ClientID: client, Credential: validation.Credential{Password: secrets.New(*u.Password)}, Reader: reader,
			})
		}
	}
	return append(people, requests...), nil
}

func appCredential(a lab.ReadyApp) (validation.Credential, error) {
	switch {
	case a.CertificateFile != nil:
		data, err := os.ReadFile(*a.CertificateFile)
		if err != nil {
			return validation.Credential{}, fmt.Errorf("reading the certificate of %s: %w", a.Name, err)
		}
		c, err := login.ReadCertificate(data)
		return validation.Credential{Certificate: &c}, err
	case a.Secret != nil:
		return validation.Credential{Secret: secrets.New(*a.Secret)}, nil
	}
	return validation.Credential{}, nil
}

// writeStop tells one check in a few lines.
func writeStop(env Env, t lab.ReadyTenant, request validation.Request, result validation.Result) {
	name := request.Username
	if name == "" {
		name = "app " + t.App(request.ClientID).Name
	}
	verdict := strings.ToLower(verdictWords[result.Verdict])
	if result.Rule != nil {
		verdict += " by " + ruleText(*result.Rule)
	}
	fmt.Fprintf(env.Stdout, "\n  %s: %s\n", name, verdict)
	switch d := result.Diagnosis; {
	case d != nil:
		fmt.Fprintf(env.Stdout, "    %s; %s acts\n", d.Title, actorNames[d.Actor])
		fmt.Fprintf(env.Stdout, "    first: %s\n", d.Remedies[0].Title)
	default:
		for _, p := range result.Probes {
			if p.State == validation.Warning && p.Reason != nil {
				fmt.Fprint(env.Stdout, wrap(*p.Reason, "    ", explainWidth))
				break
			}
		}
	}
}
