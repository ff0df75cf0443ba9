package transfer

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// What a spreadsheet would take for a formula does not begin as one, and is found
// back.
func TestGuard(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", "=1+1", "+49", "-x", "@sum", "\tx", "'quoted", "''", "'", "it's", "=", "'=x"} {
		kept := guard(text)
		if kept != "" && strings.ContainsRune("=+-@\t\r", rune(kept[0])) {
			t.Errorf("%q is written as %q", text, kept)
		}
		if back := unguard(kept); back != text {
			t.Errorf("%q is written as %q and read as %q", text, kept, back)
		}
	}
}

func readText(format Format, text string) ([]parsed, []string, []Fault) {
	f := &faults{}
	rows, has := read([]byte(text), format, f)
	return rows, has, f.some
}

// Files as spreadsheets save them: with a mark in front, with semicolons or tabs,
// with empty lines and line ends within cells.
func TestRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"commas": "tenant,name,description\nA,B,\"x, y\"\n", "semicolons": "\ufeffTenant;Name;Description\r\nA;B;x, y\r\n\r\n;;\r\n", "tabs": "tenant\tname\tdescription\nA\tB\tx, y\n",
		"short": "tenant,name,description,site\nA,B,\"x, y\"\n",
	} {
		rows, _, wrong := readText(CSV, text)
		if len(wrong) > 0 || len(rows) != 1 || rows[0].values["tenant"] != "A" || rows[0].values["description"] != "x, y" || rows[0].at != 2 {
			t.Errorf("%s: %+v %+v", name, rows, wrong)
		}
	}
	rows, has, wrong := readText(JSON, `{"format":"gatehouse-connections/1","connections":[{"tenant":"A","name":"B","tags":["x","y"],"mfa":true}]}`)
	if len(wrong) > 0 || len(rows) != 1 || rows[0].values["tags"] != "x y" || rows[0].values["mfa"] != "yes" || !slices.Contains(has, "tags") {
		t.Errorf("%+v %v %+v", rows, has, wrong)
	}
	for text, want := range map[string]string{
		"":                          "no heading",
		"tenant,password\nA,B\n":    "password",
		"name\nB\n":                 "neither the column id nor tenant and name",
		"tenant,name,name\nA,B,C\n": "is there twice",
		"tenant,name\nA,B,C\n":      "has 3 cells",
		"tenant,name\nA,\"B\nC,D\n": "cannot be read",
		"tenant,name\nA,\xff\n":     "not in UTF-8",
		"tenant,name\nA,B\x00\n":    "zero",
		"tenant,name\nA," + strings.Repeat("x", maxCell+1) + "\n": "too long",
	} {
		_, _, wrong := readText(CSV, text)
		if len(wrong) == 0 || !strings.Contains(wrong[0].Column+" "+wrong[0].Problem, want) {
			t.Errorf("%.40q: %+v", text, wrong)
		}
	}
	for text, want := range map[string]string{`{"format":"other","connections":[]}`: "the format is", `[{"tenant":"A","secret":"x"}]`: "no member", `{`: "as JSON", `[{"name":{"a":1}}]`: "neither text"} {
		_, _, wrong := readText(JSON, text)
		if len(wrong) == 0 || !strings.Contains(wrong[0].Problem, want) {
			t.Errorf("%.40q: %+v", text, wrong)
		}
	}
	if _, _, wrong := readText(CSV, "tenant,name\n"+strings.Repeat("A,B\n", MaxRows+1)); len(wrong) != 1 {
		t.Errorf("too many rows: %+v", wrong)
	}
}

// FuzzRead gives hostile files: none breaks the reader, and what it takes in is
// bounded text of known columns.
func FuzzRead(f *testing.F) {
	f.Add([]byte("tenant,name\nA,B\n"), false)
	f.Add([]byte("\ufefftenant;name;tags\r\nA;'=B;x y\r\n"), false)
	f.Add([]byte(`[{"tenant":"A","name":"B","tags":["x"]}]`), true)
	f.Fuzz(func(t *testing.T, data []byte, asJSON bool) {
		format := CSV
		if asJSON {
			format = JSON
		}
		rows, _ := read(data, format, &faults{})
		for _, r := range rows {
			for name, value := range r.values {
				if _, known := find(name); !known || len(value) > maxCell || !utf8.ValidString(value) {
					t.Fatalf("%q: %q", name, value)
				}
			}
		}
	})
}

// FuzzGuard writes and reads cells.
func FuzzGuard(f *testing.F) {
	f.Add("=1+1")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\r\n") {
			return
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		if err := w.Write([]string{guard(text), "end"}); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		cells, err := csv.NewReader(&b).Read()
		if err != nil || unguard(cells[0]) != text {
			t.Errorf("%q becomes %q (%v)", text, cells, err)
		}
	})
}
