package sts

import (
	"net/http"
	"slices"

	"gatehouse/lab/internal/conditional"
	"gatehouse/lab/internal/directory"
)

// What is asked of a person on the pages, by policies and others: blocks end the
// flow, everything else has a page.

// judgeFlow holds the flow against the policies, with a proof.
func (s *Server) judgeFlow(t *directory.Tenant, q *request, sub *subject, f *flow, p proof) *ruling {
	var out *ruling
	for _, w := range f.ask.wishes {
		q.resource, q.permitted, q.isDefault, q.asked = w.resource, w.scopes, w.all, f.ask.openID
		out = out.join(s.judge(t, q, sub, p))
	}
	for _, resource := range f.ask.claims.targets(t) {
		q.resource, q.permitted, q.isDefault = resource, nil, true
		out = out.join(s.judge(t, q, sub, p))
	}
	q.resource = f.ask.wishes[0].resource
	return out
}

// browser is what policies say of staying signed in.
func (r *ruling) browser() string {
	if r == nil {
		return ""
	}
	return r.session.PersistentBrowser
}

// demandGate gives the page of what is asked for next, "" if nothing is.
func (s *Server) demandGate(t *directory.Tenant, sub *subject, q *request, f *flow, entry *directory.SignIn) (string, *refusal) {
	_, home := sub.guestType(t)
	q.guest = home != ""
	s.rememberGate(t, sub, q.http, f, q.now)
	f.ruling = s.judgeFlow(t, q, sub, f, f.proof)
	f.demands = nil
	for _, w := range f.ask.wishes {
		if q.resource = w.resource; len(f.demands) == 0 {
			f.demands = demands(t, sub, q)
		}
	}
	q.resource = f.ask.wishes[0].resource
	entry.Demands, entry.MFARequired = slices.Clone(f.demands), len(f.demands) > 0
	f.ruling.note(entry, f.proof)
	if f.ruling.is(conditional.Blocked) {
		return "", f.ruling.refusal(q, conditional.Interactive)
	}
	if refused := sub.suspicious(); refused != nil {
		return "", refused
	}
	if sub.gdap && f.ruling.is(conditional.TermsRequired, conditional.CustomRequired) {
		return "", passthrough(q)
	}
	if !f.fresh && f.ruling.aged(f.proof, q.now) {
		f.aged = true
		return f.again(), nil
	}
	if at, refused := s.factorGate(t, sub, q, f, entry); at != "" || refused != nil {
		return at, refused
	}
	switch {
	case f.ruling.stops():
		return "", f.ruling.refusal(q, conditional.Interactive)
	case f.ruling.is(conditional.PasswordChangeRequired):
		f.compromised = true
		return atChange, nil
	case f.ruling.is(conditional.TermsRequired):
		f.terms = f.ruling.agreements(sub.user)
		return atTerms, nil
	case f.ruling.is(conditional.CustomRequired):
		return atExternal, nil
	}
	return "", nil
}

// factorGate asks for a second factor, or for its registration.
func (s *Server) factorGate(t *directory.Tenant, sub *subject, q *request, f *flow, entry *directory.SignIn) (string, *refusal) {
	needed := !f.factor() && (len(f.demands) > 0 || f.ask.claims.factor(t)) || f.ruling.wantsFactor()
	if needed && sub.user.Registered() {
		f.methods = nil
		for _, m := range sub.user.Methods {
			if m.MFA() {
				f.methods = append(f.methods, *m)
			}
		}
		f.methods = sortMethods(f.methods, sub.user)
		f.unfit = s.unfitWays(t, sub, q, f)
		return atMethods, nil
	}
	f.needed = needed
	later := !needed && !f.factor() && !f.skipped && f.mayPutOff(t, sub, q.now)
	if !needed && !later {
		return "", nil
	}
	if r := s.judgeRegistration(t, q, sub, f.proof); r.stops() || r.is(conditional.CustomRequired) {
		if later {
			return "", nil
		}
		f.ruling = r
		entry.Demands = slices.Clone(f.demands)
		r.note(entry, f.proof)
		return "", r.refusal(q, conditional.Interactive)
	}
	if refused := f.ruling.refusal(q, conditional.Interactive); refused != nil && refused.code == 53004 {
		return "", refused
	}
	return atRegister, nil
}

// unfitWays are the ways of giving a second factor after which the policies
// would still want one: an authentication strength takes only some.
func (s *Server) unfitWays(t *directory.Tenant, sub *subject, q *request, f *flow) map[string]bool {
	if !f.ruling.wantsFactor() {
		return nil
	}
	out := map[string]bool{}
	for way := range secondModes {
		out[way] = s.judgeFlow(t, q, sub, f, f.with(way, q.now)).wantsFactor()
	}
	return out
}

// agreement is an agreement on its page.
type agreement struct{ Name string }

// agreements are those that the flow's user is asked to accept.
func (s *Server) agreements(f *flow) []agreement {
	var out []agreement
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) {
		for _, id := range f.terms {
			name := "Terms of use" // of an agreement that is gone
			for _, a := range t.Agreements {
				if called, _ := a.Members["displayName"].(string); a.ID == id && called != "" {
					name = called
				}
			}
			out = append(out, agreement{name})
		}
	})
	return out
}

// takeExternal takes the word of a control outside the service, such as another
// maker's MFA: in the real cloud the browser goes there and comes back.
func (s *Server) takeExternal(w http.ResponseWriter, r *http.Request, f *flow, passed bool) bool {
	if !passed {
		refused := refuse("access_denied", 50158, "The further check that a policy asks for was not passed.")
		if f.kind == deviceSignIn {
			s.deviceRefused(f, refused)
		}
		s.decline(w, r, f, refused)
		return true
	}
	f.external, f.changed = true, true
	return false
}

// takeTerms notes the acceptance of the agreements, or ends the sign-in.
func (s *Server) takeTerms(w http.ResponseWriter, r *http.Request, f *flow, accepted bool) bool {
	if !accepted {
		refused := refuse("access_denied", 50158, "The terms of use that a policy asks for were not accepted.")
		if f.kind == deviceSignIn {
			s.deviceRefused(f, refused)
		}
		s.decline(w, r, f, refused)
		return true
	}
	s.cfg.Store.Update(f.tenant, func(t *directory.Tenant) {
		sub, refused := findSubject(t, f.upn, s.cfg.Store.Now())
		if f.problem = refused; refused != nil {
			return
		}
		u := t.User(sub.user.ID) // a guest accepts here
		if u == nil {
			u = sub.home.User(sub.user.ID)
		}
		for _, id := range f.terms {
			u.Accept(id)
		}
	})
	return false
}
