package validation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
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
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/check")
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
