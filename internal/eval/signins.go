package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"gatehouse/conditionalaccess"
)

// signInFiles hold sign-ins with answers that were worked out by hand from the
// documents, one file for each set of policies, named like its folder.
//
//go:embed sign-ins/*.json
var signInFiles embed.FS

// signInFile is one of them.
type signInFile struct {
	// NamedLocations are supplied besides the set, for sign-ins that say so.
	NamedLocations []json.RawMessage `json:"named_locations"`
	SignIns        []workedSignIn    `json:"sign_ins"`
}

// workedSignIn is a sign-in with its answer.
type workedSignIn struct {
	Why                 string                   `json:"why"`
	ReportOnlyAsEnabled bool                     `json:"report_only_as_enabled"`
	NamedLocations      bool                     `json:"named_locations"`
	SignIn              conditionalaccess.SignIn `json:"sign_in"`
	Expected            answer                   `json:"expected"`
}

// answer is what a sign-in comes to, with numbers in place of the policies.
type answer struct {
	Verdict     string   `json:"verdict"`
	Outstanding []string `json:"outstanding"`
	ErrorCode   *int     `json:"error_code"`
	Missing     []string `json:"missing"`
	Applied     int      `json:"applied"`
	ReportOnly  int      `json:"report_only"`
}

// readSignIns reads the sign-ins for a set; nil if there are none for it.
func readSignIns(set string) (*signInFile, error) {
	data, err := signInFiles.ReadFile("sign-ins/" + set + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading sign-ins for %s: %w", set, err)
	}
	file := new(signInFile)
	if err := json.Unmarshal(data, file); err != nil {
		return nil, fmt.Errorf("reading sign-ins for %s: %w", set, err)
	}
	return file, nil
}

// judge evaluates every sign-in with a set, prints how many came out as
// expected and each difference, and gives the number of sign-ins that differ.
func (f *signInFile) judge(set *conditionalaccess.Set, w io.Writer) (int, error) {
	located, err := f.withLocations(set)
	if err != nil {
		return 0, err
	}
	compiled := make(map[[2]bool]*conditionalaccess.Compiled)
	for _, enforced := range []bool{false, true} {
		options := conditionalaccess.Options{ReportOnlyAsEnabled: enforced}
		compiled[[2]bool{enforced, false}] = conditionalaccess.Compile(set, options)
		compiled[[2]bool{enforced, true}] = conditionalaccess.Compile(located, options)
	}
	var lines []string
	wrong := 0
	for i := range f.SignIns {
		x := &f.SignIns[i]
		var r conditionalaccess.Result
		compiled[[2]bool{x.ReportOnlyAsEnabled, x.NamedLocations}].Evaluate(&x.SignIn, &r)
		differences := x.Expected.differences(answerOf(&r))
		if len(differences) == 0 {
			continue
		}
		wrong++
		lines = append(lines, fmt.Sprintf("  %s: %s", x.SignIn.ID, x.Why))
		for _, d := range differences {
			lines = append(lines, "    "+d)
		}
	}
	fmt.Fprintf(w, "  %d of %d sign-ins as worked out by hand\n", len(f.SignIns)-wrong, len(f.SignIns))
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	return wrong, nil
}

// withLocations gives the set together with the file's own locations.
func (f *signInFile) withLocations(set *conditionalaccess.Set) (*conditionalaccess.Set, error) {
	data, err := json.Marshal(f.NamedLocations)
	if err != nil {
		return nil, fmt.Errorf("writing named locations: %w", err)
	}
	located := *set
	located.Locations = slices.Clone(set.Locations)
	own := conditionalaccess.Read(conditionalaccess.Document{Name: "named_locations", Data: data})
	if len(own.Faults) > 0 {
		return nil, fmt.Errorf("reading named locations: %w", own.Faults[0])
	}
	if len(own.Locations) != len(f.NamedLocations) {
		return nil, fmt.Errorf("reading named locations: %d of %d are recognised as such",
			len(own.Locations), len(f.NamedLocations))
	}
	located.Locations = append(located.Locations, own.Locations...)
	return &located, nil
}

// answerOf sums a result up.
func answerOf(r *conditionalaccess.Result) answer {
	a := answer{
		Verdict:     r.Verdict.String(),
		Outstanding: r.Outstanding,
		Missing:     r.Missing,
		Applied:     len(r.Applied),
		ReportOnly:  len(r.ReportOnly),
	}
	if r.ErrorCode != 0 {
		a.ErrorCode = &r.ErrorCode
	}
	return a
}

// differences names each member in which another answer differs.
func (a answer) differences(got answer) []string {
	var out []string
	differ := func(member string, same bool, expected, got any) {
		if !same {
			out = append(out, fmt.Sprintf("%s: by hand %v, evaluated %v", member, expected, got))
		}
	}
	differ("verdict", a.Verdict == got.Verdict, a.Verdict, got.Verdict)
	differ("outstanding", slices.Equal(a.Outstanding, got.Outstanding), a.Outstanding, got.Outstanding)
	differ("error_code", number(a.ErrorCode) == number(got.ErrorCode), number(a.ErrorCode), number(got.ErrorCode))
	differ("missing", slices.Equal(a.Missing, got.Missing), a.Missing, got.Missing)
	differ("applied", a.Applied == got.Applied, a.Applied, got.Applied)
	differ("report_only", a.ReportOnly == got.ReportOnly, a.ReportOnly, got.ReportOnly)
	return out
}

// number writes an error code, null if there is none.
func number(code *int) string {
	if code == nil {
		return "null"
	}
	return fmt.Sprint(*code)
}
