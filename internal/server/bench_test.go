package server_test

import (
	"testing"

	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
	"gatehouse/lab"
)

// BenchmarkStart is from New to ready, on a database that is there already. The
// bar is 300 ms.
func BenchmarkStart(b *testing.B) {
	l := lab.Start(b)
	o := testenv.Options{Database: dbtest.SQLite(b), Dir: b.TempDir(), Lab: l}
	if err := testenv.Bare(b, o).Stop(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e := testenv.Bare(b, o)
		b.StopTimer()
		if err := e.Stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
