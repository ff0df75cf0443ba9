package sts

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/conditional"
	"gatehouse/lab/internal/directory"
)

// What Conditional Access is told of a sign-in.

// Client app types (conditional-access-evaluation §2.3).
const (
	browserClient = "browser"
	desktopClient = "mobileAppsAndDesktopClients"
	byDevice      = "deviceCodeFlow"
)

// facts are those that people and apps have in common.
func (s *Server) facts(q *request, user string) *conditional.SignIn {
	n := s.networkOf(q, user)
	in := &conditional.SignIn{
		ID: q.ids.trace, Resource: conditional.Of(q.resource.ClientID), ClientAppType: conditional.Of(q.clientType()),
		IPAddress: conditional.Of(n.Address), Country: conditional.Of(strings.ToUpper(n.Country)), CompliantNetwork: conditional.Of(n.CompliantNetwork),
		Platform: conditional.Of(platformOf(q.http.UserAgent())), InsiderRisk: conditional.Of(""),
		AuthenticationFlow: conditional.Of(q.transfer), OriginalTransferMethod: conditional.Of(q.transfer),
	}
	return in
}

// clientType: what is registered as a confidential client, and pages in a
// browser, are browsers; native clients are the other kind.
func (q *request) clientType() string {
	if q.app.Public && q.spaUntil.IsZero() && !q.page {
		return desktopClient
	}
	return browserClient
}

// ofUser adds the person.
func (s *Server) ofUser(t *directory.Tenant, q *request, sub *subject, p proof) *conditional.SignIn {
	u := sub.user
	in := s.facts(q, u.UPN)
	in.PrincipalType = "user"
	in.UserID, in.UserType = conditional.Of(u.ID), conditional.Of(u.Type)
	kind, home := sub.guestType(t)
	in.GuestOrExternalUserType, in.ExternalTenantID = conditional.Of(kind), conditional.Of(home)
	in.Groups, in.Roles = conditional.Of(t.GroupsOf(u.ID)), conditional.Of(sub.roles)
	in.Scopes = conditional.Of(q.scopesFor(t, sub))
	in.SignInRisk, in.UserRisk = conditional.Of(u.SignInRisk), conditional.Of(u.Risk.Level)
	in.Device = conditional.Of(conditional.Device(nil))
	if d := u.Device; d != nil && (d.Client == "" || strings.EqualFold(d.Client, q.app.Name) || strings.EqualFold(d.Client, q.app.ClientID)) {
		in.Device = conditional.Of(conditional.Device(d.Attributes))
	}
	if p.transfer != "" {
		in.OriginalTransferMethod = conditional.Of(p.transfer)
	}
	in.AuthMethodCombination = conditional.Of(strings.Join(p.modes, ","))
	satisfied := slices.Concat(u.Terms, q.done)
	if p.password() {
		satisfied = append(satisfied, "password")
	}
	if p.factor() {
		satisfied = append(satisfied, "mfa")
	}
	if p.external {
		satisfied = append(satisfied, "customAuthenticationFactor")
	}
	in.Satisfied = conditional.Of(satisfied)
	var methods []string
	for _, m := range u.Methods {
		if m.MFA() {
			methods = append(methods, m.Type)
		}
	}
	in.MethodsRegistered = conditional.Of(methods)
	return in
}

// guestType is what kind of guest the person is, and of which tenant.
func (sub *subject) guestType(t *directory.Tenant) (kind, home string) {
	switch {
	case sub.gdap:
		return "serviceProvider", sub.home.ID
	case sub.user.HomeTenant == "" && sub.user.Type == directory.Guest:
		return "internalGuest", ""
	case sub.home.ID == t.ID:
		return "", ""
	case sub.user.Type == directory.Guest:
		return "b2bCollaborationGuest", sub.home.ID
	}
	return "b2bCollaborationMember", sub.home.ID
}

// scopesFor are the scopes that are asked for; .default stands for those that
// were granted.
func (q *request) scopesFor(t *directory.Tenant, sub *subject) []string {
	if !q.isDefault {
		return append(slices.Clone(q.permitted), slices.DeleteFunc(slices.Clone(q.asked), func(s string) bool { return !slices.Contains(openIDScopes, strings.ToLower(s)) })...)
	}
	return t.ScopesOf(q.client.ClientID, q.resource.ClientID, sub.user.ID)
}

// world is what the policies of a tenant refer to.
func world(t *directory.Tenant, home string) *conditional.World {
	w := &conditional.World{
		Locations: t.NamedLocations, Strengths: t.Strengths, Suites: conditional.Suites,
		Dependencies: conditional.EarlyBound, Behind: conditional.BehindScopes,
	}
	w.TrustedIPs.Known = true // the older settings are not in the lab
	if trust := t.Trusts(home); home != "" {
		w.Trust = map[string]conditional.Trust{strings.ToLower(home): {MFA: trust.MFA, CompliantDevice: trust.CompliantDevice, HybridJoined: trust.HybridJoined}}
	}
	return w
}

// platformOf reads the operating system from the user agent, "" if it is none
// that Conditional Access knows ("Conditional Access: Conditions", device
// platforms). Windows Phones and Chromebooks call themselves other things too.
func platformOf(agent string) string {
	for _, sign := range []struct{ text, platform string }{
		{"Windows Phone", "windowsPhone"}, {"CrOS", ""}, {"Android", "android"}, {"iPhone", "iOS"}, {"iPad", "iOS"}, {"iPod", "iOS"},
		{"Windows NT", "windows"}, {"Macintosh", "macOS"}, {"Mac OS X", "macOS"}, {"Linux", "linux"},
	} {
		if strings.Contains(agent, sign.text) {
			return sign.platform
		}
	}
	return ""
}
