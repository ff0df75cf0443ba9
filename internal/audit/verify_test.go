package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// key makes a signing key from a seed.
func key(seed byte) (ed25519.PrivateKey, []ed25519.PublicKey) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return private, []ed25519.PublicKey{private.Public().(ed25519.PublicKey)}
}

// fill writes entries 1 to n, object "o<seq>" each.
func fill(t *testing.T, db *sqldb.DB, l *audit.Log, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		e := audit.Entry{Permission: audit.TenantManage, Action: "tenant.renamed", ObjectKind: "tenant", ObjectID: fmt.Sprint("o", i), ObjectName: "Contoso", Details: map[string]any{"n": i}}
		err := db.Change(system(t), func(ctx context.Context, tx *sqldb.Tx) error { return l.Act(ctx, tx, e) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

func execute(t *testing.T, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func broken(t *testing.T, err error, seq int64) {
	t.Helper()
	var b *audit.Broken
	if !errors.As(err, &b) || b.Seq != seq {
		t.Errorf("verification says %v, want entry %d broken", err, seq)
	}
}

// Writers at the same time make one chain without gaps.
func TestChainOfManyWriters(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		const writers, each = 8, 20
		ctx := system(t)
		var wg sync.WaitGroup
		for range writers {
			l := newLog(db) // each a replica
			wg.Go(func() {
				for range each {
					err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
						for range 2 {
							if err := l.Act(ctx, tx, audit.Entry{Permission: audit.TenantManage, Action: "x"}); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := l.Verify(ctx, nil); err != nil {
						t.Errorf("verifying beside writers: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		report, err := newLog(db).Verify(ctx, nil)
		if err != nil || report.Entries != writers*each*2 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// Each way to falsify the log is found, and the entry named.
func TestFalsifiedLog(t *testing.T) {
	private, public := key(1)
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := newLog(db)
		fill(t, db, l, 1, 6)
		if _, err := l.Checkpoint(system(t), private); err != nil {
			t.Fatal(err)
		}
		fill(t, db, l, 7, 9)
		verify := func() error {
			_, err := l.Verify(system(t), public)
			return err
		}
		if err := verify(); err != nil {
			t.Fatal(err)
		}
		for _, column := range []string{"actor_kind", "actor_id", "actor_name", "address", "actor_salt", "actor_digest", "action", "object_kind", "object_id", "object_name", "details", "object_salt", "object_digest", "tenant_id", "outcome", "hash"} {
			var was string
			if err := db.Read().NewSelect().TableExpr("audit").Column(column).Where("seq = 4").Scan(t.Context(), &was); err != nil {
				t.Fatal(err)
			}
			execute(t, db, "UPDATE audit SET "+column+" = ? WHERE seq = 4", was+"x")
			t.Run(column, func(t *testing.T) { broken(t, verify(), 4) })
			execute(t, db, "UPDATE audit SET "+column+" = ? WHERE seq = 4", was)
		}
		execute(t, db, "UPDATE audit SET at = ? WHERE seq = 4", noon.Add(time.Second))
		broken(t, verify(), 4)
		execute(t, db, "UPDATE audit SET at = ? WHERE seq = 4", noon)

		execute(t, db, "UPDATE audit SET actor_name = '', address = '', actor_salt = '' WHERE seq = 4")
		broken(t, verify(), 4) // erased without an entry
	})
	for name, test := range map[string]struct {
		statements []string
		seq        int64
	}{
		"removed":                  {[]string{"DELETE FROM audit WHERE seq = 3"}, 3},
		"removed and closed up":    {[]string{"DELETE FROM audit WHERE seq = 8", "UPDATE audit SET seq = 8 WHERE seq = 9", "UPDATE audit_head SET seq = 8"}, 8},
		"swapped":                  {[]string{"UPDATE audit SET seq = 100 WHERE seq = 3", "UPDATE audit SET seq = 3 WHERE seq = 4", "UPDATE audit SET seq = 4 WHERE seq = 100"}, 3},
		"first removed":            {[]string{"DELETE FROM audit WHERE seq = 1"}, 1},
		"end cut off":              {[]string{"DELETE FROM audit WHERE seq > 7"}, 8},
		"end cut off and head set": {[]string{"DELETE FROM audit WHERE seq > 4", "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)"}, 5},
		"head set back":            {[]string{"UPDATE audit_head SET seq = 8"}, 9},
		"hash of head":             {[]string{"UPDATE audit_head SET hash = 'x'"}, 9},
		"forged checkpoint":        {[]string{"UPDATE audit_checkpoints SET hash = (SELECT hash FROM audit WHERE seq = 5)"}, 6},
		"moved checkpoint":         {[]string{"UPDATE audit_checkpoints SET seq = 7"}, 7},
		"all gone":                 {[]string{"DELETE FROM audit", "UPDATE audit_head SET seq = 0, hash = ''"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				l := newLog(db)
				fill(t, db, l, 1, 6)
				if _, err := l.Checkpoint(system(t), private); err != nil {
					t.Fatal(err)
				}
				fill(t, db, l, 7, 9)
				for _, s := range test.statements {
					execute(t, db, s)
				}
				_, err := l.Verify(system(t), public)
				broken(t, err, test.seq)
			})
		})
	}
}

// Someone who owns the database can write a new log, hashes and all; the
// checkpoint that was kept elsewhere gives it away.
func TestKeptCheckpointFindsARewrittenLog(t *testing.T) {
	private, public := key(1)
	forger, _ := key(2)
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := newLog(db)
		if _, err := l.Checkpoint(system(t), private); err == nil {
			t.Error("an empty log was signed")
		}
		fill(t, db, l, 1, 4)
		kept, err := l.Checkpoint(system(t), private)
		if err != nil || kept.Seq != 4 || !kept.Signed(public...) {
			t.Fatalf("%+v, %v", kept, err)
		}
		again, err := l.Checkpoint(system(t), private)
		if err != nil || again.Signature != kept.Signature {
			t.Errorf("the same end was signed twice: %+v, %v", again, err)
		}
		if report, err := l.Verify(system(t), public, kept); err != nil || report.Signed != 4 {
			t.Errorf("%+v, %v", report, err)
		}
		execute(t, db, "DELETE FROM audit")
		execute(t, db, "DELETE FROM audit_checkpoints")
		execute(t, db, "UPDATE audit_head SET seq = 0, hash = ''")
		fill(t, db, l, 1, 3)
		if _, err := l.Verify(system(t), public); err != nil {
			t.Fatalf("the forged log does not hang together: %v", err)
		}
		_, err = l.Verify(system(t), public, kept)
		broken(t, err, 4) // cut off
		fill(t, db, l, 4, 5)
		_, err = l.Verify(system(t), public, kept)
		broken(t, err, 4) // other entries
		if _, err := l.Verify(system(t), nil, kept); err == nil {
			t.Error("a checkpoint was accepted without a key to check it with")
		}
		if _, err := l.Checkpoint(system(t), forger); err != nil {
			t.Fatal(err)
		}
		_, err = l.Verify(system(t), public)
		broken(t, err, 5) // signed by another
	})
}

func TestVerifyingNeedsTheWholeLog(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	l := newLog(db)
	private, public := key(1)
	ctx := as(t.Context(), audit.Administrator, "t1")
	var refused *audit.Refused
	if _, err := l.Verify(ctx, public); !errors.As(err, &refused) {
		t.Errorf("verified: %v", err)
	}
	if _, err := l.Checkpoint(ctx, private); !errors.As(err, &refused) {
		t.Errorf("signed: %v", err)
	}
	var out bytes.Buffer
	if err := l.Export(ctx, &out); !errors.As(err, &refused) || out.Len() > 0 {
		t.Errorf("exported %d bytes: %v", out.Len(), err)
	}
	if err := eraseIn(ctx, db, l, "p1"); !errors.As(err, &refused) {
		t.Errorf("erased: %v", err)
	}
}

func eraseIn(ctx context.Context, db *sqldb.DB, l *audit.Log, id string) error {
	return db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return l.Erase(ctx, tx, id) })
}

// A person is erased from the log, and it still verifies, also when exported;
// nobody else's names are gone.
func TestErase(t *testing.T) {
	private, public := key(1)
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := newLog(db)
		person := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "p1", Name: "Ada Person", Address: "192.0.2.9", Roles: map[string]audit.Role{audit.AllTenants: audit.Administrator}})
		entries := []struct {
			ctx    context.Context
			object string
			name   string
		}{{person, "o1", "Backup"}, {system(t), "p1", "ada@contoso.example"}, {system(t), "o2", "Other"}}
		for _, e := range entries {
			if err := db.Change(e.ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				return l.Act(ctx, tx, audit.Entry{Permission: audit.VerificationManage, Action: "verification.sent", ObjectID: e.object, ObjectName: e.name, Details: map[string]any{"to": e.name}})
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := eraseIn(person, db, l, ""); err == nil {
			t.Error("everything without an id was erased")
		}
		if err := eraseIn(person, db, l, "p1"); err != nil { // by the person themselves
			t.Fatal(err)
		}
		if _, err := l.Checkpoint(system(t), private); err != nil {
			t.Fatal(err)
		}
		report, err := l.Verify(system(t), public)
		if err != nil || report.Erased != 4 {
			t.Fatalf("%+v, %v", report, err)
		}
		var out bytes.Buffer
		if err := l.Export(system(t), &out); err != nil {
			t.Fatal(err)
		}
		for _, gone := range []string{"Ada", "ada@", "192.0.2.9"} {
			if strings.Contains(out.String(), gone) {
				t.Errorf("%s is still in the log", gone)
			}
		}
		for _, kept := range []string{`"p1"`, "Backup", "Other", "audit.erased"} {
			if !strings.Contains(out.String(), kept) {
				t.Errorf("%s is gone", kept)
			}
		}
		if report, err := audit.VerifyExport(&out, public...); err != nil || report.Erased != 4 {
			t.Errorf("exported: %+v, %v", report, err)
		}
		// What is written later about the same person cannot be blanked under
		// the old entry.
		if err := db.Change(system(t), func(ctx context.Context, tx *sqldb.Tx) error {
			return l.Act(ctx, tx, audit.Entry{Permission: audit.VerificationManage, Action: "verification.sent", ObjectID: "p1", ObjectName: "later"})
		}); err != nil {
			t.Fatal(err)
		}
		seq := list(t, l)[0].Seq
		execute(t, db, "UPDATE audit SET object_name = '', details = '', object_salt = '' WHERE seq = ?", seq)
		_, err = l.Verify(system(t), public)
		broken(t, err, seq)
	})
}

func export(t *testing.T, entries int) ([]byte, []ed25519.PublicKey) {
	t.Helper()
	private, public := key(1)
	db := dbtest.Open(t, dbtest.SQLite(t))
	l := newLog(db)
	fill(t, db, l, 1, entries/2)
	if _, err := l.Checkpoint(system(t), private); err != nil {
		t.Fatal(err)
	}
	fill(t, db, l, entries/2+1, entries)
	if _, err := l.Checkpoint(system(t), private); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := l.Export(system(t), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), public
}

// An exported log of several pages verifies without the database.
func TestVerifyExport(t *testing.T) {
	text, public := export(t, 1100)
	report, err := audit.VerifyExport(bytes.NewReader(text), public...)
	if err != nil || report.Entries != 1101 || report.Checkpoints != 2 || report.Signed != 1100 {
		t.Errorf("%+v, %v", report, err)
	}
	_, other := key(2)
	if _, err := audit.VerifyExport(bytes.NewReader(text), other...); err == nil {
		t.Error("checkpoints of another key were accepted")
	}
	if report, err := audit.VerifyExport(bytes.NewReader(text)); err != nil || report.Checkpoints != 0 || report.Signed != 0 {
		t.Errorf("without a key: %+v, %v", report, err)
	}
	for _, bad := range []string{"", "{}\n", "x", `{"log":"gatehouse audit log 2"}`, `{"log":"gatehouse audit log 1"} {}`, "{\"log\":\"gatehouse audit log 1\"}\n{}", "{\"log\":\"gatehouse audit log 1\"}\n{\"entry\":{\"more\":1}}", "{\"log\":\"gatehouse audit log 1\"}\n" + strings.Repeat("x", 200<<10)} {
		if _, err := audit.VerifyExport(strings.NewReader(bad)); err == nil {
			t.Errorf("%.60q was accepted", bad)
		}
	}
}

// Whatever line of an exported log is dropped, doubled, swapped or changed in
// what it says, the verification finds it, unless it cuts off what no checkpoint
// covers.
func TestChangedExport(t *testing.T) {
	text, public := export(t, 10)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	rapid.Check(t, func(t *rapid.T) {
		changed := slices.Clone(lines)
		entry := rapid.IntRange(0, len(lines)-2).Filter(func(i int) bool { return strings.HasPrefix(lines[i], `{"entry`) })
		any := rapid.IntRange(0, len(lines)-1)
		i := any.Draw(t, "line")
		switch rapid.SampledFrom([]string{"drop", "double", "swap", "change"}).Draw(t, "how") {
		case "drop": // an older copy may lack a checkpoint, or the end
			i = entry.Draw(t, "entry")
			changed = slices.Delete(changed, i, i+1)
		case "double":
			i = entry.Draw(t, "entry")
			changed = slices.Insert(changed, i, lines[i])
		case "swap":
			j := any.Filter(func(j int) bool { return j != i }).Draw(t, "with")
			changed[i], changed[j] = changed[j], changed[i]
		case "change":
			// A letter or digit becomes another.
			at := rapid.IntRange(0, len(lines[i])-1).Filter(func(at int) bool {
				c := lines[i][at]
				return c >= '0' && c <= '9' || c >= 'b' && c <= 'z'
			}).Draw(t, "at")
			b := []byte(lines[i])
			b[at]++
			if b[at] > 'z' || b[at] == '9'+1 {
				b[at] -= 2
			}
			changed[i] = string(b)
		}
		if _, err := audit.VerifyExport(strings.NewReader(strings.Join(changed, "\n")), public...); err == nil {
			t.Fatalf("not found:\n%s", strings.Join(changed, "\n"))
		}
	})
}

func FuzzVerifyExport(f *testing.F) {
	_, public := key(1)
	f.Add([]byte("{\"log\":\"gatehouse audit log 1\"}\n"))
	f.Add([]byte("{\"log\":\"gatehouse audit log 1\"}\n{\"entry\":{\"seq\":1,\"at\":\"2026-11-22T12:00:00Z\",\"hash\":\"00\"}}\n"))
	f.Add([]byte("{\"log\":\"gatehouse audit log 1\"}\n{\"checkpoint\":{\"seq\":1,\"hash\":\"00\",\"key\":\"AA==\",\"signature\":\"AA==\"}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		report, err := audit.VerifyExport(bytes.NewReader(text), public...)
		if err == nil && (report.Signed > 0 || report.Entries > 0 && report.Hash == "") {
			t.Errorf("a log that nobody wrote is in order: %+v", report)
		}
	})
}
