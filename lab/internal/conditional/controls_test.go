package conditional

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// grants sets operator and built-in controls.
func grants(operator, controls string) string {
	return `grantControls={"operator":"` + operator + `","builtInControls":[` + controls + `]}`
}

// TestControls: conditional-access-evaluation §3.
func TestControls(t *testing.T) {
	strength := func(id string) string {
		return `grantControls={"operator":"OR","authenticationStrength":{"id":"` + id + `"}}`
	}
	shown := func(what string) string { return `satisfied=["password","` + what + `"]` }
	guest := func(more ...string) []string {
		return append([]string{`userType="Guest"`, `guestOrExternalUserType="b2bCollaborationGuest"`, `externalTenantId="tenant-2"`}, more...)
	}
	direct := func(more ...string) []string {
		return append([]string{"userType=null", `guestOrExternalUserType="b2bDirectConnectUser"`, `externalTenantId="tenant-2"`}, more...)
	}
	const compliant, hybrid = `device={"isCompliant":true,"trustType":"AzureAD"}`, `device={"isCompliant":false,"trustType":"ServerAD"}`
	const eas, other = `clientAppType="exchangeActiveSync"`, `clientAppType="other"`
	const push = `authMethodCombination="password,microsoftAuthenticatorPush"`
	terms := `grantControls={"operator":"OR","termsOfUse":["a1"]}`
	custom := `grantControls={"operator":"OR","customAuthenticationFactors":["f1"]}`
	trust := map[string]Trust{"tenant-2": {MFA: true, CompliantDevice: true, HybridJoined: true}}

	for _, row := range []struct {
		name        string
		policy      string
		signIn      []string
		trust       map[string]Trust
		verdict     Verdict
		code        int
		outstanding string
		missing     string
	}{
		{"mfa by claim", grants("OR", `"mfa"`), []string{shown("mfa")}, nil, Allowed, 0, "", ""},
		{"mfa by methods", grants("OR", `"mfa"`), []string{`authMethodCombination="windowsHelloForBusiness"`}, nil, Allowed, 0, "", ""},
		{"mfa by federation, claims not known", grants("OR", `"mfa"`), []string{`authMethodCombination="federatedMultiFactor"`, "-satisfied"}, nil, Allowed, 0, "", ""},
		{"mfa not known", grants("OR", `"mfa"`), []string{"-satisfied"}, nil, Unknown, 0, "", "satisfied"},
		{"mfa, no method", grants("OR", `"mfa"`), []string{"methodsRegistered=[]"}, nil, RegistrationRequired, 50079, "mfa", ""},
		{"mfa, only e-mail", grants("OR", `"mfa"`), []string{`methodsRegistered=["email"]`}, nil, RegistrationRequired, 50079, "mfa", ""},
		{"mfa, methods not known", grants("OR", `"mfa"`), []string{"-methodsRegistered"}, nil, MFARequired, 50076, "mfa", ""},
		{"mfa of a legacy client", grants("OR", `"mfa"`), []string{eas, shown("mfa")}, nil, Blocked, 53003, "mfa", ""},
		{"mfa of direct connect", grants("OR", `"mfa"`), direct(), nil, Blocked, 53003, "mfa", ""},
		{"mfa of direct connect, trusted", grants("OR", `"mfa"`), direct(shown("mfa")), trust, Allowed, 0, "", ""},

		{"strength, no MFA", strength(directory.StrengthMFA), nil, nil, MFARequired, 50076, "authenticationStrength", ""},
		{"strength, wrong methods", strength(directory.StrengthPasswordless), []string{push}, nil, StrengthRequired, 50076, "authenticationStrength", ""},
		{"strength, methods not known, MFA not done", strength(directory.StrengthMFA), []string{"-authMethodCombination"}, nil, MFARequired, 50076, "authenticationStrength", ""},
		{"strength, methods not known, MFA done", strength(directory.StrengthMFA), []string{"-authMethodCombination", shown("mfa")}, nil, Unknown, 0, "", "authMethodCombination"},
		{"strength, no method", strength(directory.StrengthMFA), []string{"methodsRegistered=[]"}, nil, RegistrationRequired, 50079, "authenticationStrength", ""},
		{"strength, MFA not known", strength(directory.StrengthMFA), []string{"-satisfied"}, nil, Unknown, 0, "authenticationStrength", "satisfied"},
		{"strength of one factor", strength("single"), []string{`authMethodCombination="x509CertificateSingleFactor"`}, nil, Allowed, 0, "", ""},
		{"strength of one factor, methods not known", strength("single"), []string{"-authMethodCombination"}, nil, Unknown, 0, "", "authMethodCombination"},
		{"custom strength", strength("KEYS"), []string{`authMethodCombination="hardwareOath, password"`}, nil, Allowed, 0, "", ""},
		{"custom strength for some keys only", strength("keys"), []string{`authMethodCombination="fido2"`}, nil, Unknown, 0, "", "keys and certificates of authenticationStrength keys"},
		{"custom strength for some certificates only", strength("cards"), []string{`authMethodCombination="x509CertificateMultiFactor"`}, nil, Unknown, 0, "", "keys and certificates of authenticationStrength cards"},
		{"strength as the tenant has it, not as the policy shows it", `grantControls={"operator":"OR","authenticationStrength":{"id":"single","allowedCombinations":["password,microsoftAuthenticatorPush"]}}`, []string{push}, nil, StrengthRequired, 50076, "authenticationStrength", ""},
		{"strength not known", strength("gone"), []string{push}, nil, Unknown, 0, "", "authenticationStrength gone"},
		{"strength shown by the policy", `grantControls={"operator":"OR","authenticationStrength":{"id":"gone","allowedCombinations":["password,microsoftAuthenticatorPush"]}}`, []string{push}, nil, Allowed, 0, "", ""},
		{"strength without id", `grantControls={"operator":"OR","authenticationStrength":{"displayName":"x"}}`, []string{push}, nil, Unknown, 0, "", "policy member authenticationStrength"},
		{"strength of a legacy client", strength(directory.StrengthMFA), []string{other}, nil, Blocked, 53003, "authenticationStrength", ""},

		{"compliant", grants("OR", `"compliantDevice"`), []string{compliant}, nil, Allowed, 0, "", ""},
		{"not compliant", grants("OR", `"compliantDevice"`), []string{hybrid}, nil, DeviceRequired, 53000, "compliantDevice", ""},
		{"not registered", grants("OR", `"compliantDevice"`), nil, nil, DeviceRequired, 53000, "compliantDevice", ""},
		{"device not known", grants("OR", `"compliantDevice"`), []string{"-device"}, nil, Unknown, 0, "", "device"},
		{"hybrid joined", grants("OR", `"domainJoinedDevice"`), []string{hybrid}, nil, Allowed, 0, "", ""},
		{"not hybrid joined", grants("OR", `"domainJoinedDevice"`), []string{compliant}, nil, DeviceRequired, 53001, "domainJoinedDevice", ""},
		{"either device", grants("OR", `"domainJoinedDevice","compliantDevice"`), nil, nil, DeviceRequired, 53000, "compliantDevice domainJoinedDevice", ""},
		{"compliant device of a legacy client", grants("OR", `"compliantDevice"`), []string{other, compliant}, nil, Blocked, 53003, "compliantDevice", ""},
		{"guest's device, trusted", grants("OR", `"compliantDevice"`), guest(compliant), trust, Allowed, 0, "", ""},
		{"guest's device, trusted but not compliant", grants("OR", `"compliantDevice"`), guest(), trust, DeviceRequired, 53000, "compliantDevice", ""},
		{"guest's device, other tenant trusted", grants("OR", `"compliantDevice"`), guest(compliant), map[string]Trust{"tenant-3": {CompliantDevice: true}}, Blocked, 53003, "compliantDevice", ""},
		{"guest's device, all trusted", grants("OR", `"compliantDevice"`), guest(compliant), map[string]Trust{"": {CompliantDevice: true}}, Allowed, 0, "", ""},
		{"internal guest's device", grants("OR", `"compliantDevice"`), []string{`userType="Guest"`, `guestOrExternalUserType="internalGuest"`}, nil, DeviceRequired, 53000, "compliantDevice", ""},

		{"device of a guest by userType", grants("OR", `"compliantDevice"`), []string{`userType="Guest"`, "-guestOrExternalUserType", "-externalTenantId"}, nil, Blocked, 53003, "compliantDevice", ""},
		{"device of a guest by home tenant", grants("OR", `"compliantDevice"`), []string{"-guestOrExternalUserType", `externalTenantId="tenant-2"`}, nil, Blocked, 53003, "compliantDevice", ""},
		{"device of a member by userType", grants("OR", `"compliantDevice"`), []string{"-guestOrExternalUserType", "-externalTenantId"}, nil, DeviceRequired, 53000, "compliantDevice", ""},
		{"approved app", grants("OR", `"approvedApplication"`), nil, nil, AppProtectionRequired, 53002, "approvedApplication", ""},
		{"approved app by ActiveSync", grants("OR", `"approvedApplication"`), []string{eas}, nil, AppProtectionRequired, 53002, "approvedApplication", ""},
		{"approved app by SMTP", grants("OR", `"approvedApplication"`), []string{other}, nil, Blocked, 53003, "approvedApplication", ""},
		{"app protection", grants("OR", `"compliantApplication"`), nil, nil, AppProtectionRequired, 53009, "compliantApplication", ""},
		{"app protection shown", grants("OR", `"compliantApplication"`), []string{shown("compliantApplication")}, nil, Allowed, 0, "", ""},
		{"app protection of a guest", grants("OR", `"compliantApplication"`), guest(), trust, Blocked, 53003, "compliantApplication", ""},
		{"password change", grants("AND", `"mfa","passwordChange"`), []string{shown("passwordChange")}, nil, MFARequired, 50076, "mfa", ""},
		{"password change of a guest", grants("AND", `"passwordChange"`), guest(), nil, Blocked, 53003, "passwordChange", ""},
		{"risk remediation", grants("AND", `"riskRemediation"`), nil, nil, PasswordChangeRequired, 50135, "riskRemediation", ""},
		{"terms of use", terms, nil, nil, TermsRequired, 50158, "termsOfUse", ""},
		{"terms of use, all accepted", terms, []string{shown("termsOfUse")}, nil, Allowed, 0, "", ""},
		{"terms of use, this one accepted", terms, []string{shown("a1")}, nil, Allowed, 0, "", ""},
		{"terms of use, another accepted", terms, []string{shown("a2")}, nil, TermsRequired, 50158, "termsOfUse", ""},
		{"terms of use by ActiveSync", terms, []string{eas, shown("a1")}, nil, Blocked, 53003, "termsOfUse", ""},
		{"custom factor", custom, nil, nil, CustomRequired, 50158, "f1", ""},
		{"custom factor shown", custom, []string{shown("f1")}, nil, Allowed, 0, "", ""},

		{"OR, the possible one", grants("OR", `"compliantDevice","mfa"`), guest(), nil, MFARequired, 50076, "mfa compliantDevice", ""},
		{"AND, one impossible", grants("AND", `"compliantDevice","mfa"`), guest(), nil, Blocked, 53003, "mfa compliantDevice", ""},
		{"AND, first in the order", `grantControls={"operator":"AND","builtInControls":["compliantApplication","domainJoinedDevice"],"termsOfUse":["a1"]}`, nil, nil, DeviceRequired, 53001, "domainJoinedDevice compliantApplication termsOfUse", ""},
		{"OR, one not known", grants("OR", `"compliantDevice","mfa"`), []string{"-device"}, nil, Unknown, 0, "", "device"},
		{"AND, one not known after one unmet", grants("AND", `"compliantDevice","mfa"`), []string{"-device"}, nil, MFARequired, 50076, "mfa", ""},
		{"block with OR", grants("OR", `"mfa","block"`), []string{shown("mfa")}, nil, Blocked, 53003, "block", ""},
		{"unknown control", grants("OR", `"compliantNetwork"`), nil, nil, Unknown, 0, "", "policy member grant control compliantNetwork"},
		{"unknown control, shown", grants("OR", `"compliantNetwork"`), []string{shown("compliantNetwork")}, nil, Allowed, 0, "", ""},
		{"unknown control, unmet mfa", grants("AND", `"compliantNetwork","mfa"`), nil, nil, Unknown, 0, "mfa", "policy member grant control compliantNetwork"},
		{"unknown control or mfa done", grants("OR", `"compliantNetwork","mfa"`), []string{shown("mfa")}, nil, Allowed, 0, "", ""},
		{"unknown member", `grantControls={"operator":"AND","builtInControls":[],"moonControls":["full"]}`, nil, nil, Unknown, 0, "", "policy member moonControls"},
		{"no operator, one control", grants("", `"mfa"`), nil, nil, MFARequired, 50076, "mfa", ""},
		{"no operator, one of two met", grants("", `"mfa","compliantDevice"`), []string{compliant}, nil, Unknown, 0, "", ""},
		{"nothing to ask", grants("OR", ""), nil, nil, Allowed, 0, "", ""},
		{"torn", `grantControls="mfa"`, nil, nil, Unknown, 0, "", "policy member grantControls"},
		{"torn list", `grantControls={"operator":"OR","builtInControls":"mfa"}`, nil, nil, Unknown, 0, "", "policy member builtInControls"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := world(t)
			w.Trust = row.trust
			d := Evaluate([]*directory.Object{asks(t, "", row.policy)}, signInOf(t, row.signIn...), w)
			if d.Verdict != row.verdict || d.ErrorCode != row.code || strings.Join(d.Outstanding, " ") != row.outstanding {
				t.Errorf("%s, %d, outstanding %q; want %s, %d, %q (missing %q)", d.Verdict, d.ErrorCode, d.Outstanding, row.verdict, row.code, row.outstanding, d.Missing)
			}
			if row.missing != "" && !slices.Contains(d.Missing, row.missing) || row.verdict != Unknown && len(d.Missing) > 0 {
				t.Errorf("missing %q, want %q among it", d.Missing, row.missing)
			}
		})
	}
}

// TestCombination: several policies, some of which may or may not apply.
func TestCombination(t *testing.T) {
	risk := `conditions.signInRiskLevels=["high"]`
	p := func(changes ...string) *directory.Object { return asks(t, "mfa", changes...) }
	b := func(changes ...string) *directory.Object { return asks(t, "block", changes...) }
	device := func(changes ...string) *directory.Object { return asks(t, "compliantDevice", changes...) }
	joined := func(changes ...string) *directory.Object { return asks(t, "domainJoinedDevice", changes...) }
	noRisk := "-signInRisk"
	for _, row := range []struct {
		name     string
		policies []*directory.Object
		signIn   []string
		verdict  Verdict
		code     int
		missing  string
	}{
		{"none", nil, nil, Allowed, 0, ""},
		{"perhaps mfa", []*directory.Object{p(risk)}, []string{noRisk}, Unknown, 0, "signInRisk"},
		{"perhaps mfa, which is done", []*directory.Object{p(risk)}, []string{noRisk, `satisfied=["mfa"]`}, Allowed, 0, ""},
		{"perhaps mfa, for sure mfa", []*directory.Object{p(risk), p()}, []string{noRisk}, MFARequired, 50076, ""},
		{"perhaps a block, for sure mfa", []*directory.Object{p(), b(risk)}, []string{noRisk}, Unknown, 0, "signInRisk"},
		{"perhaps mfa, for sure a block", []*directory.Object{p(risk), b()}, []string{noRisk}, Blocked, 53003, ""},
		{"perhaps a device, for sure mfa", []*directory.Object{device(risk), p()}, []string{noRisk}, MFARequired, 50076, ""},
		{"perhaps one device, for sure the other", []*directory.Object{device(risk), joined()}, []string{noRisk}, DeviceRequired, 0, ""},
		{"perhaps a block, not enforced", []*directory.Object{b(risk, `state="enabledForReportingButNotEnforced"`)}, []string{noRisk}, Allowed, 0, ""},
		{"perhaps a block, disabled", []*directory.Object{b(risk, `state="disabled"`)}, []string{noRisk}, Allowed, 0, ""},
		{"perhaps session controls", []*directory.Object{p(risk, "grantControls=null", "sessionControls.secureSignInSession.isEnabled=true")}, []string{noRisk}, Allowed, 0, ""},
		{"perhaps session controls, perhaps mfa", []*directory.Object{p(`conditions.userRiskLevels=["high"]`, "grantControls=null"), p(risk)}, []string{noRisk, "-userRisk"}, Unknown, 0, "signInRisk"},
		{"perhaps enforced", []*directory.Object{p("state=null")}, nil, Unknown, 0, "policy member state"},
		{"perhaps enforced, met", []*directory.Object{p(`state="later"`)}, []string{`satisfied=["mfa"]`}, Allowed, 0, ""},
		{"unmet mfa beside an unknown control, which may be a block", []*directory.Object{asks(t, "compliantNetwork"), p()}, nil, Unknown, 0, "policy member grant control compliantNetwork"},
		{"block before an unknown control", []*directory.Object{asks(t, "compliantNetwork"), b()}, nil, Blocked, 53003, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := Evaluate(row.policies, signInOf(t, row.signIn...), world(t))
			if d.Verdict != row.verdict || d.ErrorCode != row.code || strings.Join(d.Missing, " ") != row.missing {
				t.Errorf("%s, %d, missing %q; want %s, %d, %q", d.Verdict, d.ErrorCode, d.Missing, row.verdict, row.code, row.missing)
			}
		})
	}
}

// TestVerdictSets: the verdict drawn from sets of demands is the one that trying
// out every completion gives.
func TestVerdictSets(t *testing.T) {
	controls := []string{"mfa", "block", "compliantDevice", "compliantApplication", "passwordChange"}
	conditions := []string{"signInRisk", "userRisk", "insiderRisk"}
	lists := []string{`conditions.signInRiskLevels=["low"]`, `conditions.userRiskLevels=["medium"]`, `conditions.insiderRiskLevels="elevated"`}
	hits := []string{"low", "medium", "elevated"}
	for n := range len(controls) * len(controls) * len(controls) {
		var policies []*directory.Object
		for i, k := 0, n; i < len(conditions); i, k = i+1, k/len(controls) {
			policies = append(policies, asks(t, controls[k%len(controls)], lists[i]))
		}
		verdicts := map[Verdict]bool{}
		for combination := range 1 << len(conditions) {
			var set []string
			for i, name := range conditions {
				level := "none"
				if combination>>i&1 == 1 {
					level = hits[i]
				}
				set = append(set, name+`="`+level+`"`)
			}
			verdicts[Evaluate(policies, signInOf(t, set...), &World{}).Verdict] = true
		}
		for _, known := range []bool{false, true} {
			set := []string{"-signInRisk", "-userRisk", "-insiderRisk"}
			want := Unknown
			if known { // one of them is known to apply
				set[0] = `signInRisk="low"`
				clear(verdicts)
				for combination := range 4 {
					risks := []string{set[0], `userRisk="none"`, `insiderRisk="none"`}
					if combination&1 == 1 {
						risks[1] = `userRisk="medium"`
					}
					if combination&2 == 2 {
						risks[2] = `insiderRisk="elevated"`
					}
					verdicts[Evaluate(policies, signInOf(t, risks...), &World{}).Verdict] = true
				}
			}
			if len(verdicts) == 1 {
				for v := range verdicts {
					want = v
				}
			}
			if got := Evaluate(policies, signInOf(t, set...), &World{}).Verdict; got != want {
				t.Errorf("policies %d, first known %v: %s, want %s of %v", n, known, got, want, verdicts)
			}
		}
	}
}

// TestLog: results of report-only policies (§4), names of controls.
func TestLog(t *testing.T) {
	const state = `state="enabledForReportingButNotEnforced"`
	for _, row := range []struct {
		policy []string
		signIn []string
		want   string
	}{
		{[]string{grants("OR", `"mfa"`)}, []string{`satisfied=["mfa"]`}, "reportOnlySuccess"},
		{[]string{grants("OR", `"mfa"`)}, nil, "reportOnlyInterrupted"},
		{[]string{grants("OR", `"mfa"`)}, []string{`clientAppType="other"`}, "reportOnlyFailure"},
		{[]string{grants("OR", `"compliantDevice"`)}, nil, "reportOnlyFailure"},
		{[]string{grants("OR", `"compliantDevice","mfa"`)}, nil, "reportOnlyInterrupted"},
		{[]string{grants("AND", `"compliantDevice","mfa"`)}, nil, "reportOnlyFailure"},
		{[]string{grants("AND", `"passwordChange","mfa"`)}, nil, "reportOnlyInterrupted"},
		{[]string{grants("OR", `"block"`)}, nil, "reportOnlyFailure"},
		{[]string{grants("OR", `"block"`), `conditions.users.excludeUsers=["user-1"]`}, nil, "reportOnlyNotApplied"},
		{[]string{grants("OR", `"mfa"`)}, []string{"-resource", `userAction="urn:user:registersecurityinfo"`}, "reportOnlyNotApplied"},
		{[]string{grants("OR", `"mfa"`), `conditions.userRiskLevels=["high"]`}, []string{"-userRisk"}, "unknown"},
		{[]string{grants("OR", `"moon"`)}, nil, "unknown"},
	} {
		d := Evaluate([]*directory.Object{asks(t, "", append(row.policy, state)...)}, signInOf(t, row.signIn...), world(t))
		if got := d.Policies[0].Log; got != row.want || d.Verdict != Allowed || d.Status() != "notApplied" {
			t.Errorf("%q before %q: %s, %s, %s; want %s", row.policy, row.signIn, got, d.Verdict, d.Status(), row.want)
		}
	}

	w := world(t)
	w.ReportOnlyAsEnabled = true
	if d := Evaluate([]*directory.Object{asks(t, "block", state)}, signInOf(t), w); d.Verdict != Blocked || d.Policies[0].Log != "failure" || d.Status() != "failure" {
		t.Errorf("report-only as enabled: %s, %s, %s", d.Verdict, d.Policies[0].Log, d.Status())
	}

	if d := Evaluate([]*directory.Object{asks(t, "moon")}, signInOf(t), w); d.Status() != "unknownFutureValue" || d.Policies[0].Log != "unknown" {
		t.Errorf("unknown control: %s, %s", d.Status(), d.Policies[0].Log)
	}

	full := asks(t, "", `grantControls={"operator":"AND","builtInControls":["mfa","compliantDevice","moon"],"authenticationStrength":{"id":"x","displayName":"Keys"},"termsOfUse":["a1"],"customAuthenticationFactors":["f1"]}`,
		`sessionControls={"signInFrequency":{"isEnabled":true,"value":1,"type":"days"},"persistentBrowser":{"isEnabled":false,"mode":"never"},"disableResilienceDefaults":true,"cloudAppSecurity":null}`)
	p := Evaluate([]*directory.Object{full}, signInOf(t), w).Policies[0]
	if got, want := strings.Join(p.GrantControls, " ")+" / "+strings.Join(p.SessionControls, " "), "Mfa RequireCompliantDevice moon Keys a1 f1 / SignInFrequency DisableResilienceDefaults"; got != want {
		t.Errorf("controls %s, want %s", got, want)
	}
	if d := Evaluate([]*directory.Object{asks(t, "mfa")}, signInOf(t, `satisfied=["mfa"]`), w); d.Status() != "success" {
		t.Errorf("status %s of a sign-in that meets a policy", d.Status())
	}
}

// TestSession: the stricter of two session controls wins.
func TestSession(t *testing.T) {
	with := func(session string, more ...string) *directory.Object {
		return asks(t, "", append([]string{"grantControls=null", "sessionControls=" + session}, more...)...)
	}
	policies := []*directory.Object{
		with(`{"signInFrequency":{"isEnabled":true,"value":1,"type":"days"},"persistentBrowser":{"isEnabled":true,"mode":"always"}}`),
		with(`{"signInFrequency":{"isEnabled":true,"value":4,"type":"hours"}}`),
		with(`{"signInFrequency":{"isEnabled":false,"value":1,"type":"hours"},"persistentBrowser":{"mode":"never"}}`),
		with(`{"persistentBrowser":{"isEnabled":true,"mode":"always"}}`),
		with(`{"signInFrequency":{"isEnabled":true,"value":1e300,"type":"hours"}}`),
		with(`{"signInFrequency":{"isEnabled":true,"frequencyInterval":"everyTime"}}`, `conditions.users.excludeUsers=["user-1"]`),
		with(`{"signInFrequency":{"isEnabled":true,"value":1,"type":"hours"}}`, `state="enabledForReportingButNotEnforced"`),
	}
	d := Evaluate(policies, signInOf(t), world(t))
	if want := (Session{SignInFrequency: 4 * time.Hour, PersistentBrowser: "never"}); d.Session != want || d.Verdict != Allowed {
		t.Errorf("%+v, %s; want %+v", d.Session, d.Verdict, want)
	}
	if d := Evaluate(policies, signInOf(t, `userId="user-2"`), world(t)); !d.Session.EveryTime {
		t.Error("a sign-in each time is not asked for")
	}
	if d := Evaluate([]*directory.Object{asks(t, "riskRemediation")}, signInOf(t, `satisfied=["riskRemediation"]`), world(t)); !d.Session.EveryTime || d.Verdict != Allowed {
		t.Errorf("risk remediation: %+v", d)
	}
}

// TestRefusals: conditional-access-evaluation §9, entra-sign-in §4.3.
func TestRefusals(t *testing.T) {
	mfa, block := asks(t, "mfa"), asks(t, "block", `conditions.locations={"includeLocations":["alps"]}`)
	flow := asks(t, "block", `conditions.authenticationFlows.transferMethods="deviceCodeFlow"`)
	flow.ID = "policy-flow"
	terms := asks(t, "", `grantControls={"operator":"OR","termsOfUse":["a1"]}`)
	for _, row := range []struct {
		name     string
		policies []*directory.Object
		signIn   []string
		how      Request
		code     int
		oauth    string
		suberror string
		claims   string // name and ids
	}{
		{"mfa by password", []*directory.Object{mfa}, nil, Password, 50076, "invalid_grant", "basic_action", ""},
		{"mfa silently", []*directory.Object{mfa}, nil, Silent, 50076, "interaction_required", "basic_action", "polids policy-mfa"},
		{"mfa interactively", []*directory.Object{mfa}, nil, Interactive, 50074, "interaction_required", "basic_action", ""},
		{"registration by password", []*directory.Object{mfa}, []string{"methodsRegistered=[]"}, Password, 50079, "interaction_required", "basic_action", ""},
		{"registration interactively", []*directory.Object{mfa}, []string{"methodsRegistered=[]"}, Interactive, 50072, "interaction_required", "basic_action", ""},
		{"block by password", []*directory.Object{mfa, block}, []string{`country="CH"`}, Password, 53003, "invalid_grant", "message_only", "capolids policy-block"},
		{"block silently", []*directory.Object{block}, []string{`country="CH"`}, Silent, 53003, "interaction_required", "message_only", "capolids policy-block"},
		{"block of an app", []*directory.Object{block}, []string{`country="CH"`}, Application, 53003, "invalid_grant", "message_only", "capolids policy-block"},
		{"block interactively", []*directory.Object{block}, []string{`country="CH"`}, Interactive, 53003, "access_denied", "message_only", "capolids policy-block"},
		{"flow", []*directory.Object{flow}, []string{`authenticationFlow="deviceCodeFlow"`, `originalTransferMethod="deviceCodeFlow"`}, Silent, 53003, "interaction_required", "message_only", "capolids policy-flow"},
		{"tracked flow", []*directory.Object{flow}, []string{`originalTransferMethod="deviceCodeFlow"`}, Silent, 530036, "interaction_required", "message_only", "capolids policy-flow"},
		{"tracked flow beside mfa", []*directory.Object{flow, mfa}, []string{`originalTransferMethod="deviceCodeFlow"`}, Silent, 530036, "interaction_required", "message_only", "capolids policy-flow"},
		{"tracked flow and another block", []*directory.Object{flow, block}, []string{`originalTransferMethod="deviceCodeFlow"`, `country="CH"`}, Silent, 53003, "interaction_required", "message_only", "capolids policy-flow policy-block"},
		{"device", []*directory.Object{asks(t, "compliantDevice")}, nil, Password, 53000, "invalid_grant", "message_only", ""},
		{"hybrid joined device", []*directory.Object{asks(t, "domainJoinedDevice")}, nil, Silent, 53001, "interaction_required", "message_only", "polids policy-domainJoinedDevice"},
		{"approved app", []*directory.Object{asks(t, "approvedApplication")}, nil, Interactive, 53002, "interaction_required", "message_only", ""},
		{"app protection", []*directory.Object{asks(t, "compliantApplication")}, nil, Password, 53009, "unauthorized_client", "protection_policy_required", ""},
		{"password change", []*directory.Object{asks(t, "passwordChange")}, nil, Password, 50135, "invalid_grant", "additional_action", ""},
		{"terms of use", []*directory.Object{terms}, nil, Silent, 50158, "interaction_required", "additional_action", "polids policy-"},
		{"not known", []*directory.Object{asks(t, "moon")}, nil, Password, 50131, "invalid_grant", "message_only", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := Evaluate(row.policies, signInOf(t, row.signIn...), world(t)).Refuse(row.how)
			if r == nil {
				t.Fatal("allowed")
			}
			if r.Code != row.code || r.OAuth != row.oauth || r.Suberror != row.suberror {
				t.Errorf("%d %s %s, want %d %s %s", r.Code, r.OAuth, r.Suberror, row.code, row.oauth, row.suberror)
			}
			if got := claimed(t, r.Claims); got != row.claims {
				t.Errorf("claims %s, want %s", got, row.claims)
			}
		})
	}
	if r := Evaluate([]*directory.Object{mfa}, signInOf(t, `satisfied=["mfa"]`), world(t)).Refuse(Silent); r != nil {
		t.Errorf("an allowed sign-in is refused: %+v", r)
	}
}

// claimed is the name and the values of a claims document.
func claimed(t *testing.T, document string) string {
	t.Helper()
	if document == "" {
		return ""
	}
	var parsed struct {
		AccessToken map[string]struct {
			Essential bool
			Values    []string
		} `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(document), &parsed); err != nil {
		t.Fatal(err)
	}
	for name, value := range parsed.AccessToken {
		if !value.Essential {
			t.Errorf("%s is not essential", name)
		}
		return name + " " + strings.Join(value.Values, " ")
	}
	return ""
}
