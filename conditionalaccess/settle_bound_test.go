package conditionalaccess

import (
	"fmt"
	"testing"
)

// TestCasesAreBounded: policies that together leave nobody out, by so many
// groups that not every case can be tried, give unknown and come to an end.
func TestCasesAreBounded(t *testing.T) {
	verdict := func(groups int) Verdict {
		var policies []string
		for i := range groups {
			in := fmt.Sprintf(`"users":{"includeGroups":["g%d"],"excludeGroups":["h%d"]}`, i, i)
			policies = append(policies, pol(in, allApps, "", mfa))
		}
		policies = append(policies, pol(`"users":{"includeGroups":["last"]}`, allApps, "", block),
			pol(excluding(`"excludeGroups":["last"]`), allApps, "", block))
		return verdictOf(Compile(readSet(t, policies...), Options{}), readSignIn(t, signInJSON(`{"groups":"ABSENT"}`)))
	}
	if v := verdict(2); v != Blocked {
		t.Errorf("few groups: %v", v)
	}
	if v := verdict(40); v != Unknown {
		t.Errorf("many groups: %v", v)
	}
}
