package conditionalaccess

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of JSON. Graph's deepest policy has nine levels.
const maxDepth = 64

// A scanner reads JSON (RFC 8259) from bytes that nobody vouches for.
type scanner struct {
	data  []byte
	pos   int
	depth int
}

// A syntaxError is a violation of JSON at a position.
type syntaxError struct {
	pos    int
	reason string
}

func (e *syntaxError) Error() string { return e.reason }

func (s *scanner) fail(reason string) error { return &syntaxError{s.pos, reason} }

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek gives the first byte of the next value or punctuation, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// end reports whether nothing follows; a zero byte is something.
func (s *scanner) end() bool { return s.peek() == 0 && s.pos == len(s.data) }

// open enters an object or array.
func (s *scanner) open(bracket byte) error {
	if s.peek() != bracket {
		return s.fail(fmt.Sprintf("expected %q", bracket))
	}
	if s.depth++; s.depth > maxDepth {
		return s.fail(fmt.Sprintf("nested deeper than %d levels", maxDepth))
	}
	s.pos++
	return nil
}

// next goes to the next element of an object or array and reports whether
// there is one; if not, it has left the container.
func (s *scanner) next(first bool, closing byte) (bool, error) {
	switch c := s.peek(); {
	case c == closing:
		s.pos++
		s.depth--
		return false, nil
	case c == 0:
		return false, s.fail("the text ends in the middle")
	case first:
		return true, nil
	case c == ',':
		s.pos++
		if s.peek() == closing {
			return false, s.fail("a comma with nothing behind it")
		}
		return true, nil
	default:
		return false, s.fail(fmt.Sprintf("expected a comma or %q", closing))
	}
}

// key reads a member's name and the colon.
func (s *scanner) key() ([]byte, error) {
	name, err := s.text()
	if err != nil {
		return nil, err
	}
	if s.peek() != ':' {
		return nil, s.fail("expected a colon")
	}
	s.pos++
	return name, nil
}

// text reads a string. The bytes belong to the input unless escapes had to be
// resolved.
func (s *scanner) text() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail("expected a string")
	}
	s.pos++
	start := s.pos
	plain := true // ASCII
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			t := s.data[start:s.pos]
			if !plain && !utf8.Valid(t) {
				return nil, s.fail("a string that is not UTF-8; save the file as UTF-8")
			}
			s.pos++
			return t, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return nil, s.fail("a control character inside a string")
		case c >= utf8.RuneSelf:
			plain = false
		}
		s.pos++
	}
	return nil, s.fail("the text ends inside a string")
}

// escaped goes on with a string at its first backslash.
func (s *scanner) escaped(start int) ([]byte, error) {
	out := append([]byte(nil), s.data[start:s.pos]...)
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return nil, s.fail("a string that is not UTF-8; save the file as UTF-8")
			}
			s.pos++
			return out, nil
		case c == '\\':
			var err error
			if out, err = s.escape(out); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.fail("a control character inside a string")
		default:
			out = append(out, c)
			s.pos++
		}
	}
	return nil, s.fail("the text ends inside a string")
}

var errEscape = errors.New("an unknown escape inside a string")

func (s *scanner) escape(out []byte) ([]byte, error) {
	if s.pos+1 >= len(s.data) {
		return nil, s.fail("the text ends inside a string")
	}
	c := s.data[s.pos+1]
	s.pos += 2
	switch c {
	case '"', '\\', '/':
		return append(out, c), nil
	case 'b':
		return append(out, '\b'), nil
	case 'f':
		return append(out, '\f'), nil
	case 'n':
		return append(out, '\n'), nil
	case 'r':
		return append(out, '\r'), nil
	case 't':
		return append(out, '\t'), nil
	case 'u':
		r, ok := s.hex()
		if !ok {
			return nil, s.fail(errEscape.Error())
		}
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if s.pos+1 < len(s.data) && s.data[s.pos] == '\\' && s.data[s.pos+1] == 'u' {
				at := s.pos
				s.pos += 2
				if low, ok = s.hex(); !ok {
					return nil, s.fail(errEscape.Error())
				}
				if utf16.DecodeRune(r, low) == utf8.RuneError {
					s.pos = at // the second one stands for itself
				}
			}
			r = utf16.DecodeRune(r, low)
		}
		return utf8.AppendRune(out, r), nil
	}
	return nil, s.fail(errEscape.Error())
}

func (s *scanner) hex() (rune, bool) {
	if s.pos+4 > len(s.data) {
		return 0, false
	}
	r := rune(0)
	for _, c := range s.data[s.pos : s.pos+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.pos += 4
	return r, true
}

// word reads true, false or null.
func (s *scanner) word() (string, error) {
	rest := s.data[s.pos:]
	for _, w := range [...]string{"null", "true", "false"} {
		if len(rest) >= len(w) && string(rest[:len(w)]) == w {
			s.pos += len(w)
			return w, nil
		}
	}
	return "", s.fail("expected a value")
}

// number reads a number.
func (s *scanner) number() ([]byte, error) {
	start := s.pos
	digits := func() bool {
		from := s.pos
		for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
			s.pos++
		}
		return s.pos > from
	}
	accept := func(a, b byte) bool {
		if s.pos < len(s.data) && (s.data[s.pos] == a || s.data[s.pos] == b) {
			s.pos++
			return true
		}
		return false
	}
	accept('-', '-')
	if !accept('0', '0') && !digits() {
		return nil, s.fail("expected a value")
	}
	if accept('.', '.') && !digits() {
		return nil, s.fail("a number without digits behind the point")
	}
	if accept('e', 'E') {
		accept('+', '-')
		if !digits() {
			return nil, s.fail("a number without exponent")
		}
	}
	return s.data[start:s.pos], nil
}

// skip passes over one value.
func (s *scanner) skip() error {
	switch c := s.peek(); c {
	case '{', '[':
		if err := s.open(c); err != nil {
			return err
		}
		for first := true; ; first = false {
			more, err := s.next(first, c+2)
			if err != nil || !more {
				return err
			}
			if c == '{' {
				if _, err := s.key(); err != nil {
					return err
				}
			}
			if err := s.skip(); err != nil {
				return err
			}
		}
	case '"':
		_, err := s.text()
		return err
	case 't', 'f', 'n':
		_, err := s.word()
		return err
	default:
		_, err := s.number()
		return err
	}
}
