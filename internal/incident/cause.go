package incident

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
)

// Kind is what sort of cause an incident has.
type Kind string

// The kinds.
const (
	KindPolicy      Kind = "policy"      // a Conditional Access policy, of that name in whichever tenants
	KindRule        Kind = "rule"        // another rule of one tenant
	KindApp         Kind = "app"         // an app, in whichever tenants
	KindSignIns     Kind = "sign_ins"    // people of one tenant who are refused through one app for one reason
	KindExpiry      Kind = "expiry"      // an app's credential that has ended
	KindAccount     Kind = "account"     // an account whose password is tried no more
	KindService     Kind = "service"     // trouble of one of Microsoft's services
	KindEnvironment Kind = "environment" // the way from here to Microsoft
	KindAlone       Kind = "connection"  // what is wrong with one connection alone
)

// Cause is why a connection is affected.
type Cause struct {
	Key     string // the same for what has the same cause
	Kind    Kind
	Subject string // the policy, app, account or service by name; "" where the title says it all
	Tenant  string // the only tenant that it reaches; "" if it may reach others

	// Within is how long after the last failure that joined one of another tenant
	// counts as the same; 0: however long.
	Within time.Duration
	// Least is how many connections make an incident of it.
	Least int
}

const (
	// rollout is how long a change takes to reach all tenants that it is made in,
	// and validations to see it there: those with a schedule run once a day.
	rollout = 24 * time.Hour
	// outage is how far apart failures of one outage of a service lie.
	outage = time.Hour
	// several are enough failures to speak of an outage: single ones pass.
	several = 3
)

// affected reports whether something keeps a connection from working, or from
// being known to work.
func affected(c connection.Connection, f *connection.Found) bool {
	return stopped(c) || c.Verdict == "unknown" && f != nil && f.Diagnosis != nil && f.Diagnosis.Undecided()
}

func stopped(c connection.Connection) bool {
	return c.Parked || c.Verdict == "blocked" || c.Verdict == "failed"
}

// causeOf tells why a connection that is affected is.
func causeOf(c connection.Connection, f *connection.Found) Cause {
	var d diagnosis.Diagnosis
	service := ""
	if f != nil && f.Diagnosis != nil {
		d, service = *f.Diagnosis, f.Service
	}
	if c.Parked {
		return Cause{Key: "account:" + c.TenantID + ":" + strings.ToLower(c.Username), Kind: KindAccount, Subject: c.Username, Tenant: c.TenantID}
	}
	if !stopped(c) {
		return troubleOf(c, d, service)
	}
	if cause, ok := appCause(c, d); ok {
		return cause
	}
	switch r := c.Rule; {
	case r == nil:
	case r.Kind == diagnosis.ConditionalAccess && r.Name != nil:
		return Cause{Key: "policy:" + strings.ToLower(strings.TrimSpace(*r.Name)), Kind: KindPolicy, Subject: *r.Name, Within: rollout}
	default:
		which := text(r.ID)
		if which == "" {
			which = text(r.Name)
		}
		return Cause{Key: "rule:" + c.TenantID + ":" + string(r.Kind) + ":" + strings.ToLower(which), Kind: KindRule, Subject: ruleName(*r), Tenant: c.TenantID}
	}
	if cause, ok := peopleCause(c, d); ok {
		return cause
	}
	return Cause{Key: "connection:" + c.ID, Kind: KindAlone, Tenant: c.TenantID}
}

// peopleCauses are the categories in which no rule is named and yet many people of a
// tenant are refused for one reason: what was asked of them, or done to them. What is
// wrong with one person's own account is not among them.
var peopleCauses = map[string]string{
	"reauth_required":            "people have to sign in again",
	"token_expired_or_revoked":   "people's sign-ins were revoked or have ended",
	"mfa_required":               "people have to sign in with a second factor",
	"mfa_enrollment":             "people have to set up a second factor",
	"conditional_access_block":   "a Conditional Access policy stops people",
	"conditional_access_device":  "a Conditional Access policy demands another device of people",
	"resource_principal_missing": "an API that people use is not in the tenant",
}

// peopleCause is why the sign-in of a person is refused: the same for all of a tenant
// who are refused through the same app with the same code.
func peopleCause(c connection.Connection, d diagnosis.Diagnosis) (Cause, bool) {
	words, ok := peopleCauses[d.Category]
	if !ok || c.Kind != connection.Delegated {
		return Cause{}, false
	}
	app := c.RegistrationID
	if app == "" {
		app = c.ClientID
	}
	return Cause{Key: strings.ToLower(strings.Join([]string{"sign_ins", c.TenantID, app, d.Category, text(d.Code)}, ":")), Kind: KindSignIns, Subject: words, Tenant: c.TenantID}, true
}

// troubleOf is why it could not be found out whether a connection works.
func troubleOf(c connection.Connection, d diagnosis.Diagnosis, service string) Cause {
	switch d.Category {
	case "service_transient":
		return Cause{Key: "service:" + service, Kind: KindService, Subject: service, Within: outage, Least: several}
	case "throttled":
		return Cause{Key: "throttled:" + service + ":" + c.TenantID, Kind: KindService, Subject: service, Tenant: c.TenantID, Within: outage, Least: several}
	default:
		return Cause{Key: "environment", Kind: KindEnvironment, Within: outage, Least: several}
	}
}

// appCauses are the categories in which an app is wrong wherever it is used, and
// how long it takes until all have met it.
var appCauses = map[string]time.Duration{"app_credential_invalid": 0, "app_not_found": rollout, "consent_admin": rollout, "consent_user": rollout, "account_disabled": rollout}

func appCause(c connection.Connection, d diagnosis.Diagnosis) (Cause, bool) {
	within, ours := appCauses[d.Category]
	id := strings.ToLower(c.ClientID)
	switch {
	case id == "" || d.Category == "account_disabled" && c.Kind != connection.App:
		return Cause{}, false
	case d.Category == "app_credential_expired", d.Category == "app_credential_invalid" && c.CredentialNotAfter != nil && c.ValidatedAt != nil && c.CredentialNotAfter.Before(*c.ValidatedAt):
		return Cause{Key: "expiry:" + id, Kind: KindExpiry, Subject: c.ClientID}, true
	case ours:
		return Cause{Key: "app:" + id + ":" + d.Category, Kind: KindApp, Subject: c.ClientID, Within: within}, true
	}
	return Cause{}, false
}

// rules are the rules that are not called by a name of their own.
var rules = map[diagnosis.RuleKind]string{
	diagnosis.SecurityDefaults: "Security Defaults", diagnosis.PerUserMFA: "Per-user MFA", diagnosis.MandatoryMFA: "Mandatory MFA", diagnosis.ConditionalAccess: "A Conditional Access policy",
	diagnosis.ExternalMFA: "An external MFA provider", diagnosis.SignInFrequency: "Sign-in frequency", diagnosis.Consent: "Missing consent", diagnosis.UserAssignment: "Missing assignment",
	diagnosis.Federation: "The domain's own sign-in service", diagnosis.LegacyAuth: "The block of legacy authentication",
}

func ruleName(r diagnosis.Rule) string {
	name := text(r.Name)
	if slices.Contains([]diagnosis.RuleKind{diagnosis.Consent, diagnosis.UserAssignment}, r.Kind) && name != "" {
		return rules[r.Kind] + ": " + name
	}
	if name != "" {
		return name
	}
	return rules[r.Kind]
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
