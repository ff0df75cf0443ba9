package validation_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
)

func snapshot(t *testing.T, cloud microsoft.Cloud, access secrets.Value, accounts ...string) *posture.Snapshot {
	t.Helper()
	client, err := graph.New(graph.Config{Cloud: cloud, Token: func(context.Context) (secrets.Value, error) { return access, nil }})
	if err != nil {
		t.Fatal(err)
	}
	s, err := posture.Load(t.Context(), client, time.Now(), posture.Want{Accounts: accounts})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range s.Unread {
		if !strings.HasPrefix(u.Part, posture.PartCapable) { // needs a licence that not every tenant has
			t.Fatalf("not read: %v", s.Unread)
		}
	}
	return s
}
