package graphsim

import (
	"net/http"
	"strings"

	"gatehouse/lab/internal/conditional"
	"gatehouse/lab/internal/directory"
)

// evaluate: action conditionalAccessRoot: evaluate. Who signs in is looked up
// in the directory; everything else is what the body says.
func evaluate(r *request) (*answer, error) {
	body, err := r.raw()
	if err != nil {
		return nil, err
	}
	request, err := conditional.ReadWhatIf(body)
	if err != nil {
		return nil, badRequest("%s", err)
	}
	if err := r.identify(&request.SignIn); err != nil {
		return nil, err
	}
	world := &conditional.World{Locations: r.tenant.NamedLocations, Strengths: r.tenant.Strengths, Suites: conditional.Suites}
	out := []any{}
	for _, result := range conditional.WhatIf(r.tenant.ConditionalAccess, request, world) {
		out = append(out, extend(r.render(item{policyType, result.Policy}, nil), "policyApplies", result.Applies, "analysisReasons", result.Reasons))
	}
	return ok(object("@odata.context", r.context("Collection(microsoft.graph.whatIfAnalysisResult)"), "value", out)), nil
}

// identify adds what the directory knows of the user or service principal.
func (r *request) identify(s *conditional.SignIn) error {
	if s.ServicePrincipalID.Known {
		p := r.tenant.Principal(s.ServicePrincipalID.Value)
		if p == nil || !strings.EqualFold(p.ID, s.ServicePrincipalID.Value) {
			return notFound(s.ServicePrincipalID.Value)
		}
		if owner := r.tenant.Owner(p.ClientID); owner != r.tenant.ID {
			s.ExternalTenantID = conditional.Of(owner)
		}
		return nil
	}
	u := r.tenant.User(s.UserID.Value)
	if u == nil || !strings.EqualFold(u.ID, s.UserID.Value) {
		return notFound(s.UserID.Value)
	}
	s.UserID, s.UserType = conditional.Of(u.ID), conditional.Of(u.Type)
	s.Groups, s.Roles = conditional.Of(r.tenant.GroupsOf(u.ID)), conditional.Of(r.tenant.RolesOf(u.ID))
	if !s.GuestOrExternalUserType.Known {
		kind := ""
		if u.Type == directory.Guest {
			kind = "b2bCollaborationGuest"
		}
		s.GuestOrExternalUserType = conditional.Of(kind)
	}
	if u.HomeTenant != "" && !s.ExternalTenantID.Known {
		s.ExternalTenantID = conditional.Of(u.HomeTenant)
	}
	return nil
}

func rowsOfWhatIf() {
	read := alike("Policy.Read.ConditionalAccess", "Policy.Read.All", "Policy.ReadWrite.ConditionalAccess").by(policyReaders...).codes("AccessDenied", "")
	row(http.MethodPost, "identity/conditionalAccess/evaluate", read, evaluate)
}
