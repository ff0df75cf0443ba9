package sqldb

import "context"

// hooks are what is to run around the end of a transaction.
type hooks struct {
	before []func(context.Context) error
	after  []func()
	undone []func(context.Context) error
}

// BeforeCommit runs f inside the transaction when everything else has been
// done, in the order given. An error rolls the transaction back. It is for rows
// that many writers share: the later they are locked, the shorter others wait.
func (h *hooks) BeforeCommit(f func(context.Context) error) { h.before = append(h.before, f) }

// OnCommit runs f once the transaction has been committed, in the order given;
// never if it is rolled back.
func (h *hooks) OnCommit(f func()) { h.after = append(h.after, f) }

// OnRollback runs f once the transaction has been rolled back, with a context
// that no longer ends with the caller's and in which a change of its own may be
// begun; never if it is committed or run again. Its error joins the one that
// [DB.Change] returns.
func (h *hooks) OnRollback(f func(context.Context) error) { h.undone = append(h.undone, f) }
