package diagnosis

import (
	"fmt"
	"slices"
	"strings"
)

// All patterns of the knowledge base stand together in one tree over words, so
// that reading costs by the length of the text, not by the number of patterns.
//
// A pattern is a row of words as a reader would write it, in any case, with any
// punctuation, and with or without the s of a plural:
//
//	access has been blocked     these words in a row
//	user|account is disabled    one of several words
//	mailbox * soft deleted      up to maxGap words in between
//	forbidden @sharepoint       only where the text shows these circumstances
//	@429                        the circumstance alone
//
// A name (members names and weak of the knowledge base) is a pattern too, and
// is given as the diagnosis' code in the spelling that stands there.

// maxGap is how many words the * of a pattern may stand for.
const maxGap = 10

// pattern is a compiled pattern.
type pattern struct {
	entry  int32 // -1: the pattern shows a circumstance
	weight int32
	set    contextMask // shown by the pattern
	need   contextMask // without which it does not count
	name   string      // code to report
	segs   int32       // rows of words between gaps
	first  int32       // place of the first segment's progress
}

// segment is one row of words, the last node of which is in the tree.
type segment struct{ pattern, nth int32 }

// index is all patterns, ready to match.
type index struct {
	words    map[string]int32 // vocabulary
	folded   map[string]int32 // vocabulary as poor optical recognition sees it
	joins    map[[2]int32]int32
	next     map[[2]int32]int32 // node, word → node
	roots    []int32            // word → node
	ends     [][]segment        // node → segments that end there
	patterns []pattern
	bare     []int32 // patterns without words
	progress int32   // segments of all patterns

	scanner scanner              // while compiling
	fields  map[string][][]int32 // while compiling: fields met before
}

// compile builds the index.
func (k *knowledge) compile(f *kbFile) error {
	x := &k.index
	x.words, x.folded = map[string]int32{}, map[string]int32{}
	x.joins, x.next = map[[2]int32]int32{}, map[[2]int32]int32{}
	x.roots, x.ends = []int32{0}, make([][]segment, 1)
	x.fields = map[string][][]int32{}
	defer func() { x.fields, x.scanner = nil, scanner{} }()
	for _, j := range f.Joins {
		w := strings.Fields(j)
		if len(w) != 2 {
			return fmt.Errorf("join %q: want two words", j)
		}
		a, b := x.intern(w[0]), x.intern(w[1])
		x.joins[[2]int32{a, b}] = x.intern(w[0] + w[1])
	}
	for i := range k.entries {
		e := &k.entries[i]
		for _, group := range []struct {
			list   lines
			weight int32
			named  bool
		}{
			{e.Match.Decide, weightDecide, false},
			{e.Match.Names, weightName, true},
			{e.Match.Weak, weightGeneric, true},
			{e.Match.Sure, weightSure, false},
			{e.Match.Likely, weightLikely, false},
			{e.Match.Hint, weightHint, false},
			{e.Match.Not, weightNot, false},
		} {
			for _, text := range group.list {
				p := pattern{entry: int32(i), weight: group.weight}
				if group.named {
					p.name = strings.TrimSpace(strings.Split(text, "@")[0])
				}
				if err := k.add(text, p); err != nil {
					return fmt.Errorf("entry %s: %w", e.ID, err)
				}
			}
		}
	}
	for name, list := range f.Contexts {
		for _, text := range list {
			if err := k.add(text, pattern{entry: -1, set: 1 << k.contexts[name]}); err != nil {
				return fmt.Errorf("circumstance %s: %w", name, err)
			}
		}
	}
	return nil
}

// add compiles one pattern text.
func (k *knowledge) add(text string, p pattern) error {
	x := &k.index
	var need []string
	var parts []string
	for _, field := range strings.Fields(text) {
		if name, ok := strings.CutPrefix(field, "@"); ok {
			need = append(need, name)
		} else {
			parts = append(parts, field)
		}
	}
	var err error
	if p.need, err = k.mask(need); err != nil {
		return fmt.Errorf("pattern %q: %w", text, err)
	}
	if p.need != 0 && len(parts) > 0 && p.weight > 0 {
		p.weight += weightNeed
	}
	segs := [][][][]int32{nil} // segment → field → option → words
	for _, field := range parts {
		if field == "*" {
			segs = append(segs, nil)
			continue
		}
		options, err := x.options(field)
		if err != nil {
			return fmt.Errorf("pattern %q: %w", text, err)
		}
		at := &segs[len(segs)-1]
		*at = append(*at, options)
	}
	p.segs, p.first = int32(len(segs)), x.progress
	id := int32(len(x.patterns))
	if len(parts) == 0 {
		if p.need == 0 {
			return fmt.Errorf("pattern %q is empty", text)
		}
		x.patterns = append(x.patterns, p)
		x.bare = append(x.bare, id)
		return nil
	}
	x.progress += p.segs
	x.patterns = append(x.patterns, p)
	for nth, seg := range segs {
		if len(seg) == 0 {
			return fmt.Errorf("pattern %q: a gap at its end or beginning", text)
		}
		x.rows(seg, nil, func(row []int32) {
			node := x.path(x.joined(row))
			x.ends[node] = append(x.ends[node], segment{id, int32(nth)})
		})
	}
	return nil
}

// options splits one field of a pattern, "sign-in|logon", into its options, each
// a row of words.
func (x *index) options(field string) ([][]int32, error) {
	if known, ok := x.fields[field]; ok {
		return known, nil
	}
	var options [][]int32
	for o := range strings.SplitSeq(field, "|") {
		x.scanner.scan(o)
		if len(x.scanner.words) == 0 {
			return nil, fmt.Errorf("%q holds no word", o)
		}
		row := make([]int32, len(x.scanner.words))
		for i, w := range x.scanner.words {
			row[i] = x.intern(string(x.scanner.text(w)))
		}
		options = append(options, row)
	}
	x.fields[field] = options
	return options, nil
}

// rows calls each with every row of words that the options of the fields make,
// begun with row.
func (x *index) rows(fields [][][]int32, row []int32, each func([]int32)) {
	if len(fields) == 0 {
		each(slices.Clone(row)) // joined writes into it
		return
	}
	for _, option := range fields[0] {
		x.rows(fields[1:], append(row, option...), each)
	}
}

// stem gives a word without the s of a plural: credential stands for credentials
// too, in patterns and in texts.
func stem(w []byte) []byte {
	n := len(w)
	if n < 6 || w[n-1] != 's' || w[n-2] == 's' || w[n-2] == 'u' || w[n-2] == 'i' {
		return w // access, status, basis
	}
	return w[:n-1]
}

// word gives the id of a word of a text, 0 if no pattern uses it.
func (x *index) word(w []byte) int32 { return x.words[string(stem(w))] }

func (x *index) intern(w string) int32 {
	w = string(stem([]byte(w)))
	id, ok := x.words[w]
	if !ok {
		id = int32(len(x.words)) + 1
		x.words[w] = id
		x.roots = append(x.roots, 0)
		if folded := fold(nil, []byte(w)); len(folded) >= minFolded {
			if _, taken := x.folded[string(folded)]; !taken {
				x.folded[string(folded)] = id
			}
		}
	}
	return id
}

// joined replaces word pairs that are written in two ways (sign in, signin).
func (x *index) joined(ids []int32) []int32 {
	out := ids[:0]
	for i := 0; i < len(ids); i++ {
		if i+1 < len(ids) {
			if id, ok := x.joins[[2]int32{ids[i], ids[i+1]}]; ok {
				out = append(out, id)
				i++
				continue
			}
		}
		out = append(out, ids[i])
	}
	return out
}

// path gives the node at the end of a row of words, growing the tree.
func (x *index) path(ids []int32) int32 {
	node := x.roots[ids[0]]
	if node == 0 {
		node = x.grow()
		x.roots[ids[0]] = node
	}
	for _, id := range ids[1:] {
		key := [2]int32{node, id}
		next, ok := x.next[key]
		if !ok {
			next = x.grow()
			x.next[key] = next
		}
		node = next
	}
	return node
}

func (x *index) grow() int32 {
	x.ends = append(x.ends, nil)
	return int32(len(x.ends) - 1)
}

// minFolded is the length, in bytes, from which a word is looked up in the form
// that poor optical recognition leaves of it.
const minFolded = 5

// fold writes characters that look alike as one: 0 and O, 1 and l and I, rn and m.
func fold(dst, w []byte) []byte {
	for i := 0; i < len(w); i++ {
		c := w[i]
		switch {
		case c == '0':
			c = 'o'
		case c == '1' || c == 'i':
			c = 'l'
		case c == '5':
			c = 's'
		case c == '8':
			c = 'b'
		case c == 'r' && i+1 < len(w) && w[i+1] == 'n':
			c = 'm'
			i++
		case c == 'v' && i+1 < len(w) && w[i+1] == 'v':
			c = 'w'
			i++
		}
		dst = append(dst, c)
	}
	return dst
}
