package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/spf13/cobra"

	"gatehouse/client"
	"gatehouse/internal/config"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/secrets"
	"gatehouse/internal/server"
	"gatehouse/lab"
)

func newDemo(env Env) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run the server with a simulated Microsoft cloud and sample tenants",
		Long: `Demo starts the server and the lab together on free loopback ports, says at once
how to sign in, and then connects and validates the sample tenants while you look
on. It needs nothing configured, talks to this machine only, and keeps nothing:
Ctrl-C ends it.

Exit codes: 0 ended by Ctrl-C; 3 it could not start, or broke off.`,
		Example: "  gatehouse demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := demo(cmd.Context(), env); err != nil {
				return &exitError{exitUnknown, err}
			}
			return nil
		},
	}
}

// demo runs lab and server until the context ends. Nothing of them stays.
func demo(ctx context.Context, env Env) (err error) {
	tenants, err := demoTenants()
	if err != nil {
		return err
	}
	l, err := lab.New(lab.Config{Tenants: bytes.NewReader(tenants)})
	if err != nil {
		return fmt.Errorf("starting the lab: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	dir, err := os.MkdirTemp("", "gatehouse-demo-*")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := demoServer(ctx, dir, l)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		return err
	}
	err = showDemo(running, env, s, l)
	if ctx.Err() != nil {
		err = nil // ended by the person, in the middle of it
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err := <-ended:
			return err
		}
	}
	stop()
	return errors.Join(err, <-ended)
}

// demoServer builds a server on a loopback port. It speaks plain HTTP there:
// browsers count http://localhost as secure, so that passkeys work and nobody
// has to trust an authority that ends with the demo. Nobody but this machine
// can connect.
func demoServer(ctx context.Context, dir string, l *lab.Lab) (*server.Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return server.New(ctx, server.Config{
		Config: config.Config{
			PublicURL: "http://localhost:" + port, Organisation: "Gatehouse demo", DataDir: dir, Database: secrets.New(filepath.Join(dir, "gatehouse.db")), KeyFile: filepath.Join(dir, "master.key"),
			TLS: config.TLS{Mode: config.TLSProxy}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		},
		Cloud: microsoft.At("lab", l.URL(), l.Roots()), Version: versionName(), Demo: true, Listener: listener,
	})
}

const demoEmail = "demo@gatehouse.example"

// demoOperator is who signs in to the demo.
type demoOperator struct {
	client         *client.Client
	word, secret   string // password, and the code generator's secret
	server, phones string
}

// code is accepted for at least a minute, but once. The step before it may have
// been used already.
func (o demoOperator) code() (string, error) {
	return totp.GenerateCode(o.secret, time.Now().Add(30*time.Second))
}

// showDemo says how to sign in, fills the server, and says what to look at.
func showDemo(ctx context.Context, env Env, s *server.Server, l *lab.Lab) error {
	operator, err := demoSetUp(ctx, s)
	if err != nil {
		return err
	}
	operator.server, operator.phones = s.URL(), l.Ready().PhoneURL
	if err := operator.introduce(env); err != nil {
		return err
	}
	go operator.answer(ctx, env)
	f := &filler{Client: operator.client, lab: l, server: s.URL(), out: env.Stdout}
	if err := f.fill(ctx, demoStories); err != nil {
		return err
	}
	return f.summary(operator)
}

// demoSetUp makes the demo's operator, with a second factor as everywhere.
func demoSetUp(ctx context.Context, s *server.Server) (demoOperator, error) {
	o := demoOperator{word: rand.Text()}
	var err error
	if o.client, err = client.New(s.URL()); err != nil {
		return o, err
	}
	link, err := s.SetUpLink(ctx)
	if err != nil {
		return o, err
	}
	if _, err := o.client.SetUp(ctx, client.SetUpRequest{Link: link.Reveal(), Email: demoEmail, Name: "Demo", Password: o.word}); err != nil {
		return o, err
	}
	g, err := o.client.NewGenerator(ctx)
	if err != nil {
		return o, err
	}
	o.secret = g.Secret
	code, err := totp.GenerateCode(g.Secret, time.Now())
	if err != nil {
		return o, err
	}
	_, err = o.client.ConfirmGenerator(ctx, client.GeneratorRequest{Name: "demo", Code: code})
	return o, err
}

func (o demoOperator) introduce(env Env) error {
	code, err := o.code()
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, `This is a demo: a Gatehouse server and a simulated Microsoft cloud. Both run on
this machine, nothing leaves it, and everything is gone when it ends.

  console   %s
  sign in   %s
  password  %s
  code      %s (Enter prints the next one)
  phones    %s

`, o.server, demoEmail, o.word, code, o.phones)
	return nil
}

// answer prints a code whenever somebody presses Enter.
func (o demoOperator) answer(ctx context.Context, env Env) {
	lines := bufio.NewScanner(env.Stdin)
	for lines.Scan() && ctx.Err() == nil {
		if code, err := o.code(); err == nil {
			fmt.Fprintf(env.Stdout, "  code      %s\n", code)
		}
	}
}
