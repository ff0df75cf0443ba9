package server_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

// firstTables are those of the first schema that hold what must survive; of
// others (leases, paces, events) nobody reads old rows.
var firstTables = []string{"keyset", "sealed", "operators", "operator_factors", "operator_roles", "sessions", "audit", "audit_checkpoints", "audit_uses", "idempotency"}

// A database as the first schema left it is brought up to date by the start:
// every row is as it was, what is sealed opens, the operator's session and second
// factor go on, and the audit log verifies with its checkpoint.
func TestUpgradeFromTheFirstSchema(t *testing.T) {
	dbtest.EachEmpty(t, func(t *testing.T, address string) {
		dir := t.TempDir()
		token, generator := firstSchema(t, address, dir)
		before, columns := rows(t, address, nil)
		e := testenv.Bare(t, testenv.Options{Database: address, Dir: dir})
		if e.SetUpLink() != "" {
			t.Error("the administrator is not known any more")
		}
		after, _ := rows(t, address, columns)
		for _, table := range firstTables {
			for i, row := range before[table] {
				// The log grows, and the start may note that it was.
				if i >= len(after[table]) || after[table][i] != row {
					t.Errorf("%s: row %d was %s", table, i, row)
				}
			}
			if len(before[table]) == 0 {
				t.Errorf("%s: no row to look at", table)
			}
		}
		ctx := t.Context()
		c := e.NewClient(client.WithToken(token.Reveal()))
		s, err := c.Session(ctx)
		if err != nil || s.Stage != client.StageSignedIn || s.Operator.Email != "ada@contoso.example" {
			t.Fatalf("the session: %+v %v", s, err)
		}
		again := e.NewClient()
		if _, err := again.SignIn(ctx, "ada@contoso.example", testenv.Password); err != nil {
			t.Fatal(err)
		}
		if _, err := again.GiveCode(ctx, testenv.Code(t, generator.Reveal())); err != nil {
			t.Errorf("the sealed code generator: %v", err)
		}
		report, err := c.VerifyAudit(ctx)
		if err != nil || report.Checkpoints == 0 {
			t.Errorf("%+v %v", report, err)
		}
		if _, err := c.AddTenant(ctx, client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Open Harbour"}); err != nil {
			t.Errorf("what is new: %v", err)
		}
	})
}

// firstSchema makes a database of the first schema, and gives the token of its
// administrator's session and the secret of their code generator. Today's code no
// longer knows that schema: another database is filled by it, and what the first
// schema has of that is copied.
func firstSchema(t *testing.T, address, dir string) (token, generator secrets.Value) {
	t.Helper()
	today := dbtest.SQLite(t)
	if sqldb.IsPostgres(address) {
		today = dbtest.Postgres(t)
	}
	token, generator = furnishFirst(t, today, dir)
	first, err := sqldb.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := first.MigrateTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	from := dbtest.Open(t, today)
	change(t, first, "DELETE FROM audit_head")
	for _, table := range append([]string{"audit_head"}, firstTables...) {
		columns := columnsOf(t, first, table)
		rows, err := from.SQL().QueryContext(t.Context(), "SELECT "+strings.Join(columns, ", ")+" FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, places := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				places[i] = &values[i]
			}
			if err := rows.Scan(places...); err != nil {
				t.Fatal(err)
			}
			for i, v := range values { // an empty secret, and not none
				if data, is := v.([]byte); is && len(data) == 0 {
					values[i] = []byte{}
				}
			}
			change(t, first, "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")", values...)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return token, generator
}

// columnsOf are the columns of a table.
func columnsOf(t *testing.T, db *sqldb.DB, table string) []string {
	t.Helper()
	rows, err := db.SQL().QueryContext(t.Context(), "SELECT * FROM "+table+" LIMIT 0")
	if err != nil {
		t.Fatal(err)
	}
	columns, err := rows.Columns()
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	return columns
}

// furnishFirst fills the tables of the first schema.
func furnishFirst(t *testing.T, address, dir string) (token, generator secrets.Value) {
	t.Helper()
	ctx := audit.AsSystem(t.Context(), "test")
	db := dbtest.Open(t, address)
	// The operator enrolled a minute ago, so that the present code is another.
	log := audit.New(audit.Config{DB: db})
	keys, err := secrets.OpenKeyring(ctx, secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(dir, "master.key")), Audit: log, Columns: operator.Columns})
	if err != nil {
		t.Fatal(err)
	}
	operators, err := operator.New(operator.Config{DB: db, Keyring: keys, Audit: log, Origin: "https://localhost", Now: func() time.Time { return time.Now().Add(-time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	link, err := operators.FirstLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	visit := operator.Visit{Address: "192.0.2.7", UserAgent: "Browser"}
	issued, err := operators.Setup(ctx, operator.SetupRequest{Token: link, Email: "ada@contoso.example", Name: "Ada", Password: secrets.New(testenv.Password)}, visit)
	if err != nil {
		t.Fatal(err)
	}
	enrolment, err := operators.BeginTOTPEnrolment(ctx, issued.Session)
	if err != nil {
		t.Fatal(err)
	}
	issued, err = operators.FinishTOTPEnrolment(ctx, issued.Session, "phone", testenv.CodeAt(t, enrolment.Secret.Reveal(), time.Now().Add(-time.Minute)), visit)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.SigningKey(ctx, "audit checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Checkpoint(ctx, key); err != nil {
		t.Fatal(err)
	}
	log.Count(ctx, "token", "c1", "t1")
	if err := log.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO idempotency (id, request_hash, status, answer, created_at) VALUES ('a', 'b', 0, '', ?)", time.Now().UTC())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return issued.Token, enrolment.Secret
}

// rows are what the tables of the first schema hold, in the order of their keys,
// in these columns by table; in all if there are none, which it gives.
func rows(t *testing.T, address string, columns map[string][]string) (map[string][]string, map[string][]string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, shown := map[string][]string{}, map[string][]string{}
	for _, table := range firstTables {
		if shown[table] = columns[table]; shown[table] == nil {
			shown[table] = columnsOf(t, db, table)
		}
		var some []map[string]any
		if err := db.Read().NewRaw("SELECT "+strings.Join(shown[table], ", ")+" FROM "+table+" ORDER BY 1").Scan(t.Context(), &some); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		for _, row := range some {
			all[table] = append(all[table], fmt.Sprint(row))
		}
	}
	return all, shown
}
