package conditional

// truth is an answer that may be missing; the order makes "and" the smaller and
// "or" the greater.
type truth int

const (
	no truth = iota
	maybe
	yes
)

func of(b bool) truth {
	if b {
		return yes
	}
	return no
}

func and(list ...truth) truth {
	out := yes
	for _, t := range list {
		out = min(out, t)
	}
	return out
}

func or(list ...truth) truth {
	out := no
	for _, t := range list {
		out = max(out, t)
	}
	return out
}

func not(t truth) truth { return yes - t }

// String is the word of the command line's trace.
func (t truth) String() string { return [...]string{DoesNotApply, NotKnown, Applies}[t] }
