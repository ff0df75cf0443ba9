package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
)

func newPosture(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "posture",
		Short:   "Read which rules of a tenant ask for MFA, and what they mean for a sign-in",
		Example: "  gatehouse posture snapshot --help",
		Args:    noSubcommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSnapshot(env), newPostureExplain(env))
	return cmd
}

func newSnapshot(env Env) *cobra.Command {
	var tenant, out string
	var want posture.Want
	var reader readerFlags
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Write what a reader sees of a tenant's MFA rules to a file",
		Long: `Snapshot reads a tenant's Security Defaults, Conditional Access policies with
all that they refer to, and licences; for each --account its state, groups,
roles, per-user MFA and registered methods; for each --app its service principal.
'gatehouse check --snapshot FILE' and 'gatehouse posture explain' name rules from
it where no reader can be used. What could not be read is in the file as unread,
with the reason.

Microsoft lets one request a second through to policies and named locations, so
this takes a few seconds.

The file holds no secret, but tells a lot about the tenant: mode 0600.

Exit codes: 0 written; 2 wrong usage; 3 the tenant could not be read.`,
		Example: `  gatehouse posture snapshot --tenant contoso.onmicrosoft.com --reader-client-id 11111111-2222-3333-4444-555555555555 \
    --reader-certificate-file reader.pem --account svc-backup@contoso.com --out posture.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := takeSnapshot(cmd.Context(), env, tenant, reader, want)
			if err != nil {
				return err
			}
			data, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				return fmt.Errorf("encoding the snapshot: %w", err)
			}
			data = append(data, '\n')
			if out == "" {
				_, err = env.Stdout.Write(data)
				return err
			}
			if err := replaceFile(out, data); err != nil {
				return usagef("--out: %w", err)
			}
			fmt.Fprintf(env.Stderr, "wrote %s: %d account(s), %d app(s), %d part(s) not read\n", out, len(s.Accounts), len(s.Apps), len(s.Unread))
			return nil
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant: a domain or an id (required)")
	cmd.Flags().StringArrayVar(&want.Accounts, "account", nil, "user name of an account to include (repeatable)")
	cmd.Flags().StringArrayVar(&want.Apps, "app", nil, "client id of an app to include (repeatable)")
	cmd.Flags().StringVar(&out, "out", "", "file to write (default stdout)")
	reader.add(cmd)
	return cmd
}

func takeSnapshot(ctx context.Context, env Env, tenant string, flags readerFlags, want posture.Want) (*posture.Snapshot, error) {
	if !tenantPattern.MatchString(tenant) {
		return nil, usagef("--tenant is %q, must be a domain or a tenant id", tenant)
	}
	for i, id := range want.Apps {
		if !guidPattern.MatchString(id) {
			return nil, usagef("--app is %q, must be a client id such as 11111111-2222-3333-4444-555555555555", id)
		}
		want.Apps[i] = strings.ToLower(id)
	}
	cloud, err := findCloud(env, flags.cloud)
	if err != nil {
		return nil, err
	}
	reader, err := flags.reader()
	if err != nil {
		return nil, err
	}
	if reader == nil {
		return nil, &exitError{exitUsage, errNoReader}
	}
	governor := pace.New(pace.Config{})
	client := login.New(login.Config{Cloud: cloud, Pace: governor})
	scopes := []string{cloud.GraphResource + "/.default"}
	var token login.Token
	if c := reader.Credential.Certificate; c != nil {
		token, err = client.Certificate(ctx, tenant, reader.ClientID, *c, scopes)
	} else {
		token, err = client.Secret(ctx, tenant, reader.ClientID, reader.Credential.Secret, scopes)
	}
	if err != nil {
		return nil, unknownf("signing in as the reader: %w", err)
	}
	g, err := graph.New(graph.Config{Cloud: cloud, Pace: governor, Tenant: tenant, Token: func(context.Context) (secrets.Value, error) { return token.Access, nil }})
	if err != nil {
		return nil, usagef("--cloud: %w", err)
	}
	s, err := posture.Load(ctx, g, time.Now(), want)
	if err != nil {
		return nil, unknownf("reading the tenant: %w", err)
	}
	return s, nil
}

// replaceFile writes a private file by rename, so that a reader never sees
// half of it.
func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".gatehouse-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error is the one to tell
	}
	return err
}
