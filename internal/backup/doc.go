// Package backup writes the whole database to one file while the server goes on
// working, and restores it: into an empty database of either kind, so that it
// is also the way from SQLite to PostgreSQL.
//
// A backup is gzip of lines of JSON: a header, for each table its columns and
// then its rows, and an end with the number of rows and the SHA-256 of all
// lines before it, without which the file counts as cut off. All rows are of
// one moment. Secrets stay sealed as they are in the database; the master key is
// never in it, so keep the key apart, and know that without it the secrets of a
// backup are lost.
//
// Left out is what means nothing on another machine: leases, paces, live
// events, kept answers of requests, sessions, set-up links and the queue of jobs.
// After a restore people sign in again, and schedules fill the queue.
package backup

import "time"

// header is the first line of a backup.
type header struct {
	Kind    string    `json:"kind"`   // "gatehouse backup"
	Format  int       `json:"format"` // of the file
	Schema  int64     `json:"schema"` // of the database
	Version string    `json:"version"`
	MadeAt  time.Time `json:"made_at"`
}

const (
	kind   = "gatehouse backup"
	format = 1
)

// tableLine begins a table. Kinds are those of the columns.
type tableLine struct {
	Table   string       `json:"table"`
	Columns []string     `json:"columns"`
	Kinds   []columnKind `json:"kinds"`
}

// endLine is the last line.
type endLine struct {
	End    bool   `json:"end"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // of the lines before, in hex
}

// Report says what a backup holds.
type Report struct {
	MadeAt  time.Time
	Version string // of the program that made it
	Schema  int64
	Rows    int64
	Tables  []Table // in the order of the file
}

// Table is a table of a backup.
type Table struct {
	Name string
	Rows int64
}

// ephemeral are the tables that are left out. Those of other libraries are left
// out by their prefix.
var ephemeral = map[string]bool{
	"goose_db_version": true, "leases": true, "pace": true, "live_events": true, "idempotency": true, "sessions": true, "setup_links": true,
}
