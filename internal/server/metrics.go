package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/incident"
	"gatehouse/internal/notify"
	"gatehouse/internal/sqldb"
)

// metrics is what monitoring sees. Labels have few values, all of our own
// choosing: no tenant, person, address or path is among them.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec
	microsoft *prometheus.HistogramVec
	jobs      *prometheus.HistogramVec
	byAnswer  sync.Map // prometheus.Observer of requests, by answerLabels

	listener net.Listener
	http     *http.Server
}

// Durations, in seconds: requests are answered in milliseconds, Microsoft in
// tenths of seconds, jobs in up to minutes.
var durations = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: durations}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.requests = histogram("gatehouse_http_request_duration_seconds", "Requests that were answered, but for streams.", "face", "method", "code")
	m.microsoft = histogram("gatehouse_microsoft_request_duration_seconds", "Requests to Microsoft; code is 0 if none came back.", "service", "code")
	m.jobs = histogram("gatehouse_job_duration_seconds", "Attempts at jobs.", "kind", "outcome")
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_build_info", Help: "The release that runs.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// called notes a request to Microsoft. It is [pace.Config.Watch].
func (m *metrics) called(service string, status int, took time.Duration) {
	m.microsoft.WithLabelValues(service, strconv.Itoa(status)).Observe(took.Seconds())
}

// worked notes an attempt at a job. It is [jobs.Config.Watch].
func (m *metrics) worked(kind, outcome string, took time.Duration) {
	m.jobs.WithLabelValues(kind, outcome).Observe(took.Seconds())
}

// answered notes a request of ours.
func (m *metrics) answered(r *http.Request, status int, took time.Duration) {
	face := "console"
	switch {
	case r.URL.Path == "/live" || r.URL.Path == "/api/v1/events":
		return // a stream lasts as long as its reader likes
	case strings.HasPrefix(r.URL.Path, "/api/"):
		face = "api"
	case strings.HasPrefix(r.URL.Path, "/static/"):
		face = "static"
	case r.URL.Path == "/healthz" || r.URL.Path == "/readyz":
		face = "health"
	}
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete:
	default:
		method = "other" // callers may write there what they like
	}
	labels := answerLabels{face, method, status}
	o, ok := m.byAnswer.Load(labels)
	if !ok {
		o, _ = m.byAnswer.LoadOrStore(labels, m.requests.WithLabelValues(face, method, strconv.Itoa(status)))
	}
	o.(prometheus.Observer).Observe(took.Seconds())
}

// answerLabels are the labels of a request's histogram; there are few of them.
type answerLabels struct {
	face, method string
	code         int
}

// scraped is how long what was counted in the database counts as fresh: several
// scrapers do not make the database count more often.
const scraped = 10 * time.Second

// counted are figures that lie in the database.
type counted struct {
	server *Server

	mu    sync.Mutex
	at    time.Time
	known []prometheus.Metric
}

var (
	databaseUp  = prometheus.NewDesc("gatehouse_database_up", "Whether the database could be asked for what follows.", nil, nil)
	connections = prometheus.NewDesc("gatehouse_connections", "Connections by the verdict of their last validation; none: never validated.", []string{"verdict"}, nil)
	jobsWaiting = prometheus.NewDesc("gatehouse_jobs", "Jobs that are not done, and those that failed for good.", []string{"kind", "state"}, nil)
	jobsLate    = prometheus.NewDesc("gatehouse_jobs_late_seconds", "How long the job has been due that has waited longest.", nil, nil)
	auditSeq    = prometheus.NewDesc("gatehouse_audit_entries", "Entries of the audit log.", nil, nil)
	incidents   = prometheus.NewDesc("gatehouse_incidents", "Incidents that have not ended.", []string{"state"}, nil)
	expiring    = prometheus.NewDesc("gatehouse_expiries", "Credentials in use that end within 90, 30 or 7 days, or have ended (0).", []string{"days"}, nil)
	deliveries  = prometheus.NewDesc("gatehouse_notice_deliveries", "Deliveries of notices: those that wait, and those that failed in the last day.", []string{"state"}, nil)
	backupMade  = prometheus.NewDesc("gatehouse_backup_last_timestamp_seconds", "When the last backup was made, 0 if none ever was.", nil, nil)
)

// Describe is for the registry. What is sent depends on the database.
func (c *counted) Describe(chan<- *prometheus.Desc) {}

// Collect counts.
func (c *counted) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > scraped {
		ctx, cancel := context.WithTimeout(audit.AsSystem(context.Background(), "metrics"), 5*time.Second)
		defer cancel()
		known, err := c.count(ctx)
		up := 1.0
		if err != nil {
			known, up = nil, 0
			c.server.log.Warn("counting for metrics", "error", err)
		}
		c.known, c.at = append(known, gauge(databaseUp, up)), time.Now()
	}
	for _, m := range c.known {
		out <- m
	}
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (c *counted) count(ctx context.Context) (known []prometheus.Metric, err error) {
	tally, err := c.server.connections.Tally(ctx, audit.AllTenants)
	if err != nil {
		return nil, err
	}
	for _, v := range tally.Verdicts {
		name := v.Verdict
		if name == "" {
			name = "none"
		}
		known = append(known, gauge(connections, float64(v.Count), name))
	}
	waiting, late, err := c.server.queue.Tally(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range waiting {
		known = append(known, gauge(jobsWaiting, float64(t.Count), t.Kind, string(t.State)))
	}
	others, err := c.others(ctx)
	if err != nil {
		return nil, err
	}
	known = append(known, others...)
	entries, err := c.server.audit.Last(ctx)
	if err != nil {
		return nil, err
	}
	made, err := c.server.audit.LastOn(ctx, backup.Object, backup.Action)
	if err != nil {
		return nil, err
	}
	seconds := 0.0
	if !made.IsZero() {
		seconds = float64(made.Unix())
	}
	return append(known, gauge(jobsLate, late.Seconds()), gauge(auditSeq, float64(entries)), gauge(backupMade, seconds)), nil
}

// others counts incidents, what ends and what was told.
func (c *counted) others(ctx context.Context) (known []prometheus.Metric, err error) {
	open, err := c.server.incidents.Count(ctx)
	if err != nil {
		return nil, err
	}
	for _, state := range []incident.State{incident.Open, incident.Acknowledged} {
		known = append(known, gauge(incidents, float64(open[state]), string(state)))
	}
	now := time.Now()
	for _, days := range []int{0, 7, 30, 90} {
		_, n, err := c.server.expiries.Strip(ctx, now.AddDate(0, 0, days), 1)
		if err != nil {
			return nil, err
		}
		known = append(known, gauge(expiring, float64(n), strconv.Itoa(days)))
	}
	told, err := c.server.notices.Standing(ctx, now.AddDate(0, 0, -1))
	if err != nil {
		return nil, err
	}
	return append(known, gauge(deliveries, float64(told.Waiting), notify.Waiting), gauge(deliveries, float64(told.Failed), notify.Failed)), nil
}

// openMetrics listens where metrics are to be fetched, if anywhere.
func (s *Server) openMetrics() (err error) {
	s.metrics.registry.MustRegister(&counted{server: s}, collectors.NewDBStatsCollector(s.db.SQL(), databaseLabel(s.db)))
	if s.c.Metrics.Listen == "" {
		return nil
	}
	if s.metrics.listener, err = net.Listen("tcp", s.c.Metrics.Listen); err != nil {
		return fmt.Errorf("listening (metrics.listen): %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	s.metrics.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: limits.header, ReadTimeout: limits.read, WriteTimeout: limits.write, IdleTimeout: limits.idle,
		MaxHeaderBytes: limits.headerBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}

func databaseLabel(db *sqldb.DB) string {
	if db.Postgres() {
		return "postgres"
	}
	return "sqlite"
}

// serveMetrics answers until [metrics.close].
func (s *Server) serveMetrics() {
	if s.metrics.http == nil {
		return
	}
	if err := s.metrics.http.Serve(s.metrics.listener); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("serving metrics", "error", err)
	}
}

func (m *metrics) close() error {
	if m == nil || m.listener == nil {
		return nil
	}
	err := m.http.Close()
	if also := m.listener.Close(); !errors.Is(also, net.ErrClosed) {
		err = errors.Join(err, also)
	}
	return err
}

// MetricsAddress is where metrics are fetched; nil if nowhere.
func (s *Server) MetricsAddress() net.Addr {
	if s.metrics.listener == nil {
		return nil
	}
	return s.metrics.listener.Addr()
}
