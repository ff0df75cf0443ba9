package sts

import (
	"net/http"
	"slices"
	"time"

	"gatehouse/lab/internal/conditional"
	"gatehouse/lab/internal/directory"
)

// advance decides where a flow stands.
func (s *Server) advance(r *http.Request, f *flow) string {
	switch {
	case f.ended != nil:
		return atError
	case f.kind == deviceSignIn && !f.confirmed:
		return atDevice
	case f.upn == "" && !f.other && f.ask.prompt != "login" && len(s.accounts(r)) > 0:
		return atPicker
	case f.upn == "":
		return atAccount
	case f.expired:
		return atChange
	case len(f.amr) == 0 && f.federated:
		return atFederation
	case len(f.amr) == 0:
		return atPassword
	}
	q := s.flowRequest(r, f)
	entry := f.entry()
	at, refused := atDone, (*refusal)(nil)
	if !s.cfg.Store.Update(f.tenant, func(t *directory.Tenant) { at, refused = s.gates(t, q, f, entry) }) {
		refused = unknownTenant(f.tenant)
	}
	if refused != nil {
		s.logSignIn(q, entry, refused)
		f.ended = refused
		if f.kind == deviceSignIn && f.ruling.stops() {
			s.deviceRefused(f, f.ruling.refusal(q, conditional.Silent))
		}
		return atError
	}
	if at == atMethods {
		return s.secondFactor(r, f)
	}
	if at == atRegister && f.setup != nil {
		if s.setupDone(r, f) {
			return s.advance(r, f)
		}
		if f.setup != nil {
			return atSetup
		}
	}
	return at
}

// gates passes everything behind the password, in this order: account,
// policies and other demands, "stay signed in", assignment, consent.
func (s *Server) gates(t *directory.Tenant, q *request, f *flow, entry *directory.SignIn) (string, *refusal) {
	sub, refused := findSubject(t, f.upn, q.now)
	if refused != nil {
		return "", refused
	}
	entry.UserID, entry.UserName, entry.UPN, entry.HomeTenant = sub.user.ID, sub.user.Name, sub.user.UPN, sub.home.ID
	if p := t.Principal(f.app.ClientID); p != nil {
		if !p.Enabled {
			return "", refuse("unauthorized_client", 7000112, "The application '%s' (%s) is disabled.", f.app.ClientID, f.app.Name)
		}
		q.client = *p
	}
	if !sub.user.Enabled {
		return "", refuse("invalid_grant", 50057, "The user account is disabled.")
	}
	if _, revoked := sub.user.Revoked(directory.Remnant{Cookie: true, Password: f.password(), Issued: f.signedIn}); revoked {
		return f.again(), nil
	}
	at, refused := s.demandGate(t, sub, q, f, entry)
	if at != "" || refused != nil {
		return at, refused
	}
	if browser := f.ruling.browser(); browser != "" {
		f.persistent, f.stayAnswered = browser, true
	}
	if f.fresh && !f.stayAnswered && f.kind == signIn && f.ask.prompt != "none" {
		return atStay, nil
	}
	if q.client.AssignmentRequired && f.kind != adminConsentV1 && f.kind != adminConsentV2 && !assigned(t, &q.client, sub.user.ID) {
		return "", refuse("invalid_grant", 50105, "The user '%s' is not assigned to a role for the application '%s' (%s), which requires assignment.", sub.user.UPN, f.app.ClientID, f.app.Name)
	}
	return s.consentGate(t, sub, q, f)
}

// again asks for the first factor once more.
func (f *flow) again() string {
	f.proof = proof{}
	if f.federated {
		return atFederation
	}
	return atPassword
}

// mayPutOff: Security Defaults ask for registration, and the grace still runs
// (entra-sign-in §11.1).
func (f *flow) mayPutOff(t *directory.Tenant, sub *subject, now time.Time) bool {
	return f.fresh && t.SecurityDefaults && !sub.user.Registered() && now.Before(sub.user.RegistrationGrace)
}

// show answers with the page of the flow's stage, or ends the flow.
func (s *Server) show(w http.ResponseWriter, r *http.Request, f *flow) {
	at := s.advance(r, f)
	if f.changed && slices.Contains([]string{atStay, atConsent, atApproval, atDone}, at) {
		s.remember(w, r, f, f.persistent == "always")
	}
	if f.dontAsk && f.factor() {
		s.trust(w, r, f)
	}
	switch at {
	case atDone:
		s.complete(w, r, f)
	case atFederation:
		s.toFederation(w, r, f)
	default:
		s.showStage(w, r, f, at)
	}
}

// complete ends a flow that has passed every gate.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, f *flow) {
	s.endFlow(f)
	s.logFlow(r, f, nil)
	switch f.kind {
	case adminConsentV1, adminConsentV2:
		s.adminConsented(w, r, f)
	case deviceSignIn:
		s.deviceSignedIn(w, r, f)
	default:
		s.deliverCode(w, r, f)
	}
}

func (s *Server) endFlow(f *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows.drop(f.id)
}

// silent ends a flow that may show nothing (prompt=none).
func (s *Server) silent(w http.ResponseWriter, r *http.Request, f *flow) {
	several := len(s.accounts(r)) > 1
	at := s.advance(r, f)
	if at == atDone {
		s.complete(w, r, f)
		return
	}
	s.endFlow(f)
	s.withdraw(f)
	refused := f.ended
	if at != atError {
		refused = s.silentRefusal(r, f, at, several)
	} else if slices.Contains([]string{"invalid_grant", "invalid_request", "access_denied"}, refused.oauth) {
		again := *refused
		again.oauth = "interaction_required"
		refused = &again
	}
	if at != atError && f.tenant != "" {
		s.logFlow(r, f, refused)
	}
	s.deliverRefusal(w, r, f.ids, f.ask, refused)
}

// silentRefusal says what would have to be shown at a stage.
func (s *Server) silentRefusal(r *http.Request, f *flow, at string, several bool) *refusal {
	switch at {
	case atAccount, atPicker, atPassword, atFederation:
		if f.aged {
			return refuse("interaction_required", 70044, "The session has expired: a Conditional Access policy's sign-in frequency wants a newer sign-in.")
		}
		if several && f.ask.hint == "" {
			return refuse("login_required", 16000, "Several users are signed in; the app must say which of them it means.")
		}
		return refuse("login_required", 50058, "A silent sign-in was asked for, but no user is signed in.")
	case atConsent, atApproval:
		return refuse("consent_required", 65001, "Neither the user nor an administrator has consented to the application '%s' named '%s' for what it asks.", f.app.ClientID, f.app.Name)
	}
	if refused := f.ruling.refusal(s.flowRequest(r, f), conditional.Silent); refused != nil {
		return refused
	}
	if at == atRegister || at == atSetup {
		return refuse("interaction_required", 50079, "The user must register for multi-factor authentication, which a silent sign-in cannot show.").sub("basic_action")
	}
	return refuse("interaction_required", 50076, "Multi-factor authentication must be used, which a silent sign-in cannot show.").sub("basic_action")
}
