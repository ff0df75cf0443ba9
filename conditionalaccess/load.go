package conditionalaccess

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Bounds of what is read. A tenant has at most some hundred policies, and the
// largest exports seen hold a few megabytes.
const (
	maxFile      = 64 << 20
	maxFiles     = 100_000
	maxLocations = 2000
)

// A Document is a file's name and contents.
type Document struct {
	Name string
	Data []byte
}

// Load reads every JSON file of a file system, in the order of their names,
// folders included. Files of other kinds (by their names) are accounted for as
// ignored. Nothing of it is an error: see [Set.Faults].
func Load(fsys fs.FS) *Set {
	var r reader
	count := 0
	_ = fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.set.fault(name, 0, "reading: "+cause(err))
			return nil
		case entry.IsDir():
			if name != "." && strings.HasPrefix(path.Base(name), ".") {
				return fs.SkipDir // .git and the like
			}
			return nil
		case count == maxFiles:
			r.set.fault(name, 0, fmt.Sprintf("more than %d files; give the folder of the policies only", maxFiles))
			return fs.SkipAll
		}
		count++
		r.file(fsys, name)
		return nil
	})
	r.finish()
	return &r.set
}

// Read reads documents in the order given.
func Read(documents ...Document) *Set {
	var r reader
	for _, d := range documents {
		r.document(d.Name, d.Data)
	}
	r.finish()
	return &r.set
}

// Add appends what another set holds.
func (s *Set) Add(more *Set) {
	s.Policies = append(s.Policies, more.Policies...)
	s.Locations = append(s.Locations, more.Locations...)
	s.Strengths = append(s.Strengths, more.Strengths...)
	s.CustomRoles = append(s.CustomRoles, more.CustomRoles...)
	s.Files = append(s.Files, more.Files...)
	s.Faults = append(s.Faults, more.Faults...)
}

func (s *Set) fault(file string, line int, reason string) {
	s.Faults = append(s.Faults, Fault{File: file, Line: line, Reason: reason})
}

// cause is an error without the path, which the fault names itself.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

// A reader collects a set from documents.
type reader struct {
	set         Set
	current     *File // the one being read
	data        []byte
	locationIDs map[string]bool
	// expanded are strengths that policies spell out.
	expanded []*AuthenticationStrength
}

// file reads one file of a file system.
func (r *reader) file(fsys fs.FS, name string) {
	if !jsonName(name) {
		r.set.Files = append(r.set.Files, File{Name: name, Ignored: "a file that is not JSON, by its name"})
		return
	}
	f, err := fsys.Open(name)
	if err != nil {
		r.set.Files = append(r.set.Files, File{Name: name})
		r.set.fault(name, 0, "opening: "+cause(err))
		return
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		r.set.Files = append(r.set.Files, File{Name: name})
		r.set.fault(name, 0, "reading: "+cause(err))
		return
	}
	r.document(name, data)
}

// jsonName reports whether a file's name is that of a JSON document. Files
// without an extension are tried.
func jsonName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".json", ".txt", ".jsonl", ".ndjson", "":
		return !strings.HasPrefix(path.Base(name), ".")
	}
	return false
}

// document reads one document: one JSON value, or several one after another.
func (r *reader) document(name string, data []byte) {
	r.set.Files = append(r.set.Files, File{Name: name})
	r.current = &r.set.Files[len(r.set.Files)-1]
	if len(data) > maxFile {
		r.set.fault(name, 0, fmt.Sprintf("larger than %d MB", maxFile>>20))
		return
	}
	data, err := toUTF8(data)
	if err != nil {
		r.set.fault(name, 0, err.Error())
		return
	}
	r.data = data
	s := scanner{data: data}
	if s.end() {
		r.set.fault(name, 0, "the file is empty")
		return
	}
	for !s.end() {
		n, err := s.node()
		if err != nil {
			var syntax *syntaxError
			if errors.As(err, &syntax) {
				r.broken(name, syntax)
			}
			return
		}
		r.value(&n, surroundings{}, 0)
	}
	f := r.current
	if f.Policies+f.Locations+f.Strengths == 0 && f.Ignored == "" {
		f.Ignored = "an empty list"
	}
}

// broken reports a document that is not JSON. A text file that does not even
// begin like JSON is no export at all.
func (r *reader) broken(name string, err *syntaxError) {
	if strings.EqualFold(path.Ext(name), ".txt") || path.Ext(name) == "" {
		if c := (&scanner{data: r.data}).peek(); c != '{' && c != '[' {
			r.current.Ignored = "a text that is not JSON"
			return
		}
	}
	r.set.fault(name, line(r.data, err.pos), "not JSON: "+err.reason)
}

// finish settles what only the whole set shows: strengths that were spelt out
// in policies serve the policies that only name them.
func (r *reader) finish() {
	have := map[string]bool{}
	for _, s := range r.set.Strengths {
		have[strings.ToLower(s.ID)] = true
	}
	for _, s := range r.expanded {
		if id := strings.ToLower(s.ID); !have[id] {
			have[id] = true
			r.set.Strengths = append(r.set.Strengths, s)
		}
	}
}
