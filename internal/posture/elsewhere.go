package posture

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/diagnosis"
)

// Elsewhere is a rule that stops the same identity in other circumstances.
type Elsewhere struct {
	Where string `json:"where"`
	// Unchanged: the software may come to be there without being changed, as
	// when its address changes. Another flow or service would be a change.
	Unchanged bool `json:"-"`
	Finding
}

// Elsewhere asks what would be if the sign-in came from another address, by
// device code, or for another service, and gives each rule that stops it there
// and not here once. The function evaluates a sign-in of the identity.
func (s *Snapshot) Elsewhere(in SignIn, evaluate func(SignIn) Outcome) []Elsewhere {
	here := evaluate(in).Stops()
	out := []Elsewhere{}
	for _, other := range s.variants(in) {
		for _, f := range evaluate(other.in).Stops() {
			known := func(have Finding) bool { return sameRule(have.Rule, f.Rule) }
			if !slices.ContainsFunc(here, known) && !slices.ContainsFunc(out, func(e Elsewhere) bool { return known(e.Finding) }) {
				out = append(out, Elsewhere{other.where, other.unchanged, f})
			}
		}
	}
	return out
}

type variant struct {
	where     string
	unchanged bool
	in        SignIn
}

// variants are other circumstances of a sign-in.
func (s *Snapshot) variants(in SignIn) []variant {
	away := in
	away.Address, away.Country = s.Outside(), ""
	out := []variant{{"from an address outside the tenant's named locations", true, away}}
	if in.Flow == FlowApp {
		return out
	}
	code := in
	code.Flow = FlowDeviceCode
	out = append(out, variant{"through the device code flow", false, code})
	for _, service := range []string{"graph", "sharepoint", "exchange", "business_central"} {
		other := in
		other.Resource, other.Scopes = Services[service], nil
		out = append(out, variant{"for " + strings.ReplaceAll(service, "_", " "), false, other})
	}
	return out
}

func sameRule(a, b diagnosis.Rule) bool {
	if a.ID == nil || b.ID == nil {
		return a.Kind == b.Kind && a.ID == nil && b.ID == nil
	}
	return a.Kind == b.Kind && strings.EqualFold(*a.ID, *b.ID)
}

// Sentence tells a finding, with the policy's name before it.
func Sentence(f Finding) string {
	switch {
	case f.Rule.Kind != diagnosis.ConditionalAccess || f.Rule.ID == nil:
		return f.Why
	case f.Rule.Name != nil:
		return fmt.Sprintf("the policy %q: %s", *f.Rule.Name, f.Why)
	}
	return fmt.Sprintf("the policy %s: %s", *f.Rule.ID, f.Why)
}
