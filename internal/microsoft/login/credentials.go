package login

import (
	"context"
	"net/url"
	"strings"

	"gatehouse/internal/secrets"
)

// Credentials signs an app in for itself, as a claims challenge asks, or "" (OAuth
// 2.0, RFC 6749 §4.4). Unlike [Client.Certificate] and [Client.Secret] it refuses a
// token that has ended already, with [ErrExpired].
func (c *Client) Credentials(ctx context.Context, app App, tenant string, scopes []string, challenge string) (Token, error) {
	op := "signing in with a client secret"
	if app.Certificate != nil {
		op = "signing in with a certificate"
	}
	earned, err := c.redeem(ctx, op, tenant, app, url.Values{"grant_type": {"client_credentials"}, "scope": {strings.Join(scopes, " ")}, "claims": claims(challenge)})
	return earned.Token, err
}

// ReadClaims reads an access token without checking it: see [Claims].
func ReadClaims(access secrets.Value) Claims { return readClaims(access.Reveal()) }
