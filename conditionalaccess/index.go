package conditionalaccess

import "math/bits"

// index finds the ids of names, whatever their case. It does in few steps what
// most sign-ins need: a name in the spelling of the policies, or one that no
// policy names.
type index struct {
	ids   map[string]id // by lower-case name
	slots []slot        // open addressing; the length is a power of two
}

type slot struct {
	name string // empty if the slot is
	id   id
}

func newIndex(ids map[string]id) index {
	x := index{ids: ids, slots: make([]slot, 4<<bits.Len(uint(len(ids))))}
	for name, i := range ids {
		h, plain := hash(name)
		if !plain {
			continue // left to the map
		}
		at := h & uint64(len(x.slots)-1)
		for x.slots[at].name != "" {
			at = (at + 1) & uint64(len(x.slots)-1)
		}
		x.slots[at] = slot{name, i}
	}
	return x
}

func (x *index) find(name string) (id, bool) {
	h, plain := hash(name)
	if !plain {
		return fold(x.ids, name)
	}
	last := uint64(len(x.slots) - 1)
	for at := h & last; x.slots[at].name != ""; at = (at + 1) & last {
		if x.slots[at].name == name {
			return x.slots[at].id, true
		}
	}
	return 0, false
}

// hash mixes a name, and reports whether it is plain: as long as eight letters
// at least, none of them a capital or beyond ASCII (some signs count as such).
func hash(s string) (h uint64, plain bool) {
	if len(s) < 8 {
		return 0, false
	}
	const capital, lower, beyond = 0x4040404040404040, 1, 0x8080808080808080
	var odd uint64
	h = uint64(len(s))
	mix := func(w uint64) {
		odd |= w&^(w<<lower)&capital | w&beyond // capitals have bit 6 but not bit 5
		hi, lo := bits.Mul64(h^w, 0x9E3779B97F4A7C15)
		h = hi ^ lo
	}
	i := 0
	for ; i+8 <= len(s); i += 8 {
		mix(word8(s[i : i+8]))
	}
	if i < len(s) {
		mix(word8(s[len(s)-8:]))
	}
	return h ^ h>>32, odd == 0
}

// word8 gives eight bytes as a number.
func word8(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
