package cli

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gatehouse/client"
	"gatehouse/internal/secrets"
)

// remote is a command that asks a server.
type remote struct {
	env        Env
	server, ca string
	asJSON     bool
	timeout    time.Duration // a minute if 0
	// first turns the name in the first argument into an id; nil leaves it.
	first func(ctx context.Context, c *client.Client, name string) (id string, err error)
}

// savedSession is what is kept between commands: for the owner alone.
type savedSession struct {
	Server    string    `json:"server"`
	CAFile    string    `json:"ca_file,omitempty"`
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

func sessionFile(env Env) (string, error) {
	if path := env.Getenv("GATEHOUSE_SESSION"); path != "" {
		return path, nil
	}
	dir := env.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := env.Getenv("HOME")
		if home == "" {
			return "", usagef("where to keep the session? set GATEHOUSE_SESSION to the name of a file")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "gatehouse", "session.json"), nil
}

func loadSession(env Env) (savedSession, error) {
	var s savedSession
	path, err := sessionFile(env)
	if err != nil {
		return s, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, usagef("reading the session: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return s, usagef("the session file %s can be read by others: chmod 600 it, and end that session if somebody may have", path)
	}
	data, err := readLimited(path, 64<<10)
	if err != nil {
		return s, usagef("reading the session: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, usagef("reading the session: %s is damaged: sign in again ('gatehouse session start')", path)
	}
	return s, nil
}

func saveSession(env Env, s savedSession) error {
	path, err := sessionFile(env)
	if err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the session: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	// A new file with a name of its own, so that nobody has it open already.
	f, err := os.CreateTemp(filepath.Dir(path), ".session-*") // 0600
	if err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keeping the session: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

func (r *remote) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&r.server, "server", "", "address of the server (default GATEHOUSE_SERVER, or the session's)")
	flags.StringVar(&r.ca, "ca", "", "PEM file with the authority to trust (default GATEHOUSE_CA, or the session's, or the system's)")
	flags.BoolVar(&r.asJSON, "json", false, "print the answer as JSON")
	if r.timeout == 0 {
		r.timeout = time.Minute
	}
	flags.DurationVar(&r.timeout, "timeout", r.timeout, "how long to wait at most")
}

// connect gives a client, in the session that is kept if there is one for this
// server.
func (r *remote) connect() (*client.Client, error) {
	saved, err := loadSession(r.env)
	if err != nil {
		return nil, err
	}
	if r.server == "" {
		r.server = r.env.Getenv("GATEHOUSE_SERVER")
	}
	if r.server == "" {
		r.server = saved.Server
	}
	if r.server == "" {
		return nil, usagef("which server? give --server https://…, set GATEHOUSE_SERVER, or sign in first: 'gatehouse session start --server https://…'")
	}
	r.server = strings.TrimRight(r.server, "/")
	same := r.server == saved.Server
	if r.ca == "" {
		r.ca = r.env.Getenv("GATEHOUSE_CA")
	}
	if r.ca == "" && same {
		r.ca = saved.CAFile
	}
	options := []client.Option{client.WithHTTPClient(&http.Client{Timeout: r.timeout})}
	if r.ca != "" {
		pem, err := readLimited(r.ca, 1<<20)
		if err != nil {
			return nil, usagef("--ca: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, usagef("--ca: %s holds no certificate", r.ca)
		}
		options = append(options, client.WithRoots(roots))
	}
	key, err := apiKey(r.env)
	if err != nil {
		return nil, err
	}
	switch {
	case !key.Empty():
		options = append(options, client.WithToken(key.Reveal()))
	case same: // a token is for the server that gave it, and for no other
		options = append(options, client.WithToken(saved.Token))
	}
	c, err := client.New(r.server, options...)
	if err != nil {
		return nil, usagef("--server: %w", err)
	}
	return c, nil
}

// apiKey is the key that programs act with in place of a session: it is not kept
// here, and goes to the server that is named beside it.
func apiKey(env Env) (secrets.Value, error) {
	key, file := secrets.New(strings.TrimSpace(env.Getenv("GATEHOUSE_API_KEY"))), env.Getenv("GATEHOUSE_API_KEY_FILE")
	if key.Empty() && file != "" {
		value, err := secretFile("GATEHOUSE_API_KEY_FILE", file)
		if err != nil {
			return key, err
		}
		key = secrets.New(strings.TrimSpace(value.Reveal()))
	}
	if !key.Empty() && !strings.HasPrefix(key.Reveal(), client.KeyPrefix) {
		return key, usagef("GATEHOUSE_API_KEY or its file holds no API key: one begins with %s", client.KeyPrefix)
	}
	return key, nil
}

// keep stores the session of a client.
func (r *remote) keep(s client.Session) error {
	ca := r.ca
	if ca != "" {
		if abs, err := filepath.Abs(ca); err == nil {
			ca = abs
		}
	}
	return saveSession(r.env, savedSession{Server: r.server, CAFile: ca, Token: s.Token, ExpiresAt: s.ExpiresAt})
}

// command makes a command that asks a server. What the server refuses gets its
// exit code here.
func (r *remote) command(c cobra.Command, run func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
	c.RunE = func(cmd *cobra.Command, args []string) error {
		api, err := r.connect()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), r.timeout)
		defer cancel()
		if r.first != nil && len(args) > 0 {
			if args[0], err = r.first(ctx, api, args[0]); err != nil {
				return r.explain(err)
			}
		}
		return r.explain(run(ctx, api, args))
	}
	r.flags(&c)
	return &c
}

// explain gives an error its exit code, and says what to do about a time-out.
func (r *remote) explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %s has not answered within %s; --timeout waits longer", err, r.server, r.timeout)
	}
	return remoteError(err)
}

// remoteError gives what a server said its exit code: it said no (1), did not
// understand (2), or nothing is known (3).
func remoteError(err error) error {
	var exit *exitError
	if err == nil || errors.As(err, &exit) {
		return err
	}
	var p *client.Problem
	if !errors.As(err, &p) {
		var untrusted x509.UnknownAuthorityError
		var dial *net.OpError
		switch {
		case errors.As(err, &untrusted):
			err = fmt.Errorf("%w\n  give the authority that signed it: --ca FILE ('gatehouse serve' says at its start where it is)", err)
		case errors.As(err, &dial) && dial.Op == "dial":
			err = fmt.Errorf("%w\n  does it run there? --server names another address", err)
		}
		return &exitError{exitUnknown, err}
	}
	switch {
	case p.Type == client.ProblemNotSignedIn:
		return &exitError{exitNo, errors.New("nobody is signed in: 'gatehouse session start'")}
	case p.Status == http.StatusUnprocessableEntity || p.Status == http.StatusBadRequest:
		return &exitError{exitUsage, p}
	case p.Status >= http.StatusInternalServerError || p.Status == http.StatusTooManyRequests:
		return &exitError{exitUnknown, p}
	}
	return &exitError{exitNo, p}
}

// confirm has the name of what is destroyed repeated: by --confirm, or typed.
func confirm(env Env, given, name, what string) error {
	if given == "" {
		if f, ok := env.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			fmt.Fprintf(env.Stderr, "%s\nType %q to confirm: ", what, name)
			line, err := bufio.NewReader(f).ReadString('\n')
			if err != nil {
				return usagef("reading the confirmation: %w", err)
			}
			given = strings.TrimRight(line, "\r\n")
		}
	}
	if given == "" {
		return usagef("%s Repeat its name to confirm: --confirm %q", what, name)
	}
	if given != name {
		return usagef("%q is not its name: --confirm %q", given, name)
	}
	return nil
}

// noun is a command that only has commands.
func noun(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example, RunE: func(cmd *cobra.Command, args []string) error {
		if err := noSubcommand(cmd, args); err != nil {
			return err
		}
		return cmd.Help()
	}, Args: cobra.ArbitraryArgs}
	cmd.AddCommand(commands...)
	return cmd
}

// table writes rows in columns, with "-" where there is nothing.
func table(w io.Writer, head []string, rows [][]string) error {
	for _, row := range rows {
		for i := range row {
			if row[i] == "" {
				row[i] = "-"
			}
		}
	}
	return columns(w, append([][]string{head}, rows...))
}

// columns writes rows in columns. What others have named is shown without
// control characters: it would steer the terminal.
func columns(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = plain(row[i])
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// plain is a text of somebody else in one line, fit for a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, s)
}

// plainLines is plain for a text of several lines.
func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n")
}

// all follows a list to its end.
func all[T any](page func(client.Page) ([]T, string, error)) ([]T, error) {
	items := []T{}
	for p := (client.Page{Limit: 200}); ; {
		some, next, err := page(p)
		if err != nil {
			return nil, err
		}
		items = append(items, some...)
		if next == "" {
			return items, nil
		}
		p.After = next
	}
}

func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
