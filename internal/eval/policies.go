package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/conditionalaccess"
)

// evalPolicies reads each exported set of Conditional Access policies, accounts
// for every file and evaluates the sign-ins that were worked out by hand for
// the set. What was not read misses the bar, as does a sign-in that comes out
// otherwise; what the library does not know inside a policy is listed.
func evalPolicies(dir string, w io.Writer) error {
	folder := filepath.Join(dir, "ca-policies")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("looking for sets of policies: %w", err)
	}
	sets, unread, differing := 0, 0, 0
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if info, err := os.Stat(path); err != nil || !info.IsDir() { // a link to a folder counts
			continue
		}
		sets++
		set := conditionalaccess.Load(os.DirFS(path))
		unread += account(entry.Name(), set, w)
		worked, err := readSignIns(entry.Name())
		if err != nil {
			return err
		}
		if worked == nil {
			continue
		}
		wrong, err := worked.judge(set, w)
		if err != nil {
			return fmt.Errorf("evaluating sign-ins for %s: %w", entry.Name(), err)
		}
		differing += wrong
	}
	switch {
	case sets == 0:
		return fmt.Errorf("looking for sets of policies: no folder in %s; each set needs one", folder)
	case unread+differing > 0:
		return fmt.Errorf("%w: %d files or parts of files were not read, %d sign-ins differ", errBar, unread, differing)
	}
	return nil
}

// account prints what was found in a set, and gives the number of files and
// parts of files that were not read: those with a fault, and those that hold
// neither policies nor locations nor anything that was recognised.
func account(name string, set *conditionalaccess.Set, w io.Writer) int {
	fmt.Fprintf(w, "%s: %d files, %d policies, %d named locations, %d faults\n",
		name, len(set.Files), len(set.Policies), len(set.Locations), len(set.Faults))
	unread := len(set.Faults)
	for _, fault := range set.Faults {
		fmt.Fprintf(w, "  fault: %v\n", fault)
	}
	for _, file := range set.Files {
		switch {
		case file.Ignored != "":
			fmt.Fprintf(w, "  ignored: %s: %s\n", file.Name, file.Ignored)
		case file.Policies+file.Locations+file.Strengths == 0:
			fmt.Fprintf(w, "  unaccounted: %s\n", file.Name)
			unread++
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
	return unread
}
