package diagnosis

import "bytes"

// The second step, recognise: each word is looked up once in the vocabulary of
// all patterns, and from each word on the tree of patterns is walked as far as
// the words allow. Numbers (codes, statuses) have readers of their own.

// reading is everything recognised in one text. Its buffers are used again.
type reading struct {
	scanner
	ids      []int32
	ocr      []byte
	contexts contextMask
	hits     []hit   // patterns found, each once
	progress []span  // per segment: the last place found
	dirty    []int32 // places of progress to clear
	seen     []bool  // per pattern
	codes    []foundCode
	tally
}

// span is a range of words: of one segment, or from the first segment of a
// pattern to its last. Its zero value is no range.
type span struct{ from, to int32 }

// hit is a pattern that was found.
type hit struct {
	pattern int32
	span
}

// read runs unwrap and recognise over text.
func (k *knowledge) read(r *reading, text string) {
	x := &k.index
	r.scan(text)
	r.codes, r.hits, r.contexts = r.codes[:0], r.hits[:0], 0
	if len(r.progress) < int(x.progress) {
		r.progress = make([]span, x.progress)
	}
	if len(r.seen) < len(x.patterns) {
		r.seen = make([]bool, len(x.patterns))
	}
	k.numbers(r)
	x.lookUp(r)
	for i := range r.ids {
		node := int32(0)
		if r.ids[i] != 0 {
			node = x.roots[r.ids[i]]
		}
		for j := i; node != 0; {
			for _, end := range x.ends[node] {
				x.hit(r, end, int32(i), int32(j+1))
			}
			j++
			if j == len(r.ids) || r.ids[j] == 0 {
				break
			}
			node = x.next[[2]int32{node, r.ids[j]}]
		}
	}
	for _, i := range r.dirty {
		r.progress[i] = span{}
	}
	r.dirty = r.dirty[:0]
}

// lookUp finds the words' ids: as they stand, broken over two lines, misread, or
// as part of an error's name; then writes joined pairs as one.
func (x *index) lookUp(r *reading) {
	r.ids = r.ids[:0]
	hump := 0
	for i := range r.words {
		w := &r.words[i]
		text := r.text(*w)
		w.id = x.word(text)
		if w.newLine && i > 0 && (w.id == 0 || r.words[i-1].id == 0) {
			if id := x.word(r.buf[r.words[i-1].start:w.end]); id != 0 {
				r.ids[len(r.ids)-1] = id
				continue
			}
		}
		if w.id == 0 && len(text) >= minFolded {
			r.ocr = fold(r.ocr[:0], stem(text))
			w.id = x.folded[string(r.ocr)]
		}
		if w.id == 0 { // a known name with an ending
			name := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("exception")), []byte("error"))
			if len(name) >= minName {
				w.id = x.word(name)
			}
		}
		for hump < len(r.humps) && r.humps[hump] < w.start {
			hump++
		}
		if w.id == 0 && r.isName(i) {
			x.parts(r, *w, r.humps[hump:])
			continue
		}
		r.ids = append(r.ids, w.id)
	}
	r.ids = x.joined(r.ids)
}

// isName reports whether word i is the name of an error: by a part of it, or by
// the word that stands before it.
func (r *reading) isName(i int) bool {
	w := r.text(r.words[i])
	if len(w) < minName {
		return false
	}
	for _, end := range [...]string{"error", "fault", "denied", "failed", "failure"} {
		if bytes.HasSuffix(w, []byte(end)) {
			return true
		}
	}
	return bytes.Contains(w, []byte("exception")) || bytes.HasPrefix(w, []byte("error")) || bytes.Count(w, []byte("_")) > 1 ||
		i > 0 && nameKeys[string(r.text(r.words[i-1]))]
}

// nameKeys are what the name of an error stands behind.
var nameKeys = wordSet(`code errorcode error_code errcode faultcode responsecode subcode suberror innererrorcode resultcode`)

// minName is the length from which an unknown word may be a name made of words.
const minName = 10

// parts writes the ids of the words that a name such as UserHasNoMailboxError or
// token_not_found is made of. The humps are those from the start of the word on.
func (x *index) parts(r *reading, w word, humps []int32) {
	for from := w.start; from < w.end; {
		to := w.end
		for len(humps) > 0 && humps[0] <= from {
			humps = humps[1:]
		}
		if len(humps) > 0 && humps[0] < to {
			to = humps[0]
		}
		if n := bytes.IndexByte(r.buf[from:to], '_'); n >= 0 {
			to = from + int32(n)
		}
		if to > from {
			r.ids = append(r.ids, x.word(r.buf[from:to]))
		}
		for from = to; from < w.end && r.buf[from] == '_'; {
			from++
		}
	}
}

// hit notes that a segment stands at words [from, to).
func (x *index) hit(r *reading, s segment, from, to int32) {
	p := &x.patterns[s.pattern]
	at := p.first + s.nth
	begin := from
	if s.nth > 0 {
		before := r.progress[at-1]
		if before.to == 0 || from < before.to || from-before.to > maxGap {
			return
		}
		begin = before.from
	}
	if r.progress[at].to == 0 {
		r.dirty = append(r.dirty, at)
	}
	r.progress[at] = span{begin, to}
	if s.nth < p.segs-1 || r.seen[s.pattern] {
		return
	}
	r.seen[s.pattern] = true
	r.hits = append(r.hits, hit{s.pattern, span{begin, to}})
	if p.entry < 0 && p.need == 0 {
		r.contexts |= p.set
	}
}
