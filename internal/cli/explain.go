package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gatehouse/internal/diagnosis"
)

// maxExplainInput is how much of a pasted text is read, in bytes.
const maxExplainInput = 16 << 20

func newExplain(env Env) *cobra.Command {
	var asJSON, asLines bool
	cmd := &cobra.Command{
		Use:   "explain [TEXT…]",
		Short: "Say what a Microsoft 365 sign-in error means and what helps",
		Long: `Explain reads an error as you copied it, out of whatever program showed it, and
says what stopped the sign-in, who has to act, and what helps. The text may be
cut off, escaped, several errors at once. Nothing leaves this machine, and
nothing of the text is repeated in the answer but error codes.

Give the text as arguments, or on stdin. With --jsonl every input line is an
object {"id","text"} and gets one line of output, in the same order.

Exit codes: 0 answered, also where the cause stays open; 2 no text given;
3 with --jsonl: a line could not be read.`,
		Example: `  gatehouse explain "AADSTS50076: you must use multi-factor authentication"
  pbpaste | gatehouse explain
  gatehouse explain --jsonl < errors.jsonl`,
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case asJSON && asLines:
				return usagef("--json and --jsonl exclude each other")
			case asLines && len(args) > 0:
				return usagef("--jsonl reads stdin and takes no text")
			case asLines:
				return explainLines(env.Stdin, env.Stdout)
			}
			text, err := explainInput(env, args)
			if err != nil {
				return err
			}
			d := diagnosis.Explain(text)
			if asJSON {
				return writeJSON(env.Stdout, d)
			}
			return writeDiagnosis(env.Stdout, d, isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == "")
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object for the whole text")
	cmd.Flags().BoolVar(&asLines, "jsonl", false, `one JSON object for each input line {"id","text"}`)
	return cmd
}

// explainInput gives the text to explain: the arguments, or all of stdin.
func explainInput(env Env, args []string) (string, error) {
	text := strings.Join(args, " ")
	if len(args) == 0 {
		if f, ok := env.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			fmt.Fprintln(env.Stderr, "Paste the error, then press Enter and Ctrl-D:")
		}
		data, err := io.ReadAll(io.LimitReader(env.Stdin, maxExplainInput))
		if err != nil {
			return "", unknownf("reading the text: %w", err)
		}
		text = string(data)
	}
	if strings.TrimSpace(text) == "" {
		return "", usagef(`no text given; try: gatehouse explain "AADSTS50076: …", or pipe the error in`)
	}
	return text, nil
}

// explainLine is an input line of --jsonl.
type explainLine struct {
	ID   *string `json:"id"`
	Text *string `json:"text"`
}

// unreadableLine is the output line for an input line that is none.
type unreadableLine struct {
	ID    *string `json:"id"`
	Error string  `json:"error"`
}

// explainLines answers line by line. Unreadable lines are answered with the
// reason and make the command end with exit code 3.
func explainLines(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 64<<10)
	w := bufio.NewWriter(out)
	unreadable := 0
	for {
		line, tooLong, err := readLine(r)
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 || tooLong {
			answer, problem := explainOne(trimmed)
			if tooLong {
				problem = fmt.Errorf("the line is longer than %d MB", maxExplainInput>>20)
			}
			var werr error
			if problem != nil {
				unreadable++
				werr = writeJSON(w, unreadableLine{Error: problem.Error()})
			} else {
				werr = writeJSON(w, answer)
			}
			if werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unknownf("reading lines: %w", err)
		}
		if r.Buffered() == 0 { // answer a caller who waits before sending more
			if err := w.Flush(); err != nil {
				return fmt.Errorf("writing answers: %w", err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing answers: %w", err)
	}
	if unreadable > 0 {
		return unknownf("%d unreadable input line(s)", unreadable)
	}
	return nil
}

// readLine reads one line of any length; what goes beyond maxExplainInput is
// passed over.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) <= maxExplainInput {
			line = append(line, part...)
		} else {
			tooLong = true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}

func explainOne(line []byte) (diagnosis.Diagnosis, error) {
	var in explainLine
	if !utf8.Valid(line) {
		return diagnosis.Diagnosis{}, errors.New("the line is not UTF-8")
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return diagnosis.Diagnosis{}, fmt.Errorf("reading the line: %w", err)
	}
	if in.Text == nil {
		return diagnosis.Diagnosis{}, errors.New(`the line has no "text"`)
	}
	d := diagnosis.Explain(*in.Text)
	d.ID = in.ID
	return d, nil
}

// writeJSON writes v as one line, with < > & as they are.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// actorNames say who acts, for people.
var actorNames = map[diagnosis.Actor]string{
	diagnosis.EndUser:     "the person who signs in",
	diagnosis.TenantAdmin: "an administrator of the tenant",
	diagnosis.AppOwner:    "whoever owns the app registration",
	diagnosis.Operator:    "whoever runs the software",
	diagnosis.Microsoft:   "Microsoft",
	diagnosis.NobodyRetry: "nobody; wait and try again",
}

// explainWidth is the width of the text for people, in characters.
const explainWidth = 78

// writeDiagnosis prints a diagnosis for people. check uses it too.
func writeDiagnosis(out io.Writer, d diagnosis.Diagnosis, colour bool) error {
	var b strings.Builder
	bold := func(s string) string {
		if !colour {
			return s
		}
		return "\x1b[1m" + s + "\x1b[0m"
	}
	title := d.Title
	if d.Code != nil {
		title += " (" + *d.Code + ")"
	}
	fmt.Fprintf(&b, "%s\n\n%s\n", bold(title), wrap(d.Cause, "", explainWidth))
	fmt.Fprintf(&b, "Who acts: %s\n", actorNames[d.Actor])
	for _, r := range d.Remedies[:min(1, len(d.Remedies))] {
		fmt.Fprintf(&b, "\n%s\n", bold("What helps: "+r.Title))
		for n, s := range r.Steps {
			lead := fmt.Sprintf("  %d. ", n+1)
			b.WriteString(lead + strings.TrimLeft(wrap(s, strings.Repeat(" ", len(lead)), explainWidth), " "))
		}
		b.WriteString(remedyNotes(r, d.Actor))
		if r.Reference != nil {
			fmt.Fprintf(&b, "     %s\n", *r.Reference)
		}
	}
	if len(d.Remedies) > 1 {
		b.WriteString("\nOther ways:\n")
		for _, r := range d.Remedies[1:] {
			note := ""
			if r.LowersProtection {
				note = " (lowers protection)"
			}
			b.WriteString("  - " + strings.TrimLeft(wrap(r.Title+note, "    ", explainWidth), " "))
		}
	}
	fmt.Fprintf(&b, "\nConfidence: %s\n", d.Confidence)
	if d.Sure != "" {
		b.WriteString(wrap("What would make sure: "+d.Sure, "", explainWidth))
	}
	for _, a := range d.Alternatives {
		b.WriteString(wrap(fmt.Sprintf("It could also be (%s): %s", a.Confidence, a.Cause), "", explainWidth))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// remedyNotes says who takes the steps if it is somebody else than who acts
// first, whether Gatehouse can, and what it costs.
func remedyNotes(r diagnosis.Remedy, first diagnosis.Actor) string {
	var notes []string
	if r.Actor != first {
		notes = append(notes, "Steps for "+strings.TrimPrefix(actorNames[r.Actor], "nobody; ")+".")
	}
	if r.Automatic {
		notes = append(notes, "Gatehouse can do this.")
	}
	if r.LowersProtection {
		notes = append(notes, "This lowers protection.")
	}
	if len(notes) == 0 {
		return ""
	}
	return "     " + strings.Join(notes, " ") + "\n"
}

// wrap breaks text into lines of at most width characters, each begun with
// indent; a longer word stands alone.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	at := 0
	for _, word := range strings.Fields(text) {
		word = plain(word)
		n := utf8.RuneCountInString(word)
		if at > 0 && at+1+n > width {
			b.WriteByte('\n')
			at = 0
		}
		if at == 0 {
			b.WriteString(indent)
			at = len(indent)
		} else {
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteByte('\n')
	return b.String()
}
