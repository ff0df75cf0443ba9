// Package registration keeps the app registrations through which people sign in:
// their client ids in each cloud, their credentials, what they ask for and where
// people come back to. They belong to no tenant.
//
// # Credentials
//
// A registration may have several at once, each accepted by Microsoft until it is
// removed there. One is in use (active) for each client id:
//
//	new      it was added; whether Microsoft accepts it is not known
//	checked  the token endpoint accepted it several times in a row ([Successes]);
//	         one that was in use before is here too, until it is retired
//	active   it is in use
//	retired  it is forgotten here, and to be removed at Microsoft
//
// The first one is in use at once, as there is nothing that could be broken. Any
// other has to pass a check first: the token endpoint is many machines, which hear of
// a new credential one by one, and refuse it until then (AADSTS7000215 of a secret,
// AADSTS700027 of a certificate). Callers get the one in use from [Service.App] all
// the while.
//
// # Client ids
//
// An app registration that is replaced by another one keeps its place here: its
// client id changes. Who signed in to the former one goes on with it
// ([Service.AppOf]) until they have signed in again, so that both are served side by
// side.
//
// # Manifest
//
// What is asked for is kept version by version, each with what was added and removed
// since the one before, who made it and why.
package registration
