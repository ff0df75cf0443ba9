package incident

import "time"

// candidate is an incident of a cause that is under way, or ended lately.
type candidate struct {
	ID       string
	State    State
	Mine     bool // it affects the connection already, or did before it ended
	Tenant   bool // the same for one of its tenant
	Takes    bool // it holds the cause's slot
	JoinedAt time.Time
	EndedAt  *time.Time
	EndTold  bool
}

// choose says which incident a failure at a moment belongs to: the one that it is
// in, one of its tenant, one that began elsewhere not long ago, one that has just
// ended; "" for a new one. Nothing is reopened whose end somebody was told.
func choose(c Cause, at time.Time, all []candidate) string {
	near := func(x candidate) bool { return c.Within == 0 || at.Sub(x.JoinedAt) <= c.Within }
	for _, fits := range []func(candidate) bool{
		func(x candidate) bool { return x.State != Ended && x.Mine },
		func(x candidate) bool { return x.State != Ended && x.State != Forming && x.Tenant },
		func(x candidate) bool { return x.State != Ended && x.Takes && near(x) },
	} {
		for _, x := range all {
			if fits(x) {
				return x.ID
			}
		}
	}
	last := candidate{}
	for _, x := range all {
		if x.State == Ended && !x.EndTold && (x.Mine || x.Tenant || near(x)) && (last.ID == "" || x.EndedAt.After(*last.EndedAt)) {
			last = x
		}
	}
	return last.ID
}
