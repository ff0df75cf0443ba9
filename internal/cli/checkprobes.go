package cli

import (
	"bytes"
	"fmt"
	"sort"
	"strings"

	"gatehouse/internal/validation"
)

// writeProbes tells what was looked at, with the evidence of what did not pass.
func writeProbes(b *bytes.Buffer, probes []validation.Probe) {
	fmt.Fprintln(b, "\nWhat was looked at:")
	for _, p := range probes {
		line := fmt.Sprintf("  %s %-16s", stateMarks[p.State], plain(p.Name))
		if p.Reason != nil && *p.Reason != "" {
			wrapped := wrap(*p.Reason, strings.Repeat(" ", len(line)+1), explainWidth+20)
			line += " " + strings.TrimSpace(wrapped)
		}
		fmt.Fprintln(b, strings.TrimRight(line, " "))
		if p.State == validation.Fail || p.State == validation.NotKnown {
			writeEvidence(b, p.Evidence)
		}
		if p.Name == validation.ProbePosture {
			writeRules(b, p)
		}
	}
}

// writeEvidence prints what finds a refusal again: codes, ids, times.
func writeEvidence(b *bytes.Buffer, evidence map[string]any) {
	keys := make([]string, 0, len(evidence))
	for key, value := range evidence {
		switch value.(type) {
		case string, int, float64, bool:
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	for _, key := range keys {
		fmt.Fprintf(b, "         %-18s %s\n", strings.ReplaceAll(plain(key), "_", " "), plain(fmt.Sprint(evidence[key])))
	}
}
