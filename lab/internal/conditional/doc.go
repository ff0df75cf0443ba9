// Package conditional is the Conditional Access evaluator of the simulated
// cloud: which policies apply to a sign-in, what they ask of it, and how it is
// refused.
//
// It is written from Microsoft's documents, plainly: [Evaluate] walks the
// policies in Graph's own JSON one by one and asks each condition in turn.
// Nothing is compiled or cached. Where a fact is missing the answer has three
// values, and a verdict is unknown only if it depends on what is missing.
//
// Files: who, what (with apps), where and client hold the conditions of those
// kinds; device, filter and filter_lex the filter for devices; conditions asks
// them all. controls, strength, demand and combine draw the verdict; log and
// session are what the sign-in log and the session see; whatif answers Graph's
// evaluate action; refusal has the codes of the token service.
package conditional
