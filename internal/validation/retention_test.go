package validation_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// Old runs are forgotten with their password tries; the last one of each connection
// stays, the last one that knew the rules, and whatever has not ended.
func TestForget(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		busy, quiet := h.account(at.ID, "a@openharbour.example", "x"), h.account(at.ID, "b@openharbour.example", "x")
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		put := func(id string, c connection.Connection, state string, days int, outcome string) {
			t.Helper()
			ended := "NULL"
			if state == validation.Done || state == validation.Lost {
				ended = "'" + now.AddDate(0, 0, -days).Format("2006-01-02 15:04:05+00:00") + "'"
			}
			err := h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				for _, statement := range []string{
					fmt.Sprintf("INSERT INTO validations (id, connection_id, tenant_id, state, job_id, requested_by, created_at, ended_at, probes, result, reason, outcome) VALUES ('%s', '%s', '%s', '%s', 0, '', '2026-01-01 12:00:00+00:00', %s, '', '', '', '%s')", id, c.ID, at.ID, state, ended, outcome),
					fmt.Sprintf("INSERT INTO validation_attempts (validation_id, connection_id, credential_version, begun_at, result) VALUES ('%s', '%s', 1, '2026-01-01 12:00:00+00:00', 'accepted')", id, c.ID),
				} {
					if _, err := tx.ExecContext(ctx, statement); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		const rules = `{"sign_in":"x"}`
		put("01", busy, validation.Done, 300, rules) // forgotten: 02 knows the rules too
		put("02", busy, validation.Done, 200, rules) // the last that knew the rules
		put("03", busy, validation.Lost, 150, "")    // forgotten
		put("04", busy, validation.Done, 100, "")    // the last that ended is 05
		put("05", busy, validation.Done, 10, "")     // young
		put("06", busy, validation.Running, 0, "")   // has not ended
		put("07", quiet, validation.Done, 400, "")   // old, but the last one
		for i := range 1100 {                        // more than are forgotten at once
			put(fmt.Sprintf("00-%04d", i), quiet, validation.Done, 500, "")
		}
		n, err := h.runs.Forget(t.Context(), now.AddDate(0, 0, -90))
		if err != nil || n != 1103 {
			t.Errorf("%d forgotten, %v", n, err)
		}
		for table, column := range map[string]string{"validations": "id", "validation_attempts": "validation_id"} {
			var left []string
			if err := h.db.Read().NewRaw("SELECT "+column+" FROM "+table+" ORDER BY 1").Scan(t.Context(), &left); err != nil || !slices.Equal(left, []string{"02", "05", "06", "07"}) {
				t.Errorf("%s: %v, %v", table, left, err)
			}
		}
		if n, err := h.runs.Forget(t.Context(), now.AddDate(0, 0, -90)); err != nil || n != 0 {
			t.Errorf("again: %d, %v", n, err)
		}
	})
}
