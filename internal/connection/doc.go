// Package connection keeps the identities with which software reaches services
// of a tenant: service accounts and apps, with their credentials sealed, and the
// software that uses them ([Consumer]).
//
// # Credentials
//
// A password, app password, client secret or private key is sealed before it is
// stored and never shown again. A certificate can be made here, so that its key
// leaves Gatehouse never. Where the consumer alone holds the credential, or it is
// federated, nothing is stored.
//
// # Parking
//
// A password that Microsoft refused once is not tried again: the connection is
// parked ([Service.Park]) until somebody enters another password or takes the
// connection out of park. Whoever is about to send a password asks first
// ([Service.Claim]), in the transaction in which the intent is written down.
package connection
