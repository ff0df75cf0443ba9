package graphsim

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// signInType: resource type signIn. $filter takes what "List signIns" names.
var signInType = func() *entity {
	e := newEntity("signIn",
		prop("id", func(_ *request, e *directory.SignIn) any { return e.ID }),
		prop("createdDateTime", func(_ *request, e *directory.SignIn) any { return when(e.Time) }),
		prop("userDisplayName", func(_ *request, e *directory.SignIn) any { return text(e.UserName) }),
		prop("userPrincipalName", func(_ *request, e *directory.SignIn) any { return text(e.UPN) }),
		prop("userId", func(_ *request, e *directory.SignIn) any { return e.UserID }),
		prop("appId", func(_ *request, e *directory.SignIn) any { return text(e.ClientID) }),
		prop("appDisplayName", func(_ *request, e *directory.SignIn) any { return text(e.ClientName) }),
		prop("ipAddress", func(_ *request, e *directory.SignIn) any { return text(e.IPAddress) }),
		prop("clientAppUsed", clientAppUsed),
		prop("userAgent", func(_ *request, e *directory.SignIn) any { return text(e.UserAgent) }),
		prop("correlationId", func(_ *request, e *directory.SignIn) any { return text(e.CorrelationID) }),
		prop("conditionalAccessStatus", func(_ *request, e *directory.SignIn) any { return text2(e.CAStatus, "notApplied") }),
		prop("isInteractive", func(_ *request, e *directory.SignIn) any { return e.Interactive }),
		constant("none", "riskDetail", "riskLevelAggregated", "riskLevelDuringSignIn", "riskState"),
		none("riskEventTypes", "riskEventTypes_v2"),
		prop("appliedConditionalAccessPolicies", appliedPolicies),
		prop("resourceDisplayName", func(_ *request, e *directory.SignIn) any { return text(e.ResourceName) }),
		prop("resourceId", func(_ *request, e *directory.SignIn) any { return text(e.Resource) }),
		prop("homeTenantId", func(r *request, e *directory.SignIn) any {
			if e.HomeTenant != "" {
				return e.HomeTenant
			}
			return r.tenant.ID
		}),
		prop("resourceTenantId", func(r *request, _ *directory.SignIn) any { return r.tenant.ID }),
		prop("servicePrincipalId", func(_ *request, e *directory.SignIn) any { return e.PrincipalID }),
		prop("servicePrincipalName", func(r *request, e *directory.SignIn) any {
			if e.PrincipalID == "" {
				return nil
			}
			return text(e.ClientName)
		}),
		prop("status", func(_ *request, e *directory.SignIn) any {
			return object("errorCode", e.Status, "failureReason", text(e.Failure), "additionalDetails", nil)
		}),
		prop("deviceDetail", deviceDetail),
		prop("location", func(*request, *directory.SignIn) any {
			return object("city", nil, "state", nil, "countryOrRegion", nil, "geoCoordinates", object("altitude", nil, "latitude", nil, "longitude", nil))
		}),
		null("authenticationAppDeviceDetails"),
		slices.Concat(
			prop("authenticationRequirement", func(_ *request, e *directory.SignIn) any {
				if e.MFARequired {
					return "multiFactorAuthentication"
				}
				return "singleFactorAuthentication"
			}),
			prop("authenticationRequirementPolicies", func(_ *request, e *directory.SignIn) any {
				out := []any{}
				for _, d := range e.Demands {
					out = append(out, object("requirementProvider", d.Provider, "detail", d.Detail))
				}
				return out
			}),
			prop("authenticationDetails", authenticationDetails),
			prop("originalTransferMethod", func(_ *request, e *directory.SignIn) any { return text2(e.TransferMethod, "none") }),
			prop("authenticationProtocol", func(_ *request, e *directory.SignIn) any {
				if e.Protocol == "" {
					return "none"
				}
				return e.Protocol
			}),
			prop("clientCredentialType", func(_ *request, e *directory.SignIn) any {
				if e.CredentialType == "" {
					return "none"
				}
				return e.CredentialType
			}),
			prop("signInEventTypes", func(_ *request, e *directory.SignIn) any { return texts(eventType(e)) }),
			prop("userType", func(r *request, e *directory.SignIn) any {
				if u := r.tenant.User(e.UserID); u != nil && u.Type == directory.Guest {
					return "guest"
				}
				return "member"
			}),
			prop("originalRequestId", func(_ *request, e *directory.SignIn) any { return e.ID }),
			prop("uniqueTokenIdentifier", func(_ *request, e *directory.SignIn) any { return opaque("uti", e.ID)[:22] }),
			prop("sessionId", func(_ *request, e *directory.SignIn) any { return text(e.CorrelationID) }),
			constant("AzureAD", "tokenIssuerType"),
			constant("none", "incomingTokenType", "crossTenantAccessType"),
			constant(120, "processingTimeInMilliseconds"),
			constant(0, "autonomousSystemNumber"),
			constant(false, "flaggedForReview", "isTenantRestricted", "isThroughGlobalSecureAccess"),
			none("authenticationMethodsUsed", "authenticationProcessingDetails", "authenticationAppPolicyEvaluationDetails", "authenticationContextClassReferences",
				"networkLocationDetails", "conditionalAccessAudiences", "sessionLifetimePolicies", "appliedEventListeners"),
			null("agent", "homeTenantName", "alternateSignInName", "appOwnerTenantId", "appTokenProtectionStatus", "azureResourceId", "clientSessionId", "federatedCredentialId", "globalSecureAccessIpAddress",
				"ipAddressFromResourceProvider", "managedServiceIdentity", "mfaDetail", "privateLinkDetails", "resourceOwnerTenantId", "resourceServicePrincipalId", "servicePrincipalCredentialKeyId",
				"servicePrincipalCredentialThumbprint", "signInIdentifier", "signInIdentifierType", "signInTokenProtectionStatus", "tokenIssuerName", "tokenProtectionStatusDetails"),
		).inBeta(),
	)
	e.filters = []string{"id", "appDisplayName", "userDisplayName", "userPrincipalName", "ipAddress", "appId", "userId", "correlationId", "resourceId", "resourceDisplayName", "clientAppUsed",
		"conditionalAccessStatus", "createdDateTime", "status/errorCode", "location/", "deviceDetail/", "signInEventTypes", "isInteractive", "riskState", "riskLevelDuringSignIn", "riskLevelAggregated",
		"servicePrincipalId", "servicePrincipalName", "authenticationRequirement", "homeTenantId", "resourceTenantId", "originalRequestId", "uniqueTokenIdentifier", "userAgent",
		"authenticationProtocol", "clientCredentialType", "appliedConditionalAccessPolicies", "appliedConditionalAccessPolicies/"}
	return e
}()

// appliedPolicies: resource type appliedConditionalAccessPolicy. Who may not
// read policies does not see which were looked at (List signIns, permissions).
func appliedPolicies(r *request, e *directory.SignIn) any {
	if !r.holds("Policy.Read.All", "Policy.Read.ConditionalAccess", "Policy.ReadWrite.ConditionalAccess") {
		return nil
	}
	out := []any{}
	for _, p := range e.Applied {
		one := object("id", p.ID, "displayName", text(p.Name), "enforcedGrantControls", texts(p.Grant...), "enforcedSessionControls", texts(p.Session...), "result", text2(p.Result, "unknown"))
		if r.beta() {
			one = extend(one, "conditionsSatisfied", text2(strings.Join(p.Satisfied, ","), "none"), "conditionsNotSatisfied", text2(strings.Join(p.NotSatisfied, ","), "none"),
				"includeRulesSatisfied", []any{}, "excludeRulesSatisfied", []any{}, "sessionControlsNotSatisfied", []any{}, "authenticationStrength", r.appliedStrength(p.Strength))
		}
		out = append(out, one)
	}
	return out
}

// appliedStrength: resource type authenticationStrength of the log.
func (r *request) appliedStrength(id string) any {
	for _, o := range r.strengths() {
		if id != "" && strings.EqualFold(o.ID, id) {
			return object("authenticationStrengthId", o.ID, "displayName", o.Members["displayName"], "authenticationStrengthResult", "none")
		}
	}
	return nil
}

// eventType: which of the log's four kinds an entry is.
func eventType(e *directory.SignIn) string {
	switch {
	case e.PrincipalID != "" && e.UserID == "":
		return "servicePrincipal"
	case e.Interactive:
		return "interactiveUser"
	}
	return "nonInteractiveUser"
}

func clientAppUsed(_ *request, e *directory.SignIn) any {
	switch {
	case eventType(e) == "servicePrincipal":
		return nil
	case strings.HasPrefix(e.UserAgent, "Mozilla/") && e.Protocol != "ropc":
		return "Browser"
	}
	return "Mobile Apps and Desktop clients"
}

func deviceDetail(_ *request, e *directory.SignIn) any {
	system := ""
	for _, s := range []struct{ sign, name string }{{"Windows", "Windows 10"}, {"Mac OS", "MacOs"}, {"Android", "Android"}, {"iPhone", "Ios"}, {"Linux", "Linux"}} {
		if strings.Contains(e.UserAgent, s.sign) {
			system = s.name
			break
		}
	}
	browser, _, _ := strings.Cut(e.UserAgent, " ")
	return object("deviceId", "", "displayName", nil, "operatingSystem", text(system), "browser", text(browser), "isCompliant", nil, "isManaged", nil, "trustType", nil)
}

func authenticationDetails(_ *request, e *directory.SignIn) any {
	if e.UserID == "" {
		return []any{}
	}
	step := func(method, detail, requirement string, succeeded bool, result string) map[string]any {
		return object("authenticationStepDateTime", when(e.Time), "authenticationMethod", method, "authenticationMethodDetail", text(detail), "succeeded", succeeded,
			"authenticationStepResultDetail", result, "authenticationStepRequirement", requirement)
	}
	wrong := e.Status == 50126 || e.Status == 50053 || e.Status == 50055 || e.Status == 50056 || e.Status == 50057
	if wrong {
		return []any{step("Password", "Password in the cloud", "Primary authentication", false, text2(e.Failure, "methodFailed"))}
	}
	out := []any{step("Password", "Password in the cloud", "Primary authentication", true, "methodSucceeded")}
	if e.MFARequired {
		done := e.Status == 0
		result := "methodSucceeded"
		if !done {
			result = "mfaRequired"
		}
		out = append(out, step("Multifactor authentication", "", "Multifactor authentication", done, result))
	}
	return out
}

func text2(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// visible gives the log newest first. v1.0 has interactive user sign-ins only;
// so has beta, unless the filter asks for other event types ("signIn resource
// type", signInEventTypes).
func (r *request) visible() []item {
	every := r.beta() && strings.Contains(strings.ToLower(r.options.filter), "signineventtypes")
	var out []item
	for _, e := range slices.Backward(r.tenant.SignIns) {
		if every || eventType(e) == "interactiveUser" {
			out = append(out, item{signInType, e})
		}
	}
	return out
}

var signInPages = listing{set: "auditLogs/signIns", types: []*entity{signInType}, page: 1000, most: 1000}

func listSignIns(r *request) (*answer, error) { return r.list(signInPages, r.visible()) }

func getSignIn(r *request) (*answer, error) {
	for _, e := range r.tenant.SignIns {
		if strings.EqualFold(e.ID, r.vars[0]) && (r.beta() || eventType(e) == "interactiveUser") {
			return r.single(signInPages.set, item{signInType, e})
		}
	}
	return nil, refuse(http.StatusNotFound, "itemNotFound", "The log has no sign-in with this id.")
}
