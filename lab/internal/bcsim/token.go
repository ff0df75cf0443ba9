package bcsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// Permissions of the product, as tokens name them.
const (
	roleAPI        = "API.ReadWrite.All"
	roleAutomation = "Automation.ReadWrite.All"
	roleAdmin      = "AdminCenter.ReadWrite.All"
	scopeFinance   = "Financials.ReadWrite.All"
	scopeUser      = "user_impersonation"
)

// authenticate reads the token. Whatever is wrong with it, the answer is the
// same: the real service tells nobody outside more.
func (r *request) authenticate() error {
	scheme, compact, _ := strings.Cut(r.http.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return rejected() // Basic went in October 2022
	}
	claims, err := r.server.cfg.Tokens.Verify(strings.TrimSpace(compact), r.now)
	if err != nil {
		return rejected()
	}
	if resource := directory.ResourceByURI(claims.Audience); resource == nil || resource.ClientID != directory.BusinessCentralID {
		return rejected()
	}
	r.claims = claims
	return nil
}

// role reports whether the app was given one of the permissions.
func (r *request) role(names ...string) bool {
	return r.app() && slices.ContainsFunc(names, func(name string) bool { return slices.Contains(r.claims.Roles, name) })
}

// delegated reports whether a person lets the app act in the product.
func (r *request) delegated() bool {
	scopes := strings.Fields(r.claims.Scopes)
	return !r.app() && (slices.Contains(scopes, scopeFinance) || slices.Contains(scopes, scopeUser))
}
