package interop

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"gatehouse/lab"
)

// npm's Graph client pages, batches, and repeats a throttled call.
func TestGraphClient(t *testing.T) {
	needPackages(t)
	l := lab.Start(t)
	out := runNode(t, l, nil, "graph.mjs")
	got := map[string]any{}
	for line := range bytes.Lines(out) {
		var result struct {
			Name  string
			Value any
		}
		if err := json.Unmarshal(line, &result); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		got[result.Name] = result.Value
	}
	var users []any
	for _, u := range l.Tenant("openharbour").Users {
		users = append(users, u.UPN)
	}
	slices.SortFunc(users, func(a, b any) int {
		x, _ := a.(string)
		y, _ := b.(string)
		return bytes.Compare([]byte(x), []byte(y))
	})
	want := map[string]any{"pages": users, "batch": []any{200.0, 404.0, 200.0}, "retry": true, "refusal": []any{404.0, "Request_ResourceNotFound", true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var calls []lab.Exchange
	for _, e := range l.Journal() {
		if e.Path == "/v1.0/organization" {
			calls = append(calls, e)
		}
	}
	// A call within the batch is no request of its own.
	if len(calls) != 2 || calls[0].Status != 429 || calls[1].Status != 200 || calls[1].Time.Sub(calls[0].Time) < time.Second {
		t.Errorf("want a throttled call that is repeated a second later, as it was told: %+v", calls)
	}
}
