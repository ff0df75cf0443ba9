package console

import (
	"fmt"

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

func pressed(on bool) string { return fmt.Sprint(on) }
