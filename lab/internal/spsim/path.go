package spsim

import (
	"net/http"
	"net/url"
	"strings"
)

// call is one step of a path: a name, and arguments if it has parentheses.
// lists(guid'…') and getbytitle('Bob”s list') are calls, items is a plain one.
type call struct {
	name string
	args []string
	has  bool // parentheses
}

const maxCalls = 24

func badPath(format string, args ...any) *fault {
	return refuse(http.StatusBadRequest, codeClient, format, args...)
}

// parseCalls cuts what follows /_api/ at slashes outside quotes and
// parentheses. An argument @x stands for the query's parameter of that name.
func parseCalls(path string, query url.Values) ([]call, error) {
	var calls []call
	for rest := strings.Trim(path, "/"); rest != ""; {
		if len(calls) == maxCalls {
			return nil, badPath("The address has more than %d steps.", maxCalls)
		}
		end := strings.IndexAny(rest, "/(")
		if end < 0 {
			end = len(rest)
		}
		c := call{name: rest[:end]}
		rest = rest[end:]
		if strings.HasPrefix(rest, "(") {
			c.has = true
			var err error
			if c.args, rest, err = parseArguments(rest[1:], query); err != nil {
				return nil, err
			}
		}
		if c.name == "" || rest != "" && rest[0] != '/' {
			return nil, badPath("The address cannot be read near '%s'.", clip(c.name+rest))
		}
		calls = append(calls, c)
		rest = strings.TrimLeft(rest, "/")
	}
	return calls, nil
}

// parseArguments reads up to the closing parenthesis.
func parseArguments(s string, query url.Values) (args []string, rest string, err error) {
	quoted := false
	start := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted // a doubled quote closes and opens
		case quoted:
		case s[i] == ',' || s[i] == ')':
			if part := strings.TrimSpace(s[start:i]); part != "" {
				value, err := argument(part, query, true)
				if err != nil {
					return nil, "", err
				}
				args = append(args, value)
			}
			start = i + 1
			if s[i] == ')' {
				return args, s[i+1:], nil
			}
		}
	}
	return nil, "", badPath("The address has a parenthesis or a quote that does not close.")
}

// argument reads one value: a number, a word, '…', guid'…', name=value or @x.
func argument(part string, query url.Values, alias bool) (string, error) {
	if name, value, ok := strings.Cut(part, "="); ok && !strings.Contains(name, "'") {
		part = strings.TrimSpace(value)
	}
	if strings.HasPrefix(part, "@") && alias {
		value := query.Get(part)
		if value == "" {
			return "", badPath("The address uses %s, which the query does not set.", clip(part))
		}
		return argument(value, query, false)
	}
	if len(part) > 4 && strings.EqualFold(part[:5], "guid'") {
		part = part[4:]
	}
	if strings.HasPrefix(part, "'") {
		if len(part) < 2 || !strings.HasSuffix(part, "'") {
			return "", badPath("The value %s is not quoted rightly.", clip(part))
		}
		return strings.ReplaceAll(part[1:len(part)-1], "''", "'"), nil
	}
	return part, nil
}
