// Package spsim serves the part of SharePoint Online that a connector meets
// first: the REST interface of sites (/_api) and of the tenant's admin centre.
//
// # Hosts
//
// SharePoint is reached under hosts of the tenant's own: {name}.sharepoint.com
// for sites, {name}-admin for the admin centre, {name}-my for people's own
// storage; the name is as a rule the first label of the tenant's initial
// domain. [Tenant] reads such a host. Under a lab's own address the same sites
// stand below /sharepoint/{name}, /sharepoint/{name}-admin and
// /sharepoint/{name}-my.
//
// # Who gets in
//
// Only tokens of Entra ID do; passwords and SPOIDCRL cookies are refused since
// May 2026. SharePoint differs from Microsoft Graph in three points that
// connectors stumble over:
//
//   - An app must prove itself with a certificate. A token that was bought with
//     a secret (claim appidacr "1") is genuine, works with Graph, and is refused
//     here.
//   - The audience is the host. A token for the sites is no good at the admin
//     centre; the resource's client id as audience is good at every host of the
//     tenant.
//   - A refusal may have an empty body. WWW-Authenticate and x-ms-diagnostics
//     have the reason.
//
// An app's right comes from its roles claim: Sites.Read.All, Sites.ReadWrite.All
// or Sites.FullControl.All for all sites, Sites.Selected for those that it was
// granted one by one ([Server.GrantSite]). A person's right is the lesser of the
// scope and of what the person may do on the site: members write on the root
// site and on /sites/projects and read /sites/archive; /sites/finance is for the
// finance department and for whom [Server.GrantUser] lets in; Global
// Administrators own all sites. A SharePoint Administrator runs the admin
// centre, which opens no content.
//
// # How a request goes
//
// server.go finds host and site; token.go and rights.go decide who calls and
// what the caller may do; path.go cuts /_api/web/lists(guid'…')/items into
// calls; content.go and admin.go are the objects that these walk over, derived
// from the directory by world.go; query.go selects and pages; answer.go writes
// JSON with or without metadata, or Atom for callers that ask for nothing.
//
// With [Config.Random] the server is unkind where SharePoint is: members come in
// any order, pages are shorter than asked for, bodies of refusals are missing.
// It throttles nothing, shows every write at once, and has neither search nor
// CSOM (ProcessQuery); texts of errors are its own where clients do not look for
// a phrase.
package spsim
