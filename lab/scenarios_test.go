package lab_test

import (
	"testing"

	"gatehouse/lab"
)

// Each scenario meets its code in a fresh lab. Names stand there once.
func TestScenarios(t *testing.T) {
	names, codes := map[string]bool{}, map[int]bool{}
	for _, s := range lab.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			if names[s.Name] || s.Story == "" || len(s.Steps) == 0 {
				t.Errorf("the scenario is incomplete, or its name stands there twice: %+v", s)
			}
			names[s.Name], codes[s.Code] = true, true
			l := lab.Start(t)
			code, body, err := l.Play(t.Context(), s.Name)
			if err != nil || code != s.Code {
				t.Errorf("code %d, want %d, %v: %v", code, s.Code, err, body)
			}
		})
	}
	if len(codes) < 100 {
		t.Errorf("only %d codes", len(codes))
	}
	l := lab.Start(t)
	if _, _, err := l.Play(t.Context(), "nonsense"); err == nil {
		t.Error("an unknown scenario is played")
	}
}
