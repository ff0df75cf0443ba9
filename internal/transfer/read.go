package transfer

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a file.
const (
	MaxFile = 20 << 20 // bytes
	MaxRows = 50_000
	maxCell = 8 << 10 // bytes
)

// Fault is what is wrong with a place of a file.
type Fault struct {
	Row     int    `json:"row"`    // counted as a spreadsheet does, the heading is 1; in JSON from 1; 0 for the file
	Column  string `json:"column"` // "" for the whole row
	Problem string `json:"problem"`
	Way     string `json:"way,omitempty"`
}

// faults gathers what is wrong, the first of it in words.
type faults struct {
	some  []Fault
	count int
}

// mostFaults is how many faults are told in words.
const mostFaults = 500

func (f *faults) add(row int, column, problem, way string) {
	if f.count++; len(f.some) < mostFaults {
		f.some = append(f.some, Fault{row, column, problem, way})
	}
}

// parsed is a record of a file with its place.
type parsed struct {
	at     int
	values record
}

// read takes a file apart; what is wrong with it as a whole, or with single rows,
// is in the faults.
func read(data []byte, format Format, f *faults) (rows []parsed, has []string) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch {
	case len(data) > MaxFile:
		f.add(0, "", fmt.Sprintf("the file is larger than %d MB", MaxFile>>20), "split it")
		return nil, nil
	case !utf8.Valid(data):
		f.add(0, "", "the file is not in UTF-8", "save it as \"CSV UTF-8\"")
		return nil, nil
	case bytes.IndexByte(data, 0) >= 0:
		f.add(0, "", "the file holds a sign that no text has (zero)", "save it as text: \"CSV UTF-8\"")
		return nil, nil
	}
	if format == JSON {
		return readJSON(data, f)
	}
	return readCSV(data, f)
}

// separator is the sign between cells: that of comma, semicolon and tab which the
// heading has most of.
func separator(data []byte) rune {
	heading, _, _ := bytes.Cut(data, []byte("\n"))
	best, most := ',', -1
	for _, sign := range ",;\t" {
		if n := bytes.Count(heading, []byte(string(sign))); n > most {
			best, most = sign, n
		}
	}
	return best
}

func readCSV(data []byte, f *faults) (rows []parsed, has []string) {
	in := csv.NewReader(bytes.NewReader(data))
	in.Comma, in.FieldsPerRecord, in.ReuseRecord = separator(data), -1, true
	heading, err := in.Read()
	if err != nil {
		f.add(0, "", "the file has no heading that can be read", "begin with a line of column names, such as tenant,name,kind,username")
		return nil, nil
	}
	has = slices.Clone(heading)
	for i, name := range has {
		has[i] = strings.ToLower(strings.TrimSpace(name))
	}
	if !heads(has, f) {
		return nil, nil
	}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, has
		}
		line, _ := in.FieldPos(0)
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			f.add(bad.StartLine, "", "cannot be read: "+bad.Err.Error(), "put texts with quotes or line ends in quotes, and write a quote twice")
			return rows, has // what follows would be cut wrongly
		}
		if err != nil {
			f.add(line, "", err.Error(), "")
			return rows, has
		}
		if !slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) != "" }) {
			continue // an empty line
		}
		if len(rows) == MaxRows {
			f.add(line, "", fmt.Sprintf("there are more than %d rows", MaxRows), "split the file")
			return rows, has
		}
		if len(cells) > len(has) {
			f.add(line, "", fmt.Sprintf("has %d cells, and the heading %d", len(cells), len(has)), "put texts that hold the separator in quotes")
			continue
		}
		p := parsed{line, record{}}
		for i, c := range cells {
			if len(c) > maxCell {
				f.add(line, has[i], "is too long", "shorten it")
				continue
			}
			p.values[has[i]] = strings.TrimSpace(unguard(c))
		}
		for _, name := range has[len(cells):] {
			p.values[name] = ""
		}
		rows = append(rows, p)
	}
}

// heads demands known columns, each once, with what finds a connection.
func heads(has []string, f *faults) bool {
	before := f.count
	seen := map[string]bool{}
	for _, name := range has {
		_, known := find(name)
		switch {
		case !known:
			f.add(1, clip(name), "is no column that is known", "remove it, or name it as the export does")
		case seen[name]:
			f.add(1, name, "is there twice", "remove one of the two")
		}
		seen[name] = true
	}
	if !seen["id"] && (!seen["tenant"] || !seen["name"]) {
		f.add(1, "", "there is neither the column id nor tenant and name", "add tenant and name")
	}
	return f.count == before
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

func readJSON(data []byte, f *faults) (rows []parsed, has []string) {
	var list []map[string]any
	var file struct {
		Format      string           `json:"format"`
		Connections []map[string]any `json:"connections"`
	}
	var err error
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '[' {
		err = json.Unmarshal(data, &list)
	} else if err = json.Unmarshal(data, &file); err == nil {
		list = file.Connections
		if file.Format != formatName {
			f.add(0, "", fmt.Sprintf("the format is %.40q", file.Format), "it must be "+formatName+", as the export writes it")
			return nil, nil
		}
	}
	if err != nil {
		f.add(0, "", "the file cannot be read as JSON: "+err.Error(), "upload what the export wrote, or an array of objects")
		return nil, nil
	}
	if len(list) > MaxRows {
		f.add(0, "", fmt.Sprintf("there are more than %d connections", MaxRows), "split the file")
		return nil, nil
	}
	seen := map[string]bool{}
	for n, one := range list {
		p := parsed{n + 1, record{}}
		for name, value := range one {
			seen[name] = true
			cell, ok := plain(value)
			switch _, known := find(name); {
			case !known:
				f.add(p.at, clip(name), "is no member that is known", "remove it, or name it as the export does")
			case !ok || len(cell) > maxCell:
				f.add(p.at, name, "is too long, or neither text, number, yes or no, nor a list of texts", "write it as the export does")
			default:
				p.values[name] = strings.TrimSpace(cell)
			}
		}
		rows = append(rows, p)
	}
	for _, c := range columns {
		if seen[c.name] {
			has = append(has, c.name)
		}
	}
	return rows, has
}

// plain is a JSON value as a cell.
func plain(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		return yesNo(v), true
	case float64:
		return fmt.Sprint(v), true
	case []any:
		parts := []string{}
		for _, item := range v {
			s, ok := item.(string)
			if !ok || strings.ContainsAny(s, " \t\r\n,;") {
				return "", false
			}
			parts = append(parts, s)
		}
		return strings.Join(parts, inList), true
	}
	return "", false
}
