package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/audit"
)

// Run serves until the context ends, and then ends everything in order. It
// closes the server.
func (s *Server) Run(ctx context.Context) (err error) {
	// The ground runs on until requests and jobs have ended.
	ground, leave := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	var left error
	defer func() {
		leave()
		err = errors.Join(err, s.metrics.close())
		wg.Wait()
		err = errors.Join(err, left, s.Close())
	}()
	if err := s.replica.Join(ctx); err != nil {
		return err
	}
	wg.Go(func() { left = s.replica.Run(ground) })
	wg.Go(func() { s.hub.Run(ground) })
	wg.Go(func() { s.access.Tokens.Run(ground) })
	wg.Go(func() { s.tick(ground) })
	wg.Go(s.serveMetrics)
	if err := s.queue.Start(ground); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	err = s.announce(ctx)
	if err == nil {
		s.serving.Store(true)
		close(s.ready)
		s.log.Info("ready", "url", s.c.PublicURL, "address", s.listener.Addr().String(), "database", s.db.Name(), "cloud", s.c.Cloud.Name)
		select {
		case <-ctx.Done():
			s.log.Info("stopping")
		case err = <-served:
			err = fmt.Errorf("serving: %w", err)
		}
	}
	return errors.Join(err, s.stop(ground))
}

// announce tells a person what to do first.
func (s *Server) announce(ctx context.Context) error {
	if notice := s.keys.Notice(); notice != "" {
		fmt.Fprintln(s.c.Talk, notice)
	}
	link, err := s.SetUpLink(ctx)
	if err != nil {
		return err
	}
	if !link.Empty() {
		fmt.Fprintf(s.c.Talk, "Nobody administers this server yet. Whoever opens this link first does; it works once:\n\n  %s\n\n", link.Reveal())
	}
	return nil
}

// stop ends requests, then jobs.
func (s *Server) stop(ground context.Context) error {
	s.serving.Store(false)
	close(s.stopping)
	patience, cancel := context.WithTimeout(ground, limits.stop)
	defer cancel()
	var errs []error
	if err := s.http.Shutdown(patience); err != nil {
		errs = append(errs, fmt.Errorf("ending requests: %w", err), s.http.Close())
	}
	if err := s.queue.Stop(patience); err != nil {
		errs = append(errs, fmt.Errorf("ending jobs: %w", err))
	}
	if err := s.audit.Flush(audit.AsSystem(ground, "stop")); err != nil {
		errs = append(errs, fmt.Errorf("writing counted uses: %w", err))
	}
	return errors.Join(errs...)
}

// tick does what each replica does by itself.
func (s *Server) tick(ctx context.Context) {
	keys, uses := time.NewTicker(reloadEvery), time.NewTicker(flushEvery)
	defer keys.Stop()
	defer uses.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-keys.C:
			err = s.keys.Reload(ctx)
		case <-uses.C:
			err = s.audit.Flush(audit.AsSystem(ctx, "flush"))
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("looking after keys and counted uses", "error", err) // tried again at the next tick
		}
	}
}

const (
	reloadEvery = 25 * time.Second // the keys' time to settle is two minutes
	flushEvery  = 30 * time.Second
)

// health says that the process runs.
func health(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// readiness says whether requests will be answered: the database does, and this
// replica counts as alive.
func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	problem := ""
	switch alive := s.replica.Alive(); {
	case !s.serving.Load():
		problem = "starting or stopping"
	case alive == nil:
		problem = "not among the living replicas"
	default:
		if _, held := alive.Held(); !held {
			problem = "not among the living replicas"
		} else if err := s.db.SQL().PingContext(ctx); err != nil {
			problem = "the database does not answer"
		}
	}
	if problem != "" {
		http.Error(w, problem, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}
