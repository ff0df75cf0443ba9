package sts

// atHome tells in an id token which tenant vouches for somebody who is of another
// one: a guest, or a partner's administrator. For the tenant's own people the claim
// is left out (Microsoft's "ID token claims reference": idp).
func atHome(q *request, g *userGrant, extra map[string]any) {
	if g.home != q.tenant {
		extra["idp"] = "https://sts.windows.net/" + g.home + "/"
	}
}
