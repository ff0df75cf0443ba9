package graph_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// Each request passes the governor, repetitions and next pages as well.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var sent []time.Duration
		answers := []reply{
			answer(200, `{"value":[{}],"@odata.nextLink":"https://graph.test/v1.0/identity/conditionalAccess/policies?$skiptoken=x"}`),
			answer(429, `{}`),
			answer(200, `{"value":[{}]}`),
			answer(429, `{}`, "Retry-After", "90"),
		}
		c, err := graph.New(graph.Config{
			Cloud: microsoft.Cloud{Graph: "https://graph.test"}, Tenant: "t1", Pace: pace.New(pace.Config{}),
			Token: func(context.Context) (secrets.Value, error) { return secrets.New("t"), nil },
			Transport: wire(func(*http.Request) reply {
				sent = append(sent, time.Since(start))
				return answers[len(sent)-1]
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		list, err := graph.List[struct{}](t.Context(), c, "/v1.0/identity/conditionalAccess/policies")
		if err != nil || len(list) != 2 || len(sent) != 3 {
			t.Fatalf("%d policies in %d requests (%v)", len(list), len(sent), err)
		}
		if sent[1]-sent[0] < 1100*time.Millisecond || sent[2]-sent[1] < 2*time.Second {
			t.Errorf("sent at %v", sent)
		}
		for range 2 { // the second is not sent
			var out struct{}
			err := c.Get(t.Context(), "/v1.0/identity/conditionalAccess/namedLocations", &out)
			var e *microsoft.Error
			if !errors.As(err, &e) || e.RetryAfter != 90*time.Second || len(sent) != 4 {
				t.Errorf("after a refusal for 90 s: %v, %d sent", err, len(sent))
			}
		}
	})
}

// No request leaves while a transaction is open, and none is tried again.
func TestNotInsideAChange(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	c, err := graph.New(graph.Config{
		Cloud: microsoft.Cloud{Graph: "https://graph.test"},
		Token: func(context.Context) (secrets.Value, error) {
			t.Error("a token was asked for")
			return secrets.New("t"), nil
		},
		Transport: wire(func(*http.Request) reply { t.Error("a request was sent"); return answer(200, `{}`) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	var out struct{}
	if err := db.Change(t.Context(), func(ctx context.Context, _ *sqldb.Tx) error {
		return c.Get(ctx, "/v1.0/organization", &out)
	}); !errors.Is(err, pace.ErrInChange) {
		t.Errorf("inside a transaction: %v", err)
	}
}
