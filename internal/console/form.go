package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/tenant"
)

// form is what somebody typed, and what was wrong with it.
type form struct {
	url.Values
	Faults  tenant.Faults
	Problem string // what is wrong with the whole
	// Labels are what fields are called on the page, where that is not their name.
	Labels map[string]string
}

// maxForm bounds what a form may send.
const maxForm = 1 << 20

func typed(w http.ResponseWriter, r *http.Request) (*form, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, errNoForm
	}
	if unstorable(r.PostForm) {
		return nil, errNoForm
	}
	return &form{Values: r.PostForm}, nil
}

// errNoForm says that the request held no form.
var errNoForm = errors.New("reading the form: it is too long, was cut off, or holds signs that no text has: go back and send it again")

// refused takes in an error about what was typed, and gives back any other.
func (f *form) refused(err error) error {
	if faults, ok := errors.AsType[tenant.Faults](err); ok {
		f.Faults = append(f.Faults, faults...)
		return nil
	}
	if fault, ok := errors.AsType[*tenant.FieldError](err); ok {
		f.Faults = append(f.Faults, fault)
		return nil
	}
	return err
}

// fault is what is wrong with a field; nil if nothing is.
func (f *form) fault(field string) *tenant.FieldError {
	for _, e := range f.Faults {
		if e.Field == field {
			return e
		}
	}
	return nil
}

// summary is a fault in the list of all.
func (f *form) summary(e *tenant.FieldError) string {
	label := f.Labels[e.Field]
	if label == "" {
		label = fieldWords(e.Field)
	}
	return faultWords(label, e)
}

// labels are what forms call members whose own names are no words. A test holds them
// against the forms.
var labels = map[string]string{
	"admin_url": "SharePoint admin centre", "break_glass": "The choice", "client_id": "Client id", "client_ids": "Client ids", "consumer.accepts": "What it can be given", "consumer.addresses": "Addresses it calls from",
	"consumer.holds_credential": "Who holds the credential", "consumer.name": "Name of the software", "key_id": "Secret id", "not_after": "It ends on", "publisher_name": "Name of the verified publisher",
	"registration_id": "App registration", "remind_before": "Days before the deadline", "remind_days": "Days after the start", "secret_ends": "Ends on", "sign_in_url": "Where people of other apps sign in", "tenant_id": "In the tenant",
}

// fieldWords is what a member of a form is called where its label does not stand
// beside it.
func fieldWords(name string) string {
	if label, ok := labels[name]; ok {
		return label
	}
	return sentenceCase(strings.NewReplacer("_", " ", ".", ": ").Replace(name))
}

// words of a fault, for below its field.
func faultWords(label string, e *tenant.FieldError) string {
	text := label + " " + e.Problem
	if e.Way != "" {
		text += ": " + e.Way
	}
	return sentence(text)
}

func (f *form) text(name string) string { return strings.TrimSpace(f.Get(name)) }

func (f *form) on(name string) bool { return f.Get(name) != "" }

// lines are the entries of a field with one in each line.
func (f *form) lines(name string) []string {
	return strings.FieldsFunc(f.Get(name), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == ' ' })
}

// field is one input of a form.
type field struct {
	Name, Label, Type, Hint, Placeholder, Autocomplete, Inputmode string
	Required, Focus                                               bool
	Depends                                                       bool     // required or not by what else is chosen
	Options                                                       []option // a choice, if there are any
	Rows                                                          int      // a larger box, if not 0
}

type option struct{ Value, Words string }

// secret reports whether what was typed is not shown again.
func (f field) secret() bool { return f.Type == "password" }

// unreachable is refused for what asks Microsoft: that it gave no answer is
// said on the form.
func (f *form) unreachable(err error) error {
	if err = f.refused(err); err == nil {
		return nil
	}
	if theirs, ok := errors.AsType[*microsoft.Error](err); ok {
		f.Problem = "Microsoft gave no usable answer (" + theirs.Error() + "). Check that this server may call Microsoft's sign-in service, then try again"
		return nil
	}
	return err
}
