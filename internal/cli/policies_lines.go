package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/conditionalaccess"
)

// An evaluation answers sign-ins line by line with one set of policies.
type evaluation struct {
	compiled    *conditionalaccess.Compiled
	trace, json bool
	names       [][]byte // each policy as {"id","displayName","file"}
	signIn      conditionalaccess.SignIn
	result      conditionalaccess.Result
	out         []byte
}

// policyName is a policy in the answer (a contract).
type policyName struct {
	ID          *string `json:"id"`
	DisplayName *string `json:"displayName"`
	File        string  `json:"file"`
}

func newEvaluation(compiled *conditionalaccess.Compiled, f *evaluateFlags) *evaluation {
	e := &evaluation{compiled: compiled, trace: f.trace, json: f.json}
	for i := range compiled.Policies() {
		e.names = append(e.names, mustJSON(nameOf(compiled.Policy(i))))
	}
	return e
}

func nameOf(p *conditionalaccess.Policy) policyName {
	n := policyName{File: p.File}
	if p.ID != "" {
		n.ID = &p.ID
	}
	if p.DisplayName != "" {
		n.DisplayName = &p.DisplayName
	}
	return n
}

// mustJSON encodes what can always be encoded.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // strings and lists of them
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// lines answers every line and gives the number of unreadable ones.
func (e *evaluation) lines(in io.Reader, out io.Writer) (unreadable int, err error) {
	r := bufio.NewReaderSize(in, 256<<10)
	w := bufio.NewWriterSize(out, 256<<10)
	if !e.json {
		fmt.Fprintf(w, tableRow, "SIGN-IN", "VERDICT", "CODE", "POLICIES, OR WHAT IS MISSING")
	}
	for first := true; ; first = false {
		line, tooLong, err := readLine(r)
		if first {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 || tooLong {
			if !e.line(w, line, tooLong) {
				unreadable++
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unreadable, unknownf("reading sign-ins: %w", err)
		}
		if r.Buffered() == 0 { // answer a caller who waits before sending more
			if err := w.Flush(); err != nil {
				return unreadable, fmt.Errorf("writing answers: %w", err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return unreadable, fmt.Errorf("writing answers: %w", err)
	}
	return unreadable, nil
}

// line answers one line and reports whether it could be read. What cannot be
// written is noticed at the next flush.
func (e *evaluation) line(w *bufio.Writer, line []byte, tooLong bool) bool {
	problem := errors.New("the line is too long")
	if !tooLong {
		problem = e.signIn.UnmarshalJSON(line)
	}
	if problem != nil {
		if e.json {
			_, _ = w.Write(append(mustJSON(unreadableLine{Error: problem.Error()}), '\n'))
		} else {
			fmt.Fprintf(w, tableRow, "?", "unreadable", "", problem)
		}
		return false
	}
	var trace []conditionalaccess.PolicyTrace
	if e.trace {
		trace = e.compiled.Trace(&e.signIn, &e.result)
	} else {
		e.compiled.Evaluate(&e.signIn, &e.result)
	}
	e.out = e.out[:0]
	if e.json {
		e.appendJSON(trace)
	} else {
		e.appendTable(trace)
	}
	_, _ = w.Write(e.out)
	return true
}

// appendJSON appends the answer as a line of JSON (a contract).
func (e *evaluation) appendJSON(trace []conditionalaccess.PolicyTrace) {
	r := &e.result
	out := append(e.out, `{"id":`...)
	if e.signIn.ID == "" {
		out = append(out, "null"...)
	} else {
		out = appendString(out, e.signIn.ID)
	}
	out = append(out, `,"verdict":"`...)
	out = append(out, r.Verdict.String()...)
	out = append(out, `","applied":`...)
	out = e.appendPolicies(out, r.Applied)
	out = append(out, `,"report_only":`...)
	out = e.appendPolicies(out, r.ReportOnly)
	out = append(out, `,"outstanding":`...)
	out = appendStrings(out, r.Outstanding)
	out = append(out, `,"error_code":`...)
	if r.ErrorCode == 0 {
		out = append(out, "null"...)
	} else {
		out = strconv.AppendInt(out, int64(r.ErrorCode), 10)
	}
	out = append(out, `,"missing":`...)
	out = appendStrings(out, r.Missing)
	if e.trace {
		out = append(out, `,"trace":`...)
		out = append(out, mustJSON(e.traceLines(trace))...)
	}
	e.out = append(out, '}', '\n')
}

func (e *evaluation) appendPolicies(out []byte, list []int) []byte {
	out = append(out, '[')
	for i, p := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e.names[p]...)
	}
	return append(out, ']')
}

func appendStrings(out []byte, list []string) []byte {
	out = append(out, '[')
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, s)
	}
	return append(out, ']')
}

// appendString appends a JSON string; plain ones without detour.
func appendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return append(out, mustJSON(s)...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}

// traceLine is a policy in the trace (a contract).
type traceLine struct {
	Policy     policyName       `json:"policy"`
	Result     string           `json:"result"`
	Conditions []traceCondition `json:"conditions"`
	FirstUnmet *string          `json:"first_unmet"`
}

type traceCondition struct {
	Condition string `json:"condition"`
	Result    string `json:"result"`
	Why       string `json:"why"`
}

func (e *evaluation) traceLines(trace []conditionalaccess.PolicyTrace) []traceLine {
	list := make([]traceLine, len(trace))
	for i := range trace {
		t := &trace[i]
		list[i] = traceLine{Policy: nameOf(e.compiled.Policy(t.Policy)), Result: t.Result, Conditions: []traceCondition{}}
		if t.FirstUnmet != "" {
			list[i].FirstUnmet = &t.FirstUnmet
		}
		for _, c := range t.Conditions {
			list[i].Conditions = append(list[i].Conditions, traceCondition(c))
		}
	}
	return list
}

const (
	tableWidth = 100
	tableRow   = "%-16.16s  %-25s %-6s %s\n"
	tableLead  = 16 + 2 + 25 + 1 + 6 + 1
)

// appendTable appends the answer for people.
func (e *evaluation) appendTable(trace []conditionalaccess.PolicyTrace) {
	r := &e.result
	code := ""
	if r.ErrorCode != 0 {
		code = strconv.Itoa(r.ErrorCode)
	}
	var parts []string
	for _, p := range r.Applied {
		parts = append(parts, displayed(e.compiled.Policy(p)))
	}
	for _, p := range r.ReportOnly {
		parts = append(parts, displayed(e.compiled.Policy(p))+" (report-only)")
	}
	if len(r.Missing) > 0 {
		parts = append(parts, "not known: "+strings.Join(r.Missing, ", "))
	}
	if len(parts) == 0 {
		parts = []string{"no policy applies"}
	}
	for i, part := range parts {
		part = clipTo(part, tableWidth-tableLead)
		if i == 0 {
			e.out = fmt.Appendf(e.out, tableRow, printable(e.signIn.ID), r.Verdict, code, part)
		} else {
			e.out = fmt.Appendf(e.out, "%*s%s\n", tableLead, "", part)
		}
	}
	for i := range trace {
		e.appendTrace(&trace[i])
	}
}

func (e *evaluation) appendTrace(t *conditionalaccess.PolicyTrace) {
	result := strings.ReplaceAll(t.Result, "_", " ")
	e.out = fmt.Appendf(e.out, "  %s: %s\n", clipTo(displayed(e.compiled.Policy(t.Policy)), 70), result)
	for _, c := range t.Conditions {
		lead := fmt.Sprintf("    %-22s %-8s ", c.Condition, strings.ReplaceAll(c.Result, "_", " "))
		text := strings.TrimLeft(wrap(printable(c.Why), strings.Repeat(" ", len(lead)), tableWidth), " ")
		e.out = append(e.out, lead+text...)
	}
}

// displayed gives a policy a name: its own, its id, or its file's.
func displayed(p *conditionalaccess.Policy) string {
	switch {
	case p.DisplayName != "":
		return printable(p.DisplayName)
	case p.ID != "":
		return printable(p.ID)
	}
	return printable(p.File)
}

// printable takes control characters out of what came from a file.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func clipTo(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}
