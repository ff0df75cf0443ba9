package conditionalaccess

import (
	"bytes"
	"strings"
)

// builtInControls are the controls that this package knows, in the order in
// which unmet ones are asked for (conditional-access-evaluation §3.4).
var builtInControls = []string{
	"block", "mfa", "compliantDevice", "domainJoinedDevice", "approvedApplication",
	"compliantApplication", "passwordChange", "riskRemediation",
}

func (d *decoder) grant(n *node) *GrantControls {
	if n.empty() {
		return nil
	}
	g := &GrantControls{Strength: d.strengthOf(n.get("authenticationStrength"))}
	operator := n.get("operator")
	if operator.null() {
		operator = n.get("_operator") // an older PowerShell module's name
	}
	for _, c := range d.flags(n.get("builtInControls"), "grantControls.builtInControls") {
		if i := indexFold(builtInControls, c); i >= 0 {
			g.BuiltIn = append(g.BuiltIn, builtInControls[i])
		} else {
			g.Unknown = append(g.Unknown, c)
		}
	}
	g.TermsOfUse, _ = d.strings(n.get("termsOfUse"), "grantControls.termsOfUse")
	g.CustomFactors, _ = d.strings(n.get("customAuthenticationFactors"), "grantControls.customAuthenticationFactors")
	n.rest([]string{
		"operator", "_operator", "builtInControls", "termsOfUse", "customAuthenticationFactors", "authenticationStrength",
	}, func(name string, _ *node) { g.Unknown = append(g.Unknown, name) })
	switch {
	case g.controls() == 0:
		return nil
	case strings.EqualFold(operator.string(), "AND"):
		g.All = true
	case strings.EqualFold(operator.string(), "OR"), g.controls() == 1:
	default:
		g.All = true
		g.Unknown = append(g.Unknown, "operator")
	}
	return g
}

func (g *GrantControls) controls() int {
	count := len(g.BuiltIn) + len(g.TermsOfUse) + len(g.CustomFactors) + len(g.Unknown)
	if g.Strength != nil {
		count++
	}
	return count
}

func indexFold(list []string, s string) int {
	for i, have := range list {
		if strings.EqualFold(have, s) {
			return i
		}
	}
	return -1
}

// strengthOf reads the strength that a policy names or spells out.
func (d *decoder) strengthOf(n *node) *AuthenticationStrength {
	if n.kind == '"' && n.text != "" {
		return &AuthenticationStrength{ID: n.text}
	}
	if n.get("id").string() == "" {
		return nil
	}
	const path = "authenticationStrength"
	s := &AuthenticationStrength{ID: n.get("id").string(), DisplayName: n.get("displayName").string()}
	if list := n.get("allowedCombinations"); list.kind == '[' && len(list.items) > 0 {
		s.Combinations, _ = d.strings(list, path+".allowedCombinations")
	}
	configurations := n.get("combinationConfigurations")
	for i := range configurations.items {
		if configurations.kind != '[' {
			break
		}
		applies, _ := d.strings(configurations.items[i].get("appliesToCombinations"), path+".appliesToCombinations")
		if len(applies) == 0 {
			applies = s.Combinations // which, it does not say
		}
		s.Restricted = append(s.Restricted, applies...)
	}
	return s
}

// strength reads an authentication strength of its own.
func (r *reader) strength(n *node) {
	d := decoder{wrong: func(at *node, reason string) {
		r.set.fault(r.current.Name, line(r.data, at.start), reason)
	}}
	if s := d.strengthOf(n); s != nil {
		r.set.Strengths = append(r.set.Strengths, s)
		r.current.Strengths++
	}
}

// session reads the session controls that are switched on.
func (r *reader) session(n *node) []SessionControl {
	var list []SessionControl
	for i, name := range n.names {
		value := &n.items[i]
		if annotation(name) || value.empty() || value.kind == 'f' || name == "AdditionalProperties" {
			continue
		}
		if value.kind == '{' {
			if on := value.get("isEnabled"); on.kind == 'f' || on.null() && value.get("mode").empty() {
				continue
			}
		}
		list = append(list, SessionControl{
			Name:  strings.ToLower(name[:1]) + name[1:],
			Value: string(bytes.TrimSpace(r.data[value.start:value.end])),
		})
	}
	return list
}
