package console

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// sentence makes the first letter a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	r, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[size:]
	if !strings.ContainsAny(s[len(s)-1:], ".?:") {
		s += "."
	}
	return s
}

// count writes a number with its noun: "1 connection", "3 connections".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ago says how long ago, or in how long, a time is.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	if d < -10*time.Second {
		return "in " + span(-d)
	}
	if d < 10*time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

func utcText(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") + " UTC" }

func exactUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// initials of a name, for the corner of the page.
func initials(name string) string {
	words := strings.Fields(name)
	if len(words) == 0 {
		return "?"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	text := string(unicode.ToUpper(first))
	if len(words) > 1 {
		last, _ := utf8.DecodeRuneInString(words[len(words)-1])
		text += string(unicode.ToUpper(last))
	}
	return text
}

// lowerFirst makes the first letter a small one.
func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToLower(r)) + s[size:]
}

// sentenceCase makes the first letter a capital.
func sentenceCase(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// listWords joins names, of which there may be more than are given.
func listWords(names []string, all int) string {
	text := strings.Join(names, ", ")
	if all > len(names) {
		text += fmt.Sprintf(" and %d more", all-len(names))
	}
	return text
}

func has(all []string, one string) bool { return slices.Contains(all, one) }

func doWords(n int) string {
	if n == 1 {
		return "does"
	}
	return "do"
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func dayWords(days int) string {
	switch days {
	case 0:
		return "today"
	case 1:
		return "tomorrow"
	default:
		return fmt.Sprintf("in %d days", days)
	}
}
