package graphsim

import "strings"

// lexeme is a token: kind 's' is a string, 'w' a word (name, path, number,
// date, keyword), other kinds are the symbol itself.
type lexeme struct {
	kind byte
	text string
}

func lex(source string) ([]lexeme, error) {
	var out []lexeme
	for i := 0; i < len(source); {
		switch c := source[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case strings.IndexByte("(),", c) >= 0:
			out = append(out, lexeme{c, string(c)})
			i++
		case c == ':': // after a lambda's variable; inside dates it belongs to the word
			out = append(out, lexeme{c, ":"})
			i++
		case c == '\'':
			s, end, closed := quoted(source, i)
			if !closed {
				return nil, badRequest("$filter has a string without end.")
			}
			out = append(out, lexeme{'s', s})
			i = end
		default:
			end := i
			for end < len(source) && wordByte(source, i, end) {
				end++
			}
			if end == i {
				return nil, badRequest("$filter has a character that it cannot hold: '%s'.", clip(source[i:i+1]))
			}
			out = append(out, lexeme{'w', source[i:end]})
			i = end
		}
	}
	return out, nil
}

// wordByte: letters, digits and a few signs; a colon only where the word has
// begun like a date or time.
func wordByte(source string, start, at int) bool {
	c := source[at]
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("_./$-+@", c) >= 0:
		return true
	case c == ':':
		return source[start] >= '0' && source[start] <= '9'
	}
	return false
}

func quoted(source string, start int) (s string, end int, closed bool) {
	var b strings.Builder
	for i := start + 1; i < len(source); i++ {
		if source[i] != '\'' {
			b.WriteByte(source[i])
			continue
		}
		if i+1 < len(source) && source[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}
