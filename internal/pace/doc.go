// Package pace keeps Gatehouse within Microsoft's limits: every Microsoft
// client passes a [Governor] before it sends.
//
// A governor knows to which throttle scope a call belongs. Some scopes have a
// pace: Microsoft Graph allows one request a second to Conditional Access and
// Identity Protection, for a tenant and all its apps together, and answers too
// many without saying when to come back (graph-mfa-posture §12). For all scopes
// it learns the Retry-After of an answer, and lets nothing pass meanwhile.
//
// With a database, pace and Retry-After are those of all replicas together; a
// governor without one keeps them for its process. Those who wait are served
// one by one, people ([Interactive]) before the rest. Whoever would have to wait
// longer than they can, or than is sensible, gets [*Busy] at once.
//
// A call inside a transaction is refused ([ErrInChange]): no transaction stays
// open across a network call.
package pace
