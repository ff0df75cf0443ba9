package diagnosis

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The first step, unwrap: whatever wrapper a text came in (JSON in JSON, a
// redirect address, an XML fault, a console line broken at column 80), what
// counts is the row of words inside. The scanner undoes the escapes of all
// wrappers in one pass and hands on lower-case words, each with a note whether
// a line break stood before it. It parses no format, so a paste that was cut
// off in the middle reads like a whole one.

// Texts longer than this are read at both ends only: the wrapper's head and the
// innermost cause stand there, and hostile input stays cheap.
const (
	maxHead = 192 << 10 // bytes
	maxTail = 64 << 10  // bytes
	maxWord = 96        // bytes; longer runs are tokens, keys, base64
)

// word is one word of a text.
type word struct {
	start, end int32 // in scanner.buf
	id         int32 // of the vocabulary, 0 if no pattern uses the word
	newLine    bool  // a line break stands before it
}

// scanner turns text into words. Its buffers are used again for the next text.
type scanner struct {
	buf   []byte
	words []word
	humps []int32 // places in buf where a capital stood behind the start of a word
}

func (s *scanner) text(w word) []byte { return s.buf[w.start:w.end] }

// scan reads text into s.words.
func (s *scanner) scan(text string) {
	s.buf, s.words, s.humps = s.buf[:0], s.words[:0], s.humps[:0]
	if len(text) > maxHead+maxTail {
		s.scanPart(text[:maxHead])
		s.scanPart(text[len(text)-maxTail:])
		return
	}
	s.scanPart(text)
}

func (s *scanner) scanPart(text string) {
	start := len(s.buf)
	newLine, capital := true, false
	flush := func() {
		if n := len(s.buf) - start; n > maxWord {
			s.buf = s.buf[:start]
			for n := len(s.humps); n > 0 && int(s.humps[n-1]) > start; n-- {
				s.humps = s.humps[:n-1]
			}
		} else if n > 0 {
			s.addWord(start, newLine)
			newLine = false
		}
		start = len(s.buf)
	}
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_':
			s.buf = append(s.buf, c)
			capital = false
			i++
			continue
		case 'A' <= c && c <= 'Z':
			i++
			if n := len(s.buf); n > start && (!capital || n > start+1 && i < len(text) && 'a' <= text[i] && text[i] <= 'z') {
				s.humps = append(s.humps, int32(n))
			}
			s.buf = append(s.buf, c+'a'-'A')
			capital = true
			continue
		case c == 0: // UTF-16 read as bytes
			i++
			continue
		case c == '#' && strings.HasPrefix(text[i:], "##["): // ##[error], as build services mark their lines
			flush()
			s.buf = append(s.buf, "pipeline"...)
			flush()
			i += 3
			continue
		case c < utf8.RuneSelf:
			r, n := unescape(text[i:])
			i += n
			switch {
			case r == joined:
			case r == '\'' && len(s.buf) > start && contraction(text[i:]): // can't is one word
			case r == '\n':
				flush()
				newLine = true
			case isWordRune(r):
				s.appendRune(r)
			default:
				flush()
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		switch {
		case (r == '’' || r == '´') && contraction(text[i:]):
		case r == '\u00ad' || r == '\u200b' || r == '\ufeff': // invisible
		case isWordRune(r):
			s.appendRune(r)
		default:
			flush()
		}
	}
	flush()
}

// addWord notes the word from start to the end of the buffer. Where a verb holds
// its own not, both become words of their own: isn't reads as is not.
func (s *scanner) addWord(start int, newLine bool) {
	w := s.buf[start:]
	s.words = append(s.words, word{start: int32(start), end: int32(len(s.buf)), newLine: newLine})
	if n := len(w); n < 4 || n > 8 || w[n-1] != 't' || w[n-2] != 'n' {
		return
	}
	stem, ok := negations[string(w)]
	if !ok {
		return
	}
	s.buf = append(append(s.buf[:start], stem...), "not"...)
	middle := int32(start + len(stem))
	s.words[len(s.words)-1].end = middle
	s.words = append(s.words, word{start: middle, end: int32(len(s.buf))})
}

// negations are verbs with a not, apostrophe left out, and the verb alone.
var negations = map[string]string{
	"isnt": "is", "arent": "are", "wasnt": "was", "werent": "were", "doesnt": "does", "dont": "do", "didnt": "did",
	"cant": "can", "couldnt": "could", "hasnt": "has", "havent": "have", "hadnt": "had", "wont": "will",
	"wouldnt": "would", "shouldnt": "should", "mustnt": "must", "neednt": "need",
}

// contraction reports whether the text behind an apostrophe ends a word such as
// can't or we're, rather than beginning a quotation.
func contraction(s string) bool {
	n := 0
	for n < len(s) && n < 3 && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	return n == 1 || n == 2
}

func isWordRune(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// appendRune adds a letter or digit, small, and full-width forms as plain ones.
func (s *scanner) appendRune(r rune) {
	if r >= '！' && r <= '～' {
		r -= '！' - '!'
	}
	s.buf = utf8.AppendRune(s.buf, unicode.ToLower(r))
}

// joined stands for an escape that leaves nothing behind.
const joined = rune(-1)

// unescape reads one character, or one escape of any of the wrappers, at the
// start of s: JSON and C (\n, \", \u0027, with any number of backslashes, as
// texts escaped twice have them), URL (%3a), HTML and XML (&quot; &#39;), mail
// (= at the end of a line), terminal colours. It gives the character meant and
// the bytes used, at least 1.
func unescape(s string) (rune, int) {
	switch s[0] {
	case '\\':
		n := 1
		for n < len(s) && n < 32 && s[n] == '\\' {
			n++
		}
		if n == len(s) {
			return ' ', n
		}
		switch s[n] {
		case 'n', 'r':
			return '\n', n + 1
		case 't':
			return ' ', n + 1
		case '"', '\'', '/':
			return rune(s[n]), n + 1
		case 'u':
			if r, ok := hex(s[n+1:], 4); ok {
				return r, n + 5
			}
		case 'x':
			if r, ok := hex(s[n+1:], 2); ok {
				return r, n + 3
			}
		}
		return ' ', n
	case '%':
		if r, ok := hex(s[1:], 2); ok {
			if twice, ok := hex(s[3:], 2); ok && r == '%' { // %2520
				return ascii(twice), 5
			}
			if r < utf8.RuneSelf {
				return ascii(r), 3
			}
			return ' ', 3
		}
	case '&':
		for _, e := range htmlEntities {
			if strings.HasPrefix(s[1:], e.name) {
				return e.r, 1 + len(e.name)
			}
		}
		if len(s) > 3 && s[1] == '#' {
			return numericEntity(s)
		}
	case '=':
		if len(s) > 1 && s[1] == '\n' {
			return joined, 2
		}
		if len(s) > 2 && s[1] == '\r' && s[2] == '\n' {
			return joined, 3
		}
	case 0x1b:
		if len(s) > 1 && s[1] == '[' {
			n := 2
			for n < len(s) && n < 16 && (s[n] == ';' || '0' <= s[n] && s[n] <= '9') {
				n++
			}
			return ' ', min(n+1, len(s))
		}
	case '\r':
		return '\n', 1
	}
	return rune(s[0]), 1
}

// ascii gives r in lower case, and a blank for what no text contains.
func ascii(r rune) rune {
	if r < ' ' && r != '\n' && r != '\r' {
		return ' '
	}
	if r == '\r' {
		return '\n'
	}
	return unicode.ToLower(r)
}

var htmlEntities = []struct {
	name string
	r    rune
}{{"quot;", '"'}, {"apos;", '\''}, {"amp;quot;", '"'}, {"amp;#39;", '\''}, {"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"nbsp;", ' '}}

func numericEntity(s string) (rune, int) {
	r, n := rune(0), 2
	base := rune(10)
	if s[2] == 'x' || s[2] == 'X' {
		base, n = 16, 3
	}
	for ; n < len(s) && n < 10; n++ {
		d := digit(s[n])
		if d < 0 || d >= base {
			break
		}
		r = r*base + d
	}
	if n < len(s) && s[n] == ';' {
		n++
	}
	return r, n
}

// hex reads n hexadecimal digits.
func hex(s string, n int) (rune, bool) {
	if len(s) < n {
		return 0, false
	}
	var r rune
	for i := range n {
		d := digit(s[i])
		if d < 0 {
			return 0, false
		}
		r = r<<4 | d
	}
	return r, true
}

func digit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}
