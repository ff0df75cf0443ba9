package server

import (
	"net/http"

	"gatehouse/internal/console"
	"gatehouse/internal/operator"
)

// console mounts the pages.
func (s *Server) console(open *operator.Limiter) http.Handler {
	return console.New(console.Config{
		DB: s.db, Tenants: s.tenants, Connections: s.connections, Runs: s.runs, Notices: s.notices, Hosts: s.sites, Conversions: s.conversions, Incidents: s.incidents, Batches: s.batches, Transfer: s.transfer, Search: s.search, Expiries: s.expiries, Rotations: s.rotations, Registrations: s.registrations, Sources: s.access.Sources, SignIns: s.access.SignIns, Tokens: s.access.Tokens, Consents: s.access.Consents, Campaigns: s.access.Campaigns, Operators: s.operator, Audit: s.audit, Jobs: s.queue, Hub: s.hub, Backups: s.backups, Doctor: s.Examine, Version: s.c.Version,
		Limiter: open, PublicURL: s.c.PublicURL, Organisation: s.c.Organisation, Demo: s.c.Demo, Log: s.log, Stopping: s.stopping,
	})
}
