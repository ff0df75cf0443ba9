package campaign

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/tenant"
)

// Bounds of what is added.
const (
	MaxFile   = 8 << 20 // bytes
	MaxPeople = 50_000  // of a file, and of a campaign
	maxCell   = 254     // bytes
)

// Row is a tenant, or somebody in it, to be added to a campaign.
type Row struct {
	Line     int    // as a spreadsheet counts, the heading is 1; in a list from 1
	Tenant   string // name, domain, directory id or id
	Username string
	ObjectID string
	Name     string
	Email    string
}

// person reports whether the row names somebody, and not only a tenant.
func (r Row) person() bool { return r.Username != "" || r.ObjectID != "" }

// Fault is what is wrong with a place of a file.
type Fault struct {
	Row     int    // 0 for the whole file
	Column  string // "" for the whole row
	Problem string
	Way     string
}

// Faults are what is wrong with a file: the first of it in words.
type Faults struct {
	Some  []Fault
	Count int
}

// mostFaults is how many faults are told in words.
const mostFaults = 500

func (f *Faults) add(row int, column, problem, way string) {
	if f.Count++; len(f.Some) < mostFaults {
		f.Some = append(f.Some, Fault{row, column, problem, way})
	}
}

// columns of a file, with what takes a cell.
var columns = map[string]func(*Row) *string{
	"tenant":    func(r *Row) *string { return &r.Tenant },
	"username":  func(r *Row) *string { return &r.Username },
	"object_id": func(r *Row) *string { return &r.ObjectID },
	"name":      func(r *Row) *string { return &r.Name },
	"email":     func(r *Row) *string { return &r.Email },
}

// Columns are the names of the columns, in the order in which they are offered.
var Columns = []string{"tenant", "username", "object_id", "name", "email"}

// ReadPeople takes a CSV file apart: a heading with tenant and any of username,
// object_id, name and email, then a row for each person; a row with a tenant alone
// adds the tenant. The separator is the comma, the semicolon or the tab that the
// heading has most of.
func ReadPeople(data []byte) ([]Row, Faults) {
	var f Faults
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch {
	case len(data) > MaxFile:
		f.add(0, "", fmt.Sprintf("the file is larger than %d MB", MaxFile>>20), "split it")
	case !utf8.Valid(data):
		f.add(0, "", "the file is not in UTF-8", "save it as \"CSV UTF-8\"")
	case bytes.IndexByte(data, 0) >= 0:
		f.add(0, "", "the file holds a sign that no text has (zero)", "save it as text: \"CSV UTF-8\"")
	}
	if f.Count > 0 {
		return nil, f
	}
	in := csv.NewReader(bytes.NewReader(data))
	in.Comma, in.FieldsPerRecord, in.ReuseRecord = separator(data), -1, true
	first, err := in.Read()
	if err != nil {
		f.add(0, "", "the file has no heading that can be read", "begin with a line of column names: "+strings.Join(Columns, ","))
		return nil, f
	}
	has := heading(first, &f)
	if f.Count > 0 {
		return nil, f
	}
	var rows []Row
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, f
		}
		if err != nil {
			line, way := 0, "put texts with quotes or line ends in quotes, and write a quote twice"
			var bad *csv.ParseError
			if errors.As(err, &bad) {
				line, err = bad.StartLine, bad.Err
			}
			f.add(line, "", "cannot be read: "+err.Error(), way)
			return rows, f // what follows would be cut wrongly
		}
		line, _ := in.FieldPos(0)
		if len(rows) == MaxPeople {
			f.add(line, "", fmt.Sprintf("there are more than %d rows", MaxPeople), "split the file")
			return rows, f
		}
		if r, filled := rowOf(line, has, cells, &f); filled {
			rows = append(rows, r)
		}
	}
}

// rowOf reads a record; false for an empty one, and one that cannot be read.
func rowOf(line int, has, cells []string, f *Faults) (Row, bool) {
	r := Row{Line: line}
	if len(cells) > len(has) {
		f.add(line, "", fmt.Sprintf("has %d cells, and the heading %d", len(cells), len(has)), "put texts that hold the separator in quotes")
		return r, false
	}
	filled := false
	for i, c := range cells {
		c = strings.TrimSpace(unguard(strings.TrimSpace(c)))
		filled = filled || c != ""
		*columns[has[i]](&r) = c
	}
	return r, filled
}

func heading(first []string, f *Faults) []string {
	has := slices.Clone(first)
	for i, name := range has {
		has[i] = strings.ToLower(strings.TrimSpace(name))
		switch {
		case columns[has[i]] == nil:
			f.add(1, clip(name, 40), "is no column that is known", "use "+strings.Join(Columns, ", "))
		case slices.Contains(has[:i], has[i]):
			f.add(1, has[i], "is there twice", "remove one of the two")
		}
	}
	if !slices.Contains(has, "tenant") {
		f.add(1, "tenant", "is missing", "add the column: a tenant's name, domain or directory id")
	}
	return has
}

func separator(data []byte) rune {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	best, most := ',', -1
	for _, sign := range ",;\t" {
		if n := bytes.Count(line, []byte(string(sign))); n > most {
			best, most = sign, n
		}
	}
	return best
}

// guard keeps a spreadsheet from taking a text for a formula.
func guard(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r'", rune(text[0])) {
		return "'" + text
	}
	return text
}

// unguard takes away what [guard] added.
func unguard(text string) string {
	if len(text) > 1 && text[0] == '\'' && strings.ContainsRune("=+-@\t\r'", rune(text[1])) {
		return text[1:]
	}
	return text
}

// check holds a row against what a person can be.
func (r Row) check(f *Faults) bool {
	before := f.Count
	for _, column := range Columns {
		text := *columns[column](&r)
		switch {
		case len(text) > maxCell:
			f.add(r.Line, column, "is too long", fmt.Sprintf("shorten it to %d characters", maxCell))
		case !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f || c == utf8.RuneError }):
			f.add(r.Line, column, "holds signs that cannot be shown", "remove line ends and control characters")
		}
	}
	if r.Tenant == "" {
		f.add(r.Line, "tenant", "is missing", "give its name, domain or directory id")
	}
	if r.Username != "" && !address(r.Username) {
		f.add(r.Line, "username", "is no user name", "write it as name@domain")
	}
	if r.ObjectID != "" && !tenant.GUID(strings.ToLower(r.ObjectID)) {
		f.add(r.Line, "object_id", "is no object id", "copy it from the user's page in the Entra admin centre")
	}
	if r.Email != "" && !address(r.Email) {
		f.add(r.Line, "email", "is no mail address", "write it as name@domain, or leave it empty")
	}
	if !r.person() && (r.Name != "" || r.Email != "") {
		f.add(r.Line, "username", "is missing, and the object id, too", "give one of the two, or the tenant alone")
	}
	return f.Count == before
}
