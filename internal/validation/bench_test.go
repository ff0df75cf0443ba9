package validation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/jobs"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// BenchmarkCheck is one whole check of a blocked service account, sign-ins,
// account and log included, with a fresh reading of the tenant's rules: of the
// lab's own, and of 200 policies. Bar: 100 ms.
func BenchmarkCheck(b *testing.B) {
	for _, policies := range []int{0, 200} {
		b.Run(fmt.Sprintf("policies=%d", policies), func(b *testing.B) {
			l := lab.Start(b)
			request := account(b, l, "profilepark", "svc-avepoint", "")
			service := validation.Service{Rules: &posture.Cache{MaxAge: time.Hour}}
			if policies > 0 {
				request.Reader, request.Snapshot = nil, manyPolicies(b, policies, request.Username)
			}
			for b.Loop() {
				if got := service.Run(b.Context(), request); got.Verdict != validation.Blocked || got.Rule == nil {
					b.Fatalf("verdict %s, rule %v", got.Verdict, got.Rule)
				}
			}
			withinBar(b, "ms/check")
		})
	}
}

// withinBar reports what one round takes and holds it against the bar.
func withinBar(b *testing.B, unit string) {
	b.Helper()
	const bar = 100 * time.Millisecond
	each := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(each.Microseconds())/1000, unit)
	if each > bar {
		b.Errorf("%s each, the bar is %s", each, bar)
	}
}

// BenchmarkRun is the validation of a stored connection from the click to the kept
// result, queue and intent included, with a fresh reading of the tenant's rules. Bar:
// 100 ms.
func BenchmarkRun(b *testing.B) {
	for name, address := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		if name == "postgres" && os.Getenv(dbtest.Variable) == "" {
			continue
		}
		b.Run(name, func(b *testing.B) {
			db, l := dbtest.Open(b, address(b)), lab.Start(b)
			if err := jobs.Migrate(b.Context(), db); err != nil {
				b.Fatal(err)
			}
			h := open(b, db, l, filepath.Join(b.TempDir(), "master.key"))
			at := h.add(l, "openharbour")
			h.onboard(l, "openharbour", at.ID)
			user := l.Tenant("openharbour").User("svc-backup")
			c := h.account(at.ID, user.UPN, *user.Password)
			h.validate(c.ID) // reads the rules
			for b.Loop() {
				if run := h.validate(c.ID); run.Result == nil || run.Result.Verdict != validation.Works {
					b.Fatalf("%+v", run)
				}
			}
			withinBar(b, "ms/validation")
		})
	}
}

// manyPolicies is a snapshot with policies of many shapes, a tenth of which
// apply.
func manyPolicies(b *testing.B, n int, username string) *posture.Snapshot {
	b.Helper()
	off := false
	s := &posture.Snapshot{Format: posture.Format, TakenAt: time.Now(), SecurityDefaults: &off, Locations: []json.RawMessage{json.RawMessage(office)},
		Accounts: []posture.Account{{ID: "u1", UPN: username, Type: "Member", PerUserMFA: "enforced", Groups: []posture.Group{}, Roles: []posture.Role{}, Methods: []string{"microsoftAuthenticator"}}}}
	for i := range n {
		users, more := fmt.Sprintf(`{"includeGroups":["20000000-0000-4000-8000-000000000%03d"]}`, i), ""
		if i%10 == 0 {
			users = ""
		}
		if i%4 == 0 {
			more = elsewhere
		}
		var p graph.Policy
		if err := json.Unmarshal([]byte(rule(fmt.Sprintf("CA%03d", i), "enabled", users, more, "mfa")), &p); err != nil {
			b.Fatal(err)
		}
		s.Policies = append(s.Policies, p)
	}
	data, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	read, err := posture.Read(bytes.NewReader(data))
	if err != nil {
		b.Fatal(err)
	}
	return read
}
