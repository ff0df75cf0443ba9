// Package graphsim serves the part of Microsoft Graph (v1.0 and beta) that
// software reads and writes when it signs in to a tenant, looks at its
// protection and repairs it: users, groups, roles, licences, authentication
// methods, policies, apps, grants and the sign-in log, over a
// [directory.Store].
//
// A request goes through these rooms: server.go reads it and checks its token;
// router.go finds its row in the table of routes.go; permissions.go decides
// whether the token's permissions suffice; a handler (render_*.go for reading,
// write_*.go for writing) runs inside the store's lock and gives plain values;
// odata.go, filter.go and page.go select, filter, order and cut; answer.go
// encodes.
//
// The server is unkind where Microsoft's documents allow it: the order of
// members changes, pages may be shorter than asked for, unknown members appear,
// paging tokens are sealed. [Config.Deterministic] switches that off. What is
// late in the real service is late by switches: a changed object for readers
// ([Config.ReplicationDelay], replica.go), a new credential for the token
// endpoint ([Config.PropagationDelay]), the report of methods
// ([Config.ReportLag]). [Config.Throttle] keeps the documented limits
// (throttle.go).
//
// Conditional Access policies are kept here and enforced by the sign-in service;
// whatif.go asks the same evaluator.
//
// A writing handler announces what it does (record.go); once it has succeeded
// the change stands in the audit log and in the journal of delta queries.
//
// Member names and types follow Microsoft's published metadata of v1.0 and beta
// (August 2026); the texts of errors and descriptions are the lab's own.
package graphsim
