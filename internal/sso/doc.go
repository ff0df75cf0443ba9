// Package sso lets operators sign in through an OpenID Connect provider: the
// organisation's Microsoft Entra ID, or any other that keeps to the standards.
//
// It is the protocol alone: authorization code with PKCE (RFC 7636, S256), state
// and nonce, the checks of OpenID Connect Core §3.1.3.7 on the id token, the
// issuer of the answer (RFC 9207), and the groups of a person. Who may do what is
// decided by package operator. Whatever is refused is a [*Refusal] with its
// [Reason].
//
// # Whom is trusted
//
// The issuer is named by the configuration, and thus by whoever runs the machine,
// as the database is; it is reached as Microsoft is. Hosts that its metadata
// names besides are reached through package egress: an answer from outside never
// leads into the own network unless egress_allow says so. All must be https.
//
// # Who somebody is
//
// At Entra the tenant and the object id (tid, oid), elsewhere the issuer and the
// subject. Never an e-mail address: those can be given away and be claimed.
//
// # Time
//
// Clocks may differ by [Skew].
package sso
