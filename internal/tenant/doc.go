// Package tenant keeps the Microsoft 365 tenants that Gatehouse works for, what
// each has consented to, and what is known of its rules.
//
// # Switches
//
// A tenant consents to four things apart from each other ([SwitchName]):
// diagnose, connect, verify and repair. switches.go says of each, in plain
// words, what is read or done, who may consent, what stays in the tenant and how
// to remove it.
//
// # The reader
//
// Diagnose is the reader: an app registration that the tenant's administrator
// makes, and that proves itself with a certificate of which the key is made here
// and never leaves ([Service.OnboardReader]). [Service.CheckReader] signs in with
// it, holds the granted permissions against those that are needed, and switches
// diagnose on. With it [Service.Refresh] takes a snapshot of the tenant's rules;
// without it, [Service.UploadSnapshot] takes one that somebody else took.
//
// Every method authorises on the tenant it loads. Nothing is sent to Microsoft
// while a transaction is open.
package tenant
