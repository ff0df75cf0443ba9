package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/backup"
	"gatehouse/internal/config"
	"gatehouse/internal/server"
)

func newBackup(env Env) *cobra.Command {
	r := &remote{env: env, timeout: time.Hour}
	var out, file string
	var here, replace bool
	cmd := &cobra.Command{
		Use: "backup", Short: "Back up the whole database while the server goes on working", Args: noSubcommand,
		Long: `Backup writes everything that the server keeps into one file: all rows as they
are at one moment, secrets sealed as in the database. The master key is never in
it: keep a copy of it somewhere else, as without it the secrets of a backup are
lost. Left out are sessions, queued jobs and what else means nothing elsewhere.

The server is asked for it, by an administrator of all tenants. With --here it
is made on the server's machine, from the database of its configuration, by whom
the files belong to: for cron, and when the server does not run.

What was written is read again and compared with its sum. 'gatehouse restore
FILE --verify' shows that it can be worked with.

Exit codes: 0 made; 1 refused; 2 wrong usage; 3 it could not be made.`,
		Example: `  gatehouse backup --out gatehouse.backup.gz
  gatehouse backup --here --config gatehouse.yaml --out gatehouse.backup.gz
  gatehouse backup drill --config gatehouse.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usagef("where to write it? --out FILE")
			}
			get := func(ctx context.Context, w io.Writer) error {
				c, err := r.connect()
				if err != nil {
					return err
				}
				return r.explain(c.Backup(ctx, w))
			}
			if here {
				get = func(ctx context.Context, w io.Writer) error { return backUpHere(ctx, file, w) }
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), r.timeout)
			defer cancel()
			report, size, err := saveBackup(ctx, out, replace, get)
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(env.Stdout, backupAnswer{File: out, Bytes: size, backupReport: reportOf(report)})
			}
			fmt.Fprintf(env.Stdout, "%s: %s of %s, %s\n", out, plural(int(report.Rows), "row"), plural(len(report.Tables), "table"), megabytes(size))
			fmt.Fprintln(env.Stderr, "The master key is not in it. Keep a copy of it, and not in the same place.")
			return nil
		},
	}
	r.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&out, "out", "", "file to write")
	flags.BoolVar(&replace, "replace", false, "replace the file if it is there")
	flags.BoolVar(&here, "here", false, "back up the database of this machine's configuration, without asking the server")
	flags.StringVar(&file, "config", "", "with --here: YAML file with settings")
	cmd.AddCommand(newDrill(env))
	return cmd
}

func backUpHere(ctx context.Context, file string, w io.Writer) (err error) {
	c, err := config.Load(os.Environ(), file)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	made, err := server.BackUp(ctx, c, versionName())
	if err != nil {
		return &exitError{exitUnknown, err}
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	if _, err := io.Copy(w, made); err != nil {
		return unknownf("writing the backup: %w", err)
	}
	return nil
}

// saveBackup writes a backup beside its file, reads it again, and only then
// gives it its name: a file of that name is whole.
func saveBackup(ctx context.Context, out string, replace bool, get func(context.Context, io.Writer) error) (report backup.Report, size int64, err error) {
	if _, err := os.Lstat(out); err == nil && !replace {
		return report, 0, usagef("--out: %s is there already: name another file, or give --replace", out)
	}
	f, err := os.CreateTemp(filepath.Dir(out), ".gatehouse-backup-*") // 0600
	if err != nil {
		return report, 0, usagef("--out: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // unfinished
		}
	}()
	defer func() { err = errors.Join(err, f.Close()) }() // once more is harmless
	if err := get(ctx, f); err != nil {
		return report, 0, err
	}
	if size, err = f.Seek(0, io.SeekCurrent); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		report, err = backup.Check(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), out)
	}
	if err != nil {
		return report, 0, unknownf("writing %s: %w", out, err)
	}
	return report, size, nil
}

func newRestore(env Env) *cobra.Command {
	var file string
	var verify, asJSON bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Restore a backup into an empty database, or show that it could be", Args: cobra.ExactArgs(1),
		Long: `Restore fills the database of this machine's configuration (--config, or
GATEHOUSE_… in the environment) with a backup. The database must be empty, of
either kind: restoring a backup of SQLite into PostgreSQL is how a server moves
there. The master key must lie where the configuration says (key_file).

First the backup is restored aside and verified: the file is whole, the audit
log is what was written, each secret opens with the master key. Only then the
database is touched, and it is examined in the same way afterwards. With
--verify nothing but that is done.

Afterwards everybody signs in again. Where the old server still runs, stop it
before this one starts: both would validate, and both would send notices.

Exit codes: 0 restored, or good; 1 the backup is not good, or the database not
empty; 2 wrong usage.`,
		Example: `  gatehouse restore gatehouse.backup.gz --verify
  GATEHOUSE_DATA_DIR=/var/lib/gatehouse gatehouse restore gatehouse.backup.gz
  gatehouse restore gatehouse.backup.gz --config postgres.yaml`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := config.Load(os.Environ(), file)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			f, err := os.Open(args[0])
			if err != nil {
				return usagef("%w", err)
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			do := func() (backup.Verified, error) { return server.Restore(cmd.Context(), c, f) }
			if verify {
				do = func() (backup.Verified, error) { return server.VerifyBackup(cmd.Context(), c, f) }
			}
			began := time.Now()
			found, err := do()
			if err != nil {
				return &exitError{exitNo, err}
			}
			return writeVerified(env, found, !verify, time.Since(began), asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "config", "", "YAML file with settings")
	flags.BoolVar(&verify, "verify", false, "only show that it could be restored")
	flags.BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func newDrill(env Env) *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "drill", Short: "Rehearse a loss: back up, restore aside, verify", Args: cobra.NoArgs,
		Long: `Drill does on the server's machine what would have to be done after a loss, on a
copy: it backs the database up, restores the backup aside, verifies the audit log
and opens each secret with the master key. The server goes on working, and
nothing stays of it but an entry in the audit log. Run it regularly, and on the
machine that would have to take over restore a real backup with --verify.

Exit codes: 0 it would have worked; 1 it would not have; 2 wrong usage.`,
		Example: "  gatehouse backup drill --config gatehouse.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(os.Environ(), file)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			found, err := server.Drill(cmd.Context(), c, versionName())
			if err != nil {
				return &exitError{exitNo, err}
			}
			if !asJSON {
				fmt.Fprintf(env.Stdout, "Backing up took %s and gave %s.\n", round(found.Making), megabytes(found.Size))
			}
			return writeVerified(env, found.Verified, false, found.Restored, asJSON)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with settings")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// backupReport is what a backup holds, as JSON.
type backupReport struct {
	MadeAt  time.Time        `json:"made_at"`
	Version string           `json:"version"`
	Schema  int64            `json:"schema"`
	Rows    int64            `json:"rows"`
	Tables  map[string]int64 `json:"tables"` // rows by table
}

type backupAnswer struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	backupReport
}

type verifiedAnswer struct {
	backupReport
	Restored bool               `json:"restored"`
	Audit    client.AuditReport `json:"audit"`
	Secrets  int                `json:"secrets"` // opened with the master key
	TookMS   int64              `json:"took_ms"`
}

func reportOf(r backup.Report) backupReport {
	out := backupReport{MadeAt: r.MadeAt, Version: r.Version, Schema: r.Schema, Rows: r.Rows, Tables: map[string]int64{}}
	for _, t := range r.Tables {
		out.Tables[t.Name] = t.Rows
	}
	return out
}

func writeVerified(env Env, found backup.Verified, restored bool, took time.Duration, asJSON bool) error {
	a := found.Audit
	report := client.AuditReport{Entries: a.Entries, Hash: a.Hash, Erased: a.Erased, Checkpoints: a.Checkpoints, Signed: a.Signed}
	if asJSON {
		return writeJSON(env.Stdout, verifiedAnswer{backupReport: reportOf(found.Report), Restored: restored, Audit: report, Secrets: found.Secrets, TookMS: took.Milliseconds()})
	}
	did := "It can be restored"
	if restored {
		did = "Restored"
	}
	fmt.Fprintf(env.Stdout, "%s: %s of %s, as of %s, in %s.\nAudit log: %d entries as they were written. Secrets: %d open with the master key.\n",
		did, plural(int(found.Rows), "row"), plural(len(found.Tables), "table"), when(&found.MadeAt), round(took), a.Entries, found.Secrets)
	if restored {
		fmt.Fprintln(env.Stderr, "Stop the old server before this one starts, if it still runs. Everybody signs in again.")
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
