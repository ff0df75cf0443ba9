package bcsim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// filter is a $filter that has been read: alternatives (or) of conditions that
// hold together (and), without parentheses around them.
type filter [][]condition

// condition compares a member with a value.
type condition struct {
	member string
	op     string // eq ne gt ge lt le, or contains startswith endswith
	value  any
}

// maxConditions keeps a filter from taking the server's time.
const maxConditions = 64

// parseFilter reads comparisons and the three string functions, joined by and
// and or.
func parseFilter(source string) (filter, error) {
	words, err := lex(source)
	if err != nil {
		return nil, err
	}
	out := filter{nil}
	for total := 1; ; total++ {
		c, rest, err := parseCondition(words)
		if err != nil {
			return nil, err
		}
		if total > maxConditions {
			return nil, syntax("$filter has more than %d conditions.", maxConditions)
		}
		out[len(out)-1] = append(out[len(out)-1], c)
		if len(rest) == 0 {
			return out, nil
		}
		switch strings.ToLower(rest[0]) {
		case "and":
		case "or":
			out = append(out, nil)
		default:
			return nil, syntax("$filter cannot be read from '%s' on.", clip(rest[0]))
		}
		words = rest[1:]
	}
}

func parseCondition(words []string) (condition, []string, error) {
	if len(words) >= 6 && slices.Contains([]string{"contains", "startswith", "endswith"}, strings.ToLower(words[0])) {
		if words[1] != "(" || words[3] != "," || words[5] != ")" || !strings.HasPrefix(words[4], "'") {
			return condition{}, nil, syntax("$filter: %s takes a member and a text in quotes.", clip(words[0]))
		}
		value, err := literal(words[4])
		return condition{words[2], strings.ToLower(words[0]), value}, words[6:], err
	}
	if len(words) < 3 {
		return condition{}, nil, syntax("$filter ends where a comparison should stand.")
	}
	op := strings.ToLower(words[1])
	if !slices.Contains([]string{"eq", "ne", "gt", "ge", "lt", "le"}, op) {
		return condition{}, nil, syntax("$filter: '%s' is no operator that the lab reads.", clip(words[1]))
	}
	value, err := literal(words[2])
	return condition{words[0], op, value}, words[3:], err
}

// literal reads a text in quotes, a number, true, false, null; dates and GUIDs
// stand without quotes and compare as text.
func literal(word string) (any, error) {
	switch {
	case strings.HasPrefix(word, "'"):
		return strings.ReplaceAll(word[1:len(word)-1], "''", "'"), nil
	case word == "true" || word == "false":
		return word == "true", nil
	case word == "null":
		return nil, nil
	case isGUID(word):
		return word, nil
	case len(word) >= 10 && word[4] == '-' && word[7] == '-':
		return word, nil
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return nil, syntax("$filter: '%s' is no value; texts stand in single quotes.", clip(word))
	}
	return n, nil
}

// lex cuts at blanks and around parentheses and commas, outside quotes.
func lex(source string) ([]string, error) {
	var words []string
	for rest := strings.TrimSpace(source); rest != ""; rest = strings.TrimLeft(rest, " ") {
		end := strings.IndexAny(rest, " (),'")
		switch {
		case end < 0:
			end = len(rest)
		case end == 0 && rest[0] == '\'':
			for end = 1; end < len(rest) && (rest[end] != '\'' || end+1 < len(rest) && rest[end+1] == '\''); end++ {
				if rest[end] == '\'' {
					end++
				}
			}
			if end >= len(rest) {
				return nil, syntax("$filter has a quote that does not close.")
			}
			end++
		case end == 0:
			end = 1
		}
		words, rest = append(words, rest[:end]), rest[end:]
	}
	return words, nil
}

// holds reports whether one of the alternatives holds for the record.
func (f filter) holds(record row) (bool, error) {
	some := false
	for _, together := range f {
		all := true
		for _, c := range together {
			ok, err := c.holds(record)
			if err != nil {
				return false, err
			}
			all = all && ok
		}
		some = some || all
	}
	return some, nil
}

func (c condition) holds(record row) (bool, error) {
	value, ok := record[c.member]
	if !ok || c.member == etagName {
		return false, syntax("Could not find a property named '%s'.", clip(c.member))
	}
	if text, isText := value.(string); isText {
		part, _ := c.value.(string)
		switch c.op {
		case "contains":
			return strings.Contains(text, part), nil
		case "startswith":
			return strings.HasPrefix(text, part), nil
		case "endswith":
			return strings.HasSuffix(text, part), nil
		}
	}
	order, alike := compare(value, c.value)
	switch {
	case !alike:
		return c.op == "ne", nil
	case c.op == "eq":
		return order == 0, nil
	case c.op == "ne":
		return order != 0, nil
	case c.op == "gt":
		return order > 0, nil
	case c.op == "ge":
		return order >= 0, nil
	case c.op == "lt":
		return order < 0, nil
	case c.op == "le":
		return order <= 0, nil
	}
	return false, nil // a string function on a number
}

// compare orders two values; false if they are of different kinds.
func compare(a, b any) (int, bool) {
	if n, ok := a.(int); ok {
		a = float64(n)
	}
	if n, ok := b.(int); ok {
		b = float64(n)
	}
	switch a := a.(type) {
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b), true
		}
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b), true
		}
	case bool:
		if b, ok := b.(bool); ok {
			return cmp.Compare(strconv.FormatBool(a), strconv.FormatBool(b)), true
		}
	}
	return 0, false
}
