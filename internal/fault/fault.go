// Package fault is what is wrong with what somebody entered, field by field, so
// that a form can say it beside the field and the API in its problem details.
package fault

import "strings"

// Field is a fault in one field.
type Field struct {
	Field   string // as in the API: "client_id"
	Problem string // what is wrong with the value
	Way     string // what would be right
}

// Error names field, problem and way out.
func (e *Field) Error() string {
	text := e.Field + " " + e.Problem
	if e.Way != "" {
		text += ": " + e.Way
	}
	return text
}

// List is all faults of what somebody entered.
type List []*Field

// Of is one fault by itself.
func Of(field, problem, way string) error { return List{{field, problem, way}} }

// Error lists the faults.
func (f List) Error() string {
	lines := make([]string, len(f))
	for i, e := range f {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "; ")
}

// Unwrap gives the faults one by one, for errors.As.
func (f List) Unwrap() []error {
	out := make([]error, len(f))
	for i, e := range f {
		out[i] = e
	}
	return out
}

// Add adds a fault.
func (f *List) Add(field, problem, way string) { *f = append(*f, &Field{field, problem, way}) }

// Err is nil if there is no fault.
func (f List) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Text demands a text of at most so many bytes that can be shown in one line.
func (f *List) Text(field, value string, most int) {
	switch {
	case len(value) > most:
		f.Add(field, "is too long", "shorten it")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }):
		f.Add(field, "holds signs that cannot be shown", "remove line ends and control characters")
	}
}
