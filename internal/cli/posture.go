package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
)

func newPosture(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "posture",
		Short: "Read which rules of a tenant ask for MFA",
		Args:  noSubcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var tenant, out string
	var accounts []string
	var reader readerFlags
	snapshot := &cobra.Command{
		Use:   "snapshot",
		Short: "Write what a reader sees of a tenant's MFA rules to a file",
		Long: `Snapshot reads a tenant's Security Defaults, Conditional Access policies and
licences, and for each --account its state, roles, per-user MFA and registered
methods. 'gatehouse check --snapshot FILE' names rules from it where no reader
can be used. What could not be read is in the file as unread, with the reason.

The file holds no secret, but tells a lot about the tenant: mode 0600.

Exit codes: 0 written; 2 wrong usage; 3 the tenant could not be read.`,
		Example: `  gatehouse posture snapshot --tenant contoso.onmicrosoft.com --reader-client-id 11111111-2222-3333-4444-555555555555 \
    --reader-certificate-file reader.pem --account svc-backup@contoso.com --out posture.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := takeSnapshot(cmd.Context(), env, tenant, reader, accounts)
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
			fmt.Fprintf(env.Stderr, "wrote %s: %d account(s), %d part(s) not read\n", out, len(s.Accounts), len(s.Unread))
			return nil
		},
	}
	snapshot.Flags().StringVar(&tenant, "tenant", "", "tenant: a domain or an id (required)")
	snapshot.Flags().StringArrayVar(&accounts, "account", nil, "user name of an account to include (repeatable)")
	snapshot.Flags().StringVar(&out, "out", "", "file to write (default stdout)")
	reader.add(snapshot)
	cmd.AddCommand(snapshot)
	return cmd
}

func takeSnapshot(ctx context.Context, env Env, tenant string, flags readerFlags, accounts []string) (*posture.Snapshot, error) {
	if !tenantPattern.MatchString(tenant) {
		return nil, usagef("--tenant is %q, must be a domain or a tenant id", tenant)
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
	client := login.New(login.Config{Cloud: cloud})
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
	g, err := graph.New(graph.Config{Cloud: cloud, Token: func(context.Context) (secrets.Value, error) { return token.Access, nil }})
	if err != nil {
		return nil, usagef("--cloud: %w", err)
	}
	s, err := posture.Load(ctx, g, time.Now(), accounts...)
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
