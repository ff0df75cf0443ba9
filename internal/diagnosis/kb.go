package diagnosis

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// The knowledge base is the folder kb: causes by theme, the remedies they
// share, the sign-in service's codes, the tenant's rules, and the words that
// betray circumstances. kb/README.md says how an entry is written.
//
//go:embed kb/*.yaml
var kbFiles embed.FS

// entry is one cause.
type entry struct {
	ID       string `yaml:"id"`
	Category string `yaml:"category"`
	Detail   string `yaml:"detail"` // only with category "other"
	Title    string `yaml:"title"`
	Cause    string `yaml:"cause"`
	Sure     string `yaml:"sure"` // what would settle the matter

	Actor  Actor       `yaml:"actor"`
	Actors []actorWhen `yaml:"actors"` // the first that holds replaces Actor

	Remedies     []string      `yaml:"remedies"`
	RemediesWhen []remedyWhen  `yaml:"remedies_when"` // the first that holds replaces Remedies
	Match        matchers      `yaml:"match"`
	Generic      bool          `yaml:"generic"` // yields to any specific cause
	Wrapper      bool          `yaml:"wrapper"` // yields to any code of the sign-in service
	remedies     []Remedy      // resolved
	when         [][]Remedy    // resolved, as RemediesWhen
	conds        []contextMask // of Actors
	remConds     []contextMask // of RemediesWhen
}

type actorWhen struct {
	When  string `yaml:"when"` // circumstances, all of which must hold
	Actor Actor  `yaml:"actor"`
}

type remedyWhen struct {
	When     string   `yaml:"when"`
	Remedies []string `yaml:"remedies"`
}

// matchers are word patterns by what they prove. See add for the language.
type matchers struct {
	Decide lines `yaml:"decide"` // outweigh even a code
	Names  lines `yaml:"names"`  // machine names; given as the diagnosis' code
	Weak   lines `yaml:"weak"`   // machine names that say little
	Sure   lines `yaml:"sure"`   // prove the cause on their own
	Likely lines `yaml:"likely"` // need no more than a little company
	Hint   lines `yaml:"hint"`
	Not    lines `yaml:"not"` // speak against
}

// lines is a list written as a block of text, one item a line: easier to read
// and four times faster to load than a list of strings.
type lines []string

func (l *lines) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: want a block of lines", n.Line)
	}
	for line := range strings.Lines(n.Value) {
		if line = strings.TrimSpace(line); line != "" {
			*l = append(*l, line)
		}
	}
	return nil
}

// Weights of evidence. Two likely phrases outweigh one that is sure; a specific
// code outweighs the phrases around it.
const (
	weightDecide  = 100
	weightCode    = 20
	weightName    = 10
	weightSure    = 9
	weightLikely  = 5
	weightGeneric = 4 // a generic code, or the family of a code unknown to us
	weightHint    = 2
	weightNeed    = 2 // added where a phrase counts only in certain circumstances
	weightNot     = -6
)

// ruleText is what is known about one kind of tenant rule.
type ruleText struct {
	Rule       RuleKind  `yaml:"rule"`
	Categories []string  `yaml:"categories"` // of the entries that the rule explains
	Title      string    `yaml:"title"`
	Cause      string    `yaml:"cause"`
	Enrol      string    `yaml:"enrol"` // added where the second factor is not registered yet
	Person     []string  `yaml:"person"`
	Unattended []string  `yaml:"unattended"`
	Actor      Actor     `yaml:"actor"`   // of a person's sign-in
	Because    []because `yaml:"because"` // the first that holds replaces the remedies
}

// because are the remedies where it is known what makes the rule apply.
type because struct {
	What       string   `yaml:"what"` // a word of [Facts.Because]
	Person     []string `yaml:"person"`
	Unattended []string `yaml:"unattended"`
}

// lists are all lists of remedies.
func (r ruleText) lists() [][]string {
	out := [][]string{r.Person, r.Unattended}
	for _, b := range r.Because {
		out = append(out, b.Person, b.Unattended)
	}
	return out
}

// remediesFor gives the list that fits what is known.
func (r ruleText) remediesFor(facts Facts) []string {
	person, unattended := r.Person, r.Unattended
	for _, b := range r.Because {
		if slices.Contains(facts.Because, b.What) {
			person, unattended = b.Person, b.Unattended
			break
		}
	}
	if facts.Unattended {
		return unattended
	}
	return person
}

// codeInfo is one code of the sign-in service.
type codeInfo struct {
	entry   int
	generic bool
	means   string
}

// knowledge is the loaded knowledge base. It is read-only.
type knowledge struct {
	entries  []entry
	byID     map[string]int
	remedies map[string]Remedy
	codes    map[int]codeInfo
	rules    map[RuleKind]ruleText
	contexts map[string]int // name → bit
	index    index
}

var kb = sync.OnceValue(func() *knowledge {
	k, err := load(kbFiles)
	if err != nil {
		panic(fmt.Sprintf("diagnosis: loading the embedded knowledge base: %v", err))
	}
	return k
})

// load reads a knowledge base: all files of kb/ in fsys.
func load(fsys fs.FS) (*knowledge, error) {
	names, err := fs.Glob(fsys, "kb/*.yaml")
	if err != nil {
		return nil, err
	}
	k := &knowledge{byID: map[string]int{}, remedies: map[string]Remedy{}, codes: map[int]codeInfo{},
		rules: map[RuleKind]ruleText{}, contexts: map[string]int{}}
	// Reading YAML takes most of the time, so the files are read side by side.
	files, errs := make([]kbFile, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { files[i], errs[i] = readFile(fsys, name) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	all := kbFile{Contexts: map[string]lines{}}
	for _, f := range files {
		all.add(f)
	}
	if err := k.link(&all); err != nil {
		return nil, err
	}
	return k, nil
}

// kbFile is the content of a file; each file fills the members it likes.
type kbFile struct {
	Entries  []entry          `yaml:"entries"`
	Remedies []remedyText     `yaml:"remedies"`
	Rules    []ruleText       `yaml:"rules"`
	Codes    lines            `yaml:"codes"` // number, cause (with ? if generic), meaning
	Contexts map[string]lines `yaml:"contexts"`
	Joins    lines            `yaml:"joins"`
}

type remedyText struct {
	ID        string   `yaml:"id"`
	Title     string   `yaml:"title"`
	Actor     Actor    `yaml:"actor"`
	Steps     []string `yaml:"steps"`
	Automatic bool     `yaml:"automatic"`
	Lowers    bool     `yaml:"lowers_protection"`
	Reference string   `yaml:"reference"`
}

func readFile(fsys fs.FS, name string) (kbFile, error) {
	var f kbFile
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return f, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return f, fmt.Errorf("reading %s: %w", name, err)
	}
	return f, nil
}

// add puts the content of another file behind that of f.
func (f *kbFile) add(o kbFile) {
	f.Entries = append(f.Entries, o.Entries...)
	f.Remedies = append(f.Remedies, o.Remedies...)
	f.Rules = append(f.Rules, o.Rules...)
	f.Codes = append(f.Codes, o.Codes...)
	f.Joins = append(f.Joins, o.Joins...)
	for name, patterns := range o.Contexts {
		f.Contexts[name] = append(f.Contexts[name], patterns...)
	}
}

// link resolves names into places and compiles the patterns.
func (k *knowledge) link(f *kbFile) error {
	for _, r := range f.Remedies {
		if _, twice := k.remedies[r.ID]; twice {
			return fmt.Errorf("remedy %s stands twice", r.ID)
		}
		ref := r.Reference
		k.remedies[r.ID] = Remedy{ID: r.ID, Title: r.Title, Actor: r.Actor, Steps: r.Steps,
			Automatic: r.Automatic, LowersProtection: r.Lowers, Reference: &ref}
	}
	names := make([]string, 0, len(f.Contexts)+len(statuses))
	for name := range f.Contexts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, status := range statuses {
		names = append(names, strconv.Itoa(status))
	}
	if len(names) > 64 {
		return fmt.Errorf("%d circumstances do not fit a mask of 64", len(names))
	}
	for bit, name := range names {
		k.contexts[name] = bit
	}
	k.entries = f.Entries
	for i := range k.entries {
		e := &k.entries[i]
		if _, twice := k.byID[e.ID]; twice {
			return fmt.Errorf("entry %s stands twice", e.ID)
		}
		k.byID[e.ID] = i
		if err := k.linkEntry(e); err != nil {
			return fmt.Errorf("entry %s: %w", e.ID, err)
		}
	}
	for _, line := range f.Codes {
		if err := k.linkCode(line); err != nil {
			return fmt.Errorf("code %q: %w", line, err)
		}
	}
	for _, r := range f.Rules {
		for _, id := range slices.Concat(r.lists()...) {
			if _, ok := k.remedies[id]; !ok {
				return fmt.Errorf("rule %s: no remedy %q", r.Rule, id)
			}
		}
		k.rules[r.Rule] = r
	}
	return k.compile(f)
}

func (k *knowledge) linkCode(line string) error {
	number, rest, _ := strings.Cut(line, " ")
	id, means, ok := strings.Cut(rest, " ")
	code, err := strconv.Atoi(number)
	if err != nil || !ok {
		return errors.New("want a number, a cause, a meaning")
	}
	if _, twice := k.codes[code]; twice {
		return errors.New("stands twice")
	}
	id, generic := strings.CutSuffix(id, "?")
	at, ok := k.byID[id]
	if !ok {
		return errors.New("no such cause")
	}
	k.codes[code] = codeInfo{entry: at, means: means, generic: generic}
	return nil
}

func (k *knowledge) linkEntry(e *entry) (err error) {
	if e.remedies, err = k.resolve(e.Remedies); err != nil {
		return err
	}
	for _, w := range e.RemediesWhen {
		list, err := k.resolve(w.Remedies)
		if err != nil {
			return err
		}
		mask, err := k.mask(strings.Fields(w.When))
		if err != nil {
			return err
		}
		e.when, e.remConds = append(e.when, list), append(e.remConds, mask)
	}
	for _, w := range e.Actors {
		mask, err := k.mask(strings.Fields(w.When))
		if err != nil {
			return err
		}
		e.conds = append(e.conds, mask)
	}
	return nil
}

func (k *knowledge) resolve(ids []string) ([]Remedy, error) {
	list := make([]Remedy, 0, len(ids))
	for _, id := range ids {
		r, ok := k.remedies[id]
		if !ok {
			return nil, fmt.Errorf("no remedy %q", id)
		}
		list = append(list, r)
	}
	return list, nil
}

// contextMask is a set of circumstances, one bit each.
type contextMask uint64

// mask gives the set of the named circumstances.
func (k *knowledge) mask(names []string) (contextMask, error) {
	var m contextMask
	for _, name := range names {
		bit, ok := k.contexts[name]
		if !ok {
			return 0, fmt.Errorf("no circumstance %q", name)
		}
		m |= 1 << bit
	}
	return m, nil
}
