// Package consent gets the consent of a tenant's administrator to an app
// registration, and knows how it stands.
//
// # Asking
//
// [Service.Ask] makes a page for the administrator, who needs no account here: what
// is asked, why, who may approve, and how to make sure that the page is no trick.
// Its button leads to Microsoft; what comes back is bound to the browser
// ([Service.Answer]) and is a hint at most: Microsoft sends admin_consent=True with
// a refusal as well, and the tenant in the address proves nothing
// (entra-sign-in §9.2).
//
// # Reading back
//
// [Service.Look] reads what was granted: in the directory through the tenant's
// reader; else from a fresh token's scp or roles; else nothing is known but that
// somebody approved. Once a page was used it is looked at again every so often for
// some hours, and every consent once a day. What came or went by itself is told once
// ([Config.Tell]).
//
// # Partners
//
// A partner's delegated administrator cannot consent on Microsoft's page. The way
// for partners is Partner Center's application consents: see bulk.go.
package consent
