package conditionalaccess

import "fmt"

// A reason says what decided a condition.
type reason uint8

const (
	reasonNone reason = iota
	reasonMissing
	reasonUnknownCondition
	reasonDisabled
	reasonUnknownState
	reasonNobody
	reasonNotIncluded
	reasonNotInGroup
	reasonAllUsers
	reasonUser
	reasonGroup
	reasonRole
	reasonGuest
	reasonWorkload
	reasonNoWorkload
	reasonMultiTenant
	reasonManaged
	reasonAgents
	reasonAllPrincipals
	reasonPrincipal
	reasonFilter
	reasonNoResource
	reasonOtherResource
	reasonAllResources
	reasonResource
	reasonSuite
	reasonUnknownSuite
	reasonBaseline
	reasonBaselineSkipped
	reasonAction
	reasonOtherAction
	reasonContext
	reasonPlatform
	reasonOtherPlatform
	reasonExcludedPlatform
	reasonClient
	reasonOtherClient
	reasonRisk
	reasonOtherRisk
	reasonFlow
	reasonOtherFlow
	reasonDeviceFilter
	reasonDeviceKept
	reasonDeviceState
	reasonDeviceNotMatched
	reasonDeviceExcluded
	reasonAnyPlace
	reasonPlace
	reasonElsewhere
	reasonUnknownPlace
)

// sentence says a finding for people.
func (f *finding) sentence() string {
	v := clip(f.value)
	switch f.why {
	case reasonMissing, reasonUnknownCondition, reasonUnknownSuite, reasonUnknownPlace:
		return f.lacking()
	case reasonDisabled:
		return "The policy is switched off."
	case reasonUnknownState:
		return "The policy's state is not one that is known here."
	case reasonNobody:
		return "The policy names nobody."
	case reasonNotIncluded:
		return "Your account is not among those the policy includes."
	case reasonNotInGroup:
		return "Your account is not in the group " + v + "."
	case reasonAllUsers:
		return "The policy is for all users."
	case reasonUser:
		return named(f, "Your account is named.", "Your account is excluded by name.")
	case reasonGroup:
		return named(f, "Your account is in the group "+v+".", "Your account is in the excluded group "+v+".")
	case reasonRole:
		return named(f, "Your account holds the role "+v+".", "Your account holds the excluded role "+v+".")
	case reasonGuest:
		return named(f, "Guests and external users of this kind are included.", "Guests and external users of this kind are excluded.")
	case reasonWorkload:
		return "The policy is for applications that sign in by themselves, not for people."
	case reasonNoWorkload:
		return "The policy is for people, not for applications that sign in by themselves."
	case reasonMultiTenant:
		return "The application is another tenant's; policies reach only those of the tenant itself."
	case reasonManaged:
		return "Policies do not reach managed identities."
	case reasonAgents:
		return "The policy is for agents."
	case reasonAllPrincipals:
		return named(f, "The policy is for all applications of the tenant.", "All applications of the tenant are excluded.")
	case reasonPrincipal:
		return named(f, "The application is named.", "The application is excluded by name.")
	case reasonFilter:
		return named(f, "The attributes match the filter: "+v+".", "The attributes match the excluding filter: "+v+".")
	case reasonNoResource:
		return "The policy is for no resource."
	case reasonOtherResource:
		return "The policy is for other resources."
	case reasonAllResources:
		return named(f, "The policy is for all resources.", "All resources are excluded.")
	case reasonResource:
		return named(f, "The resource is named: "+v+".", "The resource is excluded: "+v+".")
	case reasonSuite:
		return named(f, "The resource belongs to an included group of applications.", "The resource belongs to an excluded group of applications.")
	case reasonBaseline:
		return "A request for directory scopes alone counts as access to the directory."
	case reasonBaselineSkipped:
		return "A policy with excluded resources is skipped for requests of directory scopes alone."
	case reasonAction:
		return "The user action is named: " + v + "."
	case reasonOtherAction:
		return "The policy is not for the user action " + v + "."
	case reasonContext:
		return named(f, "The authentication context is named: "+v+".", "The policy is not for the authentication context "+v+".")
	}
	return f.circumstance(v)
}

// circumstance says the findings about how and from where.
func (f *finding) circumstance(v string) string {
	switch f.why {
	case reasonPlatform:
		return orAny(v, "The platform is included: %s.", "The policy is for any platform.")
	case reasonOtherPlatform:
		return orAny(v, "The policy is for other platforms than %s.", "The platform is not recognised, and the policy is for others.")
	case reasonExcludedPlatform:
		return "The platform is excluded: " + v + "."
	case reasonClient:
		return orAny(v, "The kind of client is included: %s.", "The policy is for any kind of client.")
	case reasonOtherClient:
		return "The policy is for other kinds of client than " + v + "."
	case reasonRisk:
		return orAny(v, "The risk is one the policy is for: %s.", "The policy is for this risk.")
	case reasonOtherRisk:
		return orAny(v, "The policy is for other risks than %s.", "There is no risk.")
	case reasonFlow:
		return "The sign-in uses, or the session began with, a flow the policy is for."
	case reasonOtherFlow:
		return "The sign-in uses no flow the policy is for."
	case reasonDeviceFilter:
		return "The device matches the filter: " + v + "."
	case reasonDeviceKept:
		return "The device does not match the excluding filter: " + v + "."
	case reasonDeviceState:
		return "The device is in no excluded state."
	case reasonDeviceNotMatched:
		return orAny(v, "The device does not match the filter: %s.", "The device is in no included state.")
	case reasonDeviceExcluded:
		return "The device matches what is excluded: " + v + "."
	case reasonAnyPlace:
		return named(f, "The policy is for any place, and this one is not excluded.", "Any place is excluded.")
	case reasonPlace:
		return named(f, "The address or country belongs to "+v+".", "The address or country belongs to what is excluded: "+v+".")
	case reasonElsewhere:
		return "The sign-in comes from none of the included places."
	}
	return "Not configured."
}

// lacking says what is not known.
func (f *finding) lacking() string {
	names := f.missing.appendNames(nil)
	if len(names) == 0 {
		return "That is not known."
	}
	list := ""
	for i, n := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			list += " and "
		default:
			list += ", "
		}
		list += n
	}
	switch f.missing {
	case mPolicy.set():
		return "The policy asks for something that is not known here."
	case mNamedLocations.set():
		return "The policy names a location that was not supplied."
	case mTrustedIPs.set():
		return "The MFA trusted IPs were not supplied."
	case mAppGroups.set():
		return "Whether the resource belongs to the group of applications is not known."
	}
	return "Not known without " + list + "."
}

// named picks the sentence for a condition that is met, or for one that is not
// because of an exclusion.
func named(f *finding, met, excluded string) string {
	if f.result == no {
		return excluded
	}
	return met
}

func orAny(v, with, without string) string {
	if v == "" {
		return without
	}
	return fmt.Sprintf(with, v)
}
