package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Check reads a backup to its end, without a database: it is whole, and nothing
// in it was changed. Whether its secrets open and its audit log verifies only
// [Verify] finds.
func Check(r io.Reader) (Report, error) {
	in, err := open(r)
	if err != nil {
		return Report{}, err
	}
	head, err := in.header()
	if err != nil {
		return Report{}, err
	}
	report := Report{MadeAt: head.MadeAt, Version: head.Version, Schema: head.Schema}
	for {
		line, err := in.line()
		if err != nil {
			return Report{}, err
		}
		if line[0] != '{' {
			if len(report.Tables) == 0 {
				return Report{}, errors.New("reading the backup: a row comes before its table")
			}
			report.Tables[len(report.Tables)-1].Rows++
		} else {
			var end endLine
			if err := json.Unmarshal(line, &end); err == nil && end.End {
				return report, in.end(end, &report)
			}
			var t tableLine
			if err := json.Unmarshal(line, &t); err != nil {
				return Report{}, fmt.Errorf("reading the backup: a table's line cannot be read: %w", err)
			}
			report.Tables = append(report.Tables, Table{Name: t.Table})
		}
		in.sum.Write(line)
	}
}
