package conditionalaccess

// maxCompletions bounds how many completions of a sign-in are tried.
const maxCompletions = 4096

// settle looks whether the verdict is the same however the missing members
// turn out, where policies ask for the same member in different ways: one
// blocks known platforms, another all others. It tries every value of the
// members that have few, and gives the verdict if all lead to it, else 0.
func (c *Compiled) settle(f *facts, s *scratch, missing members) verdicts {
	dimensions := [...]struct {
		member member
		mask   *int
	}{
		{mClientApp, &f.client}, {mPlatform, &f.platform}, {mSignInRisk, &f.signInRisk}, {mUserRisk, &f.userRisk},
		{mInsiderRisk, &f.insiderRisk}, {mServicePrincipalRisk, &f.spRisk}, {mAgentRisk, &f.agRisk}, {mGuestType, &f.types},
		{mPrincipalType, &f.kinds},
	}
	const flow = len(dimensions)
	var was, open [flow]int
	completions := 1
	for i, d := range dimensions {
		was[i] = *d.mask
		if missing&d.member.set() != 0 {
			open[i] = *d.mask
			completions *= bitCount(*d.mask)
		}
	}
	flows := []int{f.flows}
	if missing&mFlow.set() != 0 {
		flows = everyFlow[:]
		completions *= len(flows)
	}
	if completions == 1 || completions > maxCompletions {
		return 0
	}
	certain, possible := f.flows, f.flowsPossible
	var verdict verdicts
	for n := range completions {
		rest := n
		for i, d := range dimensions {
			if open[i] != 0 {
				count := bitCount(open[i])
				*d.mask = nthBit(open[i], rest%count)
				rest /= count
			}
		}
		if len(flows) > 1 {
			f.flows = certain | flows[rest]
			f.flowsPossible = f.flows
		}
		c.screen(f, s)
		total, _ := c.combine(f, s)
		verdict |= total
		if verdict&(verdict-1) != 0 || verdict == Unknown.set() {
			verdict = 0
			break
		}
	}
	for i, d := range dimensions {
		*d.mask = was[i]
	}
	f.flows, f.flowsPossible = certain, possible
	return verdict
}

// everyFlow is what an unknown flow can be: none or one of the two.
var everyFlow = [...]int{0, flowDeviceCode, flowTransfer}

func bitCount(mask int) int {
	n := 0
	for ; mask != 0; mask &= mask - 1 {
		n++
	}
	return n
}

// nthBit gives the n-th bit that is set.
func nthBit(mask, n int) int {
	for ; n > 0; n-- {
		mask &= mask - 1
	}
	return mask & -mask
}
