package spsim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// caller is who a token speaks for.
type caller struct {
	claims   *token.Claims
	app      bool
	contexts []string // authentication contexts that were met
}

// Numbers of x-ms-diagnostics. The last is what SharePoint falls back to.
const (
	wrongAudience  = 3000003
	wrongSignature = 3000006
	notAccepted    = 3001000
)

// Reasons that clients look for, word by word.
const (
	unsupportedAppOnly = "Unsupported app only token."
	invalidIssuer      = "Invalid issuer or signature."
	tokenType          = "Token type is not allowed."
)

// acs is the Access Control Service, which issued tokens to SharePoint's own
// app principals until April 2026: "{acs}@{realm}" is the issuer.
const acs = "00000001-0000-0000-c000-000000000000"

// authenticate reads the token. What is no bearer token is a sign-in of the old
// kind, which is closed, or no sign-in at all.
func (r *request) authenticate() error {
	header := r.http.Header.Get("Authorization")
	scheme, compact, _ := strings.Cut(header, " ")
	compact = strings.TrimSpace(compact)
	switch {
	case strings.EqualFold(scheme, "Bearer") && compact != "":
	case header == "" && len(r.http.CookiesNamed("SPOIDCRL")) == 0 || strings.EqualFold(scheme, "Bearer"):
		return r.challenge("")
	default:
		return legacy()
	}
	claims, err := r.server.cfg.Tokens.Verify(compact, r.now)
	switch {
	case errors.Is(err, token.ErrLifetime):
		return r.rejected(notAccepted, "The token has expired or is not valid yet.", "")
	case errors.Is(err, token.ErrSignature):
		return r.rejected(wrongSignature, "Token contains invalid signature.", "")
	case err != nil:
		return r.rejected(notAccepted, "The token cannot be read.", "")
	}
	resource := directory.ResourceByURI(claims.Audience)
	switch {
	case strings.HasPrefix(strings.ToLower(claims.Issuer), acs+"@"):
		return r.rejected(notAccepted, tokenType, `{"error":"invalid_request","error_description":"`+tokenType+`"}`)
	case resource != nil && resource.ClientID == directory.GraphID:
		return r.rejected(notAccepted, invalidIssuer, `{"error_description":"`+invalidIssuer+`"}`)
	case !r.audience(claims):
		return r.rejected(wrongAudience, fmt.Sprintf("Invalid audience Uri '%s'.", quotable(claims.Audience)), "")
	case !strings.EqualFold(claims.TenantID, r.place.tenant):
		return r.rejected(notAccepted, invalidIssuer, `{"error_description":"`+invalidIssuer+`"}`)
	case claims.IDType == "app" && claims.AppIDACR != "2":
		return r.rejected(notAccepted, unsupportedAppOnly, unsupportedAppOnly)
	}
	r.caller = &caller{claims: claims, app: claims.IDType == "app", contexts: contextsIn(compact)}
	return nil
}

// audience reports whether the token is for this host: the host itself, or the
// client id of SharePoint with or without host and realm (the form of ACS).
func (r *request) audience(c *token.Claims) bool {
	aud := strings.TrimRight(strings.ToLower(c.Audience), "/")
	accepted := []string{"https://" + r.place.host, directory.SharePointID, fmt.Sprintf("%s/%s@%s", directory.SharePointID, r.place.host, strings.ToLower(r.place.tenant))}
	return slices.Contains(accepted, aud)
}

// quotable makes a text safe for a quoted header parameter.
func quotable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, clip(s))
}

// challenge is the answer to a request without token: it names the tenant (the
// realm) to anybody who asks.
func (r *request) challenge(more string) *fault {
	return &fault{status: http.StatusUnauthorized, code: "challenge", bare: true, header: http.Header{"Www-Authenticate": {fmt.Sprintf(
		`Bearer realm="%s",client_id="%s",trusted_issuers="%s@*,https://sts.windows.net/*/",authorization_uri="%s"%s`,
		r.place.tenant, directory.SharePointID, acs, r.authority(), more)}}}
}

// authority is the sign-in address of the host's cloud; under a lab's own
// address that is the lab.
func (r *request) authority() string {
	login := "login.microsoftonline.com"
	switch {
	case r.place.prefix != "":
		return r.place.origin + "/common/oauth2/authorize"
	case strings.HasSuffix(r.place.host, ".us"):
		login = "login.microsoftonline.us"
	case strings.HasSuffix(r.place.host, ".cn"):
		login = "login.partner.microsoftonline.cn"
	}
	return "https://" + login + "/common/oauth2/authorize"
}

// rejected is a token that is not taken. The reason is in two headers; the body
// has it only for some, and, as since early 2026, not reliably.
func (r *request) rejected(number int, reason, body string) *fault {
	f := r.challenge(fmt.Sprintf(`,error="invalid_token",error_description="%s"`, reason))
	f.code, f.message = "rejected", reason
	f.header.Set("X-Ms-Diagnostics", fmt.Sprintf(`%d;reason="%s";category="invalid_client"`, number, reason))
	f.body, f.bodyType = "{}", "application/json; charset=utf-8"
	if body != "" && !r.server.cfg.Random.Chance(2) {
		f.body = body
		if !strings.HasPrefix(body, "{") {
			f.bodyType = "text/plain; charset=utf-8"
		}
	}
	return f
}

// legacy refuses user names and passwords (IDCRL), and the cookie that they
// once bought.
func legacy() *fault {
	return &fault{status: http.StatusUnauthorized, code: "legacy", bare: true, header: http.Header{
		"X-Msdavext_error": {"917656; Access%20denied%2e%20Before%20opening%20files%20in%20this%20location%2c%20you%20must%20first%20browse%20to%20the%20web%20site%20and%20select%20the%20option%20to%20login%20automatically%2e"},
		"X-Ms-Invokeapp":   {"1; RequireReadOnly"},
	}}
}
