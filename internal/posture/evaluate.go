package posture

import (
	"slices"
	"strconv"
	"strings"

	ca "gatehouse/conditionalaccess"
	"gatehouse/internal/diagnosis"
)

// Effect is what an enforcer does to a sign-in.
type Effect string

// The effects, in the order in which they stop a sign-in: a refusal leaves
// nothing to answer, a demand can be met by somebody who is there.
const (
	Blocks    Effect = "blocks"     // the sign-in is refused
	Demands   Effect = "demands"    // MFA, registration or another control is asked for
	NotKnown  Effect = "unknown"    // something that decides is not known
	MayDemand Effect = "may_demand" // asked for when Microsoft judges it necessary
	DoesNot   Effect = "does_not"   // lets the sign-in through
)

var effects = []Effect{Blocks, Demands, NotKnown, MayDemand, DoesNot}

// Finding is what one enforcer, or one Conditional Access policy, means for a
// sign-in, with the reason.
type Finding struct {
	Rule   diagnosis.Rule `json:"rule"`
	Effect Effect         `json:"effect"`
	Why    string         `json:"why"`
	// Controls are the grant controls that are asked for and not met, in Graph's
	// names; nil where none is.
	Controls []string `json:"controls"`
	// Missing names what would have to be known, in the names of a sign-in's
	// members.
	Missing []string `json:"missing"`
	// SparedBy are the exclusions that would spare the sign-in.
	SparedBy []Exclusion `json:"spared_by"`
	// Code is the number of the sign-in service's refusal, 0 where it is not
	// known or there is none. For a finding that is not known it is that of the
	// refusal that would follow.
	Code int `json:"-"`
	// Because says what makes the policy stop the sign-in, in the words of
	// [diagnosis.Facts].
	Because []string `json:"-"`
}

// Stops reports whether the enforcer stops the sign-in for certain.
func (f Finding) Stops() bool { return f.Effect == Blocks || f.Effect == Demands }

// Exclusion is something that would spare a sign-in from a policy.
type Exclusion struct {
	Kind string `json:"kind"` // group, account, named_location, service_principal
	ID   string `json:"id"`
	Name string `json:"name"` // "" where it is not known
	How  string `json:"how"`
}

// Outcome is what all rules together mean for a sign-in.
type Outcome struct {
	SignIn string `json:"sign_in"` // in a few words
	// Findings are in the order in which they stop the sign-in: the first one is
	// the rule that does; with that out of the way the next one is. Where two do
	// the same, the order is that of the enforcers (whole tenant, account,
	// Microsoft's own, policies), which no document fixes.
	Findings []Finding `json:"findings"`
	// ReportOnly are the policies that would stop the sign-in if they were
	// switched on.
	ReportOnly []Finding `json:"report_only"`
	// Others are the enabled policies that do not apply, each with the first
	// condition that is not met.
	Others []Finding `json:"not_applying"`
}

// Stops gives the findings that stop the sign-in for certain, in order.
func (o Outcome) Stops() []Finding {
	out := []Finding{}
	for _, f := range o.Findings {
		if f.Stops() {
			out = append(out, f)
		}
	}
	return out
}

// Evaluate says what each enforcer means for a user's sign-in, after the first
// factor was accepted: no rule looks at a wrong password
// (conditional-access-evaluation §1).
func (s *Snapshot) Evaluate(a Account, in SignIn) Outcome {
	out := Outcome{SignIn: in.String(), Findings: []Finding{s.securityDefaults(a, in), s.perUser(a, in), mandatory(a, in)}}
	s.policies(&out, s.ofUser(a, in), subject{account: a, user: true, in: in})
	out.sort()
	return out
}

// EvaluateApp says what the policies for workload identities mean for an app's
// own sign-in. The other enforcers concern people only.
func (s *Snapshot) EvaluateApp(a App, in SignIn) Outcome {
	in.Flow = FlowApp
	out := Outcome{SignIn: in.String()}
	s.policies(&out, s.ofApp(a, in), subject{app: a, in: in})
	out.sort()
	return out
}

func (o *Outcome) sort() {
	slices.SortStableFunc(o.Findings, func(a, b Finding) int {
		return slices.Index(effects, a.Effect) - slices.Index(effects, b.Effect)
	})
}

// The codes behind which a rule of the tenant may stand, by what they say.
var (
	codesOfMFA    = []int{50076, 50079, 50072, 50074}
	codesOfPolicy = []int{53003, 53000, 53001, 53002, 53009, 530031, 530032}
	// Terms of use, custom controls, a password change, registration where it is
	// not allowed, a tracked flow: a policy asks for these, or something else does.
	codesOfOthers = []int{50158, 50135, 53004, 53010, 53011, 530036}
)

// number reads "AADSTS50076".
func number(code string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(code, "AADSTS"))
	if err != nil {
		return 0
	}
	return n
}

// MayStandBehind reports whether one of the rules that a snapshot holds may
// stand behind a refusal without being named by its code: a demand for MFA, a
// refusal by Conditional Access, or what else policies ask for. Behind a wrong
// password none does.
func MayStandBehind(code string) bool {
	return slices.Contains(codesOfMFA, number(code)) || slices.Contains(codesOfPolicy, number(code)) || slices.Contains(codesOfOthers, number(code))
}

// OfPolicy reports whether the code is one with which only Conditional Access
// refuses.
func OfPolicy(code string) bool { return slices.Contains(codesOfPolicy, number(code)) }

// Explains reports whether the finding leads to a refusal with the code.
func (f Finding) Explains(code string) bool {
	n := number(code)
	switch {
	case f.Effect == DoesNot || n == 0:
		return false
	case slices.Contains(codesOfMFA, n):
		return slices.Contains(codesOfMFA, f.Code) || f.Code == 0 && slices.Contains(f.Controls, "mfa")
	case n == 530031 || n == 530032: // general refusals of Conditional Access
		return f.Rule.Kind == diagnosis.ConditionalAccess && !slices.Contains(codesOfMFA, f.Code)
	}
	return f.Code == n
}

// list joins words: a, b and c.
func list(words []string) string { return joined(words, "and") }

// wants joins what a policy asks for: all of it, or one of it.
func wants(p *ca.Policy, controls []string) string {
	if p.Grant != nil && !p.Grant.All {
		return joined(controlWords(controls), "or")
	}
	return list(controlWords(controls))
}

func joined(words []string, by string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + by + " " + words[len(words)-1]
}
