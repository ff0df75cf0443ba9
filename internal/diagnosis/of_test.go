package diagnosis_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
)

func ptr[T any](v T) *T { return &v }

// login makes the error that the sign-in client returns for a refusal.
func login(status int, oauth, code, message string) error {
	return &microsoft.Error{
		Service: microsoft.ServiceLogin, Op: "signing in with a password", Status: status, OAuth: oauth, Code: code, Message: message,
		ContentType: "application/json; charset=utf-8",
		Body:        fmt.Appendf(nil, `{"error":%q,"error_description":"%s: %s\r\nTrace ID: 0d9a","error_codes":[%s]}`, oauth, code, message, strings.TrimPrefix(code, "AADSTS")),
	}
}

func service(name string, status int, code, message, body string) error {
	return &microsoft.Error{Service: name, Op: "reading", Status: status, Code: code, Message: message, ContentType: "application/json", Body: []byte(body)}
}

var (
	unattended  = diagnosis.Facts{Unattended: true, Account: "robot@fabrikam.example", Tenant: "fabrikam.example"}
	interactive = diagnosis.Facts{Account: "kim@fabrikam.example"}
	appOnly     = diagnosis.Facts{AppOnly: true, ClientName: "Night reports"}
)

func withRule(f diagnosis.Facts, kind diagnosis.RuleKind, name string) diagnosis.Facts {
	f.Rule = &diagnosis.Rule{Kind: kind}
	if name != "" {
		f.Rule.ID, f.Rule.Name = ptr("7c1f0000-1111-4222-8333-444455556666"), &name
	}
	return f
}

// TestOf holds every outcome that a check can meet against cause, actor and
// first remedy.
func TestOf(t *testing.T) {
	mfa := login(400, "interaction_required", "AADSTS50076", "You must use multi-factor authentication to access the service.")
	enrol := login(400, "interaction_required", "AADSTS50079", "You must enroll in multi-factor authentication.")
	for _, tt := range []struct {
		name     string
		err      error
		facts    diagnosis.Facts
		category string
		entry    string
		actor    diagnosis.Actor
		remedy   string
	}{
		{"wrong password", login(400, "invalid_grant", "AADSTS50126", "Error validating credentials due to invalid username or password."), unattended, "bad_credentials", "wrong-password", diagnosis.Operator, "correct-password"},
		{"unknown user", login(400, "invalid_grant", "AADSTS50034", "The user account does not exist in the directory."), unattended, "bad_credentials", "unknown-user", diagnosis.Operator, "check-account-name"},
		{"locked", login(400, "invalid_grant", "AADSTS50053", "The account is locked."), unattended, "account_locked", "account-locked", diagnosis.TenantAdmin, "wait-for-unlock"},
		{"disabled", login(400, "invalid_grant", "AADSTS50057", "The user account is disabled."), unattended, "account_disabled", "account-disabled", diagnosis.TenantAdmin, "enable-account"},
		{"expired", login(400, "invalid_grant", "AADSTS50055", "The password is expired."), unattended, "password_expired", "password-expired", diagnosis.Operator, "reset-password"},
		{"MFA, unattended, rule unknown", mfa, unattended, "mfa_required", "mfa-required", diagnosis.Operator, "move-to-app-only"},
		{"MFA, a person", mfa, interactive, "mfa_required", "mfa-required", diagnosis.EndUser, "answer-mfa"},
		{"MFA, Security Defaults", mfa, withRule(unattended, diagnosis.SecurityDefaults, ""), "mfa_required", "mfa-required", diagnosis.Operator, "move-to-app-only"},
		{"MFA, per-user MFA", mfa, withRule(unattended, diagnosis.PerUserMFA, ""), "mfa_required", "mfa-required", diagnosis.Operator, "move-to-app-only"},
		{"MFA, mandatory", mfa, withRule(unattended, diagnosis.MandatoryMFA, ""), "mfa_required", "mfa-required", diagnosis.Operator, "move-to-app-only"},
		{"MFA, policy", mfa, withRule(unattended, diagnosis.ConditionalAccess, "CA004 Everybody"), "mfa_required", "mfa-required", diagnosis.Operator, "move-to-app-only"},
		{"MFA, external", login(400, "interaction_required", "AADSTS50158", "External security challenge not satisfied."), withRule(unattended, diagnosis.ExternalMFA, ""), "mfa_required", "external-mfa", diagnosis.Operator, "move-to-app-only"},
		{"MFA, policy, a person", mfa, withRule(interactive, diagnosis.ConditionalAccess, "CA004 Everybody"), "mfa_required", "mfa-required", diagnosis.EndUser, "answer-mfa"},
		{"registration, unattended", enrol, unattended, "mfa_enrollment", "mfa-enrollment", diagnosis.Operator, "move-to-app-only"},
		{"registration, a person", enrol, interactive, "mfa_enrollment", "mfa-enrollment", diagnosis.EndUser, "register-second-factor"},
		{"registration, a person, Security Defaults", enrol, withRule(interactive, diagnosis.SecurityDefaults, ""), "mfa_enrollment", "mfa-enrollment", diagnosis.EndUser, "register-second-factor"},
		{"registration, 50072", login(400, "interaction_required", "AADSTS50072", "You must enroll."), unattended, "mfa_enrollment", "mfa-enrollment", diagnosis.Operator, "move-to-app-only"},
		{"blocked by policy", login(400, "invalid_grant", "AADSTS53003", "Access has been blocked by Conditional Access policies."), unattended, "conditional_access_block", "ca-blocked", diagnosis.TenantAdmin, "move-to-app-only"},
		{"blocked, app", login(400, "invalid_grant", "AADSTS53003", "Access has been blocked by Conditional Access policies."), appOnly, "conditional_access_block", "ca-blocked", diagnosis.TenantAdmin, "review-policy"},
		{"device", login(400, "invalid_grant", "AADSTS53000", "Device is not compliant."), unattended, "conditional_access_device", "device-required", diagnosis.Operator, "use-workload-identity"},
		{"Security Defaults block", login(400, "invalid_grant", "AADSTS530035", "Access has been blocked by security defaults."), unattended, "conditional_access_block", "security-defaults-blocked", diagnosis.Operator, "move-to-app-only"},
		{"app missing", login(400, "unauthorized_client", "AADSTS700016", "Application was not found in the directory."), appOnly, "app_not_found", "app-not-found", diagnosis.AppOwner, "check-client-id"},
		{"secret wrong", login(401, "invalid_client", "AADSTS7000215", "Invalid client secret provided."), appOnly, "app_credential_invalid", "secret-invalid", diagnosis.AppOwner, "use-secret-value"},
		{"secret expired", login(401, "invalid_client", "AADSTS7000222", "The provided client secret keys are expired."), appOnly, "app_credential_expired", "secret-expired", diagnosis.AppOwner, "renew-secret"},
		{"certificate refused", login(401, "invalid_client", "AADSTS700027", "Client assertion contains an invalid signature."), appOnly, "app_credential_invalid", "certificate-refused", diagnosis.AppOwner, "check-certificate"},
		{"clock", login(401, "invalid_client", "AADSTS700024", "Client assertion is not within its valid time range."), appOnly, "app_credential_invalid", "assertion-clock", diagnosis.AppOwner, "set-clock"},
		{"credential missing", login(401, "invalid_client", "AADSTS7000218", "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."), appOnly, "app_credential_invalid", "credential-missing", diagnosis.AppOwner, "send-credential"},
		{"public client with secret", login(401, "invalid_client", "AADSTS700025", "Client is public so neither should be presented."), appOnly, "app_credential_invalid", "secret-unwanted", diagnosis.AppOwner, "drop-credential"},
		{"app disabled", login(400, "unauthorized_client", "AADSTS7000112", "Application is disabled."), appOnly, "other", "app-disabled", diagnosis.TenantAdmin, "enable-app"},
		{"not assigned", login(400, "invalid_grant", "AADSTS50105", "The signed in user is not assigned to a role for the application."), unattended, "user_not_assigned", "user-not-assigned", diagnosis.TenantAdmin, "assign-user"},
		{"federated at Entra", login(400, "invalid_grant", "AADSTS50107", "The requested federation realm object does not exist."), unattended, "ropc_unsupported_federated", "federated-user", diagnosis.Operator, "move-to-app-only"},
		{"federated, withheld", &microsoft.Error{Service: microsoft.ServiceLogin, Op: "signing in with a password", Code: "federated_realm", Message: "the domain is federated"}, unattended, "ropc_unsupported_federated", "federated-password-withheld", diagnosis.Operator, "move-to-app-only"},
		{"no consent, password", login(400, "invalid_grant", "AADSTS65001", "The user or administrator has not consented to use the application."), unattended, "consent_user", "consent-missing", diagnosis.Operator, "grant-admin-consent"},
		{"no roles", &microsoft.Error{Service: microsoft.ServiceLogin, Code: "no_app_roles", Message: "the token carries no roles"}, appOnly, "permission_missing", "permission-missing", diagnosis.TenantAdmin, "grant-permission"},
		{"admin consent", login(400, "invalid_grant", "AADSTS90094", "Admin consent is required."), interactive, "consent_admin", "consent-admin", diagnosis.TenantAdmin, "grant-admin-consent"},
		{"guest", login(400, "invalid_grant", "AADSTS50020", "The user account does not exist in the tenant."), unattended, "other", "not-in-tenant", diagnosis.TenantAdmin, "redeem-invitation"},
		{"partner", login(400, "invalid_grant", "AADSTS90099", "The application has not been authorized in the tenant."), interactive, "consent_admin", "partner-not-consented", diagnosis.TenantAdmin, "grant-admin-consent"},
		{"tenant", login(400, "invalid_request", "AADSTS90002", "Tenant not found."), unattended, "tenant_not_found", "tenant-not-found", diagnosis.Operator, "correct-tenant"},
		{"tenant identifier", login(400, "invalid_request", "AADSTS900023", "Specified tenant identifier is not valid."), unattended, "tenant_not_found", "tenant-not-found", diagnosis.Operator, "correct-tenant"},
		{"resource", login(400, "invalid_resource", "AADSTS500011", "The resource principal was not found."), appOnly, "resource_principal_missing", "resource-missing", diagnosis.AppOwner, "install-resource"},
		{"Graph 401", service(microsoft.ServiceGraph, 401, "InvalidAuthenticationToken", "Access token is empty.", `{"error":{"code":"InvalidAuthenticationToken"}}`), appOnly, "request_malformed", "token-wrong-audience", diagnosis.AppOwner, "request-right-audience"},
		{"Graph expired", service(microsoft.ServiceGraph, 401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.", `{"error":{"code":"InvalidAuthenticationToken"}}`), unattended, "token_expired_or_revoked", "access-token-expired", diagnosis.Operator, "renew-token"},
		{"Graph 403", service(microsoft.ServiceGraph, 403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.", `{"error":{"code":"Authorization_RequestDenied"}}`), appOnly, "permission_missing", "permission-missing", diagnosis.TenantAdmin, "grant-permission"},
		{"Graph accessDenied", service(microsoft.ServiceGraph, 403, "accessDenied", "", `{"error":{"code":"accessDenied"}}`), appOnly, "permission_missing", "permission-missing", diagnosis.TenantAdmin, "grant-permission"},
		{"Graph licence", service(microsoft.ServiceGraph, 403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "Neither tenant is B2C or tenant doesn't have premium license", `{}`), appOnly, "license_missing", "tenant-not-premium", diagnosis.TenantAdmin, "get-premium"},
		{"SharePoint 403", service(microsoft.ServiceSharePoint, 403, "-2147024891", "Access denied.", `{}`), appOnly, "permission_missing", "sharepoint-access-denied", diagnosis.TenantAdmin, "grant-site-access"},
		{"SharePoint secret token", &microsoft.Error{Service: microsoft.ServiceSharePoint, Status: 401, ContentType: "text/plain", Body: []byte("Unsupported app only token.")}, appOnly, "app_only_not_supported", "app-only-not-supported", diagnosis.AppOwner, "use-sharepoint-certificate"},
		{"Business Central 401", service(microsoft.ServiceBusinessCentral, 401, "Authentication_InvalidCredentials", "The server has rejected the client credentials.", `{"error":{"code":"Authentication_InvalidCredentials"}}`), appOnly, "bad_credentials", "bc-rejected", diagnosis.Operator, "check-bc-app-card"},
		{"429", service(microsoft.ServiceGraph, 429, "TooManyRequests", "", `{}`), appOnly, "throttled", "throttled", diagnosis.NobodyRetry, "obey-retry-after"},
		{"429 bare", &microsoft.Error{Service: microsoft.ServiceSharePoint, Status: 429, ContentType: "text/html", Body: []byte("<html>wait</html>")}, appOnly, "throttled", "throttled", diagnosis.NobodyRetry, "obey-retry-after"},
		{"503", &microsoft.Error{Service: microsoft.ServiceGraph, Status: 503}, appOnly, "service_transient", "service-trouble", diagnosis.NobodyRetry, "wait-and-retry"},
		{"no such host", &microsoft.Error{Service: microsoft.ServiceLogin, Err: &url.Error{Op: "Post", URL: "https://x", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}}}, unattended, "other", "host-not-found", diagnosis.Operator, "fix-network-path"},
		{"refused", &url.Error{Op: "Get", URL: "https://x", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}, unattended, "other", "host-unreachable", diagnosis.Operator, "fix-network-path"},
		{"certificate", &url.Error{Op: "Get", URL: "https://x", Err: x509.UnknownAuthorityError{}}, unattended, "other", "tls-not-trusted", diagnosis.Operator, "trust-proxy-certificate"},
		{"certificate dates", x509.CertificateInvalidError{Reason: x509.Expired}, unattended, "other", "clock-or-certificate-expired", diagnosis.Operator, "set-clock"},
		{"time-out", &url.Error{Op: "Get", URL: "https://x", Err: context.DeadlineExceeded}, unattended, "service_transient", "timed-out", diagnosis.NobodyRetry, "wait-and-retry"},
		{"cancelled", context.Canceled, unattended, "other", "cancelled", diagnosis.Operator, "finish-sign-in"},
		{"a proxy's page", &microsoft.Error{Service: microsoft.ServiceLogin, Status: 403, ContentType: "text/html", Body: []byte("<!DOCTYPE html><title>Company gateway</title><p>Category: unknown")}, unattended, "other", "not-from-microsoft", diagnosis.Operator, "fix-network-path"},
		{"broken JSON", &microsoft.Error{Service: microsoft.ServiceLogin, Status: 200, ContentType: "application/json", Body: []byte(`{"access_`)}, unattended, "other", "not-from-microsoft", diagnosis.Operator, "fix-network-path"},
		{"clock of this machine", &microsoft.Error{Service: microsoft.ServiceLogin, Code: "clock_skew", Message: "the service's time is 20 minutes ahead"}, appOnly, "app_credential_invalid", "assertion-clock", diagnosis.AppOwner, "set-clock"},
		{"broken stream", &microsoft.Error{Service: microsoft.ServiceLogin, Op: "looking up the user's realm", Err: errors.New("stream error: stream ID 5; INTERNAL_ERROR; received from peer")}, unattended, "other", "host-unreachable", diagnosis.Operator, "fix-network-path"},
		{"our own words", &microsoft.Error{Service: microsoft.ServiceLogin, Op: "looking up the user's realm", Err: errors.New("it broke")}, unattended, "other", "not-recognised", diagnosis.Operator, "get-better-text"},
		{"nothing known", errors.New("it did not work"), unattended, "other", "not-recognised", diagnosis.Operator, "get-better-text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := diagnosis.Of(fmt.Errorf("checking: %w", fmt.Errorf("probing: %w", tt.err)), tt.facts)
			if d.Category != tt.category || d.Entry != tt.entry || d.Actor != tt.actor || d.Remedies[0].ID != tt.remedy {
				t.Errorf("got %s / %s / %s / %s\nwant %s / %s / %s / %s", d.Category, d.Entry, d.Actor, d.Remedies[0].ID, tt.category, tt.entry, tt.actor, tt.remedy)
			}
			if strings.ContainsAny(d.Title+d.Cause, "{}|") {
				t.Errorf("unfilled text: %s: %s", d.Title, d.Cause)
			}
		})
	}
}

// TestOfNamesTheRule: with the rule proved the text names it, says what cannot
// be excluded, and offers no weakening where none exists.
func TestOfNamesTheRule(t *testing.T) {
	err := login(400, "interaction_required", "AADSTS50076", "You must use multi-factor authentication.")
	ids := func(d diagnosis.Diagnosis) []string {
		var list []string
		for _, r := range d.Remedies {
			list = append(list, r.ID)
		}
		return list
	}

	policy := diagnosis.Of(err, withRule(unattended, diagnosis.ConditionalAccess, "CA004 Everybody"))
	if !strings.Contains(policy.Title, `"CA004 Everybody"`) || policy.Confidence != diagnosis.High {
		t.Errorf("title %q, confidence %s: the policy is not named", policy.Title, policy.Confidence)
	}
	if i := slices.Index(ids(policy), "exclude-from-policy"); i < 1 || !policy.Remedies[i].LowersProtection || policy.Remedies[i].Actor != diagnosis.TenantAdmin {
		t.Errorf("remedies %v: want exclude-from-policy after a safe one, lowering protection, the administrator's", ids(policy))
	}
	// This version reads and names rules; it changes no tenant yet.
	for _, r := range policy.Remedies {
		if r.Automatic {
			t.Errorf("%s promises what Gatehouse cannot do yet", r.ID)
		}
	}

	perUser := diagnosis.Of(err, withRule(unattended, diagnosis.PerUserMFA, ""))
	if i := slices.Index(ids(perUser), "disable-per-user-mfa"); i < 1 || !perUser.Remedies[i].LowersProtection {
		t.Errorf("remedies %v: want disable-per-user-mfa after a safe one", ids(perUser))
	}

	defaults := diagnosis.Of(err, withRule(unattended, diagnosis.SecurityDefaults, ""))
	if !strings.Contains(defaults.Cause, "no per-account exception") {
		t.Errorf("cause %q does not say that there is no exception", defaults.Cause)
	}
	if got := ids(defaults); slices.Contains(got, "exclude-from-policy") || slices.Contains(got, "disable-per-user-mfa") || got[len(got)-1] != "move-to-conditional-access" {
		t.Errorf("remedies %v: want no exclusion, the move to Conditional Access last", got)
	}

	mandatory := diagnosis.Of(err, withRule(unattended, diagnosis.MandatoryMFA, ""))
	for _, r := range mandatory.Remedies {
		if r.LowersProtection {
			t.Errorf("remedy %s lowers protection, though mandatory MFA knows no exclusion", r.ID)
		}
	}

	unknown := diagnosis.Of(err, unattended)
	if got := ids(unknown); !slices.Contains(got, "find-the-rule") {
		t.Errorf("remedies %v: want the way to certainty", got)
	}

	facts := withRule(unattended, diagnosis.SecurityDefaults, "")
	facts.Registered = ptr(false)
	if d := diagnosis.Of(err, facts); !strings.Contains(d.Cause, "No second factor is registered") {
		t.Errorf("cause %q does not say that nothing is registered", d.Cause)
	}
}

// TestOfSafestFirst: whatever stops a service account's password sign-in, the
// first remedy never weakens the tenant.
func TestOfSafestFirst(t *testing.T) {
	for code := 50000; code < 55000; code++ {
		d := diagnosis.Of(login(400, "invalid_grant", fmt.Sprintf("AADSTS%d", code), "refused"), unattended)
		if d.Remedies[0].LowersProtection {
			t.Errorf("AADSTS%d: first remedy %s lowers protection", code, d.Remedies[0].ID)
		}
	}
}

// What makes a policy stop the sign-in decides what helps: a second factor
// opens no block, and none of the ways begins by weakening the tenant.
func TestOfPolicyRemedies(t *testing.T) {
	refused := login(400, "invalid_grant", "AADSTS53003", "Blocked.")
	for _, tt := range []struct {
		because string
		first   string // of software
		has     string
		hasNot  string
	}{
		{"location", "move-to-app-only", "allow-tool-addresses", "connect-with-person"},
		{"flow", "move-to-app-only", "use-code-flow", "connect-with-person"},
		{"legacy", "move-to-app-only", "use-modern-auth", "connect-with-person"},
		{"device", "use-workload-identity", "exclude-from-policy", "connect-with-person"},
		{"app", "move-to-app-only", "use-protected-app", "connect-with-person"},
		{"risk", "lower-risk", "move-to-app-only", "exclude-from-policy"},
		{"workload", "use-allowed-network", "exclude-app-from-policy", "move-to-app-only"},
		{"block", "move-to-app-only", "exclude-from-policy", "answer-mfa"},
		{"", "move-to-app-only", "connect-with-person", "use-code-flow"},
	} {
		t.Run(tt.because, func(t *testing.T) {
			facts := withRule(unattended, diagnosis.ConditionalAccess, "CA009 Elsewhere")
			facts.Because, facts.Confidence, facts.Why = []string{tt.because}, diagnosis.Medium, "it applies to All users"
			d := diagnosis.Of(refused, facts)
			var ids []string
			for _, r := range d.Remedies {
				ids = append(ids, r.ID)
			}
			if ids[0] != tt.first || !slices.Contains(ids, tt.has) || slices.Contains(ids, tt.hasNot) {
				t.Errorf("remedies %v: want %s first, %s too, no %s", ids, tt.first, tt.has, tt.hasNot)
			}
			if d.Confidence != diagnosis.Medium || !strings.Contains(d.Title, `"CA009 Elsewhere"`) || !strings.Contains(d.Cause, " It applies to All users.") {
				t.Errorf("%s: %s (%s)", d.Title, d.Cause, d.Confidence)
			}
		})
	}
	// Who must register first is told so before connecting.
	facts := withRule(unattended, diagnosis.ConditionalAccess, "CA001")
	facts.Registered = ptr(false)
	d := diagnosis.Of(login(400, "interaction_required", "AADSTS50079", "Register."), facts)
	if len(d.Remedies) < 3 || d.Remedies[0].ID != "move-to-app-only" || d.Remedies[1].ID != "register-second-factor" || d.Remedies[2].ID != "connect-with-person" {
		t.Errorf("remedies %v", d.Remedies)
	}
}
