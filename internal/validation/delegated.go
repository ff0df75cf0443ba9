package validation

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
)

// Person is who signed in for a delegated connection, with what that is good for.
type Person struct {
	ObjectID string // "" while nobody has signed in
	// Token gives a token of the sign-in for a service, or for an address of one;
	// claims are a claims challenge, or "". It never sends a password.
	Token func(ctx context.Context, resource, claims string) (login.Token, error)
	// Needs are the delegated permissions that the app registration asks for; nil
	// where they are not known.
	Needs []Scope
}

// Scope is a delegated permission that an app needs.
type Scope struct {
	Resource string // its appId
	Name     string
	Why      string
}

// The codes of what stands in the way before Microsoft is asked.
const (
	codeNobody = "no_sign_in_yet"        // nobody has signed in
	codeGone   = "no_sign_in_kept"       // there was a sign-in, and it is not at hand
	codeOther  = "token_of_other_person" // the token is somebody else's
)

// OwnCodes are codes that Microsoft does not know.
var OwnCodes = []string{codeNobody, codeGone, codeOther}

// delegated is the recipe for a connection that a person signs in for. Nothing in
// it asks the person for anything.
func (r *run) delegated(ctx context.Context) {
	r.configuration()
	if !r.findTenant(ctx) {
		r.skip("the tenant was not found", ProbeToken, ProbeClaims, ProbeAccount, ProbeRegistration, ProbePosture, ProbeService, ProbePermissions)
		return
	}
	r.look(ctx)
	r.obtain(ctx)
	r.personClaims()
	if r.Username == "" {
		r.skip("who will sign in is not known yet", ProbeAccount, ProbeRegistration, ProbePosture)
	} else {
		r.account(ctx)
		r.registration()
		r.posture(ctx)
	}
	if r.tokenErr != nil {
		r.skip("there is no token", ProbeService)
		r.grants(ctx)
		return
	}
	r.service(ctx)
	r.permissions(ctx)
	r.secondHop(ctx)
}

// obtain asks for a token of the sign-in that is kept. That nobody has signed in
// yet is no failure: nothing is known until somebody has.
func (r *run) obtain(ctx context.Context) {
	r.probe(ProbeToken, func(p *Probe) {
		p.Evidence["client_id"] = r.ClientID
		if r.facts.ClientName != "" {
			p.Evidence["client_name"] = r.facts.ClientName
		}
		if r.Person.ObjectID == "" {
			r.tokenErr = &microsoft.Error{Service: microsoft.ServiceLogin, Op: "asking for a token", Code: codeNobody, Message: "nobody has signed in for this connection yet"}
			p.fail(r.tokenErr, r.facts)
			p.set(NotKnown, "nobody has signed in for this connection yet, so there is nothing to try: sign in on its page, or send the person a link")
			return
		}
		if r.token, r.tokenErr = r.ask(ctx, r.primary(), ""); r.tokenErr == nil {
			p.set(Passed, "")
			p.Evidence["correlation_id"], p.Evidence["expires"] = r.token.CorrelationID, r.token.Expires.UTC().Format(time.RFC3339)
			return
		}
		r.rule = ruleOfRefusal(r.tokenErr, r.facts.ClientName)
		p.fail(r.tokenErr, r.withRule())
		var e *microsoft.Error
		if errors.As(r.tokenErr, &e) && e.Code == codeGone {
			p.set(p.State, "%s", e.Message)
		}
	})
}

// ask gives a token of the person's sign-in for a service. A refusal that
// Microsoft did not utter says that the sign-in is not at hand.
func (r *run) ask(ctx context.Context, service, claims string) (login.Token, error) {
	resource := service
	if scope := r.scope(service); service == ServiceSharePoint && scope != nil {
		resource = strings.TrimSuffix(scope[0], "/.default")
	}
	return r.askFor(ctx, resource, claims)
}

func (r *run) askFor(ctx context.Context, resource, claims string) (login.Token, error) {
	token, err := r.Person.Token(ctx, resource, claims)
	var e *microsoft.Error
	if err != nil && !errors.As(err, &e) && ctx.Err() == nil {
		err = &microsoft.Error{Service: microsoft.ServiceLogin, Op: "asking for a token", Code: codeGone, Message: err.Error(), Err: err}
	}
	return token, err
}

// personClaims holds the token against whose and what for it has to be.
func (r *run) personClaims() {
	if r.tokenErr != nil {
		r.skip("there is no token", ProbeClaims)
		return
	}
	r.probe(ProbeClaims, func(p *Probe) {
		c := r.token.Claims
		if !c.Readable() {
			p.set(NotKnown, "the access token cannot be read; that is Microsoft's right and no fault")
			return
		}
		r.facts.ClientName = cmp.Or(r.facts.ClientName, c.AppName)
		for key, value := range map[string]string{"app_name": c.AppName, "audience": c.Audience, "scopes": c.Scopes, "signed_in": c.UPN, "object_id": c.ObjectID} {
			if value != "" {
				p.Evidence[key] = value
			}
		}
		p.Evidence["mfa_proved"] = "not told"
		if c.AMR != nil {
			p.Evidence["authentication_methods"], p.Evidence["mfa_proved"] = c.AMR, slices.Contains(c.AMR, "mfa")
		}
		wanted := r.resource(r.primary())
		switch {
		case !strings.EqualFold(c.TenantID, r.tenant.ID):
			r.wrong(p, "the token is for tenant %s, not for %s", c.TenantID, r.tenant.ID)
		case !strings.EqualFold(c.ObjectID, r.Person.ObjectID):
			r.wrong(p, "the token is of the person with object id %s, and %s signed in for this connection (%s)", c.ObjectID, cmp.Or(r.Username, "another one"), r.Person.ObjectID)
		case !audience(c.Audience, wanted, posture.Services[r.primary()]):
			p.set(Warning, "the token is for %s, not for %s", c.Audience, wanted)
		case strings.TrimSpace(c.Scopes) == "":
			r.rule = &diagnosis.Rule{Kind: diagnosis.Consent, Name: text(r.facts.ClientName)}
			p.fail(&microsoft.Error{Service: microsoft.ServiceLogin, Op: "reading the token", Code: "no_permission", Message: "the token carries no delegated permission"}, r.withRule())
		default:
			p.set(Passed, "")
		}
	})
}

// wrong fails a token that must not be used for this connection, and keeps it from
// being used.
func (r *run) wrong(p *Probe, format string, args ...any) {
	p.set(Fail, format, args...)
	r.tokenErr = &microsoft.Error{Service: microsoft.ServiceLogin, Op: "reading the token", Code: codeOther, Message: *p.Reason}
	r.token = login.Token{}
	p.fail(r.tokenErr, r.facts)
	p.State = Fail
}

// resource is the address by which tokens for a service are asked for; "" where
// none are.
func (r *run) resource(service string) string {
	scope := r.scope(service)
	if scope == nil {
		return ""
	}
	return strings.TrimSuffix(scope[0], "/.default")
}

// audience reports whether a token is for a resource, by its address or its appId:
// which of the two stands in it depends on the version of the token.
func audience(aud, address, appID string) bool {
	aud = strings.TrimSuffix(aud, "/")
	return strings.EqualFold(aud, strings.TrimSuffix(address, "/")) || appID != "" && strings.EqualFold(aud, appID)
}

// judgeRenewal looks for what will stop the next renewal, or the next sign-in: a
// rule that came after the person signed in, or that the sign-in did not meet.
func (r *run) judgeRenewal(p *Probe, outcome posture.Outcome) bool {
	if r.Person == nil {
		return false
	}
	stops := outcome.Stops()
	if len(stops) == 0 {
		return false
	}
	p.Evidence["next_renewal"] = "asks the person to sign in again"
	p.set(Warning, "%s; the token at hand is from before, and the next renewal will ask the person to sign in again", posture.Sentence(stops[0]))
	return true
}
