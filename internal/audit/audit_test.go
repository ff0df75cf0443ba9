package audit_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newLog(db *sqldb.DB) *audit.Log {
	return audit.New(audit.Config{DB: db, Now: func() time.Time { return noon }})
}

func as(ctx context.Context, role audit.Role, tenants ...string) context.Context {
	a := audit.Actor{Kind: audit.Operator, ID: "op-" + role.String(), Name: "Olga Operator", Address: "192.0.2.7", Roles: map[string]audit.Role{}}
	for _, id := range tenants {
		a.Roles[id] = role
	}
	return audit.With(ctx, a)
}

func system(t *testing.T) context.Context { return audit.AsSystem(t.Context(), "test") }

// act writes an entry together with a row, as a feature does.
func act(ctx context.Context, db *sqldb.DB, l *audit.Log, e audit.Entry) error {
	return db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := l.Act(ctx, tx, e); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO instance (name, value) VALUES (?, '')", e.ObjectID)
		return err
	})
}

func list(t *testing.T, l *audit.Log) []audit.Record {
	t.Helper()
	records, err := l.List(system(t), audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func rows(t *testing.T, db *sqldb.DB, table string) (n int) {
	t.Helper()
	if err := db.Read().NewSelect().TableExpr(table).ColumnExpr("COUNT(*)").Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestActIsWrittenWithTheChange(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := newLog(db)
		ctx := as(t.Context(), audit.Engineer, "t1")
		e := audit.Entry{Permission: audit.ConnectionManage, TenantID: "t1", Action: "connection.created", ObjectKind: "connection", ObjectID: "c1", ObjectName: "Backup", Details: map[string]any{"password": secrets.New("planted-secret"), "kind": "app"}}
		if err := act(ctx, db, l, e); err != nil {
			t.Fatal(err)
		}
		// The row is there already, so that the change fails: no entry.
		if err := act(ctx, db, l, e); !sqldb.Duplicate(err) {
			t.Fatalf("the second change: %v", err)
		}
		got := list(t, l)
		if len(got) != 1 {
			t.Fatalf("%d entries, want 1", len(got))
		}
		r := got[0]
		if r.Seq != 1 || !r.At.Equal(noon) || r.ActorKind != audit.Operator || r.ActorID != "op-engineer" || r.ActorName != "Olga Operator" || r.Address != "192.0.2.7" ||
			r.Action != "connection.created" || r.ObjectID != "c1" || r.ObjectName != "Backup" || r.TenantID != "t1" || r.Outcome != audit.OutcomeDone {
			t.Errorf("the entry is %+v", r)
		}
		if r.Details != `{"kind":"app","password":"••••••"}` {
			t.Errorf("the details are %s", r.Details)
		}
	})
}

// A refusal undoes the change, also when the feature overlooks it, and is
// written down.
func TestRefusalIsRecordedAndFinal(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := newLog(db)
		e := audit.Entry{Permission: audit.ConnectionManage, TenantID: "t1", Action: "connection.deleted", ObjectKind: "connection", ObjectID: "c1", ObjectName: "Backup", Details: map[string]any{"x": "y"}}
		overlooked := func(ctx context.Context) error {
			return db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_ = l.Act(ctx, tx, e)
				_, err := tx.ExecContext(ctx, "INSERT INTO instance (name, value) VALUES ('c1', '')")
				return err
			})
		}
		for i, test := range []struct {
			ctx    context.Context
			do     func(context.Context) error
			hidden bool
			nobody bool
		}{
			{as(t.Context(), audit.Technician, "t1"), func(ctx context.Context) error { return act(ctx, db, l, e) }, false, false},
			{as(t.Context(), audit.Viewer, "t1"), overlooked, false, false},
			{as(t.Context(), audit.Administrator, "t2"), overlooked, true, false},
			{t.Context(), overlooked, true, true},
		} {
			err := test.do(test.ctx)
			var refused *audit.Refused
			if !errors.As(err, &refused) || refused.Hidden != test.hidden || refused.Nobody != test.nobody || refused.Permission != audit.ConnectionManage || refused.TenantID != "t1" || refused.Needs != audit.Engineer {
				t.Fatalf("case %d: %v (%+v)", i, err, refused)
			}
			if n := rows(t, db, "instance"); n != 0 {
				t.Fatalf("case %d: the change was committed", i)
			}
			got := list(t, l)
			if len(got) != i+1 {
				t.Fatalf("case %d: %d entries", i, len(got))
			}
			if r := got[0]; r.Outcome != audit.OutcomeRefused || r.Action != "connection.deleted" || r.ObjectID != "c1" || r.Details != `{"needs":"engineer","permission":"connection.manage"}` {
				t.Errorf("case %d: the entry is %+v", i, r)
			}
		}
	})
}

// Reading what one may not is recorded as well: the first time in a minute as
// an entry, then as a sum.
func TestRefusedReading(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := noon
		l := audit.New(audit.Config{DB: db, Now: func() time.Time { return now }})
		ctx := as(t.Context(), audit.Viewer, "t1")
		if err := l.Allow(ctx, "t1", audit.TenantView); err != nil {
			t.Fatalf("a viewer may not view: %v", err)
		}
		for range 20 {
			var refused *audit.Refused
			if err := l.Allow(ctx, "t2", audit.TenantView); !errors.As(err, &refused) || !refused.Hidden {
				t.Fatalf("another tenant: %v", err)
			}
		}
		now = now.Add(time.Minute)
		err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_ = l.Allow(ctx, "t2", audit.TenantView) // inside a change
			return nil
		})
		var refused *audit.Refused
		if !errors.As(err, &refused) {
			t.Fatalf("a change in which reading was refused: %v", err)
		}
		if got := list(t, l); len(got) != 2 || got[0].Outcome != audit.OutcomeRefused {
			t.Errorf("entries: %+v", got)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		sums, err := l.ListUses(system(t), audit.Filter{})
		if err != nil || len(sums) != 1 || sums[0].Uses != 19 || sums[0].Action != "refused tenant.view" {
			t.Errorf("sums: %+v, %v", sums, err)
		}
		if audit.May(ctx, "t2", audit.TenantView) || !audit.May(ctx, "t1", audit.TenantView) {
			t.Error("May decides otherwise than Allow")
		}
	})
}

// Every permission that the package declares is in the table, and the other way
// round: one that is missing could be used by nobody, one too many has no name.
func TestEveryPermissionHasARole(t *testing.T) {
	all := audit.Permissions()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Permission" {
				return true
			}
			for _, value := range spec.Values {
				declared++
				text := strings.Trim(value.(*ast.BasicLit).Value, `"`)
				if _, ok := all[audit.Permission(text)]; !ok {
					t.Errorf("%s has no least role", text)
				}
			}
			return true
		})
	}
	if declared < 30 || declared != len(all) {
		t.Errorf("%d permissions are declared, %d have a role", declared, len(all))
	}
}

func TestRolesAndScopes(t *testing.T) {
	for p, need := range audit.Permissions() {
		for _, role := range []audit.Role{0, audit.Viewer, audit.Technician, audit.Engineer, audit.Administrator} {
			here := audit.Actor{Roles: map[string]audit.Role{"t1": role}}
			if here.May("t1", p) != (role >= need) {
				t.Errorf("%v with %s in the tenant: %v", role, p, here.May("t1", p))
			}
			if p != audit.Self && (here.May("t2", p) || here.May(audit.AllTenants, p)) {
				t.Errorf("%v in one tenant has %s outside of it", role, p)
			}
			all := audit.Actor{Roles: map[string]audit.Role{audit.AllTenants: role}}
			if all.May("t1", p) != (role >= need) || all.May(audit.AllTenants, p) != (role >= need) {
				t.Errorf("%v in all tenants with %s", role, p)
			}
		}
	}
	admin := map[string]audit.Role{audit.AllTenants: audit.Administrator}
	if (audit.Actor{Roles: admin}).May("t1", "no.such") {
		t.Error("a permission that does not exist was had")
	}
	if a := (audit.Actor{Roles: admin, Only: []audit.Permission{audit.PoolView}}); a.May("t1", audit.TenantView) || !a.May("t1", audit.PoolView) {
		t.Error("Only does not narrow the roles")
	}
	if a := (audit.Actor{Roles: admin, Only: []audit.Permission{}}); a.May("t1", audit.TenantView) {
		t.Error("an empty Only allows")
	}
	for _, name := range []string{"viewer", "technician", "engineer", "administrator"} {
		if r, err := audit.ParseRole(name); err != nil || r.String() != name {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	if _, err := audit.ParseRole("owner"); err == nil {
		t.Error("a role that does not exist was read")
	}
}

// A list shows what belongs to the actor's tenants and nothing else.
func TestListsFilterByTenant(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := newLog(db)
		for i, tenant := range []string{"t1", "t2", "t3", audit.AllTenants} {
			e := audit.Entry{Permission: audit.TenantManage, TenantID: tenant, Action: "tenant.renamed", ObjectID: fmt.Sprint("o", i)}
			if err := act(system(t), db, l, e); err != nil {
				t.Fatal(err)
			}
			l.Count(system(t), "token", fmt.Sprint("o", i), tenant)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			ctx  context.Context
			want string
		}{
			{system(t), "o3 o2 o1 o0"},
			{as(t.Context(), audit.Engineer, "t1", "t3"), "o2 o0"},
			{as(t.Context(), audit.Viewer, "t1"), ""},
			{as(t.Context(), audit.Engineer), ""},
		} {
			records, err := l.List(test.ctx, audit.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range records {
				got = append(got, r.ObjectID)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("listed %v, want %s", got, test.want)
			}
			sums, err := l.ListUses(test.ctx, audit.Filter{})
			if err != nil || len(sums) != len(got) {
				t.Errorf("listed the sums %+v (%v) beside %v", sums, err, got)
			}
		}
		if _, err := l.List(t.Context(), audit.Filter{}); err == nil {
			t.Error("nobody got a list")
		}
		first, err := l.List(system(t), audit.Filter{Limit: 2, From: noon, To: noon.Add(time.Microsecond)})
		if err != nil || len(first) != 2 {
			t.Fatalf("a page: %v, %v", first, err)
		}
		next, err := l.List(system(t), audit.Filter{Limit: 3, Before: first[1].Seq})
		if err != nil || len(next) != 2 || next[0].ObjectID != "o1" {
			t.Errorf("the next page: %v, %v", next, err)
		}
		for _, f := range []audit.Filter{{TenantID: "t2"}, {ObjectID: "o1"}, {From: noon.Add(time.Microsecond)}, {To: noon}, {Outcome: audit.OutcomeFailed}, {ActorID: "nobody"}, {Action: "x"}} {
			records, err := l.List(system(t), f)
			if err != nil || len(records) != map[bool]int{true: 1}[f.TenantID != "" || f.ObjectID != ""] {
				t.Errorf("%+v gives %d entries, %v", f, len(records), err)
			}
		}
	})
}

func TestDetailsAreBounded(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := newLog(db)
		e := audit.Entry{Permission: audit.TenantManage, Action: "tenant.renamed", ObjectID: "o1", Details: map[string]any{"x": strings.Repeat("x", 8<<10)}}
		if err := act(system(t), db, l, e); err == nil || !strings.Contains(err.Error(), "8192") {
			t.Errorf("too large: %v", err)
		}
		e.Details, e.ObjectName = nil, "a\x00b\xff"+strings.Repeat("ü", 600)
		if err := act(system(t), db, l, e); err != nil {
			t.Fatal(err)
		}
		r := list(t, l)[0]
		if len(r.ObjectName) > 512 || !strings.HasPrefix(r.ObjectName, "a\uFFFDb\uFFFDüü") || r.Details != "{}" {
			t.Errorf("stored %q (%d bytes), details %s", r.ObjectName, len(r.ObjectName), r.Details)
		}
		e.Action = ""
		e.ObjectID = "o2"
		if err := act(system(t), db, l, e); err == nil {
			t.Error("an entry without action was written")
		}
	})
}

// What is counted arrives, whoever counts and flushes at the same time, and
// what could not be written is written the next time.
func TestUsesAreSummed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l, other := newLog(db), newLog(db)
		const callers, each = 6, 300
		var wg sync.WaitGroup
		for i := range callers {
			ctx := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: fmt.Sprint("op", i%2)})
			log := l
			if i%3 == 0 {
				log = other // another replica
			}
			wg.Go(func() {
				for n := range each {
					log.Count(ctx, "token", fmt.Sprint("c", n%2), "t1")
					if n%100 == 0 {
						if err := log.Flush(ctx); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Flush(ended); err == nil {
			t.Error("flushed although the context had ended")
		}
		for _, log := range []*audit.Log{l, other} {
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sums, err := l.ListUses(system(t), audit.Filter{})
		if err != nil || len(sums) != 4 {
			t.Fatalf("%d sums (%v), want one for each caller and object", len(sums), err)
		}
		for _, s := range sums {
			if s.Uses != callers*each/4 || !s.Minute.Equal(noon) || s.TenantID != "t1" {
				t.Errorf("sum %+v, want %d uses", s, callers*each/4)
			}
		}
	})
}

// Each minute has a sum of its own, and old ones are forgotten.
func TestUsesByMinute(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		now := noon
		l := audit.New(audit.Config{DB: db, Now: func() time.Time { return now }})
		ctx := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "op"})
		for minute := range 3 {
			for range 1 + minute {
				l.Count(ctx, "token", "c1", "t1")
				now = now.Add(20 * time.Second)
			}
			now = noon.Add(time.Duration(minute+1) * time.Minute)
		}
		sums := func() (all string) {
			t.Helper()
			if err := l.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			list, err := l.ListUses(system(t), audit.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				all += fmt.Sprintf("%s %d ", s.Minute.Sub(noon), s.Uses)
			}
			return all
		}
		if got := sums(); got != "2m0s 3 1m0s 2 0s 1 " {
			t.Errorf("the sums are %s", got)
		}
		var refused *audit.Refused
		if err := l.ForgetUses(ctx, noon.Add(time.Minute)); !errors.As(err, &refused) {
			t.Errorf("somebody without a role deletes: %v", err)
		}
		if err := l.ForgetUses(system(t), noon.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := sums(); got != "2m0s 3 1m0s 2 " {
			t.Errorf("then the sums are %s", got)
		}
	})
}
