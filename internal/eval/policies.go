package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/conditionalaccess"
)

// evalPolicies reads each exported set of Conditional Access policies and
// accounts for every file. A file with a fault misses the bar, as does one that
// holds neither policies nor locations nor anything that was recognised; what
// the library does not know inside a policy is listed.
func evalPolicies(dir string, w io.Writer) error {
	sets, err := filepath.Glob(filepath.Join(dir, "ca-policies", "*"))
	if err != nil || len(sets) == 0 {
		return fmt.Errorf("looking for sets of policies: none in %s (%w)", filepath.Join(dir, "ca-policies"), err)
	}
	missed := 0
	for _, folder := range sets {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			continue
		}
		set := conditionalaccess.Load(os.DirFS(folder))
		fmt.Fprintf(w, "%s: %d files, %d policies, %d named locations, %d faults\n",
			filepath.Base(folder), len(set.Files), len(set.Policies), len(set.Locations), len(set.Faults))
		for _, fault := range set.Faults {
			fmt.Fprintf(w, "  fault: %v\n", fault)
		}
		missed += len(set.Faults)
		for _, file := range set.Files {
			switch {
			case file.Ignored != "":
				fmt.Fprintf(w, "  ignored: %s: %s\n", file.Name, file.Ignored)
			case file.Policies+file.Locations+file.Strengths == 0:
				fmt.Fprintf(w, "  unaccounted: %s\n", file.Name)
				missed++
			}
		}
		for _, p := range set.Policies {
			unknown := p.Conditions.Unknown
			if p.Grant != nil {
				unknown = append(unknown[:len(unknown):len(unknown)], p.Grant.Unknown...)
			}
			if len(unknown) > 0 {
				fmt.Fprintf(w, "  not known: %s: %s\n", p.DisplayName, strings.Join(unknown, ", "))
			}
		}
	}
	if missed > 0 {
		return fmt.Errorf("%w: %d files or parts of files were not read", errBar, missed)
	}
	return nil
}
