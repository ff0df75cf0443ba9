package consent

import "strings"

// Role is a directory role that may approve.
type Role struct {
	Name string
	May  string // what of the permissions
}

// Approvers are the roles that may approve permissions, the least first. All are
// roles in the tenant itself (permissions-by-service §1).
func Approvers(all []Permission) []Role {
	high := false
	for _, p := range all {
		id := strings.ToLower(p.Resource)
		high = high || p.Kind == Application && (id == GraphID || id == azureADGraphID)
	}
	if high {
		return []Role{
			{"Privileged Role Administrator", "everything that is asked"},
			{"Global Administrator", "everything that is asked"},
		}
	}
	return []Role{
		{"Cloud Application Administrator", "everything that is asked"},
		{"Application Administrator", "everything that is asked"},
		{"Privileged Role Administrator", "everything that is asked"},
		{"Global Administrator", "everything that is asked"},
	}
}
