package secrets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gatehouse/internal/secrets"
)

// The test breaks when any way of printing a secret shows it.
func TestValueNeverPrints(t *testing.T) {
	const planted = "planted-secret-4711"
	v := secrets.New(planted)
	holder := struct {
		Password secrets.Value
		Pointer  *secrets.Value
	}{v, &v}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", holder)
		fmt.Fprintf(&out, verb+"\n", []secrets.Value{v})
	}
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v, "holder", holder)
	printed := out.String()
	for _, form := range []string{planted, fmt.Sprintf("%x", planted), fmt.Sprintf("%X", planted)} {
		if strings.Contains(printed, form) {
			t.Errorf("the secret is printed as %q in:\n%s", form, printed)
		}
	}
	if !strings.Contains(printed, "••••••") {
		t.Error("nothing was printed in its place")
	}
	if v.Reveal() != planted || v.Empty() || !(secrets.Value{}).Empty() {
		t.Error("Reveal or Empty is wrong")
	}
}
