// Package jobs is the durable queue: work that is asked for in the same
// transaction as the change that causes it, and done by any replica, at least
// once. It is River, on both databases, behind this package.
//
// A feature registers what it can do before the queue starts, and adds jobs in
// its changes:
//
//	refresh := jobs.Register(queue, jobs.Kind[RefreshArgs]{Name: "connection_refresh", Work: s.refresh})
//	…
//	db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
//		… rows, audit …
//		_, err := refresh.Add(ctx, tx, RefreshArgs{Connection: id}, jobs.Options{Tenant: tenant})
//		return err
//	})
//
// What a Work function can rely on:
//
//   - A job whose change was committed is worked, one that was rolled back is not.
//     Work begins within a tenth of a second if a worker is free.
//   - At least once: a replica can die, or be thought dead, after the work and
//     before that is noted. What the work does must therefore bear a second time.
//   - The context ends with the time-out of the kind, when a person cancels the
//     job, when the server stops and waited long enough, and when this replica
//     was not heard of for so long that others have taken over its jobs.
//   - An error is kept with the job and shown, and the job is tried again after a
//     growing pause, up to the attempts of the kind. [Stop] ends that, [Later]
//     puts the job off without counting an attempt.
//   - The context is not that of a transaction: the work may call other
//     services, and opens its own changes.
//
// Arguments are stored in clear, shown to operators and copied into backups:
// they name things by id and never hold a secret. [Register] refuses types
// that contain one.
package jobs
