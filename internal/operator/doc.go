// Package operator keeps the people who sign in to Gatehouse, lets them in, and
// says what they may do.
//
// # Signing in
//
//	FirstLink, Invite, Relink ──► token of a link, shown once
//	Setup(token, password)    ──► session "enrol"
//	     BeginTOTPEnrolment, FinishTOTPEnrolment        ──► session "signed_in"
//	     BeginPasskeyEnrolment, FinishPasskeyEnrolment  ──► session "signed_in"
//	SignIn(e-mail, password)  ──► session "password"
//	     TOTP                                           ──► session "signed_in"
//	     BeginPasskey, FinishPasskey                    ──► session "signed_in"
//
// Each arrow gives an [Issued]: the session, and a new token for the cookie; the
// token of the step before is worth nothing then. For each request the face calls
// [Service.Authenticate] with the cookie's value. Only a session that is signed
// in puts an actor into the context, with the roles of this moment; in the other
// stages nobody acts.
//
// At each start the server prints [Service.FirstLink] until there is an
// administrator who can sign in. An operator who lost password or factor gets a
// new link from an administrator ([Service.Relink]), which is a new beginning.
//
// # What holds attackers up
//
//   - Passwords are hashed with argon2id, at most four at a time in a process.
//   - A sign-in that fails says the same in every case, after the same hashing
//     and in the same time.
//   - Tries of both factors count together, before they are made; ten failures in
//     a row lock the account for 15 minutes, each further one for twice as long,
//     up to a day. Only signing in wholly sets the count back.
//   - Every way in that needs no session is limited by address ([Limiter], which
//     other faces use for their own open routes).
//   - A code is good once; a passkey answers one challenge of one session, and is
//     refused if its counter shows a copy.
//   - Of tokens only hashes are stored; what second factors are checked with is
//     sealed and bound to its row.
//   - Factors can be changed for 15 minutes after signing in; changing the
//     password takes the old one and ends the other sessions.
//
// # Managing
//
// Roles are per tenant, or for all. Who manages operators in a tenant may invite
// people to it and give roles in it; what takes over or locks out an account as a
// whole takes the management of operators in all tenants. The last administrator
// of all tenants who can sign in cannot be removed, disabled or demoted.
package operator
