package server_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/server"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

// What is older than is kept goes by itself; what is younger, the last
// validation of a connection, and the audit log stay.
func TestRetention(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e, _, connection := furnished(t, address)
		ctx := t.Context()
		for range 3 {
			works(t, e.Client, connection.ID)
		}
		entries, err := e.VerifyAudit(ctx)
		if err != nil {
			t.Fatal(err)
		}
		token := e.Token()
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		old := time.Now().AddDate(0, 0, -40).UTC()
		db := dbtest.Open(t, address)
		change(t, db, "UPDATE validations SET ended_at = ? WHERE id NOT IN (SELECT id FROM validations ORDER BY id DESC LIMIT 2)", old)
		change(t, db, "INSERT INTO audit_uses (minute, actor_id, action, object_id, tenant_id, uses) VALUES (?, 'old', 'token', 'c', '', 1), (?, 'young', 'token', 'c', '', 1)", old, time.Now().UTC())

		again := testenv.Bare(t, testenv.Options{Database: address, Dir: e.Dir, Lab: e.Lab, Change: func(c *server.Config) {
			c.Retention.Validations, c.Retention.AuditUses = 30, 30
		}})
		c := again.NewClient(client.WithToken(token))
		done := func() bool {
			jobs, _, err := c.Jobs(ctx, client.JobFilter{State: "done"}, client.Page{Limit: 200})
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]bool{}
			for _, j := range jobs {
				kinds[j.Kind] = true
			}
			return kinds["validation_retention"] && kinds["audit_uses_retention"]
		}
		for !done() { // each question waits for its answer
			if ctx.Err() != nil {
				t.Fatal(ctx.Err())
			}
		}
		runs, _, err := c.Validations(ctx, connection.ID, client.Page{})
		if err != nil || len(runs) != 2 {
			t.Errorf("%d validations are left: %v", len(runs), err)
		}
		var actors []string
		if err := db.Read().NewRaw("SELECT actor_id FROM audit_uses WHERE actor_id IN ('old', 'young')").Scan(ctx, &actors); err != nil || len(actors) != 1 || actors[0] != "young" {
			t.Errorf("uses of %v are left: %v", actors, err)
		}
		if r, err := c.VerifyAudit(ctx); err != nil || r.Entries < entries.Entries {
			t.Errorf("%+v %v", r, err)
		}
	})
}

func change(t *testing.T, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw(query, args...).Exec(ctx)
		return err
	}); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// How long each table's rows are kept is told.
func TestRetentionIsTold(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	var tables []string
	if err := db.Read().NewRaw("SELECT name FROM sqlite_master WHERE type = 'table'").Scan(t.Context(), &tables); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(data), "\n## How long things are kept\n")
	section, _, _ = strings.Cut(section, "\n## ")
	told := map[string]bool{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				told[m[1]] = true
			}
		}
	}
	for _, table := range tables {
		if strings.HasPrefix(table, "sqlite_") {
			continue
		}
		if strings.HasPrefix(table, "river_") {
			table = "river_job"
		}
		if !told[table] {
			t.Errorf("docs/server.md does not say how long rows of %s are kept", table)
		}
	}
}
