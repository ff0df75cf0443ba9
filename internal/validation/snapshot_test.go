package validation_test

import (
	"context"
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
	s, err := posture.Load(t.Context(), client, time.Now(), accounts...)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Unread) > 0 {
		t.Fatalf("not read: %v", s.Unread)
	}
	return s
}
