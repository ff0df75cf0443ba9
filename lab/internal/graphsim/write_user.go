package graphsim

import (
	"net/http"
	"slices"
	"time"

	"gatehouse/lab/internal/directory"
)

// patchUser: PATCH /users/{id}. Some members have permissions of their own
// ("Update user", table of permissions for specific scenarios).
func patchUser(r *request, u *directory.User) (*answer, error) {
	var enabled *bool
	var name, department, title, location *string
	var profile *struct {
		Password *string `json:"password"`
		Force    *bool   `json:"forceChangePasswordNextSignIn"`
		ForceMFA *bool   `json:"forceChangePasswordNextSignInWithMfa"`
	}
	given, err := r.decode(map[string]any{"accountEnabled": &enabled, "displayName": &name, "department": &department, "jobTitle": &title, "usageLocation": &location, "passwordProfile": &profile})
	if err != nil {
		return nil, err
	}
	everything := r.holds("User.ReadWrite.All", "Directory.AccessAsUser.All")
	for member := range given {
		switch {
		case everything:
		case member == "accountEnabled" && r.holds("User.EnableDisableAccount.All"):
		case member == "passwordProfile" && r.holds("User-PasswordProfile.ReadWrite.All"):
		// Directory.ReadWrite.All neither resets passwords nor disables accounts.
		case member != "passwordProfile" && member != "accountEnabled" && r.holds("Directory.ReadWrite.All"):
		default:
			return nil, refuse(http.StatusForbidden, "Authorization_RequestDenied", "The token's permissions do not reach the member '%s'.", member)
		}
	}
	if enabled != nil || profile != nil {
		if err := r.mayChange(u); err != nil {
			return nil, err
		}
	}
	if u.Synced && (name != nil || department != nil || title != nil || profile != nil) {
		return nil, badBody("The user comes from an on-premises directory; these members are changed there.")
	}
	switch {
	case present(given, "displayName") && (name == nil || *name == "" || len(*name) > 256):
		return nil, badBody("displayName must have 1 to 256 characters.")
	case present(given, "accountEnabled") && enabled == nil:
		return nil, badBody("accountEnabled must be true or false.")
	case location != nil && *location != "" && len(*location) != 2:
		return nil, badBody("usageLocation must be a country code of two letters.")
	case profile != nil && profile.Password != nil && (len(*profile.Password) < 8 || len(*profile.Password) > 256):
		return nil, badBody("The password does not meet the tenant's rules: 8 to 256 characters.")
	}
	r.updates(core(userActivity(enabled, profile != nil), userManagement), item{userType, u})
	assign := func(into *string, value *string, name string) {
		if value != nil {
			*into = *value
		} else if present(given, name) {
			*into = ""
		}
	}
	assign(&u.Name, name, "displayName")
	assign(&u.Department, department, "department")
	assign(&u.JobTitle, title, "jobTitle")
	assign(&u.UsageLocation, location, "usageLocation")
	if enabled != nil {
		u.Enabled = *enabled
	}
	if profile != nil {
		if profile.Force != nil {
			u.PasswordExpired = *profile.Force
		}
		if profile.Password != nil {
			u.PasswordHash = directory.HashPassword(*profile.Password)
			u.PasswordChanged, u.TokensValidFrom = r.now, r.now
			u.FailedPasswords, u.LockedUntil = 0, time.Time{}
			// The person must choose a new one unless the caller says otherwise.
			u.PasswordExpired = profile.Force == nil || *profile.Force
		}
	}
	return noContent(), nil
}

// userActivity is the name of a user's change in the audit log.
func userActivity(enabled *bool, reset bool) string {
	switch {
	case reset:
		return "Reset user password"
	case enabled == nil:
		return "Update user"
	case *enabled:
		return "Enable account"
	}
	return "Disable account"
}

// revokeSessions: POST …/revokeSignInSessions.
func revokeSessions(r *request, u *directory.User) (*answer, error) {
	r.updates(core("Update StsRefreshTokenValidFrom Timestamp", userManagement), item{userType, u})
	u.TokensValidFrom = r.now
	return ok(map[string]any{"@odata.context": r.root + "/" + r.version + "/$metadata#Edm.Boolean", "value": true}), nil
}

// patchRequirements: beta, "Update authentication states". Per-user MFA that is
// enabled becomes enforced once the user has registered.
func patchRequirements(r *request, u *directory.User) (*answer, error) {
	var state string
	if _, err := r.decode(map[string]any{"perUserMfaState": &state}); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"disabled", "enabled", "enforced"}, state) {
		return nil, badBody("perUserMfaState must be disabled, enabled or enforced.")
	}
	if state == "enabled" && u.Registered() {
		state = "enforced"
	}
	r.updates(activity{"Update per-user multifactor authentication state", userManagement, methodService}, item{requirementsType, u})
	u.PerUserMFA = state
	return noContent(), nil
}

// patchPreferences: beta, "Update signInPreferences". A method must be
// registered before it can be preferred.
func patchPreferences(r *request, u *directory.User) (*answer, error) {
	var preferred *string
	var system *bool
	if _, err := r.decode(map[string]any{"userPreferredMethodForSecondaryAuthentication": &preferred, "isSystemPreferredAuthenticationMethodEnabled": &system}); err != nil {
		return nil, err
	}
	if err := r.mayChange(u); err != nil {
		return nil, err
	}
	r.updates(activity{"Update sign-in preferences", userManagement, methodService}, item{preferencesType, u})
	if preferred != nil {
		types, known := defaults[*preferred]
		switch {
		case !known:
			return nil, badBody("userPreferredMethodForSecondaryAuthentication must be push, oath, sms, voiceMobile, voiceAlternateMobile or voiceOffice.")
		case !hasMethod(u, types...):
			return nil, badBody("The user has not registered the method '%s'.", *preferred)
		}
		u.DefaultMethod = *preferred
	}
	if system != nil {
		u.SystemPreferred = *system
	}
	return noContent(), nil
}

// patchSecurityDefaults: "Update identitySecurityDefaultsEnforcementPolicy".
func patchSecurityDefaults(r *request) (*answer, error) {
	var enabled *bool
	if _, err := r.decode(map[string]any{"isEnabled": &enabled}); err != nil {
		return nil, err
	}
	if enabled == nil {
		return nil, badBody("isEnabled must be true or false.")
	}
	r.updates(core("Update security defaults", policyCategory), item{securityDefaultsType, r.tenant})
	r.tenant.SecurityDefaults = *enabled
	return noContent(), nil
}
