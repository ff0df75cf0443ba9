// Package incident makes one incident of many failures with one cause: a policy,
// an app, an expired credential, a parked account, trouble of a service. What has
// one cause is decided in cause.go, which incident a failure joins in group.go;
// both are pure. follow.go does it in the transaction in which a validation
// settles, so that incidents are never behind the connections. An incident ends
// by itself when it affects no connection any more. proof.go looks in the tenants'
// sign-in logs whether the software itself got in.
package incident
