// Package config is the configuration of `gatehouse serve`: one struct, read
// from the environment (GATEHOUSE_…), a YAML file and defaults, in this order.
//
// Everything has a default: a server without any configuration runs on this
// machine with its data in a folder beside it. All faults are found at once,
// and each says what to do.
package config

import (
	"net/netip"
	"path/filepath"

	"gatehouse/internal/secrets"
)

// Config is the configuration of the server.
type Config struct {
	// Listen is the address that the server listens on: host:port.
	Listen string
	// PublicURL is the address under which browsers reach the server, without a
	// path: "https://gatehouse.example". Links and passkeys carry it.
	PublicURL string
	// Organisation is the name of who runs the server. People who have no account here
	// read it where they are asked for something; "" if it is not said.
	Organisation string
	// DataDir is the folder of the server's files.
	DataDir string
	// Database is the address of a PostgreSQL server or the path of a SQLite file.
	Database secrets.Value
	// KeyFile holds the master key, which seals all secrets in the database.
	KeyFile string
	// Cloud is the Microsoft cloud: a name, or an endpoint or ready file.
	Cloud string
	TLS   TLS
	// TrustedProxies may say, in X-Forwarded-For, for whom they ask.
	TrustedProxies []netip.Prefix
	// EgressAllow are private addresses that operators may aim webhooks and the
	// like at.
	EgressAllow []netip.Prefix
	Metrics     Metrics
	Mail        Mail
	OIDC        OIDC
	Log         Log
	Retention   Retention
	Broker      Broker

	sources map[string]string // by name of the setting
}

// TLSMode says where the certificate comes from.
type TLSMode string

// The modes.
const (
	TLSSelf  TLSMode = "self"  // an authority of the server's own, in DataDir
	TLSFiles TLSMode = "files" // Certificate and Key
	TLSProxy TLSMode = "proxy" // a trusted proxy in front ends TLS: plain HTTP here
)

// TLS is how the server proves who it is.
type TLS struct {
	Mode             TLSMode
	Certificate, Key string // PEM files
}

// Metrics is where monitoring fetches figures.
type Metrics struct {
	Listen string // host:port, plain HTTP; "" for nowhere
}

// MailTLS says how the connection to the mail server is secured.
type MailTLS string

// The ways.
const (
	MailStartTLS MailTLS = "starttls" // plain, then TLS: nothing is sent if it is not offered
	MailTLSWhole MailTLS = "tls"      // from the first byte
	MailPlain    MailTLS = "none"     // only for a mail server on this machine
)

// Mail is the mail server that notices and invitations go through.
type Mail struct {
	Server   string // host:port; "" for none
	From     string // address, with or without a name
	Username string // "" to send without signing in
	Password secrets.Value
	TLS      MailTLS
}

// OIDC is the directory through which operators sign in; none if Issuer is "".
type OIDC struct {
	Issuer       string // "https://login.microsoftonline.com/<tenant id>/v2.0"
	ClientID     string
	ClientSecret secrets.Value // empty for a public client
	Name         string        // what the button on the sign-in page calls it
	// Tenants are the Entra tenants that may sign in; without any, the one that
	// Issuer names.
	Tenants []string
	CAFile  string // PEM file with the authority of the issuer's certificate
}

// Log is how the server logs.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json
}

// Broker is how tokens are looked after.
type Broker struct {
	// KeepAliveDays is after how many days without a refresh an idle sign-in is
	// refreshed, so that it does not end after 90: 0 for never.
	KeepAliveDays int
}

// Retention is how long things are kept, in days; 0 means for ever.
type Retention struct {
	AuditUses   int // sums of frequent uses in the audit log
	Incidents   int // incidents that have ended
	Jobs        int // jobs that failed or were cancelled
	SignIns     int // what became of people's sign-ins for connections
	Validations int // validations; the last of each connection stays
	Notices     int // notices with their deliveries; what is being delivered stays
}

// fill sets what follows from other settings.
func (c *Config) fill() {
	if c.Database.Empty() {
		c.Database = secrets.New(filepath.Join(c.DataDir, "gatehouse.db"))
	}
	if c.KeyFile == "" {
		c.KeyFile = filepath.Join(c.DataDir, "master.key")
	}
	if c.PublicURL == "" {
		if _, port, ok := cutPort(c.Listen); ok && port != "443" {
			c.PublicURL = "https://localhost:" + port
		} else {
			c.PublicURL = "https://localhost"
		}
	}
}
