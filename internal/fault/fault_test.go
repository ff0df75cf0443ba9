package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

// Faults are found by their type under whatever is wrapped around them, as one
// list and one by one, and say everything as text.
func TestFaults(t *testing.T) {
	var f fault.List
	if f.Err() != nil {
		t.Errorf("no fault, and %v", f.Err())
	}
	f.Text("name", "Harbour", 10)
	f.Text("name", strings.Repeat("n", 11), 10)
	f.Text("site", "a\nb", 10)
	f.Add("email", "is no address", "")
	err := fmt.Errorf("adding: %w", f.Err())
	var all fault.List
	var one *fault.Field
	if !errors.As(err, &all) || len(all) != 3 || !errors.As(err, &one) || one.Field != "name" {
		t.Fatalf("%+v %+v", all, one)
	}
	const want = "adding: name is too long: shorten it; site holds signs that cannot be shown: remove line ends and control characters; email is no address"
	if err.Error() != want {
		t.Errorf("%v", err)
	}
	if err := fault.Of("id", "is none", "choose one"); err.Error() != "id is none: choose one" || !errors.As(err, &one) || one.Way != "choose one" {
		t.Errorf("%v", err)
	}
}
