// Package bcsim serves the part of Business Central online that a connector
// meets first: the list of environments, the standard API v2.0 of companies,
// customers, vendors, items and sales invoices, the published web services of
// OData V4, and the admin-centre API.
//
// # Three doors
//
// A token alone opens nothing. Behind it stand, one after the other:
//
//   - The permission: Financials.ReadWrite.All or user_impersonation for people,
//     API.ReadWrite.All for apps. A token without it is refused with 401, as if
//     it were no token.
//   - Business Central itself. A person needs a licence; an app needs a card
//     "Microsoft Entra Application", enabled, in each environment. Without:
//     401 Authentication_InvalidCredentials again. So "works in production,
//     401 in the sandbox" means that the card is missing there.
//   - Permission sets. Without any the list of companies is empty, and reading
//     anything else is refused with 403.
//
// The admin-centre API has a door of its own: AdminCenter.ReadWrite.All and the
// authorisation of the app in the admin centre.
//
// # The world
//
// A tenant has Business Central if its directory has the product's service
// principal: then there are an environment Production with two companies and an
// environment Sandbox with one. Apps that hold API.ReadWrite.All when the
// server is made have their card in Production and none in Sandbox;
// [Server.SetCard] changes that, [Server.SetUser] a person's licence and
// permission sets, [Server.SetStatus] an environment's state.
//
// # How a request goes
//
// server.go reads the address; token.go and rights.go decide who calls and what
// the caller may do; world.go derives companies and their data from the
// directory; data.go and write.go answer the standard API, service.go the web
// services, admin.go and authorized.go the admin centre; query.go selects, filters and
// pages; answer.go writes.
//
// The two families of errors differ as they do in the real service: the data
// APIs wrap {"error":{"code","message"}}, the admin centre answers a bare
// {"code","message"}, and what has neither form came from the layer in front.
//
// Pages are shorter than the real service's 20,000 rows, so that clients meet
// @odata.nextLink; with [Config.Random] their size varies and members come in
// any order. The server throttles nothing and has neither SOAP nor custom APIs;
// texts of errors are its own.
package bcsim
