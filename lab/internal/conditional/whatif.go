package conditional

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// WhatIfRequest is the body of Graph's evaluate action, read. What Graph looks
// up in the directory (groups, roles, type of the user) is for the caller to put
// into SignIn.
type WhatIfRequest struct {
	SignIn SignIn
	// Apps are the resources asked for, none with a user action or an
	// authentication context.
	Apps []string
	// AppliedOnly leaves out the policies that do not apply.
	AppliedOnly bool
}

// WhatIfResult is whatIfAnalysisResult, less the policy's own members.
type WhatIfResult struct {
	Policy  *directory.Object
	Applies bool
	Reasons string // analysisReasons
}

// maxApps is how many apps one request may name.
const maxApps = 50

// ReadWhatIf reads the body of a request. Errors name the member at fault.
// Source: conditionalAccessRoot: evaluate.
func ReadWhatIf(body map[string]any) (*WhatIfRequest, error) {
	out := &WhatIfRequest{}
	r := &whatIfReader{s: &out.SignIn}
	r.identity(r.block(body, "signInIdentity", true))
	out.Apps = r.context(r.block(body, "signInContext", true))
	r.conditions(r.block(body, "signInConditions", true))
	switch applied := body["appliedPoliciesOnly"].(type) {
	case nil:
	case bool:
		out.AppliedOnly = applied
	default:
		r.fault("appliedPoliciesOnly", "is not true or false")
	}
	if r.err != nil {
		return nil, r.err
	}
	return out, nil
}

type whatIfReader struct {
	s   *SignIn
	err error // the first
}

func (r *whatIfReader) fault(member, problem string) {
	if r.err == nil {
		r.err = fmt.Errorf("reading a what-if request: the member '%s' %s", member, problem)
	}
}

func (r *whatIfReader) block(from map[string]any, name string, wanted bool) map[string]any {
	out, torn := block(from, name)
	if torn || wanted && out == nil {
		r.fault(name, "is missing or no object; send one")
	}
	return out
}

// text reads a member that may be absent; null is absent too.
func (r *whatIfReader) text(from map[string]any, name string) Opt[string] {
	switch v := from[name].(type) {
	case nil:
	case string:
		return Of(v)
	default:
		r.fault(name, "is no string")
	}
	return Opt[string]{}
}

// choice is a text of an enumeration.
func (r *whatIfReader) choice(from map[string]any, name string, values ...string) Opt[string] {
	out := r.text(from, name)
	if out.Known && !slices.ContainsFunc(values, func(v string) bool { return same(v, out.Value) }) {
		r.fault(name, "must be one of "+strings.Join(values, ", "))
	}
	return out
}

// needed is a text that must be there.
func (r *whatIfReader) needed(from map[string]any, name string) string {
	out := r.text(from, name)
	if out.Value == "" {
		r.fault(name, "is missing or empty")
	}
	return out.Value
}

// kind is the type that a block names, without namespace.
func kind(from map[string]any) string {
	return directory.LocationType(from)
}

func (r *whatIfReader) identity(from map[string]any) {
	switch typ := kind(from); {
	case r.err != nil:
	case typ == "userSignIn":
		r.s.PrincipalType = principalUser
		r.s.UserID = Of(r.needed(from, "userId"))
		r.s.GuestOrExternalUserType = r.choice(from, "externalUserType", none, internalGuest, guestOfB2B, memberOfB2B, directConnect, otherExternal, serviceProvide)
		r.s.ExternalTenantID = r.text(from, "externalTenantId")
	case typ == "servicePrincipalSignIn":
		r.s.PrincipalType = principalWorkload
		r.s.ServicePrincipalID = Of(r.needed(from, "servicePrincipalId"))
	default:
		r.fault("signInIdentity/@odata.type", "must be #microsoft.graph.userSignIn or #microsoft.graph.servicePrincipalSignIn")
	}
}

// userActions maps the actions of the request to those of policies.
var userActions = map[string]string{"registersecurityinformation": RegisterSecurityInfo, "registerorjoindevices": RegisterDevice}

func (r *whatIfReader) context(from map[string]any) (apps []string) {
	switch typ := kind(from); {
	case r.err != nil:
	case typ == "applicationContext":
		items, _ := from["includeApplications"].([]any)
		apps = textsOf(items)
		if len(apps) == 0 || len(apps) != len(items) || len(apps) > maxApps {
			r.fault("includeApplications", fmt.Sprintf("must list 1 to %d app ids", maxApps))
		}
	case typ == "userActionContext":
		action := userActions[strings.ToLower(r.needed(from, "userAction"))]
		if action == "" {
			r.fault("userAction", "must be registerSecurityInformation or registerOrJoinDevices")
		}
		r.s.UserAction = Of(action)
	case typ == "authContext":
		r.s.AuthenticationContext = Of(r.needed(from, "authenticationContextValue"))
	default:
		r.fault("signInContext/@odata.type", "must be #microsoft.graph.applicationContext, userActionContext or authContext")
	}
	return apps
}

func (r *whatIfReader) conditions(from map[string]any) {
	risk := []string{"low", "medium", "high", "hidden", none}
	r.s.Platform = r.choice(from, "devicePlatform", "android", "iOS", "windows", "windowsPhone", "macOS", "linux", "all")
	r.s.ClientAppType = r.choice(from, "clientAppType", "all", "browser", "mobileAppsAndDesktopClients", easClient, "easSupported", otherClient)
	r.s.SignInRisk = r.choice(from, "signInRiskLevel", risk...)
	r.s.UserRisk = r.choice(from, "userRiskLevel", risk...)
	r.s.ServicePrincipalRisk = r.choice(from, "servicePrincipalRiskLevel", risk...)
	r.s.InsiderRisk = r.choice(from, "insiderRiskLevel", "minor", "moderate", "elevated", none)
	r.s.Country = r.text(from, "country")
	r.s.IPAddress = r.text(from, "ipAddress")
	r.s.AuthenticationFlow = r.choice(r.block(from, "authenticationFlow", false), "transferMethod", none, "deviceCodeFlow", "authenticationTransfer")
	if device := r.block(from, "deviceInfo", false); device != nil {
		r.s.Device = Of(Device(device))
	}
}

// WhatIf answers Graph's evaluate action: which enabled and report-only policies
// are for the sign-in. What is missing makes a policy not apply. Service
// dependencies are not looked at, nor what a policy asks for. Source: "The
// Conditional Access What If tool".
func WhatIf(policies []*directory.Object, request *WhatIfRequest, world *World) []WhatIfResult {
	bare := *world
	bare.Dependencies, bare.Behind = nil, nil
	signIns := []SignIn{request.SignIn}
	if len(request.Apps) > 0 {
		signIns = nil
	}
	for _, app := range request.Apps {
		s := request.SignIn
		s.Resource = Of(app)
		signIns = append(signIns, s)
	}
	var out []WhatIfResult
	for _, policy := range policies {
		if state, _ := policy.Members["state"].(string); !same(state, stateEnabled) && !same(state, stateReportOnly) {
			continue
		}
		result := WhatIfResult{Policy: policy}
		for i := range signIns {
			e := &evaluation{s: &signIns[i], w: &bare, given: &signIns[i]}
			applies, reason, _ := e.applies(policy.Members)
			if i == 0 || applies == yes {
				result.Applies, result.Reasons = applies == yes, reason
			}
			if result.Applies {
				break
			}
		}
		if result.Applies || !request.AppliedOnly {
			out = append(out, result)
		}
	}
	return out
}
