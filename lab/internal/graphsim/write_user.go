package graphsim

import (
	"encoding/json"
	"maps"
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
	var first, last *string
	kept := newProfile()
	given, err := r.decode(kept.take(map[string]any{"givenName": &first, "surname": &last, "accountEnabled": &enabled, "displayName": &name, "department": &department, "jobTitle": &title, "usageLocation": &location, "passwordProfile": &profile}))
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
	if err := kept.check(); err != nil {
		return nil, err
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
	assign(&u.GivenName, first, "givenName")
	assign(&u.Surname, last, "surname")
	u.Profile = kept.joined(u.Profile, given)
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
			u.SetPassword(directory.HashPassword(*profile.Password), directory.EntraAdminCentre, r.now)
			u.FailedPasswords, u.LockedUntil = 0, time.Time{}
			// The person must choose a new one unless the caller says otherwise.
			u.PasswordExpired = profile.Force == nil || *profile.Force
		}
	}
	return noContent(), nil
}

// profileBody reads the members of a user that only are kept.
type profileBody struct {
	texts  map[string]*string
	phones []string
}

func newProfile() *profileBody {
	b := &profileBody{texts: map[string]*string{}}
	for _, name := range append([]string{"mobilePhone", "officeLocation", "preferredLanguage"}, profileTexts...) {
		b.texts[name] = new(string)
	}
	return b
}

// take adds the members to those that a body may have.
func (b *profileBody) take(others map[string]any) map[string]any {
	for name, into := range b.texts {
		others[name] = into
	}
	others["businessPhones"] = &b.phones
	return others
}

func (b *profileBody) check() error {
	for name, value := range b.texts {
		if len(*value) > 1024 {
			return badBody("%s may have 1024 characters at most.", name)
		}
	}
	if len(b.phones) > 1 || len(b.phones) == 1 && len(b.phones[0]) > 64 {
		return badBody("businessPhones may have one number of 64 characters at most.")
	}
	return nil
}

// joined puts what was given into a copy of the profile.
func (b *profileBody) joined(old map[string]any, given map[string]json.RawMessage) map[string]any {
	out := map[string]any{}
	maps.Copy(out, old)
	for name := range given {
		if value := b.texts[name]; value != nil {
			out[name] = text(*value)
		}
		if name == "businessPhones" {
			out[name] = texts(b.phones...)
		}
	}
	return out
}

// changePassword: POST /me/changePassword, by people with their own password.
func changePassword(r *request, u *directory.User) (*answer, error) {
	var current, next string
	if _, err := r.decode(map[string]any{"currentPassword": &current, "newPassword": &next}); err != nil {
		return nil, err
	}
	switch {
	case !directory.CheckPassword(u.PasswordHash, current):
		return nil, badBody("The specified password does not match the current one: currentPassword is wrong.")
	case len(next) < 8 || len(next) > 256 || next == current:
		return nil, badBody("newPassword does not meet the tenant's rules: 8 to 256 characters, and another one.")
	}
	r.updates(core("Change user password", userManagement), item{userType, u})
	u.SetPassword(directory.HashPassword(next), directory.AzurePortal, r.now)
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
	u.Revoke(r.now)
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
