// Package server is the composition root: it opens the database, builds the
// features on the ground, mounts the faces, runs all of it and ends it in order.
//
// Start, in [New]: database and schema, audit log, keys (a wrong master key ends
// it here), operators, live events, pace, queue, features (which register what
// they can do with the queue), faces, listener. Then, in [Server.Run]: this
// replica joins, live events arrive, the queue works, requests are answered.
//
// Stop: readiness says no, streams end, requests under way are finished, then
// jobs; counted uses are written; the replica takes its leave; the database is
// closed.
package server
