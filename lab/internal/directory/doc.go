// Package directory is what the simulated cloud knows: tenants with their
// users, groups, app registrations, service principals, grants, licences,
// rules and sign-in log. It is filled from a tenants file ([Parse], then
// [New]) and changed at run time through [Store.Update].
//
// The package judges nothing. Who may sign in is decided by package sts, who
// may read or write what by package graphsim.
package directory
