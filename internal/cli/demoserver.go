package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/client"
	"gatehouse/internal/config"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/secrets"
	"gatehouse/internal/server"
	"gatehouse/lab"
)

const demoOperator = "demo@gatehouse.example"

// serveDemo runs a server with the lab's tenants on a free loopback port, until
// the context ends. Nothing of it stays.
func serveDemo(ctx context.Context, env Env, ready lab.Ready, cloud microsoft.Cloud) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-demo-*")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}
	s, err := server.New(ctx, server.Config{
		Config: config.Config{
			PublicURL: "https://localhost:" + port, DataDir: dir, Database: secrets.New(filepath.Join(dir, "gatehouse.db")), KeyFile: filepath.Join(dir, "master.key"),
			TLS: config.TLS{Mode: config.TLSSelf},
		},
		Cloud: cloud, Version: versionName(), Demo: true, Listener: listener,
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		return err
	}
	err = showDemo(ctx, env, s, ready)
	if err != nil {
		stop()
	}
	return errors.Join(err, <-ended)
}

// showDemo sets the server up and says how to look at it.
func showDemo(ctx context.Context, env Env, s *server.Server, ready lab.Ready) error {
	pem, err := os.ReadFile(s.CAFile())
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c, err := client.New(s.URL(), client.WithRoots(roots))
	if err != nil {
		return err
	}
	link, err := s.SetUpLink(ctx)
	if err != nil {
		return err
	}
	word := rand.Text()
	if _, err := c.SetUp(ctx, client.SetUpRequest{Link: link.Reveal(), Email: demoOperator, Name: "Demo", Password: word}); err != nil {
		return err
	}
	g, err := c.NewGenerator(ctx)
	if err != nil {
		return err
	}
	code, err := totp.GenerateCode(g.Secret, time.Now())
	if err != nil {
		return err
	}
	if _, err := c.ConfirmGenerator(ctx, client.GeneratorRequest{Name: "demo", Code: code}); err != nil {
		return err
	}
	if err := fillDemo(ctx, c, ready); err != nil {
		return err
	}
	next, err := totp.GenerateCode(g.Secret, time.Now().Add(30*time.Second)) // the present one is used
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, `
The same tenants are in a server now. It is a demo: everything in it is gone when it ends.

  console   %s (its certificate is of its own authority: %s)
  sign in   %s
  password  %s
  code      %s (Enter prints the next one; secret %s)
  phones    %s

Ctrl-C ends it.
`, s.URL(), s.CAFile(), demoOperator, word, next, g.Secret, ready.PhoneURL)
	go func() {
		lines := bufio.NewScanner(env.Stdin)
		for lines.Scan() && ctx.Err() == nil {
			if code, err := totp.GenerateCode(g.Secret, time.Now()); err == nil {
				fmt.Fprintf(env.Stdout, "  code      %s\n", code)
			}
		}
	}()
	return nil
}

// fillDemo adds the lab's tenants, with a connection for everybody who has a
// password.
func fillDemo(ctx context.Context, c *client.Client, ready lab.Ready) error {
	for _, t := range ready.Tenants {
		added, err := c.AddTenant(ctx, client.TenantRequest{Tenant: t.Domain, Name: t.Name})
		if err != nil {
			return fmt.Errorf("adding %s: %w", t.Name, err)
		}
		for _, u := range t.Users {
			if u.Password == nil {
				continue
			}
			if _, err := c.AddConnection(ctx, client.ConnectionRequest{
				TenantID: added.ID, Kind: "service_account", Profile: client.Profile{Name: u.UPN, Username: u.UPN, Services: []string{"graph"}},
				Credential: client.CredentialRequest{Password: *u.Password},
			}); err != nil {
				return fmt.Errorf("adding %s: %w", u.UPN, err)
			}
		}
	}
	return nil
}
