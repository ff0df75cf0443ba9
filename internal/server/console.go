package server

import (
	"net/http"

	"gatehouse/internal/console"
	"gatehouse/internal/operator"
)

// console mounts the pages.
func (s *Server) console(open *operator.Limiter) http.Handler {
	return console.New(console.Config{
		DB: s.db, Tenants: s.tenants, Connections: s.connections, Runs: s.runs, Expiries: s.expiries, Rotations: s.rotations, Operators: s.operator, Audit: s.audit, Jobs: s.queue, Hub: s.hub,
		Limiter: open, PublicURL: s.c.PublicURL, Demo: s.c.Demo, Log: s.log, Stopping: s.stopping,
	})
}
