// Package conditionalaccess reads Conditional Access policies as Microsoft
// Graph returns them and as export tools write them, and says what a sign-in
// would meet: allowed, blocked, multi-factor authentication, a compliant
// device, and so on.
//
// # Three steps
//
// [Load] and [Read] turn files into a [Set]: policies, named locations,
// authentication strengths. They accept Graph's lists and single objects,
// arrays, folders with one file for each policy, the layouts of common backup
// tools (also with capital first letters, as PowerShell writes them, and the
// older directory dumps), UTF-8 and UTF-16. What is no policy is accounted for
// as ignored; what cannot be read is a [Fault] with file, line and reason, and
// the rest goes on.
//
// [Compile] prepares a set for many evaluations. [Compiled.Evaluate] decides
// one [SignIn] and allocates nothing; [Compiled.Trace] says for every policy
// and condition why.
//
// # Three values
//
// A [Member] of a sign-in that was not given is unknown; that is something
// else than null ("there is none"). A condition that asks for an unknown
// member is unknown, and so is one that this package does not know. The
// verdict is [Unknown] only where it depends on what is missing: if any
// completion of the sign-in leads to the same verdict, that verdict is given.
// [Result.Missing] names what would have to be known. To find out, the values
// that the policies can tell apart are tried, up to some thousand cases; beyond
// that the verdict is unknown.
//
// Some members have a plain value where they are absent. Grant controls take
// nobody for an external user without a sign of it (the type, a home tenant,
// userType Guest), an unknown flow for another than the device code flow, and an
// unknown client for one with modern authentication: only conditions ask for the
// client, and a value tried for one of them counts for controls too. A service principal without home tenant is of this tenant, scopes that are not
// given are others than directory scopes, and without methods registered a
// demand for MFA is just that.
//
// # Limits
//
// The package follows Microsoft's documents where they speak, and says in
// comments where it follows an inference. It evaluates policies only: not
// Security Defaults, per-user MFA or Microsoft's mandatory MFA, which may ask
// for more. The members of the Office 365 and admin portal groups are known
// for common services; others are treated as not belonging, and a few, marked
// so, as unknown. Session controls are reported and never change a verdict.
//
// The package is pure: no network, no clock, no variable state. Its functions
// may be called from several goroutines as long as each has its own [Result].
package conditionalaccess
