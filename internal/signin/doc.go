// Package signin signs people in for delegated connections: in a browser with
// authorization code and PKCE, or with a device code; by an operator, or by
// whoever opens a personal link.
//
// # What binds a sign-in
//
// [Service.Begin] makes an attempt: state, nonce and PKCE verifier (RFC 7636, S256
// always), of which the database holds the state's hash and the rest sealed, and a
// cookie by which the browser is known again. An answer is looked at once, within
// [Lifetime], and only from that browser. The code is redeemed for the very scopes
// that were asked for, of one resource (entra-sign-in §3): a code of another
// resource may lack the proof that this one demands.
//
// # Who may have signed in
//
// The id token has to be of the tenant, by its exact issuer, for the app and this
// attempt. The person has to be the one whom connection and link name; a guest, a
// partner's administrator or somebody else is refused with the reason, and nothing
// is kept. What does not come with a refresh token, or with less than was asked
// for, is not kept either.
//
// # What is refused
//
// Each refusal is a [*Refusal] with its [Reason]. It is written into the audit log
// and, where it belongs to a connection, among its sign-ins ([Service.List]).
package signin
