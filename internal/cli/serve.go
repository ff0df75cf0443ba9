package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/config"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/server"
)

func newServe(env Env) *cobra.Command {
	var file string
	var print bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server: console, REST API, jobs", Args: cobra.NoArgs,
		Long: `Serve runs the server until Ctrl-C. Nothing has to be configured: it listens on
this machine only, at https://localhost:8443, with a certificate of its own, and
keeps everything in the folder gatehouse-data. At the first start it prints a
link with which the first administrator sets themselves up.

Settings come from the environment (GATEHOUSE_…), a YAML file (--config), and
defaults, in this order; --print-config shows them all. docs/server.md tells the
rest.

Exit codes: 0 ended by Ctrl-C; 2 the configuration has faults; 3 it could not
start, or broke off.`,
		Example: `  gatehouse serve
  GATEHOUSE_LISTEN=:8443 GATEHOUSE_PUBLIC_URL=https://gatehouse.example gatehouse serve
  gatehouse serve --config gatehouse.yaml --print-config`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(os.Environ(), file)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if print {
				return c.Print(env.Stdout)
			}
			return serve(cmd.Context(), env, c)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with settings")
	cmd.Flags().BoolVar(&print, "print-config", false, "print all settings with where they come from, secrets as dots, and end")
	return cmd
}

func serve(ctx context.Context, env Env, c config.Config) error {
	cloud, err := microsoft.FindCloud(c.Cloud, env.Getenv("GATEHOUSE_LAB"))
	if err != nil {
		return usagef("cloud: %w", err)
	}
	s, err := server.New(ctx, server.Config{Config: c, Cloud: cloud, Version: versionName(), Log: logger(env, c.Log), Talk: env.Stderr})
	if err != nil {
		return &exitError{exitUnknown, err}
	}
	if file := s.CAFile(); file != "" {
		fmt.Fprintf(env.Stderr, "The certificate is of the server's own authority: browsers warn until they trust it, and commands take it with --ca %s\n", file)
	}
	if err := s.Run(ctx); err != nil {
		return &exitError{exitUnknown, err}
	}
	return nil
}

func logger(env Env, l config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(env.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(env.Stderr, options))
}

func newDoctor(env Env) *cobra.Command {
	r := &remote{env: env}
	var here bool
	var file string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look after clock, disk, database, key, mail, egress, DNS", Args: cobra.NoArgs,
		Long: `Doctor has the server look after what it needs of its machine. With --here it
needs no server and looks at this machine: disk, DNS, egress, clock.

Exit codes: 0 fine, or only warnings; 1 something failed; 2 wrong usage; 3 could
not find out.`,
		Example: "  gatehouse doctor\n  gatehouse doctor --here --config gatehouse.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings, err := examine(cmd.Context(), env, r, here, file)
			if err != nil {
				return err
			}
			if r.asJSON {
				err = writeJSON(env.Stdout, findings)
			} else {
				err = writeExamination(env, findings)
			}
			return errors.Join(err, findingsExit(findings))
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&here, "here", false, "look at this machine, without a server")
	cmd.Flags().StringVar(&file, "config", "", "with --here: YAML file with settings")
	return cmd
}

func examine(ctx context.Context, env Env, r *remote, here bool, file string) ([]client.Finding, error) {
	if !here {
		c, err := r.connect()
		if err != nil {
			return nil, err
		}
		findings, err := c.Doctor(ctx)
		return findings, remoteError(err)
	}
	c, err := config.Load(os.Environ(), file)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	cloud, err := microsoft.FindCloud(c.Cloud, env.Getenv("GATEHOUSE_LAB"))
	if err != nil {
		return nil, usagef("cloud: %w", err)
	}
	return server.ExamineMachine(ctx, c.DataDir, cloud), nil
}

func writeExamination(env Env, findings []client.Finding) error {
	rows := [][]string{}
	for _, f := range findings {
		text := f.Detail
		if f.Way != "" {
			text += "; " + f.Way
		}
		rows = append(rows, []string{f.Name, f.State, text})
	}
	return table(env.Stdout, []string{"WHAT", "STATE", "DETAIL"}, rows)
}

func findingsExit(findings []client.Finding) error {
	code := exitFine
	for _, f := range findings {
		switch f.State {
		case "failed":
			return &exitError{code: exitNo}
		case "unknown":
			code = exitUnknown
		}
	}
	if code == exitFine {
		return nil
	}
	return &exitError{code: code}
}
