package cli

import (
	"bytes"
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
	if next, ok := p.Evidence["also_demanded_by"].([]diagnosis.Rule); ok {
		var names []string
		for _, rule := range next {
			names = append(names, ruleText(rule))
		}
		say("after that: " + strings.Join(names, ", then "))
	}
	if elsewhere, ok := p.Evidence["elsewhere"].([]posture.Elsewhere); ok {
		for _, e := range elsewhere {
			say(e.Where + ", " + posture.Sentence(e.Finding))
		}
	}
	if trial, ok := p.Evidence["report_only"].([]posture.Finding); ok {
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
