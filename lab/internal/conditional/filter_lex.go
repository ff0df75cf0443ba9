package conditional

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxRule is the documented length of a rule, in characters.
const maxRule = 3072

type tokenKind int

const (
	tokenEnd    tokenKind = iota
	tokenWord             // device.model, True
	tokenOption           // -eq, without the dash
	tokenText             // "…", without the quotes
	tokenMark             // ( ) [ ] ,
)

type token struct {
	kind tokenKind
	text string
}

// lex takes a rule apart.
func lex(rule string) ([]token, error) {
	if utf8.RuneCountInString(rule) > maxRule {
		return nil, fmt.Errorf("reading a filter: the rule is longer than %d characters; split it over several policies", maxRule)
	}
	var out []token
	for rest := strings.TrimLeft(rule, " \t\r\n"); rest != ""; rest = strings.TrimLeft(rest, " \t\r\n") {
		switch c := rest[0]; {
		case strings.IndexByte("()[],", c) >= 0:
			out = append(out, token{tokenMark, rest[:1]})
			rest = rest[1:]
		case c == '"':
			text, after, closed := strings.Cut(rest[1:], `"`)
			if !closed {
				return nil, errors.New("reading a filter: a text has no closing quote; add it")
			}
			out = append(out, token{tokenText, text})
			rest = after
		case c == '-' && len(rest) > 1 && letter(rest[1]):
			end := 1 + span(rest[1:], letter)
			out = append(out, token{tokenOption, strings.ToLower(rest[1:end])})
			rest = rest[end:]
		case letter(c):
			end := span(rest, func(c byte) bool { return letter(c) || c == '.' || c >= '0' && c <= '9' })
			out = append(out, token{tokenWord, rest[:end]})
			rest = rest[end:]
		default:
			r, _ := utf8.DecodeRuneInString(rest)
			return nil, fmt.Errorf("reading a filter: the character %q is not expected; put texts in double quotes", r)
		}
	}
	return out, nil
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// span counts the bytes at the start that belong.
func span(s string, belongs func(byte) bool) int {
	for i := range len(s) {
		if !belongs(s[i]) {
			return i
		}
	}
	return len(s)
}
