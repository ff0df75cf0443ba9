// Package expiry forecasts what ends in the tenants: client secrets, certificates
// and SAML signing keys on applications and on service principals, passwords of
// service accounts, and the certificates that are kept here; and which
// application permissions came or went.
//
// # Where it comes from
//
// Each tenant is read once a day through its reader ([Service.Refresh] at once),
// and what was found is kept with the time of the reading. Credentials that are
// stored here are not copied: lists read them from their own tables, so that they
// are never older than those. What could not be read is unknown, with the reason;
// a tenant without a reader is unknown as a whole.
//
// # Who hears of it
//
// [Config.Tell] is called once for each credential and level: 90, 30 and 7 days
// before the end, and past. It is called for what connections and readers use;
// of other apps of a tenant the lists tell, if they are asked to.
//
// Certificates are replaced by package rotation; this package begins it in time.
package expiry
