package conditionalaccess

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"
)

// handWorked is a sign-in with the answer that was worked out by hand. Applied
// holds parts of the names of the policies, or the numbers in them.
type handWorked struct {
	Why         string
	SignIn      json.RawMessage
	Verdict     string
	Applied     []any
	ReportOnly  []any `json:"report_only"`
	Outstanding []string
	ErrorCode   int `json:"error_code"`
	Missing     []string
}

// TestHandWorkedSets evaluates three sets in the layouts of different tools:
// Graph's lists, a folder with one file each, and PowerShell with an older
// directory dump. Each is read in every encoding in which such files occur.
func TestHandWorkedSets(t *testing.T) {
	for _, name := range []string{"harbour", "orchard", "quarry"} {
		for _, encoding := range []string{"utf-8", "utf-8 with mark", "utf-16 le", "utf-16 be", "utf-16 le without mark"} {
			t.Run(name+" "+encoding, func(t *testing.T) {
				set := Load(encoded(t, filepath.Join("testdata", name), encoding))
				if len(set.Faults) > 0 {
					t.Fatal(set.Faults)
				}
				checkHandWorked(t, Compile(set, Options{}), filepath.Join("testdata", name+".signins.jsonl"))
			})
		}
	}
}

// encoded gives a folder's files in another encoding.
func encoded(t *testing.T, dir, encoding string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		var order binary.AppendByteOrder = binary.LittleEndian
		switch encoding {
		case "utf-8":
		case "utf-8 with mark":
			data = append([]byte("\xef\xbb\xbf"), data...)
		default:
			var b []byte
			if encoding == "utf-16 be" {
				order = binary.BigEndian
			}
			if !strings.HasSuffix(encoding, "without mark") {
				b = order.AppendUint16(b, 0xfeff)
			}
			for _, u := range utf16.Encode([]rune(string(data))) {
				b = order.AppendUint16(b, u)
			}
			data = b
		}
		out[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func checkHandWorked(t *testing.T, c *Compiled, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	count := 0
	for lines.Scan() {
		count++
		var want handWorked
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		var r Result
		c.Evaluate(readSignIn(t, signInJSON(string(want.SignIn))), &r)
		if r.Verdict.String() != want.Verdict || r.ErrorCode != want.ErrorCode ||
			!slices.Equal(r.Outstanding, want.Outstanding) || !slices.Equal(r.Missing, want.Missing) ||
			!carryNames(c, r.Applied, want.Applied) || !carryNames(c, r.ReportOnly, want.ReportOnly) {
			t.Errorf("%s: %v, code %d, outstanding %q, missing %q, applied %v, report-only %v\nwant %+v",
				want.Why, r.Verdict, r.ErrorCode, r.Outstanding, r.Missing, r.Applied, r.ReportOnly, want)
		}
	}
	if count == 0 {
		t.Fatal("no sign-ins")
	}
}

// carryNames compares policies with parts of their names, in order.
func carryNames(c *Compiled, have []int, want []any) bool {
	if len(have) != len(want) {
		return false
	}
	for i, p := range have {
		part, ok := want[i].(string)
		if !ok {
			part = " " + string(rune('0'+int(want[i].(float64)))) + ":"
		}
		if !strings.Contains(c.Policy(p).DisplayName, part) {
			return false
		}
	}
	return true
}

// TestEveryFileIsAccountedFor: what is no policy is named, not lost and no
// fault.
func TestEveryFileIsAccountedFor(t *testing.T) {
	set := Load(os.DirFS("testdata/orchard"))
	var account []string
	for _, f := range set.Files {
		what := f.Ignored
		switch {
		case f.Policies > 0:
			what = "policy"
		case f.Locations > 0:
			what = "location"
		}
		account = append(account, f.Name+": "+what)
	}
	want := []string{
		"Groups/Gardeners.json: a group", "MigrationTable.json: a migration table", "NamedLocations/Hedged land.json: location",
		"Policies/No codes across the hedge.json: policy", "Policies/Pickers use tended devices.json: policy",
		"Policies/Trees need two factors.json: policy",
	}
	if !slices.Equal(account, want) {
		t.Errorf("%q", account)
	}
}
