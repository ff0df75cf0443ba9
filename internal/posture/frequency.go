package posture

import (
	"encoding/json"
	"strings"
	"time"

	ca "gatehouse/conditionalaccess"
	"gatehouse/internal/diagnosis"
)

// Frequency is how long a sign-in lasts by a Conditional Access policy
// (signInFrequency session control: learn.microsoft.com/entra/identity/conditional-access/concept-session-lifetime).
type Frequency struct {
	Rule diagnosis.Rule
	// Every is the span; 0 with EveryTime.
	Every time.Duration
	// EveryTime: each sign-in has to be a fresh one, with five minutes for clocks
	// that differ.
	EveryTime bool
	// Sure is false where it depends on what is not known whether the policy applies.
	Sure bool
	// FactorOnly: the second factor alone has to be shown again.
	FactorOnly bool
}

// Span is after how long without a person the sign-in is refused.
func (f Frequency) Span() time.Duration {
	if f.EveryTime {
		return 5 * time.Minute
	}
	return f.Every
}

// Frequencies gives the policies that limit how long a user's sign-in lasts, of
// those that apply to it or may; false if the policies could not be read.
func (s *Snapshot) Frequencies(a Account, in SignIn) ([]Frequency, bool) {
	if s.Policies == nil {
		return nil, false
	}
	c := s.compile()
	request := s.ofUser(a, in)
	var result ca.Result
	var out []Frequency
	for _, trace := range c.all.Trace(&request, &result) {
		p := c.all.Policy(trace.Policy)
		if p.State != ca.Enabled || trace.Result == "does_not_apply" {
			continue
		}
		for _, control := range p.Session {
			if f, ok := frequency(control); ok {
				f.Rule, f.Sure = ruleOf(p), trace.Result == "applies"
				f.Rule.Kind = diagnosis.SignInFrequency
				out = append(out, f)
			}
		}
	}
	return out, len(c.set.Faults) == 0
}

// frequency reads a session control (signInFrequencySessionControl resource type).
func frequency(control ca.SessionControl) (Frequency, bool) {
	var value struct {
		Value    *float64 `json:"value"`
		Type     string   `json:"type"`
		Interval string   `json:"frequencyInterval"`
		Factors  string   `json:"authenticationType"`
	}
	const longest = 10 * 365 * 24
	if !strings.EqualFold(control.Name, "signInFrequency") || json.Unmarshal([]byte(control.Value), &value) != nil {
		return Frequency{}, false
	}
	f := Frequency{EveryTime: strings.EqualFold(value.Interval, "everyTime"), FactorOnly: strings.EqualFold(value.Factors, "secondaryAuthentication")}
	if f.EveryTime {
		return f, true
	}
	if value.Value == nil || *value.Value < 1 || *value.Value > longest {
		return Frequency{}, false
	}
	unit := time.Hour
	if strings.EqualFold(value.Type, "days") {
		unit *= 24
	}
	f.Every = time.Duration(*value.Value * float64(unit))
	return f, true
}
