package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"gatehouse/internal/sqldb"
)

// line is one line of an exported log: its head, an entry, or the checkpoint of
// the entry before it.
type line struct {
	Log        string      `json:"log,omitempty"`
	Entry      *Record     `json:"entry,omitempty"`
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// exportName opens an exported log. The number is the version of the format.
const exportName = "gatehouse audit log 1"

// Export writes the whole log with its checkpoints as JSON, one object a line,
// in the form that [VerifyExport] reads. To have the last entry signed, make a
// [Log.Checkpoint] first. The export is itself an entry.
func (l *Log) Export(ctx context.Context, w io.Writer) error {
	err := l.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return l.Act(ctx, tx, Entry{Permission: AuditExport, Action: "audit.exported", ObjectKind: "audit"})
	})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	write := func(one line) error {
		if err := lines.Encode(one); err != nil {
			return fmt.Errorf("exporting the audit log: %w", err)
		}
		return nil
	}
	if err := write(line{Log: exportName}); err != nil {
		return err
	}
	err = l.walk(ctx, 0,
		func(r *Record) error { return write(line{Entry: r}) },
		func(c *Checkpoint) error { return write(line{Checkpoint: c}) })
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("exporting the audit log: %w", err)
	}
	return nil
}

// maxLine bounds one line of an exported log, in bytes: the details of an entry
// may grow sixfold when they are encoded as a string.
const maxLine = 128 << 10

// VerifyExport verifies an exported log without the database, as [Log.Verify]
// does with it. The keys are the public keys whose checkpoints count; they, or at
// least one checkpoint, must come from elsewhere than the file.
func VerifyExport(r io.Reader, keys ...ed25519.PublicKey) (Report, error) {
	v := newVerifier(keys)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if err := v.line(n, lines.Bytes()); err != nil {
			return v.report, err
		}
	}
	if err := lines.Err(); err != nil {
		return v.report, fmt.Errorf("reading the exported log: %w", err)
	}
	if !v.opened {
		return v.report, errors.New("reading the exported log: it is empty")
	}
	return v.end()
}

func (v *verifier) line(n int, text []byte) error {
	var one line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&one); err != nil {
		return fmt.Errorf("reading line %d of the exported log: %w", n, err)
	}
	if d.More() {
		return fmt.Errorf("reading line %d of the exported log: it holds more than one object", n)
	}
	if n == 1 {
		if one.Log != exportName {
			return fmt.Errorf("reading the exported log: it begins with %.40q, not with %q: is it an exported log of this release?", one.Log, exportName)
		}
		v.opened = true
		return nil
	}
	switch {
	case one.Entry != nil && one.Checkpoint == nil && one.Log == "":
		return v.entry(one.Entry)
	case one.Checkpoint != nil && one.Entry == nil && one.Log == "":
		return v.checkpoint(one.Checkpoint)
	default:
		return fmt.Errorf("reading line %d of the exported log: it is neither an entry nor a checkpoint", n)
	}
}
