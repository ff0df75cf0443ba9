package config

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"gatehouse/internal/secrets"
)

// Print writes the configuration as YAML that can be read again, with where
// each value came from. Secrets are dots.
func (c Config) Print(w io.Writer) error {
	var b strings.Builder
	group := ""
	for _, s := range settings {
		name, indent := s.name, ""
		if first, rest, ok := strings.Cut(s.name, "."); ok {
			if first != group {
				fmt.Fprintf(&b, "%s:\n", first)
				group = first
			}
			name, indent = rest, "  "
		}
		value := quote(s.get(&c))
		if s.list {
			value = "[]"
			if text := s.get(&c); text != "" {
				items := strings.Split(text, ",")
				for i := range items {
					items[i] = quote(items[i])
				}
				value = "[" + strings.Join(items, ", ") + "]"
			}
		}
		fmt.Fprintf(&b, "%s%s: %s # %s\n", indent, name, value, comment(c.sources[s.name]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func comment(source string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, source)
}

// quote writes a YAML string in double quotes.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

const dots = "••••••"

// masked shows the address of a database without what is secret in it.
func masked(address secrets.Value) string {
	text := address.Reveal()
	if !strings.Contains(text, "://") {
		return text // a file
	}
	u, err := url.Parse(text)
	if err != nil {
		return dots
	}
	out := u.Scheme + "://"
	if u.User != nil {
		out += url.User(u.User.Username()).String()
		if _, ok := u.User.Password(); ok {
			out += ":" + dots
		}
		out += "@"
	}
	out += u.Host + u.EscapedPath()
	for i, pair := range strings.Split(u.RawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if strings.Contains(strings.ToLower(name), "pass") || strings.Contains(name, "%") {
			value = dots
		}
		out += map[bool]string{true: "?", false: "&"}[i == 0] + name + "=" + value
	}
	return out
}
