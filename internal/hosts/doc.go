// Package hosts finds where a tenant's SharePoint is: the names of its hosts, in
// each of its locations, and so its admin centres.
//
// The default is had from Graph where a token allows it, as only Graph knows of
// renames and further locations; else from the tenant's initial domain, which a
// host answers for or not. Every host is asked, without a token, whose it is: one
// of another tenant is told apart before anything is sent there. What could not
// be told is unknown, with the reason.
package hosts
