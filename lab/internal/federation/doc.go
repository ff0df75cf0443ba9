// Package federation plays everybody outside Entra ID that vouches for
// somebody: the federation server of an organisation (what AD FS is), which
// signs SAML assertions for its people, and workload issuers, which sign JWTs
// for software that holds a federated identity credential.
//
// A federation server is reached under the host name of its tenants file, or
// on the listener of its own below /{domain}/. It answers the metadata exchange
// (WS-MetadataExchange), password requests (WS-Trust 1.3, UsernameToken) and
// browsers (WS-Federation, passive requestor profile).
//
// What is read here comes from anybody: documents are bounded in size, depth
// and number of nodes, and those with a document type are refused, so that no
// entity is ever expanded.
package federation
