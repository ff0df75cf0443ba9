// Package conversion leads a service account's profile to an app of its own, step
// by step: the registration, its certificate, consent, a validation beside the
// old profile, the sheet that is handed to the consumer, and the old account's
// end. Steps are kept, so that another person can go on on another day.
//
// The old profile works until the last step. The key of a certificate made here
// leaves Gatehouse once, as a PFX under a password that is shown once; the sheet
// has no secret on it.
package conversion
