// Package diagnosis turns an error from Microsoft 365 into an answer: what
// stopped the sign-in or call, who has to act, and what helps, safest first.
//
// [Of] reads an error of our own clients together with what the caller knows
// (was software signing in, which rule of the tenant is proved); [Explain] reads
// any text that a person pastes, out of whatever program showed it. Both use one
// knowledge base, the folder kb, and one engine of three steps:
//
//   - unwrap (unwrap.go) undoes the escapes of every wrapper and gives the words;
//   - recognise (pattern.go, recognise.go, numbers.go) finds codes, machine names
//     and phrases in them, and the circumstances they betray;
//   - weigh (weigh.go) adds up what speaks for each cause. Generic causes yield to
//     specific ones, a wrapper to what it wraps. The lead over the next cause is
//     the confidence; what is not excluded becomes an alternative.
//
// Nothing of a pasted text comes back in an answer but codes, in the spelling of
// the knowledge base. An unknown text is category "other" with low confidence and
// the way to a better text, never a guess dressed as certainty.
package diagnosis
