package conditional

import "slices"

// demand is what a policy, or all of them, ask of a sign-in. The order is the
// one in which unmet controls are asked for ("Building a Conditional Access
// policy"); a block comes before all.
type demand int

const (
	demandBlock demand = iota
	demandNoRegistration
	demandUnknown // of a control that the evaluator does not know: maybe a block
	demandRegistration
	demandMFA
	demandStrength
	demandCompliant
	demandHybrid
	demandApprovedApp
	demandAppProtection
	demandPassword
	demandTerms
	demandCustom
	demandNone
)

// outcomes of demands: the verdict and the AADSTS number. 53010 and the numbers
// from 50135 on are tied to their outcomes by Microsoft's list of codes.
var outcomes = [...]struct {
	verdict Verdict
	code    int
}{
	demandBlock:          {Blocked, 53003},
	demandNoRegistration: {Blocked, 53010},
	demandRegistration:   {RegistrationRequired, 50079},
	demandMFA:            {MFARequired, 50076},
	demandStrength:       {StrengthRequired, 50076},
	demandCompliant:      {DeviceRequired, 53000},
	demandHybrid:         {DeviceRequired, 53001},
	demandApprovedApp:    {AppProtectionRequired, 53002},
	demandAppProtection:  {AppProtectionRequired, 53009},
	demandPassword:       {PasswordChangeRequired, 50135},
	demandTerms:          {TermsRequired, 50158},
	demandCustom:         {CustomRequired, 50158},
	demandUnknown:        {Unknown, 0},
	demandNone:           {Allowed, 0},
}

// impossible reports whether nothing that the person does can meet the demand.
func (d demand) impossible() bool { return d <= demandNoRegistration }

// interactive reports whether the person can meet the demand now.
func (d demand) interactive() bool {
	return d > demandUnknown && (d < demandCompliant || d > demandAppProtection) && d < demandNone
}

// demands are those that may come out, as far as is known: one if all is.
type demands [demandNone + 1]bool

func only(list ...demand) demands {
	var out demands
	for _, d := range list {
		out[d] = true
	}
	return out
}

func (d demands) each(yield func(demand) bool) {
	for i, may := range d {
		if may && !yield(demand(i)) {
			return
		}
	}
}

// or adds what else may come out.
func (d demands) or(more demands) demands {
	for i := range d {
		d[i] = d[i] || more[i]
	}
	return d
}

// first is the strongest that may come out, last the weakest.
func (d demands) first() demand { return demand(slices.Index(d[:], true)) }

func (d demands) last() (out demand) {
	for out = range d.each {
	}
	return out
}

// with joins two sets of which one demand each comes out: choose says which of
// the two is asked for.
func (d demands) with(other demands, choose func(a, b demand) demand) demands {
	var out demands
	for a := range d.each {
		for b := range other.each {
			out[choose(a, b)] = true
		}
	}
	return out
}

// first: all demands have to be met, and the first in the order is asked for.
func first(a, b demand) demand { return min(a, b) }

// easiest: one is enough, so that what cannot be met comes last.
func easiest(a, b demand) demand {
	if a.impossible() != b.impossible() {
		return max(a, b)
	}
	return min(a, b)
}
