package tenant

// PermissionGrants lets a reader read which delegated permissions were granted to an
// app for everybody. It does not have to have it.
const PermissionGrants = "DelegatedPermissionGrant.Read.All"
