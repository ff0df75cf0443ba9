package tenant

import "strings"

// FieldError is a fault in one field of what somebody entered.
type FieldError struct {
	Field   string // as in the API: "client_id"
	Problem string // what is wrong with the value
	Way     string // what would be right
}

// Error names field, problem and way out.
func (e *FieldError) Error() string {
	text := e.Field + " " + e.Problem
	if e.Way != "" {
		text += ": " + e.Way
	}
	return text
}

// Faults are all faults of what somebody entered.
type Faults []*FieldError

// Fault is one fault by itself.
func Fault(field, problem, way string) error { return Faults{{field, problem, way}} }

// Error lists the faults.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, e := range f {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "; ")
}

// Unwrap gives the faults one by one, for errors.As.
func (f Faults) Unwrap() []error {
	out := make([]error, len(f))
	for i, e := range f {
		out[i] = e
	}
	return out
}

// Add adds a fault.
func (f *Faults) Add(field, problem, way string) { *f = append(*f, &FieldError{field, problem, way}) }

// Err is nil if there is no fault.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Text demands a text of at most so many bytes that can be shown in one line.
func (f *Faults) Text(field, value string, most int) {
	switch {
	case len(value) > most:
		f.Add(field, "is too long", "shorten it")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }):
		f.Add(field, "holds signs that cannot be shown", "remove line ends and control characters")
	}
}
