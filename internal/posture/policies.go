package posture

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	ca "gatehouse/conditionalaccess"
	"gatehouse/internal/diagnosis"
)

// compiled are the policies of a snapshot, made ready once for all sign-ins.
type compiled struct {
	once sync.Once
	set  *ca.Set
	all  *ca.Compiled

	mu    sync.Mutex
	alone map[int]*ca.Compiled // single policies, by position
}

// options of all evaluations: as sign-ins meet the policies, not as the What If
// tool shows them.
var options = ca.Options{ServiceDependencies: true}

// compile reads the policies as Graph gave them.
func (s *Snapshot) compile() *compiled {
	c := s.compiled
	if c == nil { // a snapshot that was made by hand
		c = &compiled{}
	}
	c.once.Do(func() {
		var documents []ca.Document
		add := func(part string, values []json.RawMessage) {
			for i, raw := range values {
				documents = append(documents, ca.Document{Name: fmt.Sprintf("%s[%d]", part, i), Data: raw})
			}
		}
		for i, p := range s.Policies {
			documents = append(documents, ca.Document{Name: fmt.Sprintf("%s[%d]", PartPolicies, i), Data: p.Raw})
		}
		add(PartLocations, s.Locations)
		add(PartStrengths, s.Strengths)
		c.set = ca.Read(documents...)
		if s.Locations == nil && s.Reason(PartLocations, "") != "" {
			// Which addresses are trusted is then not known; without this none would be.
			c.set.Locations = append(c.set.Locations, &ca.NamedLocation{ID: PartLocations, Trusted: true, Unreadable: true})
		}
		c.all = ca.Compile(c.set, options)
	})
	return c
}

// single gives one policy alone, as if it were switched on: what it asks for by
// itself.
func (c *compiled) single(i int) *ca.Compiled {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alone[i] == nil {
		p, alone := c.all.Policy(i), options
		alone.ReportOnlyAsEnabled = true
		set := &ca.Set{Policies: []*ca.Policy{p}, Strengths: c.set.Strengths, CustomRoles: c.set.CustomRoles}
		if p.Conditions.Locations != nil {
			set.Locations = c.set.Locations
		}
		if c.alone == nil {
			c.alone = map[int]*ca.Compiled{}
		}
		c.alone[i] = ca.Compile(set, alone)
	}
	return c.alone[i]
}

// subject is who signs in, for the texts.
type subject struct {
	account Account
	app     App
	user    bool
	in      SignIn
}

// policies adds what each policy that applies, or may apply, means; if none
// does, that is one finding.
func (s *Snapshot) policies(out *Outcome, request ca.SignIn, who subject) {
	out.ReportOnly, out.Others = []Finding{}, []Finding{}
	f := Finding{Rule: Rule(diagnosis.ConditionalAccess)}
	if s.Policies == nil {
		f.Effect, f.Why = NotKnown, "the Conditional Access policies could not be read: "+s.Reason(PartPolicies, "")
		out.Findings = append(out.Findings, f)
		return
	}
	c := s.compile()
	before := len(out.Findings)
	if faults := c.set.Faults; len(faults) > 0 {
		f.Effect, f.Why = NotKnown, fmt.Sprintf("of the Conditional Access settings something cannot be read (%d in all): %s", len(faults), faults[0].Error())
		out.Findings = append(out.Findings, f)
	}
	var result ca.Result
	for _, trace := range c.all.Trace(&request, &result) {
		p := c.all.Policy(trace.Policy)
		switch applies := trace.Result != "does_not_apply"; {
		case p.State == ca.Disabled:
		case p.State == ca.ReportOnly && applies:
			if found := s.judge(c, trace.Policy, request, who); found.Stops() {
				out.ReportOnly = append(out.ReportOnly, found)
			}
		case p.State == ca.ReportOnly:
		case applies:
			out.Findings = append(out.Findings, s.judge(c, trace.Policy, request, who))
		default:
			out.Others = append(out.Others, Finding{Rule: ruleOf(p), Effect: DoesNot, Why: unmet(trace)})
		}
	}
	if len(out.Findings) == before {
		f.Effect, f.Why = DoesNot, s.nonApplies(c, who)
		out.Findings = append(out.Findings, f)
	}
}

func ruleOf(p *ca.Policy) diagnosis.Rule {
	return diagnosis.Rule{Kind: diagnosis.ConditionalAccess, ID: text(p.ID), Name: text(p.DisplayName)}
}

// unmet is the sentence on the first condition that is not met.
func unmet(trace ca.PolicyTrace) string {
	for _, c := range trace.Conditions {
		if c.Result == "not_met" {
			why := strings.TrimSuffix(c.Why, ".")
			return "it does not apply: " + strings.ToLower(why[:min(1, len(why))]) + why[min(1, len(why)):]
		}
	}
	return "it does not apply"
}

// nonApplies says why no policy touches the sign-in.
func (s *Snapshot) nonApplies(c *compiled, who subject) string {
	enabled, workload := 0, 0
	for _, p := range c.set.Policies {
		if p.State != ca.Enabled {
			continue
		}
		enabled++
		if p.Conditions.ClientApplications != nil {
			workload++
		}
	}
	switch {
	case enabled == 0:
		return "no Conditional Access policy is enabled"
	case who.user:
		return fmt.Sprintf("no enabled Conditional Access policy applies to this sign-in (%d looked at)", enabled)
	case workload == 0:
		return "MFA rules do not touch apps, and no enabled Conditional Access policy is for workload identities"
	case who.app.Type == "ManagedIdentity":
		return "Conditional Access does not touch managed identities"
	case who.app.OwnerTenant != "" && !strings.EqualFold(who.app.OwnerTenant, s.TenantID):
		return "policies for workload identities reach only apps that are registered in this tenant; this one is registered elsewhere"
	}
	return fmt.Sprintf("no enabled Conditional Access policy for workload identities applies to this app (%d looked at)", workload)
}

// judge says what one policy that applies, or may, means for the sign-in.
func (s *Snapshot) judge(c *compiled, i int, request ca.SignIn, who subject) Finding {
	p := c.all.Policy(i)
	f := Finding{Rule: ruleOf(p)}
	var alone ca.Result
	c.single(i).Evaluate(&request, &alone)
	f.Missing = slices.Clone(alone.Missing)
	covers := covers(p, who) + places(p, c.set, who)
	switch alone.Verdict {
	case ca.Allowed:
		f.Effect, f.Missing, f.Why = DoesNot, nil, "it "+covers+"; "+satisfied(p)
		return f
	case ca.Unknown:
		f.Effect, f.Controls, f.Code = NotKnown, controls(p), codeOf(p, who)
		f.Why = fmt.Sprintf("it %s; it would %s, and whether it does depends on what is not known: %s", covers, asks(p, f.Controls), list(missingWords(f.Missing)))
		if len(f.Missing) > 0 && !slices.ContainsFunc(f.Missing, func(m string) bool { return !strings.HasSuffix(m, "Risk") }) {
			f.Effect = MayDemand
			f.Why = fmt.Sprintf("it %s; it would %s where Microsoft sees a risk (%s), which is judged at each sign-in", covers, asks(p, f.Controls), list(missingWords(f.Missing)))
		}
	case ca.Blocked:
		f.Effect, f.Controls, f.Code = Blocks, alone.Outstanding, alone.ErrorCode
		f.Why = "it " + covers + "; it blocks the sign-in"
		if !slices.Contains(alone.Outstanding, "block") {
			f.Why = fmt.Sprintf("it %s; it asks for %s, which %s cannot give", covers, wants(p, alone.Outstanding), who.in.flow().words())
		}
	default:
		f.Effect, f.Controls, f.Code = Demands, alone.Outstanding, alone.ErrorCode
		f.Why = fmt.Sprintf("it %s; it asks for %s", covers, wants(p, alone.Outstanding))
	}
	if !who.user && who.app.OwnerTenant == "" && f.Stops() {
		// Only apps of this tenant are reached.
		f.Effect, f.Missing = NotKnown, append(f.Missing, "externalTenantId")
		f.Why += ", if the app is registered in this tenant; Graph does not say where it is"
	}
	f.Because, f.SparedBy = because(p, f, who), s.spares(p, c.set, who)
	return f
}

func satisfied(p *ca.Policy) string {
	if p.Grant == nil {
		names := []string{}
		for _, control := range p.Session {
			names = append(names, control.Name)
		}
		return "it has session controls only (" + list(names) + ")"
	}
	return "what it asks for was given"
}

// controls are the grant controls of a policy in Graph's names.
func controls(p *ca.Policy) []string {
	if p.Grant == nil {
		return nil
	}
	out := slices.Clone(p.Grant.BuiltIn)
	if p.Grant.Strength != nil {
		out = append(out, "authenticationStrength")
	}
	if len(p.Grant.TermsOfUse) > 0 {
		out = append(out, "termsOfUse")
	}
	return append(append(out, p.Grant.CustomFactors...), p.Grant.Unknown...)
}

// codeOf is the code of the refusal that an open policy would end in
// (conditional-access-evaluation §9).
func codeOf(p *ca.Policy, who subject) int {
	for _, of := range []struct {
		control string
		code    int
	}{{"block", 53003}, {"mfa", codeMFA}, {"authenticationStrength", codeMFA}, {"compliantDevice", 53000}, {"domainJoinedDevice", 53001}, {"approvedApplication", 53002}, {"compliantApplication", 53009}} {
		if !slices.ContainsFunc(controls(p), func(c string) bool { return strings.EqualFold(c, of.control) }) {
			continue
		}
		switch {
		case of.code == codeMFA && who.in.flow().legacy():
			return 53003
		case of.code == codeMFA:
			return who.account.demandCode()
		}
		return of.code
	}
	return 0
}

// because tells what makes a policy stop the sign-in, for the remedies.
func because(p *ca.Policy, f Finding, who subject) []string {
	var out []string
	add := func(word string, holds bool) {
		if holds {
			out = append(out, word)
		}
	}
	first := ""
	if len(f.Controls) > 0 {
		first = f.Controls[0]
	}
	blocks := slices.Contains(f.Controls, "block")
	add("workload", p.Conditions.ClientApplications != nil)
	add("legacy", who.user && who.in.flow().legacy())
	add("flow", len(p.Conditions.TransferMethods) > 0)
	add("risk", len(p.Conditions.SignInRiskLevels)+len(p.Conditions.UserRiskLevels)+len(p.Conditions.InsiderRiskLevels)+len(p.Conditions.ServicePrincipalRiskLevels) > 0)
	add("device", first == "compliantDevice" || first == "domainJoinedDevice")
	add("app", first == "approvedApplication" || first == "compliantApplication")
	add("location", blocks && p.Conditions.Locations != nil)
	add("block", blocks)
	return out
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
