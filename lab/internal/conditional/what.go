package conditional

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// User actions as policies spell them.
const (
	RegisterSecurityInfo = "urn:user:registersecurityinfo"
	RegisterDevice       = "urn:user:registerdevice"
)

// action is the user action that the sign-in is for, "" if it is for none.
func (s *SignIn) action() string { return s.UserAction.Value }

// what asks whether the policy is for what the sign-in asks for: applications,
// user actions or authentication contexts. Source: "Conditional Access: Target
// resources".
func (e *evaluation) what(conditions map[string]any) truth {
	apps, torn := block(conditions, "applications")
	if torn {
		return e.unreadable("applications")
	}
	strangeIn, strangeOut := e.strange(apps, "includeApplications", "excludeApplications", "includeUserActions",
		"includeAuthenticationContextClassReferences", "applicationFilter")
	out := no
	if e.s.action() != "" {
		out = e.userAction(apps)
	} else {
		context := e.s.AuthenticationContext.Value
		if context != "" {
			out = e.list(apps, "includeAuthenticationContextClassReferences").has(context)
		}
		switch {
		case context == "" && e.s.Resource.Value == "":
			out = e.anything(apps)
		case e.s.Resource.Value != "":
			out = or(out, e.resources(apps))
		}
	}
	return and(or(out, strangeIn), not(strangeOut))
}

// target is the whatIfAnalysisReasons value for what the sign-in asks for.
func (s *SignIn) target() string {
	switch {
	case s.action() != "":
		return reasonUserActions
	case s.AuthenticationContext.Value != "" && s.Resource.Value == "":
		return reasonContext
	}
	return reasonApplication
}

func (e *evaluation) userAction(apps map[string]any) truth {
	out := e.list(apps, "includeUserActions").has(e.s.action())
	if same(e.s.action(), RegisterSecurityInfo) && !e.w.AllSparesRegistration {
		out = or(out, e.list(apps, "includeApplications").has("All"))
	}
	return out
}

// anything: what the sign-in is for is not known. A policy for all resources
// applies if it must be a resource.
func (e *evaluation) anything(apps map[string]any) truth {
	nothing := list{items: []string{"None"}}
	include, exclude := e.list(apps, "includeApplications").without(nothing), e.list(apps, "excludeApplications").without(nothing)
	filterIn, filterOut := e.attributeFilter(apps, "applicationFilter")
	include = e.spared(include, exclude)
	actions, contexts := e.list(apps, "includeUserActions"), e.list(apps, "includeAuthenticationContextClassReferences")
	resource := e.s.UserAction.Known && e.s.AuthenticationContext.Known // known to be none
	switch {
	case exclude.has("All") == yes:
		include = list{}
	case resource && include.has("All") == yes && exclude.empty() && filterOut == no:
		return yes
	}
	if filterIn != no || !include.empty() ||
		!e.s.UserAction.Known && !actions.empty() || !e.s.AuthenticationContext.Known && !contexts.empty() {
		return e.lack("resource")
	}
	return no
}

// resources asks for the resource, the services whose data the scopes open, and
// those whose policies come first: one that is targeted is enough.
func (e *evaluation) resources(apps map[string]any) truth {
	nothing := list{items: []string{"None"}}
	include, exclude := e.list(apps, "includeApplications").without(nothing), e.list(apps, "excludeApplications").without(nothing)
	filterIn, filterOut := e.attributeFilter(apps, "applicationFilter")
	include = e.spared(include, exclude)
	all := include.has("All")
	excluding := !exclude.empty() || filterOut != no
	baseline, oidc := e.s.baseline()
	if all == yes && excluding && baseline {
		return e.baselineRequest(exclude, filterOut, oidc)
	}
	out := no
	for _, id := range e.targets() {
		in := or(filterIn, include.any(func(v string) truth { return e.app(v, id) }))
		ex := or(filterOut, exclude.any(func(v string) truth { return e.app(v, id) }))
		out = or(out, and(in, not(ex)))
	}
	return out
}

// spared are the included values that no excluded one takes away.
func (e *evaluation) spared(include, exclude list) list {
	missing := e.missing
	include.items = slices.DeleteFunc(slices.Clone(include.items), func(id string) bool {
		return exclude.any(func(v string) truth { return e.app(v, id) }) == yes
	})
	e.missing = missing
	return include
}

// baselineRequest decides for a policy on all resources with exclusions where
// only baseline scopes are asked for. It used to be skipped; now the request
// counts as one for Windows Azure Active Directory, save that of an excluded
// confidential client for its own ID token.
func (e *evaluation) baselineRequest(exclude list, filterOut truth, oidc bool) truth {
	if e.w.OldBaselineScopes {
		return no
	}
	out := not(exclude.any(func(v string) truth { return e.app(v, directory.DirectoryID) }))
	if oidc {
		own := exclude.any(func(v string) truth { return e.app(v, e.s.Resource.Value) })
		out = and(out, not(or(own, filterOut)))
	}
	return out
}

// baseline reports whether only baseline scopes are asked for, and whether they
// are all OpenID Connect's own. Scopes that are not known are taken for others.
func (s *SignIn) baseline() (only, oidc bool) {
	oidc = true
	for _, scope := range s.Scopes.Value {
		own, listed := baselineScopes[scopeName(scope)]
		if !listed {
			return false, false
		}
		oidc = oidc && own
	}
	return len(s.Scopes.Value) > 0, oidc
}

// scopeName is a scope less its resource, in lower case.
func scopeName(scope string) string {
	return strings.ToLower(scope[strings.LastIndexByte(scope, '/')+1:])
}

// targets are the ids of the apps whose policies apply.
func (e *evaluation) targets() []string {
	ids := []string{e.s.Resource.Value}
	if same(ids[0], directory.GraphID) {
		if behind := e.behind(); len(behind) > 0 {
			ids = behind
		}
	}
	for i := 0; i < len(ids); i++ { // what they depend on in turn, once each
		for _, id := range e.w.Dependencies[strings.ToLower(ids[i])] {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// behind are the apps whose data the scopes open; Graph itself among them if a
// scope opens something else.
func (e *evaluation) behind() []string {
	var ids []string
	for _, scope := range e.s.Scopes.Value {
		name := scopeName(scope)
		if _, baseline := baselineScopes[name]; baseline {
			continue
		}
		kind, _, _ := strings.Cut(name, ".")
		id, known := e.w.Behind[kind]
		if !known {
			id = directory.GraphID
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// app asks whether a value of a policy stands for the app.
func (e *evaluation) app(value, id string) truth {
	switch {
	case same(value, "All"):
		return yes
	case same(value, "None"):
		return no
	case same(value, "AllAgentIdResources"): // beta: which those are is not told
		return e.lack("agent resources")
	case same(value, id):
		return yes
	}
	suites := e.w.Suites[strings.ToLower(id)]
	if suites == suitesUnknown && (same(value, office365) || same(value, adminPortals)) {
		e.lack("app group of " + strings.ToLower(id))
		if is, assumed := e.assumed[strings.ToLower(value+" has "+id)]; assumed {
			return of(is)
		}
		return maybe
	}
	return of(slices.ContainsFunc(strings.Split(suites, ","), func(s string) bool { return same(s, value) }))
}
