package connection

import "slices"

// Limit is what a profile with the MFA flag could not do in the product that it
// comes from, and what that means here (four-stories §2).
type Limit struct {
	Limit string
	Here  string // what it means in Gatehouse
	Way   string // out of it
	Binds bool   // here, for this profile
}

// Limits are those of the profile; none without the MFA flag.
func (c Connection) Limits() []Limit {
	if c.Kind != ServiceAccount || !c.MFA {
		return nil
	}
	return LimitsOf(c.profile(), c.Credential)
}

// LimitsOf are the limits that a profile has with the MFA flag.
func LimitsOf(p Profile, credential CredentialKind) []Limit {
	sharePoint, old := slices.Contains(p.Services, SharePoint), credential == AppPassword
	const common, app = "convert it to a common profile", "convert it to an app with a certificate"
	return []Limit{
		{"The account had to be Global Administrator or SharePoint Administrator.", "Nothing here asks for either role: what each service needs stands below.", "Take the role away once the software works without it.", false},
		{"The account's role could not be read.", "A password sign-in that MFA stops gives no token, and an app password never did, so that the account cannot tell its roles itself. The tenant's reader can.", "Let the tenant be read, or " + app + ".", true},
		{"The admin centre's address had to be typed.", "It is found by itself, and asked whose it is; type it only if it cannot be found.", "Leave it empty.", false},
		{"It held an app password in place of the account's own.", "App passwords open no modern sign-in, and since May 2026 no SharePoint either. Gatehouse does not send one: what is known comes from the tenant's rules alone.", "Either " + common + " with the account's own password, or, for good, " + app + ".", old},
		{"Nobody could invite Microsoft 365 users or groups with it.", "Operators of Gatehouse are never invited through a connection, so it changes nothing here. In the software that uses the profile it still binds.", "There: " + common + ".", false},
		{"Where SharePoint blocks apps without modern authentication, the rule on guests without an owner did not work.", "That block holds for every tenant now, and for all that signs in the old way, not for one rule.", "Software that must look at guests: " + app + ".", sharePoint},
		{"Some management features did not take it.", "A validation with it ends before the token: claims, services and permissions stay unknown.", "Convert it to an app with a certificate.", old},
	}
}
