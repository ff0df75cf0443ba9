// Package rotation replaces certificates that are kept here, by the app's own hand:
// Graph's addKey and removeKey take a proof of possession of the present key and
// need no permission for an app's own keys.
//
// # Steps
//
// Each step is written down before anything is sent, so that a rotation goes on
// after a crash from where it was:
//
//	planned      the new certificate is made and sealed; nothing was sent
//	adding       addKey is about to be sent, or was
//	proving      the key is there; the new one has to be accepted by the token
//	             endpoint so many times in a row ([Successes]) before it is used
//	switched     the new one is used; the old one is still accepted
//	removing     removeKey of the old one is about to be sent, or was
//	done         the old one is gone
//	withdrawing  the rotation is taken back: the new key is removed again
//	undone       it was taken back
//	guided       Gatehouse cannot do it: the reason says why, and a person does it
//
// A rotation touches the one key that it replaces, which it knows by its
// thumbprint and notes by its key id, and the one that it added, by the key id that
// Microsoft gave it. Everything else that the app has is listed and left alone.
//
// # Which object
//
// A certificate that was uploaded under App registrations lies on the application,
// in the tenant that owns the registration; servicePrincipal: addKey would want a
// proof by a key of the service principal, which there is none of. So the
// application's owner is asked for, and the app signs in there. Where it cannot, or
// may not read its own application, a person is guided.
package rotation
