package sts

import (
	"fmt"

	"gatehouse/lab/internal/directory"
)

// How many groups an id token names: one from the token endpoint, and one that
// goes through the browser's address (optional claims; id token claims reference).
const (
	maxTokenGroups   = 200
	maxBrowserGroups = 5 // 6 and more are too many
)

// groupClaims adds the groups of the person to an id token, if the registration
// asks for them (groupMembershipClaims): direct and nested ones. Where there are
// too many, it is said where to ask: _claim_names points to a source of the groups,
// and a token that goes through the browser has no more than hasgroups. "All" adds
// directory roles, by their template ids.
func (s *Server) groupClaims(q *request, g *userGrant, extra map[string]any) {
	if q.app.GroupClaims == "" {
		return
	}
	var groups []string
	s.cfg.Store.View(q.tenant, func(t *directory.Tenant) {
		groups = t.GroupsOf(g.user.ID)
		if q.app.GroupClaims == "All" {
			groups = append(groups, t.RolesOf(g.user.ID)...)
		}
	})
	browser := q.form.Get("grant_type") == "" // the authorize endpoint
	switch {
	case len(groups) == 0:
	case browser && len(groups) > maxBrowserGroups:
		extra["hasgroups"] = true
	case len(groups) > maxTokenGroups:
		// The source still names the older Graph, which is gone: clients ask
		// Microsoft Graph instead.
		extra["_claim_names"] = map[string]string{"groups": "src1"}
		extra["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": fmt.Sprintf("https://graph.windows.net/%s/users/%s/getMemberObjects", q.tenant, g.user.ID)}}
	default:
		extra["groups"] = groups
	}
}
