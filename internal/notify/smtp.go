package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// The ways to a mail server.
const (
	StartTLS = "starttls" // plain, then TLS: nothing is sent if the server does not offer it
	WholeTLS = "tls"      // from the first byte
	NoTLS    = "none"     // on this machine only
)

// errScript says that a mail server cannot write to an address.
var errScript = errors.New("the address has letters before the @ that this mail server does not know (SMTPUTF8): enter another address")

// Check connects to the mail server, secures the connection and signs in, as is
// done for each letter.
func (m Mail) Check(ctx context.Context) error {
	return m.session(ctx, false, func(*gomail.Client, *smtp.Client) error { return nil })
}

// send hands a letter to the mail server.
func (m Mail) send(ctx context.Context, letter *gomail.Msg) error {
	recipients, err := letter.GetRecipients()
	if err != nil {
		return err
	}
	wide := false
	for _, r := range recipients {
		wide = wide || !ascii(r)
	}
	return m.session(ctx, wide, func(c *gomail.Client, open *smtp.Client) error {
		if known, _ := open.Extension("SMTPUTF8"); wide && !known {
			return errScript
		}
		return c.SendWithSMTPClient(open, letter)
	})
}

func ascii(text string) bool {
	for _, b := range []byte(text) {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// session does something in a session with the mail server. Wide is for
// addresses beyond ASCII only: a letter marked so is refused by servers further
// on that do not know it.
func (m Mail) session(ctx context.Context, wide bool, do func(*gomail.Client, *smtp.Client) error) error {
	host, port, err := net.SplitHostPort(m.Server)
	number, _ := strconv.Atoi(port) // 0 is refused below
	if err != nil {
		return fmt.Errorf("reading mail.server: %w", err)
	}
	secure := &tls.Config{ServerName: host, RootCAs: m.Roots, MinVersion: tls.VersionTLS12}
	// The connection ends with the context, and here in any case: the library
	// leaves it open when greeting or signing in fails.
	hangUp := func() {}
	defer func() { hangUp() }()
	dial := func(dialling context.Context, network, address string) (net.Conn, error) {
		conn, err := m.dial(dialling, network, address, secure)
		if err == nil {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			hangUp = func() { stop(); _ = conn.Close() }
		}
		return conn, err
	}
	options := []gomail.Option{gomail.WithPort(number), gomail.WithTimeout(sending), gomail.WithTLSConfig(secure), gomail.WithDialContextFunc(dial)}
	switch m.TLS {
	case WholeTLS:
		options = append(options, gomail.WithSSL())
	case NoTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if !wide {
		options = append(options, gomail.WithoutSMTPUTF8())
	}
	c, err := gomail.NewClient(host, append(options, m.signIn()...)...)
	if err != nil {
		return fmt.Errorf("preparing for the mail server %s: %w", m.Server, err)
	}
	open, err := c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the mail server %s: %w", m.Server, err)
	}
	if err := do(c, open); err != nil {
		return err
	}
	_ = c.CloseWithSMTPClient(open) // everything is said; a server that hangs up first is fine
	return nil
}

// signIn prefers what does not show the password even to the server.
func (m Mail) signIn() []gomail.Option {
	if m.Username == "" {
		return nil
	}
	kinds := []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256PLUS, gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}
	if m.TLS == NoTLS {
		kinds = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
	}
	return []gomail.Option{gomail.WithUsername(m.Username), gomail.WithPassword(m.Password.Reveal()), gomail.WithOpportunisticSMTPAuth(kinds...)}
}

// dial connects to the mail server.
func (m Mail) dial(ctx context.Context, network, address string, secure *tls.Config) (net.Conn, error) {
	if m.TLS == WholeTLS {
		return (&tls.Dialer{Config: secure}).DialContext(ctx, network, address)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil && m.TLS == NoTLS && !loopback(conn.RemoteAddr()) {
		_ = conn.Close()
		return nil, fmt.Errorf("%s is not this machine, and without TLS anybody on the way could read along: set mail.tls to starttls or tls", address)
	}
	return conn, err
}

func loopback(a net.Addr) bool {
	place, err := netip.ParseAddrPort(a.String())
	return err == nil && place.Addr().Unmap().IsLoopback()
}
