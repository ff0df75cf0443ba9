package sts

import (
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/conditional"
	"gatehouse/lab/internal/directory"
)

// ruling is what the Conditional Access policies of a tenant make of a request:
// of every resource and authentication context that it asks for. nil: the
// tenant has no policies.
type ruling struct {
	*conditional.Decision // the one that decides
	session               conditional.Session
	policies              []*directory.Object
}

func decide(t *directory.Tenant, in *conditional.SignIn, w *conditional.World) *ruling {
	d := conditional.Evaluate(t.ConditionalAccess, in, w)
	return &ruling{d, d.Session, t.ConditionalAccess}
}

// judge holds a person's sign-in against the policies.
func (s *Server) judge(t *directory.Tenant, q *request, sub *subject, p proof) *ruling {
	if len(t.ConditionalAccess) == 0 {
		return nil
	}
	in := s.ofUser(t, q, sub, p)
	w := world(t, in.ExternalTenantID.Value)
	contexts := q.claims.acrs
	if len(contexts) == 0 {
		contexts = []string{""}
	}
	var out *ruling
	for _, context := range contexts {
		in.AuthenticationContext = conditional.Of(context)
		out = out.join(decide(t, in, w))
	}
	return out
}

// judgeRegistration holds the registration of security information against the
// policies. Those for all resources do not count: whoever they stop is stopped
// at the resource, and nobody could ever register otherwise.
func (s *Server) judgeRegistration(t *directory.Tenant, q *request, sub *subject, p proof) *ruling {
	if len(t.ConditionalAccess) == 0 {
		return nil
	}
	in := s.ofUser(t, q, sub, p)
	in.Resource, in.Scopes = conditional.Opt[string]{}, conditional.Opt[[]string]{}
	in.UserAction = conditional.Of(conditional.RegisterSecurityInfo)
	w := world(t, in.ExternalTenantID.Value)
	w.AllSparesRegistration = true
	return decide(t, in, w)
}

// judgeApp holds an app's own sign-in against the policies. Apps of other
// tenants are out of scope ("Conditional Access for workload identities").
func (s *Server) judgeApp(t *directory.Tenant, q *request) *ruling {
	if len(t.ConditionalAccess) == 0 {
		return nil
	}
	in := s.facts(q, "")
	in.PrincipalType, in.ServicePrincipalID = "servicePrincipal", conditional.Of(q.client.ID)
	in.ServicePrincipalRisk = conditional.Of("")
	if owner := t.Owner(q.client.ClientID); owner != t.ID {
		in.ExternalTenantID = conditional.Of(owner)
	}
	return decide(t, in, world(t, ""))
}

// join draws two rulings of one request together: a block decides, then
// whatever else is unmet. Of session controls the stricter ones hold.
func (r *ruling) join(other *ruling) *ruling {
	switch {
	case other == nil:
		return r
	case r == nil:
		return other
	}
	session := other.session
	r.session.EveryTime = r.session.EveryTime || session.EveryTime
	if f := session.SignInFrequency; f > 0 && (r.session.SignInFrequency == 0 || f < r.session.SignInFrequency) {
		r.session.SignInFrequency = f
	}
	if r.session.PersistentBrowser != "never" && session.PersistentBrowser != "" {
		r.session.PersistentBrowser = session.PersistentBrowser
	}
	if r.Verdict == conditional.Allowed || other.Verdict == conditional.Blocked && r.Verdict != conditional.Blocked {
		r.Decision = other.Decision
	}
	return r
}

// is reports whether the verdict is one of these.
func (r *ruling) is(verdicts ...conditional.Verdict) bool {
	return r != nil && slices.Contains(verdicts, r.Verdict)
}

func (r *ruling) wantsFactor() bool {
	return r.is(conditional.MFARequired, conditional.StrengthRequired, conditional.RegistrationRequired)
}

// stops reports whether nothing that a person does on the pages helps.
func (r *ruling) stops() bool {
	return r.is(conditional.Blocked, conditional.DeviceRequired, conditional.AppProtectionRequired, conditional.Unknown)
}

// everyTime is how old a sign-in may be where each wants a fresh one ("Adaptive
// session lifetime": five minutes for clocks that differ).
const everyTime = 5 * time.Minute

// aged reports whether the sign-in is older than the policies allow.
func (r *ruling) aged(p proof, now time.Time) bool {
	if r == nil {
		return false
	}
	age := now.Sub(p.signedIn)
	return r.session.SignInFrequency > 0 && age >= r.session.SignInFrequency || r.session.EveryTime && age >= everyTime
}

// reasons are conditions as the sign-in log names them
// (conditionalAccessConditions), by whatIfAnalysisReasons.
var reasons = map[string]string{
	"users": "users", "application": "application", "devicePlatform": "devicePlatform", "location": "location", "clientApps": "clientType",
	"signInRisk": "signInRisk", "userRisk": "userRisk", "insiderRisk": "insiderRisk", "devices": "deviceState", "authenticationFlow": "authenticationFlow",
	"workloadIdentities": "servicePrincipals",
}

// note writes into a log entry what became of each policy, and who asks for MFA.
func (r *ruling) note(e *directory.SignIn, p proof) {
	e.TransferMethod = p.transfer
	if r == nil {
		return
	}
	e.CAStatus, e.Applied = r.Status(), nil
	for i, policy := range r.Policies {
		one := directory.AppliedPolicy{ID: policy.ID, Name: policy.Name, Result: policy.Log, Grant: policy.GrantControls, Session: policy.SessionControls,
			Strength: strengthOf(r.policies[i])}
		if reason := reasons[policy.Reason]; reason != "" {
			one.NotSatisfied = []string{reason}
		}
		e.Applied = append(e.Applied, one)
		if policy.State != "enabled" || policy.Applies != conditional.Applies {
			continue
		}
		asks := func(control, outstanding string) bool {
			return slices.Contains(policy.Outstanding, outstanding) || p.factor() && slices.Contains(policy.GrantControls, control)
		}
		switch {
		case one.Strength != "" && (p.factor() || len(policy.Outstanding) > 0):
			e.Demands = append(e.Demands, directory.Demand{Provider: "authenticationStrengths", Detail: policy.Name})
		case asks("Mfa", "mfa"):
			e.Demands = append(e.Demands, directory.Demand{Provider: "multiConditionalAccess", Detail: policy.Name})
		}
	}
	e.MFARequired = e.MFARequired || len(e.Demands) > 0
}

func strengthOf(policy *directory.Object) string {
	grant, _ := policy.Members["grantControls"].(map[string]any)
	strength, _ := grant["authenticationStrength"].(map[string]any)
	id, _ := strength["id"].(string)
	return id
}

// agreements are those that the policies ask for and that the user has not
// accepted.
func (r *ruling) agreements(u *directory.User) []string {
	var out []string
	for i, policy := range r.Policies {
		if policy.State != "enabled" || !slices.Contains(policy.Outstanding, "termsOfUse") {
			continue
		}
		grant, _ := r.policies[i].Members["grantControls"].(map[string]any)
		ids, _ := grant["termsOfUse"].([]any)
		for _, id := range ids {
			if id, _ := id.(string); id != "" && !slices.Contains(u.Terms, id) && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// policyTexts say what a policy wants, by the number that the service gives.
var policyTexts = map[int]string{
	50072:  "The user must register for multi-factor authentication to reach '%s'.",
	50074:  "Strong authentication is required to reach '%s', and it has not been shown yet.",
	50076:  "A Conditional Access policy asks for multi-factor authentication to reach '%s'.",
	50079:  "A Conditional Access policy asks for multi-factor authentication to reach '%s', and the user must register for it first.",
	50131:  "A Conditional Access policy stands in the way of '%s', and the service cannot tell how to meet it.",
	50135:  "The account is at risk; its password must be changed before '%s' can be reached.",
	50158:  "A further demand of a policy must be met outside this request to reach '%s', such as accepting terms of use.",
	53000:  "The device is not compliant with the organisation's rules, as '%s' wants it.",
	53001:  "The device is not joined to the organisation's domain, as '%s' wants it.",
	53002:  "The app is none of those that are approved to reach '%s'.",
	53003:  "A Conditional Access policy blocks access to '%s'.",
	53004:  "The user must register for multi-factor authentication to reach '%s', and may not while the sign-in or the account is at risk.",
	53009:  "The app must be protected by an app protection policy to reach '%s'.",
	53010:  "Security information can be registered only from places or devices that the organisation names.",
	53011:  "The user's home organisation considers the account to be at risk, so '%s' cannot be reached.",
	530036: "The refresh token goes back to a way of signing in that a Conditional Access policy blocks for '%s'.",
}

// refusal tells the ruling to whoever asked; nil if it allows.
func (r *ruling) refusal(q *request, how conditional.Request) *refusal {
	if r == nil {
		return nil
	}
	told := r.Refuse(how)
	if told == nil {
		return nil
	}
	code := told.Code
	switch {
	case r.Verdict == conditional.RegistrationRequired && r.risky(told.Policies, "userRiskLevels", "signInRiskLevels"):
		code = 53004
	case r.Verdict == conditional.Blocked && q.guest && r.risky(told.Policies, "userRiskLevels"):
		code = 53011
	}
	out := refuse(told.OAuth, code, strings.ReplaceAll(policyTexts[code], "%s", "%[1]s"), q.resource.Name)
	out.suberror, out.claims = told.Suberror, told.Claims
	for _, policy := range r.Policies {
		if slices.Contains(told.Policies, policy.ID) {
			out.policies = append(out.policies, policy.Name)
		}
	}
	return out
}

// externals are the names of the custom controls that the policies ask for.
func (r *ruling) externals() string {
	var names []string
	for i, policy := range r.Policies {
		if policy.State != "enabled" || len(policy.Outstanding) == 0 {
			continue
		}
		grant, _ := r.policies[i].Members["grantControls"].(map[string]any)
		list, _ := grant["customAuthenticationFactors"].([]any)
		for _, id := range list {
			if id, _ := id.(string); id != "" && !slices.Contains(names, id) {
				names = append(names, id)
			}
		}
	}
	return strings.Join(names, ", ")
}

// risky reports whether one of the policies asks for a level of risk.
func (r *ruling) risky(ids []string, members ...string) bool {
	return slices.ContainsFunc(r.policies, func(policy *directory.Object) bool {
		conditions, _ := policy.Members["conditions"].(map[string]any)
		return slices.Contains(ids, policy.ID) && slices.ContainsFunc(members, func(name string) bool {
			levels, _ := conditions[name].([]any)
			return len(levels) > 0
		})
	})
}
