// Package vary changes what no client of a simulated service may rely on, so
// that clients which do are found out: the order of members and lists, and what
// happens only now and then.
package vary

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Source gives random numbers, safe for use by many at once. A nil Source
// varies nothing.
type Source func() uint64

// Chance is true once in n times on average, and never with a nil source.
func (s Source) Chance(n uint64) bool { return s != nil && s()%n == 0 }

// Shuffle brings n things into any order (Fisher and Yates).
func (s Source) Shuffle(n int, swap func(i, j int)) {
	if s == nil {
		return
	}
	for i := n - 1; i > 0; i-- {
		swap(i, int(s()%uint64(i+1)))
	}
}

// JSON writes objects (map[string]any), lists ([]any) and whatever encodes
// without error below them: strings, numbers, truth values, times, nil. Members
// come in any order, as JSON allows; with a nil source by name.
func (s Source) JSON(v any) []byte {
	var b bytes.Buffer
	s.write(&b, v)
	return b.Bytes()
}

func (s Source) write(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		s.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		b.WriteByte('{')
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			leaf(b, name)
			b.WriteByte(':')
			s.write(b, v[name])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			s.write(b, item)
		}
		b.WriteByte(']')
	default:
		leaf(b, v)
	}
}

func leaf(b *bytes.Buffer, v any) {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
	b.Truncate(b.Len() - 1) // the line break that an encoder adds
}
