package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/batch"
	"gatehouse/internal/config"
	"gatehouse/internal/connection"
	"gatehouse/internal/conversion"
	"gatehouse/internal/expiry"
	"gatehouse/internal/hosts"
	"gatehouse/internal/incident"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/notify"
	"gatehouse/internal/operator"
	"gatehouse/internal/pace"
	"gatehouse/internal/registration"
	"gatehouse/internal/rotation"
	"gatehouse/internal/search"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/transfer"
	"gatehouse/internal/validation"
)

// Config is what a server needs.
type Config struct {
	config.Config
	// Cloud is the Microsoft cloud that the configuration names.
	Cloud   microsoft.Cloud
	Version string
	// Demo says on every page that this is one.
	Demo bool
	// Listener is listened on instead of the configured address, which may be
	// of a port that the system chose.
	Listener net.Listener
	// OutsideRoots are the authorities that mail server and webhooks are checked
	// with; nil means the system's.
	OutsideRoots *x509.CertPool
	// Log hears of what goes on; nothing is logged if nil.
	Log *slog.Logger
	// Talk is told, once, what a person has to read: the set-up link, that there
	// is a new master key to be backed up. Nothing of it is logged.
	Talk io.Writer
}

// Server is a server that is built.
type Server struct {
	c        Config
	log      *slog.Logger
	db       *sqldb.DB
	audit    *audit.Log
	keys     *secrets.Keyring
	replica  *lease.Replica
	queue    *jobs.Queue
	hub      *live.Hub
	operator *operator.Service

	tenants       *tenant.Service
	connections   *connection.Service
	runs          *validation.Runs
	backups       *backup.Service
	metrics       *metrics
	notices       *notify.Service
	sites         *hosts.Service
	conversions   *conversion.Service
	incidents     *incident.Service
	batches       *batch.Service
	transfer      *transfer.Service
	search        *search.Service
	rotations     *rotation.Service
	registrations *registration.Service
	access        *access.Access
	expiries      *expiry.Service

	authority *authority // of tls.mode self
	listener  net.Listener
	http      *http.Server
	ready     chan struct{}
	serving   atomic.Bool
	stopping  chan struct{}
}

// Columns are all columns that hold sealed secrets.
func columns() (all []secrets.Column) {
	for _, of := range [][]secrets.Column{operator.Columns, api.Columns, tenant.Columns, connection.Columns, notify.Columns, rotation.Columns, access.Columns()} {
		all = append(all, of...)
	}
	return all
}

// New opens the database, which it brings to this release's schema, and builds
// everything. Nothing runs yet: call [Server.Run] or [Server.Close].
func New(ctx context.Context, c Config) (_ *Server, err error) {
	s := &Server{c: c, log: c.Log, metrics: newMetrics(c.Version), ready: make(chan struct{}), stopping: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = slog.New(correlated{s.log.Handler()})
	if s.c.Talk == nil {
		s.c.Talk = io.Discard
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder (data_dir): %w", err)
	}
	if err := s.openGround(ctx); err != nil {
		return nil, err
	}
	if err := s.buildFeatures(); err != nil {
		return nil, err
	}
	if err := s.openMetrics(); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// openGround opens what everything stands on.
func (s *Server) openGround(ctx context.Context) (err error) {
	if s.db, err = sqldb.Open(ctx, s.c.Database.Reveal()); err != nil {
		return err
	}
	if err := s.db.Migrate(ctx); err != nil {
		return err
	}
	if err := jobs.Migrate(ctx, s.db); err != nil {
		return err
	}
	s.audit = audit.New(audit.Config{DB: s.db})
	s.keys, err = secrets.OpenKeyring(audit.AsSystem(ctx, "start"), secrets.Config{DB: s.db, Wrapper: secrets.NewFileKey(s.c.KeyFile), Audit: s.audit, Columns: columns()})
	if err != nil {
		return err
	}
	s.hub = live.New(live.Config{DB: s.db, Log: s.log})
	s.replica = lease.New(lease.Config{DB: s.db, Log: s.log})
	keep := time.Duration(s.c.Retention.Jobs) * 24 * time.Hour
	if keep == 0 {
		keep = -1 // for ever
	}
	s.queue, err = jobs.New(jobs.Config{DB: s.db, Replica: s.replica, Live: s.hub, KeepFailed: keep, Watch: s.metrics.worked, Log: s.log})
	return err
}

// buildFeatures makes the features, which register their jobs.
func (s *Server) buildFeatures() (err error) {
	governor := pace.New(pace.Config{DB: s.db, Log: s.log, Watch: s.metrics.called})
	directory, err := signOn(s.c.Config, s.c.Cloud, governor)
	if err != nil {
		return err
	}
	s.operator, err = operator.New(operator.Config{DB: s.db, Keyring: s.keys, Audit: s.audit, Origin: s.c.PublicURL, SSO: directory, Mail: s.mailInvitation})
	if err != nil {
		return err
	}
	s.tenants = tenant.New(tenant.Config{DB: s.db, Audit: s.audit, Keys: s.keys, Jobs: s.queue, Live: s.hub, Pace: governor, Cloud: s.c.Cloud})
	s.sites = hosts.New(hosts.Config{DB: s.db, Audit: s.audit, Live: s.hub, Tenants: s.tenants, Pace: governor, Cloud: s.c.Cloud})
	s.registrations = registration.New(registration.Config{
		DB: s.db, Audit: s.audit, Keys: s.keys, Jobs: s.queue, Live: s.hub, Pace: governor, Cloud: s.c.Cloud, Tenants: s.tenants, PublicURL: s.c.PublicURL,
	})
	s.connections = connection.New(connection.Config{DB: s.db, Audit: s.audit, Keys: s.keys, Live: s.hub, Tenants: s.tenants, AdminURL: s.sites.CheckAdmin, Registration: s.registrations.Suits})
	s.runs = validation.NewRuns(validation.RunsConfig{
		DB: s.db, Audit: s.audit, Connections: s.connections, Tenants: s.tenants, Jobs: s.queue, Live: s.hub, Pace: governor, Cloud: s.c.Cloud, Log: s.log,
		KnownHost: s.sites.Known, FoundHosts: s.sites.Learn,
	})
	if s.backups, err = backup.New(backup.Config{DB: s.db, Audit: s.audit, Dir: s.c.DataDir, Version: s.c.Version}); err != nil {
		return err
	}
	s.notices = s.newNotices()
	s.conversions = conversion.New(conversion.Config{DB: s.db, Audit: s.audit, Live: s.hub, Tenants: s.tenants, Connections: s.connections, Runs: s.runs, Cloud: s.c.Cloud})
	s.incidents = incident.New(incident.Config{
		DB: s.db, Audit: s.audit, Tenants: s.tenants, Connections: s.connections, Runs: s.runs, Live: s.hub, Pace: governor, Cloud: s.c.Cloud,
		Tell: s.tellIncident, Spread: s.spreadIncident,
	})
	s.batches = batch.New(batch.Config{DB: s.db, Audit: s.audit, Connections: s.connections, Runs: s.runs, Jobs: s.queue, Live: s.hub})
	s.transfer = transfer.New(transfer.Config{Tenants: s.tenants, Connections: s.connections, Batches: s.batches})
	s.search = search.New(search.Config{Tenants: s.tenants, Connections: s.connections, Operators: s.operator, Incidents: s.incidents, Audit: s.audit})
	s.rotations = rotation.New(rotation.Config{
		DB: s.db, Audit: s.audit, Keys: s.keys, Jobs: s.queue, Live: s.hub, Pace: governor, Cloud: s.c.Cloud, Tenants: s.tenants, Connections: s.connections,
	})
	s.expiries = expiry.New(expiry.Config{
		DB: s.db, Audit: s.audit, Jobs: s.queue, Live: s.hub, Pace: governor, Cloud: s.c.Cloud, Tenants: s.tenants, Rotations: s.rotations, ActingFor: s.operator.ActingFor,
		Tell: s.tellExpiry,
	})
	s.operator.OnErase(s.tenants.Erase, s.runs.Erase, s.notices.Erase, s.incidents.Erase, s.batches.Erase, s.rotations.Erase, s.conversions.Erase, s.registrations.Erase)
	s.access = access.New(access.Config{
		DB: s.db, Audit: s.audit, Keys: s.keys, Jobs: s.queue, Live: s.hub, Pace: governor, Cloud: s.c.Cloud, Tenants: s.tenants, Registrations: s.registrations, Connections: s.connections, Runs: s.runs, Batches: s.batches,
		PublicURL: s.c.PublicURL, Log: s.log, KeepAlive: keepAlive(s.c.Broker.KeepAliveDays), KnownHost: s.sites.Known, ActingFor: s.operator.ActingFor, Letter: s.letters(),
		TellTokens: s.tellTokens, TellConsents: s.tellConsents, TellCampaigns: s.tellCampaign,
	})
	s.operator.OnErase(s.access.SignIns.Erase, s.access.Tokens.Erase, s.access.Consents.Erase, s.access.Campaigns.Erase)
	s.registerChores()
	return nil
}

// URL is where the server is reached: the configured public address.
func (s *Server) URL() string { return s.c.PublicURL }

// Address is what the server listens on.
func (s *Server) Address() net.Addr { return s.listener.Addr() }

// CAFile is the file with the server's own authority, "" if it has none.
func (s *Server) CAFile() string {
	if s.authority == nil {
		return ""
	}
	return s.authority.file
}

// Ready is closed once requests are answered.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// SetUpLink is a new link for the first administrator; empty if there is one.
func (s *Server) SetUpLink(ctx context.Context) (secrets.Value, error) {
	token, err := s.operator.FirstLink(audit.AsSystem(ctx, "start"))
	if err != nil || token.Empty() {
		return secrets.Value{}, err
	}
	return api.SetUpLink(s.c.PublicURL, token), nil
}

// Operators is the service that lets operators in, for tests and the demo.
func (s *Server) Operators() *operator.Service { return s.operator }

// Close closes what [New] opened, of a server that does not run.
func (s *Server) Close() error {
	errs := []error{s.metrics.close()}
	if s.listener != nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) { // http.Server closes it as well
			errs = append(errs, err)
		}
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// listen makes the listener and what is served on it.
func (s *Server) listen() (err error) {
	s.listener = s.c.Listener
	if s.listener == nil {
		if s.listener, err = net.Listen("tcp", s.c.Listen); err != nil {
			return fmt.Errorf("listening (listen): %w", err)
		}
	}
	tlsConfig, err := s.tls()
	if err != nil {
		return err
	}
	if tlsConfig != nil {
		s.listener = tls.NewListener(s.listener, tlsConfig)
	}
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: limits.header, ReadTimeout: limits.read, WriteTimeout: limits.write, IdleTimeout: limits.idle,
		MaxHeaderBytes: limits.headerBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}
