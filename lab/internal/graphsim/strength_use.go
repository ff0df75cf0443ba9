package graphsim

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// ofStrength is a handler on one strength, built-in or own.
func ofStrength(fn func(*request, *directory.Object) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		for _, o := range r.strengths() {
			if strings.EqualFold(o.ID, r.vars[0]) {
				return fn(r, o)
			}
		}
		return nil, notFound(r.vars[0])
	}
}

// strengthOf is the id of the authentication strength that a policy demands.
func strengthOf(policy *directory.Object) string {
	controls, _ := policy.Members["grantControls"].(map[string]any)
	strength, _ := controls["authenticationStrength"].(map[string]any)
	id, _ := strength["id"].(string)
	return id
}

// usersOf are the policies that demand a strength.
func (r *request) usersOf(id string) []*directory.Object {
	return slices.DeleteFunc(slices.Clone(r.tenant.ConditionalAccess), func(p *directory.Object) bool { return !strings.EqualFold(strengthOf(p), id) })
}

// strengthUsage: function usage. A policy with a strength demands a claim of
// MFA where the strength satisfies that requirement.
func strengthUsage(r *request, o *directory.Object) (*answer, error) {
	demanding, others := []any{}, []any{}
	for _, p := range r.usersOf(o.ID) {
		shown := r.render(item{policyType, p}, nil)
		if satisfied, _ := o.Members["requirementsSatisfied"].(string); satisfied == "none" {
			others = append(others, shown)
		} else {
			demanding = append(demanding, shown)
		}
	}
	return ok(object("@odata.context", r.context("microsoft.graph.authenticationStrengthUsage"), "mfa", demanding, "none", others)), nil
}

// configured is where a strength keeps its combinationConfigurations.
const configured = "combinationConfigurations"

// configurationKinds: the kinds of combinationConfiguration, what each limits,
// and the combinations that it may apply to.
var configurationKinds = map[string]struct {
	lists   []string
	applies []string
}{
	"fido2CombinationConfiguration":           {[]string{"allowedAAGUIDs"}, []string{"fido2"}},
	"x509CertificateCombinationConfiguration": {[]string{"allowedIssuerSkis", "allowedPolicyOIDs"}, []string{"x509CertificateSingleFactor", "x509CertificateMultiFactor"}},
}

// checkConfiguration judges a combinationConfiguration as it would be stored.
func checkConfiguration(members, strength map[string]any) error {
	kind, known := configurationKinds[directory.LocationType(members)]
	if !known {
		return badRequest("The member '@odata.type' must be #microsoft.graph.fido2CombinationConfiguration or #microsoft.graph.x509CertificateCombinationConfiguration.")
	}
	applies, _ := members["appliesToCombinations"].([]any)
	allowed, _ := strength["allowedCombinations"].([]any)
	if len(applies) == 0 {
		return badRequest("The member 'appliesToCombinations' must name a combination.")
	}
	for _, combination := range applies {
		text, _ := combination.(string)
		if !slices.Contains(kind.applies, text) || !slices.Contains(allowed, combination) {
			return badRequest("The member 'appliesToCombinations' names '%s', which the strength does not allow or the configuration does not fit.", clip(text))
		}
	}
	total := 0
	for name, value := range members {
		list, isList := value.([]any)
		switch {
		case name == "id" || name == "@odata.type" || name == "appliesToCombinations":
		case !slices.Contains(kind.lists, name) || !isList:
			return badRequest("The member '%s' is no list that this kind of configuration has.", clip(name))
		default:
			total += len(list)
			for _, entry := range list {
				text, isText := entry.(string)
				if !isText || text == "" || len(text) > 256 || name == "allowedAAGUIDs" && !isGUID(text) {
					return badRequest("The member '%s' has an entry that is no such id.", name)
				}
			}
		}
	}
	const most = 200
	if total == 0 || total > most {
		return badRequest("A configuration names 1 to %d keys, issuers or policies.", most)
	}
	return nil
}

func configurationsOf(o *directory.Object) []any {
	list, _ := o.Members[configured].([]any)
	return list
}

func configurationAt(r *request, o *directory.Object) (int, error) {
	i := slices.IndexFunc(configurationsOf(o), func(v any) bool {
		one, _ := v.(map[string]any)
		id, _ := one["id"].(string)
		return strings.EqualFold(id, r.vars[1])
	})
	if i < 0 {
		return 0, notFound(r.vars[1])
	}
	return i, nil
}

func configurationContext(r *request, o *directory.Object) string {
	return r.context(strengthFamily.set + "('" + o.ID + "')/" + configured)
}

func listConfigured(r *request, o *directory.Object) (*answer, error) {
	if len(r.vars) > 1 {
		i, err := configurationAt(r, o)
		if err != nil {
			return nil, err
		}
		return ok(extend(configurationsOf(o)[i].(map[string]any), "@odata.context", configurationContext(r, o)+"/$entity")), nil
	}
	return ok(object("@odata.context", configurationContext(r, o), "value", append([]any{}, configurationsOf(o)...))), nil
}

// configure replaces a strength's configurations.
func (r *request) configure(o *directory.Object, list []any) {
	r.updates(strengthFamily.activity("Update"), item{strengthType, o})
	o.Members = extend(o.Members, configured, list)
	o.Modified = r.now
}

func addConfigured(r *request) (*answer, error) {
	o, err := strengthFamily.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	members, err := r.raw()
	if err != nil {
		return nil, err
	}
	delete(members, "id")
	if err := checkConfiguration(members, o.Members); err != nil {
		return nil, err
	}
	list := configurationsOf(o)
	const most = 10
	if len(list) >= most {
		return nil, badRequest("A strength has %d configurations at most.", most)
	}
	members["id"] = r.newID("combination configuration", itoa(len(list)))
	r.configure(o, append(slices.Clone(list), any(members)))
	return &answer{status: http.StatusCreated, body: extend(members, "@odata.context", configurationContext(r, o)+"/$entity")}, nil
}

func patchConfigured(r *request) (*answer, error) {
	o, err := strengthFamily.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	i, err := configurationAt(r, o)
	if err != nil {
		return nil, err
	}
	members, err := r.raw()
	if err != nil {
		return nil, err
	}
	next := maps.Clone(configurationsOf(o)[i].(map[string]any))
	id := next["id"]
	maps.Copy(next, members)
	next["id"] = id
	if err := checkConfiguration(next, o.Members); err != nil {
		return nil, err
	}
	list := slices.Clone(configurationsOf(o))
	list[i] = next
	r.configure(o, list)
	return ok(extend(next, "@odata.context", configurationContext(r, o)+"/$entity")), nil
}

func removeConfigured(r *request) (*answer, error) {
	o, err := strengthFamily.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	i, err := configurationAt(r, o)
	if err != nil {
		return nil, err
	}
	r.configure(o, slices.Delete(slices.Clone(configurationsOf(o)), i, i+1))
	return noContent(), nil
}

// mode is one of the methods that combinations are made of.
type mode struct{ id, method, name string }

const strengthRoot = "identity/conditionalAccess/authenticationStrength"
const modeSet = strengthRoot + "/authenticationMethodModes"

// modeType: resource type authenticationMethodModeDetail.
var modeType = newEntity("authenticationMethodModeDetail",
	prop("id", func(_ *request, m mode) any { return m.id }),
	prop("authenticationMethod", func(_ *request, m mode) any { return m.method }),
	prop("displayName", func(_ *request, m mode) any { return m.name }),
)

// modes name each method of strengthModes.
func modes() []mode {
	methods := map[string]string{"microsoftAuthenticatorPush": "microsoftAuthenticator", "deviceBasedPush": "microsoftAuthenticator", "temporaryAccessPassOneTime": "temporaryAccessPass",
		"temporaryAccessPassMultiUse": "temporaryAccessPass", "x509CertificateSingleFactor": "x509Certificate", "x509CertificateMultiFactor": "x509Certificate",
		"federatedSingleFactor": "federation", "federatedMultiFactor": "federation"}
	var out []mode
	for _, id := range strengthModes {
		method := id
		if m := methods[id]; m != "" {
			method = m
		}
		out = append(out, mode{id, method, spaced(id)})
	}
	return out
}

// spaced makes words of a name: "deviceBasedPush" becomes "Device based push".
func spaced(name string) string {
	var b strings.Builder
	for i, c := range name {
		switch {
		case i == 0:
			b.WriteString(strings.ToUpper(string(c)))
		case c >= 'A' && c <= 'Z':
			b.WriteString(" " + strings.ToLower(string(c)))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func listModes(r *request) (*answer, error) {
	return r.list(listing{set: modeSet, types: []*entity{modeType}}, items(modeType, modes()))
}

func getMode(r *request) (*answer, error) {
	for _, m := range modes() {
		if strings.EqualFold(m.id, r.vars[0]) {
			return r.single(modeSet, item{modeType, m})
		}
	}
	return nil, notFound(r.vars[0])
}

// listCombinations are all combinations that a strength may allow: those of the
// MFA strength, and single factors.
func listCombinations(r *request) (*answer, error) {
	all := append(slices.Clone(builtInStrengths[0].Members["allowedCombinations"].([]any)), texts("x509CertificateSingleFactor", "sms", "password", "federatedSingleFactor", "email", "qrCodePin")...)
	return ok(object("@odata.context", r.context(strengthRoot+"/combinations"), "value", all)), nil
}

// findByMode: function findByMethodMode, the strengths with a combination that
// uses one of the methods.
func findByMode(r *request) (*answer, error) {
	wanted, named := alternate(r.vars[0], "authenticationMethodModes")
	wanted = strings.Trim(wanted, "{}[]() ")
	if !named || wanted == "" {
		return nil, badRequest("findByMethodMode takes authenticationMethodModes={…}.")
	}
	var names []string
	for name := range strings.SplitSeq(wanted, ",") {
		name = strings.Trim(strings.TrimSpace(name), `'"`)
		if !slices.Contains(strengthModes, name) {
			return nil, badRequest("'%s' is no authentication method mode.", clip(name))
		}
		names = append(names, name)
	}
	found := slices.DeleteFunc(r.strengths(), func(o *directory.Object) bool {
		combinations, _ := o.Members["allowedCombinations"].([]any)
		return !slices.ContainsFunc(combinations, func(c any) bool {
			return slices.ContainsFunc(directory.Flags(c), func(m string) bool { return slices.Contains(names, m) })
		})
	})
	return r.list(listing{set: strengthFamily.set, types: []*entity{strengthType}}, items(strengthType, found))
}
