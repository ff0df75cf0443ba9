package login_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// What the sign-in service asked for is kept to, for the tenant it was asked for.
func TestPace(t *testing.T) {
	sent := 0
	c := login.New(login.Config{Cloud: cloud, Pace: pace.New(pace.Config{}), Transport: wire(func(*http.Request) (int, string, string) {
		sent++
		return 429, "application/json", `{"error":"temporarily_unavailable"}`
	})})
	for range 2 { // the second is not sent
		_, err := c.Tenant(t.Context(), "t.example")
		var e *microsoft.Error
		if !errors.As(err, &e) || e.RetryAfter < 16*time.Second || sent != 1 {
			t.Errorf("%v, %d sent", err, sent)
		}
	}
	if _, err := c.Tenant(t.Context(), "other.example"); err == nil || sent != 2 {
		t.Errorf("another tenant: %v, %d sent", err, sent)
	}
}

// No request leaves while a transaction is open, MSAL's neither.
func TestNotInsideAChange(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	asked := ""
	c := login.New(login.Config{Cloud: cloud, Transport: wire(func(r *http.Request) (int, string, string) {
		asked = r.URL.Path
		return 200, "application/json", metadata
	})})
	for name, call := range map[string]func(context.Context) error{
		"tenant": func(ctx context.Context) error { _, err := c.Tenant(ctx, "t.example"); return err },
		"secret": func(ctx context.Context) error {
			_, err := c.Secret(ctx, "t.example", "app", secrets.New("s"), []string{"https://graph.microsoft.com/.default"})
			return err
		},
	} {
		err := db.Change(t.Context(), func(ctx context.Context, _ *sqldb.Tx) error { return call(ctx) })
		if !errors.Is(err, pace.ErrInChange) || asked != "" {
			t.Errorf("%s inside a transaction: %v, asked %q", name, err, asked)
		}
	}
}
