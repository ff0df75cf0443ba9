package console

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/a-h/templ"
)

// shown is the text in a larger box.
func shown(f *form, d field) string {
	if d.secret() {
		return ""
	}
	return f.Get(d.Name)
}

// described ties a field to its hint and to what is wrong with it.
func described(f *form, d field) templ.Attributes {
	a := templ.Attributes{}
	by := ""
	if d.Hint != "" {
		by = d.Name + "-hint"
	}
	if f.fault(d.Name) != nil {
		a["aria-invalid"] = "true"
		by = d.Name + "-wrong " + by
	}
	if by != "" {
		a["aria-describedby"] = by
	}
	if d.Required {
		a["required"] = true
	}
	if d.Focus {
		a["autofocus"] = true
	}
	return a
}

// attributes are those of an input in one line. A secret is not shown again.
func attributes(f *form, d field) templ.Attributes {
	a := templ.Attributes{"type": "text"}
	for name, value := range map[string]string{"type": d.Type, "placeholder": d.Placeholder, "autocomplete": d.Autocomplete, "inputmode": d.Inputmode} {
		if value != "" {
			a[name] = value
		}
	}
	if !d.secret() {
		a["value"] = f.Get(d.Name)
	}
	if d.Type == "text" || d.Type == "" {
		a["spellcheck"] = "false"
	}
	return a
}

// question is what a page asks before something is done.
type question struct {
	Of, Back             string   // what it is about, and the page of that
	Points               []string // what it brings with it
	Action, Button, Keep string   // where it is done, in which words, and the way out
}

// breakable is an identifier that a narrow column breaks behind its marks, as
// people would. What is copied from it has no breaks.
func breakable(text string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var out strings.Builder
		for text != "" {
			i := strings.IndexAny(text, "@.-/_:") + 1
			if i == 0 {
				i = len(text)
			}
			out.WriteString(templ.EscapeString(text[:i]))
			if text = text[i:]; text != "" {
				out.WriteString("<wbr>")
			}
		}
		_, err := io.WriteString(w, out.String())
		return err
	})
}

func pressed(on bool) string { return fmt.Sprint(on) }
