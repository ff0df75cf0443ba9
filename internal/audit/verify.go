package audit

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
)

// Broken names the first entry at which the log is not what was written.
type Broken struct {
	Seq     int64
	Problem string
}

// Error names the entry and what is wrong with it.
func (b *Broken) Error() string {
	return fmt.Sprintf("verifying the audit log: entry %d %s; compare it with an exported copy", b.Seq, b.Problem)
}

// Report is what a verification found in order.
type Report struct {
	Entries     int64  `json:"entries"`
	Hash        string `json:"hash"`        // of the last entry
	Erased      int64  `json:"erased"`      // names and details that were erased, with an entry that says so
	Checkpoints int64  `json:"checkpoints"` // whose signature was checked
	Signed      int64  `json:"signed"`      // the last entry under a checkpoint; what follows rests on the chain alone
}

// verifier is fed the log from its first entry, in order.
type verifier struct {
	keys    []ed25519.PublicKey
	report  Report
	blanked map[string]int64 // ids whose names or details are gone, with the last such entry
	erased  map[string]int64 // ids for which an entry says so, with the last one
	opened  bool             // the first line of an exported log was read
}

func newVerifier(keys []ed25519.PublicKey) *verifier {
	return &verifier{keys: keys, blanked: map[string]int64{}, erased: map[string]int64{}}
}

func (v *verifier) entry(r *Record) error {
	want := v.report.Entries + 1
	switch {
	case r.Seq > want:
		return &Broken{want, "is missing"}
	case r.Seq < want:
		return &Broken{r.Seq, "is out of order"}
	case r.Hash != r.chain(v.report.Hash):
		return &Broken{r.Seq, "was changed, or does not follow the one before it"}
	}
	if r.ActorSalt == "" && r.ActorName == "" && r.Address == "" {
		v.blank(r.ActorID, r.Seq)
	} else if r.ActorDigest != r.actorDigest() {
		return &Broken{r.Seq, "has another actor's name or address than was written"}
	}
	if r.ObjectSalt == "" && r.ObjectName == "" && r.Details == "" {
		v.blank(r.ObjectID, r.Seq)
	} else if r.ObjectDigest != r.objectDigest() {
		return &Broken{r.Seq, "has another object's name or other details than were written"}
	}
	if r.Action == actionErased {
		v.erased[r.ObjectID] = r.Seq
	}
	v.report.Entries, v.report.Hash = r.Seq, r.Hash
	return nil
}

func (v *verifier) blank(id string, seq int64) {
	v.report.Erased++
	v.blanked[id] = seq
}

// checkpoint takes the checkpoint of the entry that was fed last.
func (v *verifier) checkpoint(c *Checkpoint) error {
	if len(v.keys) == 0 {
		return nil
	}
	if !c.Signed(v.keys...) {
		return &Broken{c.Seq, "has a checkpoint that none of the given keys signed"}
	}
	if c.Seq > v.report.Entries {
		return &Broken{v.report.Entries + 1, fmt.Sprintf("is missing: a checkpoint proves that the log had reached entry %d", c.Seq)}
	}
	if c.Seq != v.report.Entries {
		return &Broken{c.Seq, "has its checkpoint in the wrong place"}
	}
	if c.Hash != v.report.Hash {
		return &Broken{c.Seq, "or one before it was rewritten: its checkpoint names another hash"}
	}
	v.report.Checkpoints++
	v.report.Signed = c.Seq
	return nil
}

func (v *verifier) end() (Report, error) {
	for id, seq := range v.blanked {
		// What was written later than that entry was not erased by it.
		if seq > v.erased[id] {
			return v.report, &Broken{seq, "lost its name or details without an entry that says so"}
		}
	}
	return v.report, nil
}

// Verify reads the whole log, page by page, and gives a *[Broken] for the first
// entry that was changed, removed, inserted or moved. Keys are the public keys
// whose checkpoints count; kept are checkpoints from off the machine: without
// one, who owns the database can cut off the end unseen.
func (l *Log) Verify(ctx context.Context, keys []ed25519.PublicKey, kept ...Checkpoint) (Report, error) {
	if err := l.Allow(ctx, AllTenants, AuditExport); err != nil {
		return Report{}, err
	}
	if len(kept) > 0 && len(keys) == 0 {
		return Report{}, errors.New("verifying the audit log: checkpoints were given but no public key to check them with")
	}
	v := newVerifier(keys)
	kept = slices.SortedFunc(slices.Values(kept), func(a, b Checkpoint) int { return cmp.Compare(a.Seq, b.Seq) })
	step := func(r *Record) error {
		if err := v.entry(r); err != nil {
			return err
		}
		for len(kept) > 0 && kept[0].Seq <= r.Seq {
			if err := v.checkpoint(&kept[0]); err != nil {
				return err
			}
			kept = kept[1:]
		}
		return nil
	}
	err := l.walk(ctx, 0, step, v.checkpoint)
	if err != nil {
		return v.report, err
	}
	for i := range kept {
		if err := v.checkpoint(&kept[i]); err != nil {
			return v.report, err
		}
	}
	if err := l.verifyHead(ctx, v); err != nil {
		return v.report, err
	}
	return v.end()
}

// verifyHead compares the end of what was read with the row that says where the
// end is. Entries may have been added meanwhile.
func (l *Log) verifyHead(ctx context.Context, v *verifier) error {
	for {
		var head, last int64
		var hash string
		err := l.db.Read().NewSelect().TableExpr("audit_head").Column("seq", "hash").
			ColumnExpr("(SELECT COALESCE(MAX(seq), 0) FROM audit)").Where("id = 1").Scan(ctx, &head, &hash, &last)
		switch {
		case err != nil:
			return fmt.Errorf("verifying the audit log: reading its end: %w", err)
		case last > head:
			return &Broken{head + 1, "lies behind the end of the log"}
		case last < head:
			return &Broken{last + 1, fmt.Sprintf("is missing: the log had reached entry %d", head)}
		case head == v.report.Entries && hash != v.report.Hash:
			return &Broken{head, "has another hash than the end of the log says"}
		case head <= v.report.Entries:
			return nil
		}
		if err := l.walk(ctx, v.report.Entries, v.entry, v.checkpoint); err != nil {
			return err
		}
	}
}

const page = 500

// walk hands over all entries after one, in order, and each checkpoint behind
// its entry.
func (l *Log) walk(ctx context.Context, after int64, entry func(*Record) error, checkpoint func(*Checkpoint) error) error {
	for {
		// Checkpoints first: the entries of those that are found here can be read.
		var checkpoints []Checkpoint
		err := l.db.Read().NewSelect().Model(&checkpoints).Where("seq > ?", after).Order("seq").Limit(page).Scan(ctx)
		if err != nil {
			return fmt.Errorf("reading the checkpoints of the audit log: %w", err)
		}
		var records []Record
		err = l.db.Read().NewSelect().Model(&records).Where("seq > ?", after).Order("seq").Limit(page).Scan(ctx)
		if err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		for i := range records {
			after = records[i].Seq
			if err := entry(&records[i]); err != nil {
				return err
			}
			for len(checkpoints) > 0 && checkpoints[0].Seq <= after {
				if err := checkpoint(&checkpoints[0]); err != nil {
					return err
				}
				checkpoints = checkpoints[1:]
			}
		}
		if len(records) > 0 {
			continue // what is left of the checkpoints comes with the next page
		}
		for i := range checkpoints { // of entries that are gone
			if err := checkpoint(&checkpoints[i]); err != nil {
				return err
			}
		}
		return nil
	}
}
