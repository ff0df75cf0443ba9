package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/posture"
	"gatehouse/internal/validation"
)

// writeRules tells what the posture probe knows beyond its reason: what comes
// next, what would stop the identity elsewhere, and where the rules contradict
// Microsoft's answer.
func writeRules(b *bytes.Buffer, p validation.Probe) {
	say := func(text string) {
		b.WriteString("       - " + strings.TrimLeft(wrap(text, "         ", explainWidth+20), " "))
	}
	if next, ok := found[[]diagnosis.Rule](p.Evidence["also_demanded_by"]); ok {
		var names []string
		for _, rule := range next {
			names = append(names, ruleText(rule))
		}
		say("after that: " + strings.Join(names, ", then "))
	}
	if elsewhere, ok := found[[]posture.Elsewhere](p.Evidence["elsewhere"]); ok {
		for _, e := range elsewhere {
			say(e.Where + ", " + posture.Sentence(e.Finding))
		}
	}
	if trial, ok := found[[]posture.Finding](p.Evidence["report_only"]); ok {
		for _, f := range trial {
			say("in report-only mode, would stop it if switched on: " + posture.Sentence(f))
		}
	}
	if contradiction, ok := p.Evidence["disagrees"].(string); ok && p.State == validation.Warning { // otherwise it is among the evidence
		say(contradiction)
	}
}

// writeAge says how old a snapshot's rules are.
func writeAge(b *bytes.Buffer, s *posture.Snapshot) {
	if s != nil {
		fmt.Fprintf(b, "Rules as of %s, %s ago\n", s.TakenAt.UTC().Format(time.RFC3339), age(int(time.Since(s.TakenAt).Seconds())))
	}
}

// found gives a piece of evidence as the probe made it, also where it came as
// JSON from a server; false if there is none.
func found[T any](evidence any) (T, bool) {
	as, ok := evidence.(T)
	if ok || evidence == nil {
		return as, ok
	}
	data, err := json.Marshal(evidence)
	if err == nil {
		err = json.Unmarshal(data, &as)
	}
	return as, err == nil
}
