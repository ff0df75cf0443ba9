package incident

import (
	"testing"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
)

func some(s string) *string { return &s }

// What has one cause has one key, and what has not, has not.
func TestCauseOf(t *testing.T) {
	ended, validated := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	found := func(category, service string) *connection.Found {
		return &connection.Found{Diagnosis: &diagnosis.Diagnosis{Category: category}, Service: service}
	}
	rule := func(kind diagnosis.RuleKind, id, name *string) *diagnosis.Rule {
		return &diagnosis.Rule{Kind: kind, ID: id, Name: name}
	}
	account := func(tenant, name, verdict string) connection.Connection {
		return connection.Connection{ID: tenant + name, TenantID: tenant, Kind: connection.ServiceAccount, Username: name, Verdict: verdict, ValidatedAt: &validated}
	}
	app := func(tenant, client, verdict string) connection.Connection {
		return connection.Connection{ID: tenant + client, TenantID: tenant, Kind: connection.App, ClientID: client, Verdict: verdict, ValidatedAt: &validated}
	}
	with := func(c connection.Connection, change func(*connection.Connection)) connection.Connection {
		change(&c)
		return c
	}
	ruled := func(tenant, name string, r *diagnosis.Rule) connection.Connection {
		return with(account(tenant, name, "blocked"), func(c *connection.Connection) { c.Rule = r })
	}
	person := func(tenant, name, registration string) connection.Connection {
		return connection.Connection{ID: tenant + name, TenantID: tenant, Kind: connection.Delegated, Username: name, RegistrationID: registration, ClientID: "C" + registration, Verdict: "blocked", ValidatedAt: &validated}
	}
	coded := func(category, code string) *connection.Found {
		return &connection.Found{Diagnosis: &diagnosis.Diagnosis{Category: category, Code: &code}, Service: "login"}
	}
	parked := func(c *connection.Connection) { c.Parked = true }
	for name, test := range map[string]struct {
		c    connection.Connection
		f    *connection.Found
		kind Kind
		key  string
	}{
		"a policy by its name":              {ruled("a", "x", rule(diagnosis.ConditionalAccess, some("1"), some("CA1 MFA"))), nil, KindPolicy, "policy:ca1 mfa"},
		"the same elsewhere":                {ruled("b", "x", rule(diagnosis.ConditionalAccess, some("2"), some(" CA1 mfa"))), nil, KindPolicy, "policy:ca1 mfa"},
		"a policy of which the id is known": {ruled("a", "x", rule(diagnosis.ConditionalAccess, some("ID"), nil)), nil, KindRule, "rule:a:conditional_access:id"},
		"some policy":                       {ruled("a", "x", rule(diagnosis.ConditionalAccess, nil, nil)), nil, KindRule, "rule:a:conditional_access:"},
		"Security Defaults are a tenant's":  {ruled("a", "x", rule(diagnosis.SecurityDefaults, nil, some("Security Defaults"))), nil, KindRule, "rule:a:security_defaults:security defaults"},
		"missing assignment of an app":      {ruled("a", "x", rule(diagnosis.UserAssignment, nil, some("Tool"))), nil, KindRule, "rule:a:user_assignment:tool"},
		"no rule is known":                  {account("a", "x", "failed"), found("license_missing", "sharepoint"), KindAlone, "connection:ax"},
		"parked":                            {with(account("a", "X@y.example", "failed"), parked), found("bad_credentials", "login"), KindAccount, "account:a:x@y.example"},
		"parked before anything is known":   {with(account("a", "x@y.example", ""), parked), nil, KindAccount, "account:a:x@y.example"},
		"an app's secret has ended":         {app("a", "C", "failed"), found("app_credential_expired", "login"), KindExpiry, "expiry:c"},
		"so has a certificate":              {with(app("b", "c", "failed"), func(c *connection.Connection) { c.CredentialNotAfter = &ended }), found("app_credential_invalid", "login"), KindExpiry, "expiry:c"},
		"a wrong secret":                    {app("a", "c", "failed"), found("app_credential_invalid", "login"), KindApp, "app:c:app_credential_invalid"},
		"a deleted app":                     {app("a", "c", "failed"), found("app_not_found", "login"), KindApp, "app:c:app_not_found"},
		"consent was withdrawn":             {with(app("a", "c", "blocked"), func(c *connection.Connection) { c.Rule = rule(diagnosis.Consent, nil, some("Tool")) }), found("consent_admin", "login"), KindApp, "app:c:consent_admin"},
		"a disabled account is no app":      {with(account("a", "x", "failed"), func(c *connection.Connection) { c.ClientID = "c" }), found("account_disabled", "login"), KindAlone, "connection:ax"},
		"a service is down":                 {account("a", "x", "unknown"), found("service_transient", "sharepoint"), KindService, "service:sharepoint"},
		"throttled":                         {account("a", "x", "unknown"), found("throttled", "graph"), KindService, "throttled:graph:a"},
		"the way there":                     {account("a", "x", "unknown"), found("other", "login"), KindEnvironment, "environment"},
		"a person's sign-in was revoked":    {person("a", "x", "R1"), coded("token_expired_or_revoked", "AADSTS50173"), KindSignIns, "sign_ins:a:r1:token_expired_or_revoked:aadsts50173"},
		"another's for the same reason":     {person("a", "y", "R1"), coded("token_expired_or_revoked", "AADSTS50173"), KindSignIns, "sign_ins:a:r1:token_expired_or_revoked:aadsts50173"},
		"for another reason":                {person("a", "y", "R1"), coded("mfa_required", "AADSTS50076"), KindSignIns, "sign_ins:a:r1:mfa_required:aadsts50076"},
		"through another app":               {person("a", "y", "R2"), coded("mfa_required", "AADSTS50076"), KindSignIns, "sign_ins:a:r2:mfa_required:aadsts50076"},
		"of another tenant":                 {person("b", "y", "R1"), coded("mfa_required", "AADSTS50076"), KindSignIns, "sign_ins:b:r1:mfa_required:aadsts50076"},
		"the app lacks consent":             {person("a", "y", "R1"), coded("consent_admin", "AADSTS65001"), KindApp, "app:cr1:consent_admin"},
		"a person's policy by its name": {with(person("a", "x", "R1"), func(c *connection.Connection) {
			c.Rule = rule(diagnosis.ConditionalAccess, some("1"), some("CA1 MFA"))
		}), coded("mfa_required", "AADSTS50076"), KindPolicy, "policy:ca1 mfa"},
		"a person's own account":         {person("a", "x", "R1"), coded("account_disabled", "AADSTS50057"), KindAlone, "connection:ax"},
		"a service account's is its own": {account("a", "x", "failed"), coded("mfa_required", "AADSTS50076"), KindAlone, "connection:ax"},
	} {
		if !affected(test.c, test.f) {
			t.Errorf("%s: it is not affected", name)
		}
		if got := causeOf(test.c, test.f); got.Kind != test.kind || got.Key != test.key {
			t.Errorf("%s: %+v, want %s %q", name, got, test.kind, test.key)
		}
	}
	for name, c := range map[string]connection.Connection{"works": account("a", "x", "works"), "never tried": account("a", "x", ""), "not known for want of a reader": account("a", "x", "unknown")} {
		if affected(c, nil) || affected(c, &connection.Found{}) {
			t.Errorf("%s: it is affected", name)
		}
	}
}

// Which incident a failure joins.
func TestChoose(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lately, long := now.Add(-time.Hour), now.Add(-48*time.Hour)
	wide, narrow := Cause{Kind: KindPolicy, Within: rollout}, Cause{Kind: KindRule}
	for name, test := range map[string]struct {
		c    Cause
		all  []candidate
		want string
	}{
		"none":                                   {wide, nil, ""},
		"one that began elsewhere lately":        {wide, []candidate{{ID: "1", State: Open, Takes: true, JoinedAt: lately}}, "1"},
		"one that began elsewhere long ago":      {wide, []candidate{{ID: "1", State: Open, Takes: true, JoinedAt: long}}, ""},
		"one of its tenant however old":          {wide, []candidate{{ID: "1", State: Acknowledged, Tenant: true, JoinedAt: long}, {ID: "2", State: Open, Takes: true, JoinedAt: lately}}, "1"},
		"its own before all":                     {wide, []candidate{{ID: "1", State: Open, Tenant: true, JoinedAt: lately}, {ID: "2", State: Open, Mine: true, JoinedAt: long}}, "2"},
		"a tenant's rule however old":            {narrow, []candidate{{ID: "1", State: Open, Takes: true, JoinedAt: long}}, "1"},
		"one that has just ended":                {wide, []candidate{{ID: "1", State: Ended, JoinedAt: lately, EndedAt: &lately}}, "1"},
		"the last of those":                      {narrow, []candidate{{ID: "1", State: Ended, EndedAt: &long}, {ID: "2", State: Ended, EndedAt: &lately}}, "2"},
		"not one whose end was told":             {narrow, []candidate{{ID: "1", State: Ended, EndedAt: &lately, EndTold: true}}, ""},
		"rather one that goes on":                {narrow, []candidate{{ID: "1", State: Ended, Mine: true, EndedAt: &lately}, {ID: "2", State: Open, Takes: true}}, "2"},
		"not an old one that has no slot":        {wide, []candidate{{ID: "1", State: Open, JoinedAt: lately}}, ""},
		"one that is forming, with the others":   {wide, []candidate{{ID: "1", State: Forming, Takes: true, JoinedAt: lately}}, "1"},
		"not one that has been forming for long": {wide, []candidate{{ID: "1", State: Forming, Takes: true, Tenant: true, JoinedAt: long}}, ""},
	} {
		if got := choose(test.c, now, test.all); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
