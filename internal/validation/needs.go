package validation

import (
	"bytes"
	_ "embed"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed needs.yaml
var needsFile []byte

// needs is what services ask of identities, as needs.yaml has it.
type needs struct {
	Roles      map[string]string `yaml:"roles"` // template id → name
	BroadRoles []string          `yaml:"broad_roles"`
	Needs      []need            `yaml:"needs"`
	Broad      []broad           `yaml:"broad"`

	AccountRoles []accountRole `yaml:"account_roles"`
}

// accountRole is what a service asks of an account in place of an administrator's
// role.
type accountRole struct {
	Service  string `yaml:"service"`
	When     string `yaml:"when"`
	Suffices string `yaml:"suffices"`
	Beside   string `yaml:"beside"`
	Source   string `yaml:"source"`
}

// need is one task of one kind of identity.
type need struct {
	Service string   `yaml:"service"`
	Kind    string   `yaml:"kind"` // app or service_account
	Task    string   `yaml:"task"` // "open a site"
	When    string   `yaml:"when"` // admin_url: only where that is given
	Any     bool     `yaml:"any"`
	OneOf   []opener `yaml:"one_of"`
	Source  string   `yaml:"source"`
}

// opener is a permission that suffices for a task.
type opener struct {
	Name   string   `yaml:"name"`
	Beside string   `yaml:"beside"`
	Roles  []string `yaml:"roles"`
}

// broad is a permission that opens more than any one tool needs.
type broad struct {
	Service string `yaml:"service"`
	Name    string `yaml:"name"`
	Opens   string `yaml:"opens"`
	Instead string `yaml:"instead"`
	Source  string `yaml:"source"`
}

// known reads the file once. It is part of the program, and a test reads it too.
var known = sync.OnceValue(func() needs {
	n, err := readNeeds(needsFile)
	if err != nil {
		panic("reading needs.yaml: " + err.Error())
	}
	return n
})

func readNeeds(data []byte) (needs, error) {
	var n needs
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	err := d.Decode(&n)
	return n, err
}

// of gives the tasks of a service for a kind of identity.
func (n needs) of(service string, app bool, p Place) []need {
	kind := "service_account"
	if app {
		kind = "app"
	}
	var out []need
	for _, d := range n.Needs {
		if d.Service == service && d.Kind == kind && p.meets(d.When) {
			out = append(out, d)
		}
	}
	return out
}

// roleName names a directory role by its template id, "" if it is not known.
func roleName(id string) string { return known().Roles[strings.ToLower(id)] }

// broadRole gives the first of the roles that opens more than any tool needs.
func broadRole(roles []string) string {
	for _, name := range known().BroadRoles {
		if slices.Contains(roles, name) {
			return name
		}
	}
	return ""
}

// names are the permissions that open the task, the least first.
func (d need) names() []string {
	out := make([]string, len(d.OneOf))
	for i, o := range d.OneOf {
		out[i] = o.Name
	}
	return out
}

// words tell an opener with what it needs beside it.
func (o opener) words() string {
	switch {
	case len(o.Roles) > 0:
		return o.Name + " (with the directory role " + strings.Join(o.Roles, " or ") + ")"
	case o.Beside != "":
		return o.Name + " (with " + o.Beside + ")"
	}
	return o.Name
}
