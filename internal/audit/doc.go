// Package audit decides who may do what, and writes down what was done.
//
// # For features
//
// Whoever acts rides in the context as an [Actor]: faces put the operator there
// ([With]), jobs run as Gatehouse itself ([AsSystem]). Without an actor
// everything is refused.
//
// What changes something loads its object and calls [Log.Act] inside the
// transaction, with the permission that the act needs and the object's tenant:
//
//	err := s.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
//		c, err := load(ctx, tx, id)
//		if err != nil {
//			return err
//		}
//		if err := s.audit.Act(ctx, tx, audit.Entry{
//			Permission: audit.ConnectionManage, TenantID: c.TenantID, Action: "connection.renamed",
//			ObjectKind: "connection", ObjectID: c.ID, ObjectName: c.Name,
//		}); err != nil {
//			return err
//		}
//		// … the change itself
//	})
//
// Deciding and writing are one call, in the transaction of the change itself, so
// that nothing is changed without its entry, and nothing is written down that did
// not happen. A refusal is a *[Refused]; the transaction cannot be committed any
// more, even if the feature overlooks the error, and the refusal is recorded in a
// transaction of its own.
//
// What reads one object calls [Log.Allow] with the loaded object's tenant; what
// lists asks for its [Scope] with [Tenants] and filters in SQL with
// [Scope.Filter]; a page that shows only what can be done asks [May]. What
// happens too often for an entry each, such as giving out a cached token, is
// counted with [Log.Count] and summed per caller and minute.
//
// A new permission is a constant in role.go with its least role in the table
// there.
//
// # The chain
//
// Entries are numbered from 1 without gaps. Each carries the SHA-256 hash, in
// hexadecimal, of the fields below in this order, each preceded by its length in
// bytes as an unsigned 64-bit number in big-endian order:
//
//	"gatehouse audit entry 1", the hash of the entry before ("" for the first),
//	seq (decimal), time (UTC, 2006-01-02T15:04:05.000000Z), actor kind, actor id,
//	actor digest, action, object kind, object id, object digest, tenant id, outcome
//
// What names a person, or may, is hashed through a digest with a random salt, in
// the same encoding, so that [Log.Erase] can take name and salt away and the chain
// still holds. What stays is the id.
//
//	actor digest:  "gatehouse audit actor 1", salt, actor name, address
//	object digest: "gatehouse audit object 1", salt, object name, details
//
// [Log.Verify] and [VerifyExport] find the first entry that was changed, removed,
// inserted or moved, and names that are gone without an entry that says so. Who
// owns the database could write a new chain; what proves the old one is a
// [Checkpoint], signed with Ed25519 and kept elsewhere:
//
//	signed: "gatehouse audit checkpoint 1", seq (decimal), hash, time
//
// The row of the chain's end is locked just before a transaction is committed
// ([sqldb.DB.Change], BeforeCommit), so that writers wait for each other briefly.
package audit
