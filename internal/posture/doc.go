// Package posture knows which of a tenant's rules ask for MFA or refuse a
// sign-in: it takes a [Snapshot] of them from Graph ([Load], [Cache]) and says
// what each means for one [SignIn], in the order in which they stop it
// ([Snapshot.Evaluate]). The enforcers are told apart: Security Defaults,
// per-user MFA, Microsoft's mandatory MFA, and each single Conditional Access
// policy (conditional-access-evaluation §7). What an app asks for on its own,
// by a claims challenge, is in no setting and therefore not here.
//
// What could not be read is in the snapshot as unread, with the reason; it is
// never taken for "no". What is not known of a sign-in stays open in the same
// way.
package posture
