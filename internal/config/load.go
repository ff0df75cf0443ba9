package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fault is a setting that cannot be used.
type Fault struct {
	Name    string // "tls.mode"
	Source  string // "GATEHOUSE_TLS_MODE", "gatehouse.yaml, line 7"
	Problem string // with the way out
}

// Faults are all of them.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	var b strings.Builder
	b.WriteString("reading the configuration:")
	for _, fault := range f {
		b.WriteString("\n  ")
		if fault.Name != "" {
			b.WriteString(fault.Name)
			if fault.Source != "" {
				b.WriteString(" (" + fault.Source + ")")
			}
			b.WriteString(": ")
		} else if fault.Source != "" {
			b.WriteString(fault.Source + ": ")
		}
		b.WriteString(fault.Problem)
	}
	return b.String()
}

// Bounds of what is read, in bytes.
const (
	maxFile   = 1 << 20
	maxSecret = 64 << 10
)

// Load reads the configuration: environ as of [os.Environ], and the file that
// is named, or none if that is "". The error is a [Faults] with all there are.
func Load(environ []string, file string) (Config, error) {
	l := loader{environ: map[string]string{}, values: map[string]value{}}
	for _, line := range environ {
		if name, v, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, "GATEHOUSE_") {
			l.environ[name] = v
		}
	}
	if file != "" {
		l.readFile(file)
	}
	l.misspelt()
	return l.config()
}

// config puts together what was found.
func (l *loader) config() (Config, error) {
	c := Config{sources: map[string]string{}}
	for _, s := range settings {
		l.apply(&c, s)
	}
	c.check(l)
	if len(l.faults) > 0 {
		return Config{}, l.faults
	}
	c.fill()
	return c, nil
}

// value is a setting of the file.
type value struct {
	text   string
	source string
}

type loader struct {
	environ map[string]string
	values  map[string]value
	faults  Faults
}

func (l *loader) fault(name, source, problem string) {
	l.faults = append(l.faults, Fault{Name: name, Source: source, Problem: problem})
}

// apply sets one setting from where it is found first.
func (l *loader) apply(c *Config, s setting) {
	c.sources[s.name] = "default"
	found, given := value{text: s.normal}, false
	look := func(s setting) (value, bool) {
		if v, ok := l.environ[s.variable()]; ok {
			return value{v, s.variable()}, true
		}
		return value{}, false
	}
	inFile := func(s setting) (value, bool) { v, ok := l.values[s.name]; return v, ok }
	for _, level := range []func(setting) (value, bool){look, inFile} {
		direct, ok := level(s)
		if s.secret {
			if twin, also := level(s.file()); also {
				if ok {
					l.fault(s.name, twin.source, "is given both itself and as the name of a file: leave one out")
				}
				direct, ok = l.readSecret(s, twin)
			}
		}
		if ok {
			found, given = direct, true
			break
		}
	}
	if given {
		c.sources[s.name] = found.source
	}
	if !given && s.normal == "" {
		return
	}
	if strings.ContainsAny(found.text, "\x00\r\n") {
		l.fault(s.name, found.source, "has a line break in it: write it on one line")
		return
	}
	if given && found.text == "" && s.normal != "" {
		l.fault(s.name, found.source, "is empty: give a value, or leave it out for "+s.normal)
		return
	}
	if err := s.set(c, found.text); err != nil {
		l.fault(s.name, found.source, err.Error())
	}
}

// readSecret reads the file that a twin names, without the line's end.
func (l *loader) readSecret(s setting, twin value) (value, bool) {
	data, err := readBounded(twin.text, maxSecret)
	if err != nil {
		l.fault(s.name, twin.source, err.Error())
		return value{text: s.normal, source: twin.source}, false
	}
	return value{strings.TrimRight(string(data), "\r\n"), twin.source}, true
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("the file %s is larger than %d kB", path, most>>10)
	}
	return data, err
}

// misspelt finds variables that were probably meant as settings.
func (l *loader) misspelt() {
	names := make([]string, 0, len(l.environ))
	for name := range l.environ {
		names = append(names, name)
	}
	sort.Strings(names)
	known := []string{}
	for _, s := range settings {
		known = append(known, s.variable())
		if s.secret {
			known = append(known, s.file().variable())
		}
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		for _, k := range known {
			if near(name, k) {
				l.fault("", name, "is no setting: is "+k+" meant?")
				break
			}
		}
	}
}

// near reports whether two words differ by one letter that is other, missing
// or too many.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return a[min(i+1, len(a)):] == b[min(i+1, len(b)):]
	}
	return a[i:] == b[i+1:]
}

func (l *loader) readFile(path string) {
	data, err := readBounded(path, maxFile)
	if err != nil {
		l.fault("", "", err.Error())
		return
	}
	l.parse(path, data)
}

// parse takes the settings of a YAML document apart.
func (l *loader) parse(path string, data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return // empty
	}
	if err != nil {
		l.fault("", path, "is no YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		l.fault("", path, "has more than one document: the second begins with ---")
	}
	if len(document.Content) != 1 {
		return // comments only
	}
	l.walk(path, "", document.Content[0])
}

func (l *loader) walk(path, prefix string, node *yaml.Node) {
	at := func(n *yaml.Node) string { return fmt.Sprintf("%s, line %d", path, n.Line) }
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" { // nothing but comments
		return
	}
	if node.Kind != yaml.MappingNode {
		l.fault(strings.TrimSuffix(prefix, "."), at(node), "has to be settings, one a line: name: value")
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, v := node.Content[i], node.Content[i+1]
		name := prefix + key.Value
		s, known, group := find(name)
		switch {
		case key.Kind != yaml.ScalarNode || !known && !group:
			l.fault(cut(name), at(key), "is no setting"+suggest(name))
		case v.Kind == yaml.ScalarNode && v.Tag == "!!null": // left out
		case group:
			l.walk(path, name+".", v)
		default:
			if _, twice := l.values[name]; twice {
				l.fault(name, at(key), "is given twice: leave one out")
				continue
			}
			text, err := plain(v, s.list)
			if err != nil {
				l.fault(name, at(v), err.Error())
				text = ""
			}
			l.values[name] = value{text, at(v)}
			if err != nil {
				delete(l.values, name)
			}
		}
	}
}

// find tells whether a name is a setting or begins the names of some.
func find(name string) (s setting, known, group bool) {
	for _, s := range settings {
		if s.name == name || s.secret && s.file().name == name {
			return s, true, false
		}
		group = group || strings.HasPrefix(s.name, name+".")
	}
	return setting{}, false, group
}

func suggest(name string) string {
	for _, s := range settings {
		if near(name, s.name) || strings.HasSuffix(s.name, "."+name) {
			return ": is " + s.name + " meant?"
		}
	}
	return ": see --print-config for all there are"
}

func cut(name string) string {
	const most = 60
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '.'
		}
		return r
	}, name)
	if len(name) > most {
		name = name[:most] + "…"
	}
	return name
}

// plain gives a value as text; lists with commas.
func plain(node *yaml.Node, list bool) (string, error) {
	switch {
	case node.Kind == yaml.ScalarNode:
		return node.Value, nil
	case node.Kind == yaml.SequenceNode && list:
		items := make([]string, 0, len(node.Content))
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return "", errors.New("has to be a list of plain values")
			}
			items = append(items, item.Value)
		}
		return strings.Join(items, ","), nil
	case list:
		return "", errors.New("has to be a list: [a, b]")
	}
	return "", errors.New("has to be one plain value")
}
