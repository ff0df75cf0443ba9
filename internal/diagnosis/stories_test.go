package diagnosis_test

import (
	"slices"
	"testing"

	"gatehouse/internal/diagnosis"
)

// What users of the four systems that Gatehouse unifies meet, in our own words:
// each leads to the remedy that the system gives, and to the better road of
// today.
func TestStories(t *testing.T) {
	tests := []struct {
		name, text, category string
		actor                diagnosis.Actor
		story                []string // remedies that the system gives
		today                string   // the better road
	}{
		{"data source without MFA", "The data source account needs multi-factor authentication, which this hub environment does not support yet.",
			"mfa_required", diagnosis.Operator, []string{"connect-with-person"}, "move-to-app-only"},
		{"data source, not signed in", "You are not authorized for this data source. Sign in with your Microsoft 365 credentials to authorize it.",
			"reauth_required", diagnosis.EndUser, []string{"sign-in-again"}, "move-to-app-only"},
		{"data source, exception", "The web service call failed: Exception of type NavWebServiceOffice365AuthorizationMultiFactorAuth was thrown.",
			"mfa_required", diagnosis.Operator, []string{"connect-with-person"}, "move-to-app-only"},
		{"data source, consent", "Need admin approval. The reporting hub needs permission that only an admin can grant.",
			"consent_admin", diagnosis.TenantAdmin, []string{"grant-admin-consent", "configure-user-consent"}, "grant-admin-consent"},
		{"profile, policies", "Your organization's access policies block the validation of this profile.",
			"conditional_access_block", diagnosis.TenantAdmin, []string{"review-policy", "exclude-from-policy", "allow-tool-addresses"}, "move-to-app-only"},
		{"profile, MFA or app password", "See whether multi-factor authentication is enabled for this account, or whether an app password was entered.",
			"mfa_required", diagnosis.Operator, []string{"disable-per-user-mfa", "correct-password"}, "move-to-app-only"},
		{"profile, MFA", "The account has multi-factor authentication enabled, so the profile cannot be validated.",
			"mfa_required", diagnosis.Operator, []string{"disable-per-user-mfa", "exclude-from-policy"}, "move-to-app-only"},
		{"connection account", "The connection account is not configured correctly: multi-factor authentication (MFA) is enabled for it. Use Validate on the credentials dialog.",
			"mfa_required", diagnosis.Operator, []string{"exclude-from-policy"}, "move-to-app-only"},
		{"push not delivered", "The request was not delivered: the user has a different preferred auth method.",
			"preferred_method_mismatch", diagnosis.EndUser, []string{"set-default-method"}, "use-sign-in-link"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := diagnosis.Explain(test.text)
			var ids []string
			for _, r := range d.Remedies {
				ids = append(ids, r.ID)
			}
			if d.Category != test.category || d.Actor != test.actor {
				t.Errorf("category %s, actor %s (%s), want %s, %s", d.Category, d.Actor, d.Confidence, test.category, test.actor)
			}
			for _, want := range append(test.story, test.today) {
				if !slices.Contains(ids, want) {
					t.Errorf("%s is not among the remedies %v", want, ids)
				}
			}
			if len(d.Remedies) > 0 && d.Remedies[0].LowersProtection {
				t.Errorf("the first remedy %s lowers protection", ids[0])
			}
		})
	}
}
