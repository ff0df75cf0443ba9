package validation

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
)

// posture says which rules would stop the sign-in, and which one did.
func (r *run) posture(ctx context.Context) {
	r.probe(ProbePosture, func(p *Probe) {
		if r.snapshot == nil {
			r.unseen(p)
			return
		}
		r.renew(ctx, func() []posture.Finding {
			a, _ := r.snapshot.Account(r.Username)
			return r.snapshot.Evaluate(a, r.tried(nil)).Stops()
		})
		r.stamp(p)
		a, ok := r.snapshot.Account(r.Username)
		if !ok {
			p.set(NotKnown, "the account could not be read, so its rules are not known")
			return
		}
		r.judge(ctx, p, func(in posture.SignIn) posture.Outcome { return r.snapshot.Evaluate(a, in) })
	})
	r.rediagnose()
}

// workloadPosture is the posture of an app: the MFA rules concern people, the
// policies for workload identities apps of this tenant.
func (r *run) workloadPosture(ctx context.Context) {
	r.probe(ProbePosture, func(p *Probe) {
		if r.snapshot == nil {
			r.unseen(p)
			return
		}
		r.renew(ctx, func() []posture.Finding {
			a, _ := r.snapshot.App(r.ClientID)
			return r.snapshot.EvaluateApp(a, r.tried(nil)).Stops()
		})
		r.stamp(p)
		a, ok := r.snapshot.App(r.ClientID)
		if !ok {
			reason := r.snapshot.Reason(posture.PartApp, r.ClientID)
			if reason == "" {
				reason = "the snapshot does not hold the app; take it with --app " + r.ClientID
			}
			p.set(NotKnown, "%s", reason)
			return
		}
		r.judge(ctx, p, func(in posture.SignIn) posture.Outcome { return r.snapshot.EvaluateApp(a, in) })
	})
	r.rediagnose()
}

// judge evaluates the rules for the sign-in that was tried and holds them
// against what Microsoft answered.
func (r *run) judge(ctx context.Context, p *Probe, evaluate func(posture.SignIn) posture.Outcome) {
	var e *microsoft.Error
	refused := errors.As(r.tokenErr, &e) && posture.MayStandBehind(e.Code)
	var entry *graph.SignIn
	if refused {
		entry = r.logEntry(ctx, p)
	}
	in := r.tried(entry)
	outcome := evaluate(in)
	r.outcome = &outcome
	p.Evidence["rules"], p.Evidence["sign_in"] = outcome.Findings, outcome.SignIn
	if in.Address.IsValid() {
		p.Evidence["address"], p.Evidence["in_named_locations"] = in.Address.String(), r.snapshot.LocationsOf(in.Address)
	}
	if len(outcome.ReportOnly) > 0 {
		p.Evidence["report_only"] = outcome.ReportOnly
	}
	switch {
	case refused:
		var logged []diagnosis.Rule
		if entry != nil {
			logged = rulesOfLog(entry, r.ClientID)
		}
		r.judgeRefusal(p, e.Code, outcome, logged)
	case r.tokenErr == nil:
		r.judgeSuccess(p, in, outcome, evaluate)
	default: // the first factor was refused: no rule was asked
		judgePosture(p, outcome.Findings)
	}
}

// tried describes the sign-in that was tried. Its address is known only where
// Microsoft says from which one it came.
func (r *run) tried(entry *graph.SignIn) posture.SignIn {
	in := posture.SignIn{ClientID: r.ClientID, Resource: posture.Services[r.primary()]}
	if r.facts.AppOnly {
		in.Flow = posture.FlowApp
	}
	if r.Person != nil {
		in.Flow, in.MFA = posture.FlowDesktop, slices.Contains(r.token.Claims.AMR, "mfa")
	}
	if r.tokenErr == nil && !r.facts.AppOnly && r.token.Claims.Readable() {
		in.Scopes = strings.Fields(r.token.Claims.Scopes)
	}
	address := r.token.Claims.IPAddress
	if entry != nil {
		address = entry.IPAddress
	}
	if parsed, err := netip.ParseAddr(address); err == nil {
		in.Address = parsed.Unmap()
	}
	return in
}

// judgePosture sums up findings by the strongest, which is the first.
func judgePosture(p *Probe, findings []posture.Finding) {
	p.set(Passed, "no rule that was read stops this sign-in")
	if len(findings) == 0 {
		return
	}
	switch first := findings[0]; first.Effect {
	case posture.DoesNot:
	case posture.NotKnown:
		p.set(NotKnown, "%s", posture.Sentence(first))
	default:
		p.set(Warning, "%s", posture.Sentence(first))
	}
}

// judgeSuccess looks for what will stop the same identity another time: rules
// that are asked only now and then, other places, ways and services. A rule
// that should have stopped this sign-in is said, as what was read is then
// wrong somewhere.
func (r *run) judgeSuccess(p *Probe, in posture.SignIn, outcome posture.Outcome, evaluate func(posture.SignIn) posture.Outcome) {
	if r.judgeRenewal(p, outcome) {
		return
	}
	stops := outcome.Stops()
	if len(stops) > 0 {
		p.Evidence["disagrees"] = "Microsoft let the sign-in through although by what was read it should have been stopped: the rule is newer than the token service knows, was changed since, or looks at something that is not known here"
		p.set(Warning, "%s; yet the sign-in went through", posture.Sentence(stops[0]))
		return
	}
	elsewhere := r.snapshot.Elsewhere(in, evaluate)
	if len(elsewhere) > 0 {
		p.Evidence["elsewhere"] = elsewhere
	}
	// What was open was met by this sign-in, but need not be by the next one.
	open := slices.DeleteFunc(slices.Clone(outcome.Findings), func(f posture.Finding) bool {
		return f.Rule.Kind == diagnosis.ConditionalAccess && f.Rule.ID != nil && f.Effect == posture.NotKnown
	})
	judgePosture(p, open)
	if i := slices.IndexFunc(elsewhere, func(e posture.Elsewhere) bool { return e.Unchanged }); i >= 0 && p.State == Passed {
		p.set(Warning, "%s it would be stopped: %s", elsewhere[i].Where, posture.Sentence(elsewhere[i].Finding))
	}
}

// namePolicy finds the name of a policy of which only the id is known.
func (r *run) namePolicy() {
	if r.rule == nil || r.rule.ID == nil || r.rule.Name != nil {
		return
	}
	for _, policy := range r.snapshot.Policies {
		if strings.EqualFold(policy.ID, *r.rule.ID) {
			r.rule.Name = text(policy.DisplayName)
		}
	}
}
