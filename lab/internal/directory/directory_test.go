package directory_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/lab/internal/directory"
)

// The lab's password hash may take 2 ms at most.
func BenchmarkPasswordHash(b *testing.B) {
	hash := directory.HashPassword("correct horse battery")
	for b.Loop() {
		if !directory.CheckPassword(hash, "correct horse battery") {
			b.Fatal("the password is refused")
		}
	}
}

func TestPasswordHash(t *testing.T) {
	one, two := directory.HashPassword("secret"), directory.HashPassword("secret")
	if string(one) == string(two) {
		t.Error("equal passwords have equal hashes: no salt")
	}
	if strings.Contains(string(one), "secret") {
		t.Error("the hash shows the password")
	}
	if !directory.CheckPassword(one, "secret") || directory.CheckPassword(one, "Secret") || directory.CheckPassword(nil, "secret") || directory.CheckPassword(nil, "") {
		t.Error("the check is wrong")
	}
}

func build(t *rapid.T, file string) *directory.Store {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	parsed, err := directory.Parse(strings.NewReader(file), now)
	if err != nil {
		t.Fatal(err)
	}
	store, _, err := directory.New(parsed, directory.Config{Seed: 1, Now: func() time.Time { return now },
		NewCertificate: func(string, time.Time, time.Time) (*x509.Certificate, error) { return nil, errors.New("not asked for") }})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// Nested membership with arbitrary nesting and cycles is the reachability of
// the membership graph.
func TestGroupsOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := build(t, `{"tenants":[{"name":"T","domain":"t.onmicrosoft.com","users":[{"upn":"u@t.onmicrosoft.com"}]}]}`)
		const n = 6
		edges := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, n), 0, 3), n, n).Draw(t, "members") // n stands for the user
		store.Update("t.onmicrosoft.com", func(tenant *directory.Tenant) {
			user := tenant.Users[0].ID
			ids := []string{"g0", "g1", "g2", "g3", "g4", "g5", user}
			for i := range n {
				g := &directory.Group{ID: ids[i]}
				for _, m := range edges[i] {
					g.Members = append(g.Members, ids[m])
				}
				tenant.AddGroup(g)
			}
			got := tenant.GroupsOf(user)
			for i := range n {
				if want := reaches(edges, i, n, map[int]bool{}); want != slices.Contains(got, ids[i]) {
					t.Fatalf("group %d: got %v, want %v (members %v)", i, !want, want, edges)
				}
			}
		})
	})
}

func reaches(edges [][]int, from, to int, seen map[int]bool) bool {
	if seen[from] || from >= len(edges) {
		return false
	}
	seen[from] = true
	for _, m := range edges[from] {
		if m == to || reaches(edges, m, to, seen) {
			return true
		}
	}
	return false
}

func TestLogKeepsTheNewest(t *testing.T) {
	tenant := &directory.Tenant{}
	for i := range 3*directory.MaxSignIns + 5 {
		tenant.Log(&directory.SignIn{Status: i})
	}
	n := len(tenant.SignIns)
	if n < directory.MaxSignIns || n > 2*directory.MaxSignIns || tenant.SignIns[n-1].Status != 3*directory.MaxSignIns+4 {
		t.Errorf("%d entries, the last is %d", n, tenant.SignIns[n-1].Status)
	}
	for i := 1; i < n; i++ {
		if tenant.SignIns[i].Status != tenant.SignIns[i-1].Status+1 {
			t.Fatalf("entry %d follows %d", tenant.SignIns[i].Status, tenant.SignIns[i-1].Status)
		}
	}
}
