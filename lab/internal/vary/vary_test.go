package vary_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"gatehouse/lab/internal/vary"
)

var value = map[string]any{
	"a": nil, "b": []any{1.5, "x<y>&\n", map[string]any{}, []any{}}, "c": map[string]any{"ü": true, "\"": false}, "d": "2026", "e": 0.0,
}

// Whatever the order, it is the same value; and the order does change.
func TestJSON(t *testing.T) {
	if got, want := string(vary.Source(nil).JSON(value)), `{"a":null,"b":[1.5,"x<y>&\n",{},[]],"c":{"\"":false,"ü":true},"d":"2026","e":0}`; got != want {
		t.Errorf("without variation\n%s, want\n%s", got, want)
	}
	source, spellings := vary.Source(rand.NewChaCha8([32]byte{1}).Uint64), map[string]bool{}
	for range 50 {
		written := source.JSON(value)
		var read map[string]any
		if err := json.Unmarshal(written, &read); err != nil || !reflect.DeepEqual(read, value) {
			t.Fatalf("%s reads as %v, %v", written, read, err)
		}
		spellings[string(written)] = true
	}
	if len(spellings) < 25 {
		t.Errorf("only %d orders in 50", len(spellings))
	}
}

func TestChance(t *testing.T) {
	source, times := vary.Source(rand.NewChaCha8([32]byte{2}).Uint64), 0
	for range 4000 {
		if source.Chance(4) {
			times++
		}
		if vary.Source(nil).Chance(1) {
			t.Fatal("a chance without randomness")
		}
	}
	if times < 800 || times > 1200 {
		t.Errorf("once in four: %d of 4000", times)
	}
}
