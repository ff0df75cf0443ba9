package spsim

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// requireContext holds a person's token against the authentication context that
// a site was given ("Sensitivity labels: use authentication context"). Whoever
// can handle a claims challenge gets one ("Claims challenges, claims requests");
// others are turned away like anybody without a right. Apps that act for
// themselves meet no context.
func (r *request) requireContext() error {
	wanted := ""
	r.server.cfg.Store.View(r.place.tenant, func(t *directory.Tenant) { wanted = t.SharePoint.Contexts[r.site.key] })
	claims := r.caller.claims
	if wanted == "" || r.caller.app || slices.Contains(claims.ACRs, wanted) {
		return nil
	}
	if !slices.ContainsFunc(claims.Capabilities, func(s string) bool { return strings.EqualFold(s, "cp1") }) {
		return denied("The site wants an authentication context, and the caller cannot be asked for it.")
	}
	asked := fmt.Sprintf(`{"access_token":{"acrs":{"essential":true,"value":%q}}}`, wanted)
	f := r.challenge(fmt.Sprintf(`,error="insufficient_claims",claims="%s"`, base64.StdEncoding.EncodeToString([]byte(asked))))
	f.status = http.StatusUnauthorized
	return f
}
