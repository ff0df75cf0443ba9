package sts

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// claimsRequest is what the claims parameter asks for (entra-sign-in §10).
type claimsRequest struct {
	acrs []string // authentication contexts
	// policies are ids of rules that a refusal named (polids, capolids) and that
	// the caller passes on.
	policies     []string
	capabilities []string // xms_cc
}

// capable reports whether the client can handle claims challenges.
func (c claimsRequest) capable() bool {
	return slices.ContainsFunc(c.capabilities, func(s string) bool { return strings.EqualFold(s, "cp1") })
}

// factor reports whether a second factor is asked for: by an authentication
// context, or by a rule other than the tenant's policies, which speak for
// themselves.
func (c claimsRequest) factor(t *directory.Tenant) bool {
	return len(c.acrs) > 0 || slices.ContainsFunc(c.policies, func(id string) bool {
		return !slices.ContainsFunc(t.ConditionalAccess, func(p *directory.Object) bool { return strings.EqualFold(p.ID, id) })
	})
}

// targets are the resources that the tenant's policies among those named are
// about: whoever brings a refusal's claims back wants them met now, whatever else
// is asked for.
func (c claimsRequest) targets(t *directory.Tenant) []*directory.Resource {
	var out []*directory.Resource
	for _, p := range t.ConditionalAccess {
		if !slices.ContainsFunc(c.policies, func(id string) bool { return strings.EqualFold(p.ID, id) }) {
			continue
		}
		conditions, _ := p.Members["conditions"].(map[string]any)
		applications, _ := conditions["applications"].(map[string]any)
		included, _ := applications["includeApplications"].([]any)
		for _, id := range included {
			name, _ := id.(string)
			names := []string{name}
			if strings.EqualFold(name, "Office365") {
				names = []string{directory.SharePointID, directory.ExchangeID}
			}
			for _, name := range names {
				if r := t.Resource(name); r != nil && !slices.Contains(out, r) {
					out = append(out, r)
				}
			}
		}
	}
	return out
}

var contextPattern = regexp.MustCompile(`^c[1-9][0-9]?$`)

// readClaims reads the claims parameter. Members that it does not know are
// accepted.
func readClaims(claims string) (out claimsRequest, refused *refusal) {
	if claims == "" {
		return out, nil
	}
	unreadable := refuse("invalid_request", 50117, "The parameter 'claims' cannot be read: it must be a JSON object of objects.")
	var asked map[string]map[string]json.RawMessage
	if err := json.Unmarshal([]byte(claims), &asked); err != nil {
		return out, unreadable
	}
	for _, target := range []string{"access_token", "id_token"} {
		for _, name := range []string{"acrs", "polids", "capolids", "xms_cc"} {
			raw, ok := asked[target][name]
			if !ok || string(raw) == "null" {
				continue
			}
			var member struct {
				Value  string   `json:"value"`
				Values []string `json:"values"`
			}
			if err := json.Unmarshal(raw, &member); err != nil {
				return claimsRequest{}, unreadable
			}
			values := slices.DeleteFunc(append(member.Values, member.Value), func(s string) bool { return s == "" })
			switch name {
			case "acrs":
				for _, value := range values {
					if contextPattern.MatchString(value) && !slices.Contains(out.acrs, value) {
						out.acrs = append(out.acrs, value)
					}
				}
			case "xms_cc":
				out.capabilities = append(out.capabilities, values...)
			default:
				out.policies = append(out.policies, values...)
			}
		}
	}
	return out, nil
}

// policyClaims is the claims challenge that a middle tier passes on to its
// client: the ids of the rules that demand more.
func policyClaims(ids []string) string {
	encoded, _ := json.Marshal(map[string]any{"access_token": map[string]any{"polids": map[string]any{"essential": true, "values": ids}}})
	return string(encoded)
}
