// Package datasource looks into what a connection reaches, as a person who sets it
// up would: the environments and companies of Business Central, of which one is
// chosen, a few records as proof, a SharePoint site, the organisation in Graph. It
// also goes through the set-up of an app in Business Central step by step.
//
// Nothing that is read here is kept, but for the choice. It uses the sign-in that
// the connection has: the token broker's for a person's, the credential for an
// app's. A service account's password is never sent for it: validation alone does
// that, once.
package datasource
