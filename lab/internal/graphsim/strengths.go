package graphsim

import (
	"maps"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// strengthModes are the values of authenticationMethodModes.
var strengthModes = []string{"password", "voice", "hardwareOath", "softwareOath", "sms", "fido2", "windowsHelloForBusiness", "microsoftAuthenticatorPush", "deviceBasedPush",
	"temporaryAccessPassOneTime", "temporaryAccessPassMultiUse", "email", "x509CertificateSingleFactor", "x509CertificateMultiFactor", "federatedSingleFactor",
	"federatedMultiFactor", "qrCodePin"}

// strengthType: resource type authenticationStrengthPolicy.
var strengthType = objectEntity("authenticationStrengthPolicy",
	times(),
	kept("displayName", "description"),
	// $filter calls the name so, too (graph-mfa-posture §4).
	prop("policyName", func(_ *request, o *directory.Object) any { return o.Members["displayName"] }).seldom(),
	otherwise("policyType", "custom"), otherwise("requirementsSatisfied", "mfa"),
	otherwise("allowedCombinations", []any{}), otherwise("combinationConfigurations", []any{}),
)

// builtInStrengths are Microsoft's three ("Authentication strengths").
var builtInStrengths = func() []*directory.Object {
	resistant := []string{"windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor"}
	passwordless := append(slices.Clone(resistant), "deviceBasedPush")
	all := append(slices.Clone(passwordless), "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse", "password,microsoftAuthenticatorPush", "password,softwareOath",
		"password,hardwareOath", "password,x509CertificateSingleFactor", "password,x509CertificateMultiFactor", "password,sms", "password,voice", "federatedMultiFactor", "microsoftAuthenticatorPush,federatedSingleFactor", "softwareOath,federatedSingleFactor", "hardwareOath,federatedSingleFactor", "sms,federatedSingleFactor", "voice,federatedSingleFactor")
	one := func(id, name, description string, combinations []string) *directory.Object {
		return &directory.Object{ID: id, Created: stamp, Modified: stamp, Members: object("displayName", name, "description", description, "policyType", "builtIn",
			"requirementsSatisfied", "mfa", "allowedCombinations", texts(combinations...), "combinationConfigurations", []any{})}
	}
	return []*directory.Object{
		one(directory.StrengthMFA, "Multifactor authentication", "Every combination of methods that counts as two factors.", all),
		one(directory.StrengthPasswordless, "Passwordless MFA", "Methods that are two factors without a password.", passwordless),
		one(directory.StrengthPhishingResistant, "Phishing-resistant MFA", "Methods that a false sign-in page cannot take.", resistant),
	}
}()

// strengths are the built-in ones and the tenant's own.
func (r *request) strengths() []*directory.Object {
	return slices.Concat(builtInStrengths, r.tenant.Strengths)
}

var strengthFamily = &family{
	set: "policies/authenticationStrengthPolicies", typ: strengthType, name: "authentication strength", service: methodService, most: 15, // "Custom authentication strengths"
	list:  func(t *directory.Tenant) *[]*directory.Object { return &t.Strengths },
	fixed: []string{"policyType", "requirementsSatisfied", "combinationConfigurations"},
	check: checkStrength,
	merge: func(old, patch map[string]any) map[string]any {
		patch = maps.Clone(patch)
		delete(patch, "allowedCombinations") // changed by the action updateAllowedCombinations
		maps.Copy(old, patch)
		return old
	},
	remove: func(r *request, o *directory.Object) error {
		if len(r.usersOf(o.ID)) > 0 {
			return badRequest("The authentication strength is used by a Conditional Access policy.")
		}
		return nil
	},
}

func checkStrength(r *request, o *directory.Object, _ map[string]any) error {
	name, _ := o.Members["displayName"].(string)
	if name == "" || len(name) > 30 { // "Custom authentication strengths": 30 characters
		return badRequest("The member 'displayName' must have 1 to 30 characters.")
	}
	if slices.ContainsFunc(r.strengths(), func(other *directory.Object) bool {
		called, _ := other.Members["displayName"].(string)
		return other.ID != o.ID && strings.EqualFold(called, name)
	}) {
		return badRequest("The member 'displayName' is the name of another authentication strength.")
	}
	return checkCombinations(o.Members["allowedCombinations"])
}

func checkCombinations(value any) error {
	list, _ := value.([]any)
	if len(list) == 0 || len(list) > 64 {
		return badRequest("The member 'allowedCombinations' must have 1 to 64 combinations.")
	}
	for _, entry := range list {
		modes := directory.Flags(entry)
		if _, isText := entry.(string); !isText || len(modes) == 0 || len(modes) > 2 {
			return badRequest("The member 'allowedCombinations' holds something that is no combination of one or two methods.")
		}
		for _, mode := range modes {
			if !slices.Contains(strengthModes, mode) {
				return badRequest("The member 'allowedCombinations' names '%s', which is no method.", clip(mode))
			}
		}
	}
	return nil
}

func listStrengths(r *request) (*answer, error) {
	return r.list(listing{set: strengthFamily.set, types: []*entity{strengthType}}, items(strengthType, r.strengths()))
}

func getStrength(r *request, o *directory.Object) (*answer, error) {
	return r.single(strengthFamily.set, item{strengthType, o})
}

// ownStrength refuses to change a built-in strength.
func ownStrength(fn func(*request) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		if slices.ContainsFunc(builtInStrengths, func(o *directory.Object) bool { return strings.EqualFold(o.ID, r.vars[0]) }) {
			return nil, badRequest("A built-in authentication strength cannot be changed.")
		}
		return fn(r)
	}
}

// updateCombinations: action updateAllowedCombinations.
func updateCombinations(r *request) (*answer, error) {
	o, err := strengthFamily.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	var list []any
	if _, err := r.decode(map[string]any{"allowedCombinations": &list}); err != nil {
		return nil, err
	}
	if err := checkCombinations(list); err != nil {
		return nil, err
	}
	r.updates(strengthFamily.activity("Update"), item{strengthType, o})
	previous := o.Members["allowedCombinations"]
	references := []any{}
	for _, p := range r.usersOf(o.ID) {
		references = append(references, p.ID)
	}
	o.Members = extend(o.Members, "allowedCombinations", list)
	o.Modified = r.now
	return ok(object("@odata.context", r.context("microsoft.graph.updateAllowedCombinationsResult"), "previousCombinations", previous, "currentCombinations", list,
		"conditionalAccessReferences", references, "additionalInformation", "")), nil
}
