package validation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
)

// hop is a refused sign-in of another app for the same person, as evidence.
type hop struct {
	At       time.Time `json:"at"`
	App      string    `json:"app"`
	Resource string    `json:"resource"`
	Code     string    `json:"code"`
	Rules    []string  `json:"rules"`
}

// secondHop looks, in the tenant's sign-in log, for apps that act on behalf of the
// person and are refused for want of MFA: the first app's sign-in is fine, and the
// second's exchange of its token is not (story 28). What is not in the log proves
// nothing.
func (r *run) secondHop(ctx context.Context) {
	if r.reader == nil || r.Shared != nil {
		return // nothing to see it by, or the log is left alone in a sweep
	}
	since := r.now().Add(-24 * time.Hour).UTC().Format(time.RFC3339)
	filter := fmt.Sprintf("createdDateTime ge %s and userId eq '%s' and signInEventTypes/any(t:t eq 'nonInteractiveUser')", since, strings.ReplaceAll(r.Person.ObjectID, "'", "''"))
	var page struct {
		Value []behalfSignIn `json:"value"`
	}
	if r.reader.Get(ctx, "/beta/auditLogs/signIns?$top=50&$filter="+graph.QueryValue(filter), &page) != nil {
		return // needs P1, and is more than was asked for
	}
	var hops []hop
	for i := range page.Value {
		e := &page.Value[i]
		code := fmt.Sprintf("AADSTS%d", e.Status.ErrorCode)
		if strings.EqualFold(e.AppID, r.ClientID) || !posture.MayStandBehind(code) || slices.ContainsFunc(hops, func(h hop) bool { return h.App == e.AppDisplayName && h.Resource == e.Resource }) {
			continue
		}
		h := hop{At: e.CreatedDateTime, App: e.AppDisplayName, Resource: e.Resource, Code: code, Rules: []string{}}
		for _, rule := range rulesOfLog(&e.SignIn, e.AppID) {
			if rule.Name != nil && rule.Kind == diagnosis.ConditionalAccess {
				h.Rules = append(h.Rules, *rule.Name)
			} else {
				h.Rules = append(h.Rules, string(rule.Kind))
			}
		}
		hops = append(hops, h)
	}
	if len(hops) == 0 {
		return
	}
	r.probe(ProbeSecondHop, func(p *Probe) {
		p.Evidence["refused"] = hops
		first := hops[0]
		by := "a rule that the log does not name"
		if len(first.Rules) > 0 {
			by = strings.Join(first.Rules, ", ")
		}
		proof := "does not say whether MFA was done"
		if r.token.Claims.AMR != nil {
			proof = map[bool]string{true: "proves MFA", false: "proves no MFA"}[slices.Contains(r.token.Claims.AMR, "mfa")]
		}
		p.set(Warning, "%s, which acts on behalf of the person, was refused at %s with %s by %s: the token that it exchanged lacks what the rule asks for. This connection's own token %s; the person has to sign in again with the claims that %s passes on",
			first.App, first.Resource, first.Code, by, proof, first.App)
	})
}

// behalfSignIn is an entry of the log with what it was for.
type behalfSignIn struct {
	graph.SignIn
	Resource string `json:"resourceDisplayName"`
}
