package dbtest

import (
	"testing"

	"go.uber.org/goleak"
)

// Leaks gives a check that no goroutine is left of those that began since. The
// driver of PostgreSQL may have one for each connection that is open still: it
// reads beside a write that takes long, and goes with the connection.
func Leaks(t testing.TB) (check func()) {
	t.Helper()
	options := []goleak.Option{goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn/internal/bgreader.(*BGReader).bgRead")}
	return func() { goleak.VerifyNone(t, options...) }
}
