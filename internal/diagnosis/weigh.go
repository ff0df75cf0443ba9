package diagnosis

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
)

// The third step, weigh: what was recognised adds up per cause; the best cause
// is the answer, its lead over the next one the confidence. Generic causes (a
// wrapper, a bare status) yield to every specific one.

// Scores that decide.
const (
	enough     = weightLikely // from here a specific cause beats a generic one
	fair       = 7            // from here an answer may be of medium confidence
	certain    = weightSure   // from here an answer may be of high confidence
	clearLead  = 4            // over the next cause of another category, for high
	yieldingTo = 6            // what a generic cause keeps when a specific one stands beside it
	faint      = weightHint   // below, nothing was recognised
)

// tally is the score of each entry, and the code to report for it.
type tally struct {
	score   []int32
	best    []int32 // weight of the strongest evidence
	code    []string
	means   []string
	codeWt  []int32
	touched []int32
}

func (t *tally) reset(entries int) {
	if len(t.score) < entries {
		*t = tally{score: make([]int32, entries), best: make([]int32, entries), code: make([]string, entries),
			means: make([]string, entries), codeWt: make([]int32, entries)}
	}
	for _, e := range t.touched {
		t.score[e], t.best[e], t.code[e], t.means[e], t.codeWt[e] = 0, 0, "", "", 0
	}
	t.touched = t.touched[:0]
}

// add counts one piece of evidence. code may be empty.
func (t *tally) add(entry, weight int32, code, means string) {
	if !slices.Contains(t.touched, entry) {
		t.touched = append(t.touched, entry)
	}
	t.score[entry] += weight
	t.best[entry] = max(t.best[entry], weight)
	if code != "" && weight > t.codeWt[entry] {
		t.code[entry], t.means[entry], t.codeWt[entry] = code, means, weight
	}
}

// finding is the outcome of weighing.
type finding struct {
	entry      int32 // -1: nothing recognised
	confidence Confidence
	code       string
	means      string
	contexts   contextMask
	others     []int32 // entries that the evidence does not exclude, best first
	shares     []Confidence
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// find runs the three steps. The circumstances in extra hold beside those that
// the text shows.
func (k *knowledge) find(text string, extra contextMask) finding {
	r := readings.Get().(*reading)
	defer readings.Put(r)
	k.read(r, text)
	r.contexts |= extra
	return k.weigh(r)
}

func (k *knowledge) weigh(r *reading) finding {
	x := &k.index
	r.reset(len(k.entries))
	k.weighCodes(r)
	for _, h := range r.hits { // circumstances that need others
		r.seen[h.pattern] = false
		if p := &x.patterns[h.pattern]; p.entry < 0 && r.contexts&p.need == p.need {
			r.contexts |= p.set
		}
	}
	r.hits = slices.DeleteFunc(r.hits, func(h hit) bool {
		p := &x.patterns[h.pattern]
		return p.entry < 0 || r.contexts&p.need != p.need
	})
	slices.SortStableFunc(r.hits, func(a, b hit) int {
		p, q := &x.patterns[a.pattern], &x.patterns[b.pattern]
		return cmp.Or(cmp.Compare(p.entry, q.entry), cmp.Compare(q.weight, p.weight))
	})
	first := 0 // hit of the same entry
	for i, h := range r.hits {
		p := &x.patterns[h.pattern]
		if x.patterns[r.hits[first].pattern].entry != p.entry {
			first = i
		}
		// The same words do not count twice for the same cause.
		if p.weight > 0 && slices.ContainsFunc(r.hits[first:i], func(o hit) bool { return o.from < h.to && h.from < o.to }) {
			continue
		}
		r.add(p.entry, p.weight, p.name, "")
	}
	for _, h := range x.bare {
		if p := &x.patterns[h]; r.contexts&p.need == p.need {
			if p.entry >= 0 {
				r.add(p.entry, p.weight, p.name, "")
			}
		}
	}
	return k.decide(r)
}

// weighCodes counts the sign-in service's codes. Of several specific ones the
// last gets a little more: wrappers stand before what they wrap.
func (k *knowledge) weighCodes(r *reading) {
	last := int32(-1)
	for _, c := range r.codes {
		if c.known && !c.bare && !k.codes[c.number].generic {
			last = max(last, c.at)
		}
	}
	for _, c := range r.codes {
		info, weight := k.codes[c.number], int32(weightCode)
		switch {
		case !c.known:
			info, weight = k.family(c.number), weightGeneric
			info.means = ""
		case info.generic, c.bare:
			weight = weightGeneric
		case c.at == last:
			weight++
		}
		r.add(int32(info.entry), weight, "AADSTS"+strconv.Itoa(c.number), info.means)
	}
}

// family gives the cause that a code unknown to us most likely belongs to: six
// and seven digits begin with the five of their family.
func (k *knowledge) family(code int) codeInfo {
	for code >= 100000 {
		code /= 10
		if info, ok := k.codes[code]; ok {
			return info
		}
	}
	return codeInfo{entry: k.byID["unknown-entra-code"]}
}

// decide ranks the causes.
func (k *knowledge) decide(r *reading) finding {
	t := &r.tally
	specific, proved := int32(0), int32(0)
	for _, e := range t.touched {
		if k.entries[e].Wrapper {
			t.score[e] = min(t.score[e], weightCode-clearLead)
		}
		if !k.entries[e].Generic {
			specific = max(specific, t.score[e])
			if t.best[e] >= certain {
				proved = max(proved, t.score[e])
			}
		}
	}
	for _, e := range t.touched { // many small signs do not outdo one that proves
		if t.best[e] < certain && proved >= certain {
			t.score[e] = min(t.score[e], proved-2)
		}
	}
	if specific >= enough {
		for _, e := range t.touched {
			if k.entries[e].Generic {
				t.score[e] = min(t.score[e], yieldingTo, specific-1)
			}
		}
	}
	ranked := slices.Clone(t.touched)
	slices.SortFunc(ranked, func(a, b int32) int {
		if t.score[a] != t.score[b] {
			return int(t.score[b] - t.score[a])
		}
		return int(a - b)
	})
	f := finding{entry: -1, contexts: r.contexts, confidence: Low}
	if len(ranked) == 0 || t.score[ranked[0]] < faint {
		for _, c := range r.codes { // say at least which code stands there
			f.code = "AADSTS" + strconv.Itoa(c.number)
		}
		return f
	}
	top := ranked[0]
	f.entry, f.code, f.means = top, t.code[top], t.means[top]
	if f.code == "" { // the generic code beside a specific sentence
		best := int32(0)
		for _, e := range ranked {
			if t.codeWt[e] > best {
				best, f.code = t.codeWt[e], t.code[e]
			}
		}
	}
	lead := t.score[top]
	seen := []string{k.entries[top].Category}
	for _, e := range ranked[1:] {
		cat := k.entries[e].Category
		if slices.Contains(seen, cat) || t.score[e] <= 0 {
			continue
		}
		if len(seen) == 1 {
			lead = t.score[top] - t.score[e]
		}
		seen = append(seen, cat)
		if len(f.others) < 3 && t.score[e]*3 >= t.score[top] {
			f.others = append(f.others, e)
			f.shares = append(f.shares, share(t.score[e], t.score[top]))
		}
	}
	switch score := t.score[top]; {
	case score >= certain && t.best[top] >= certain && lead >= clearLead && !k.entries[top].Generic:
		f.confidence = High
	case score >= fair && lead >= 2:
		f.confidence = Medium
	}
	return f
}

// share is the confidence of an alternative.
func share(score, top int32) Confidence {
	if score >= enough && score*3 >= top*2 {
		return Medium
	}
	return Low
}
