// Package campaign has everybody consent and sign in again after an app registration
// changed, or consent was revoked, and follows it to the last one.
//
// A [Campaign] reaches the delegated connections of a registration, which join and
// leave while it runs, and people of apps that keep their own tokens, who are added
// and whose sign-ins those apps report. For each tenant it knows the state of the
// consent, for each person that of the sign-in. It changes no connection: what was
// granted to the old app goes on working until the person signs in to the new one.
package campaign
