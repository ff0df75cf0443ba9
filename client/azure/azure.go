// Package azure lets any Azure or Microsoft Graph SDK for Go take its tokens from
// Gatehouse:
//
//	credential := azure.Credential{Client: gatehouse, Connection: "…"}
//	graph, err := msgraphsdk.NewGraphServiceClientWithCredentials(credential, nil)
package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"gatehouse/client"
)

// Credential gives tokens of one connection. It is an [azcore.TokenCredential].
type Credential struct {
	// Client has an API key with the permission connection.use.
	Client *client.Client
	// Connection is the id of the connection.
	Connection string
	// TenantID is the directory id of the connection's tenant, where tokens of another
	// one are to be refused; "" takes whatever the SDK asks for.
	TenantID string
}

var _ azcore.TokenCredential = Credential{}

// GetToken gives an access token for the scopes, which are of one resource. A claims
// challenge that the SDK met is passed on, and so is that it can answer challenges
// (EnableCAE): the token then says so. A connection is of one tenant: options that
// name another are an error.
//
// A refusal keeps azcore from asking again: somebody has to act first. Where Gatehouse
// or Microsoft is in trouble, or does not answer, it may.
func (c Credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(options.Scopes) == 0 {
		return azcore.AccessToken{}, refused{errors.New("getting a token from Gatehouse: no scope was asked for")}
	}
	resource := resourceOf(options.Scopes[0])
	for _, scope := range options.Scopes[1:] {
		if resourceOf(scope) != resource {
			return azcore.AccessToken{}, refused{fmt.Errorf("getting a token from Gatehouse: the scopes are of several resources: %s", strings.Join(options.Scopes, " "))}
		}
	}
	if c.TenantID != "" && options.TenantID != "" && !strings.EqualFold(c.TenantID, options.TenantID) {
		return azcore.AccessToken{}, refused{fmt.Errorf("getting a token from Gatehouse: the connection is of the tenant %s, and %s was asked for", c.TenantID, options.TenantID)}
	}
	token, err := c.Client.NewToken(ctx, c.Connection, client.TokenRequest{Resource: resource, Claims: options.Claims, CAE: options.EnableCAE})
	if err != nil {
		var p *client.Problem
		if errors.As(err, &p) && p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests {
			err = refused{err}
		}
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: token.AccessToken, ExpiresOn: token.ExpiresAt.UTC()}, nil
}

// resourceOf takes the permission off a scope: https://host/User.Read is of
// https://host.
func resourceOf(scope string) string {
	rest, ok := strings.CutPrefix(scope, "https://")
	if !ok {
		return scope
	}
	host, _, _ := strings.Cut(rest, "/")
	return "https://" + host
}

// refused is a refusal that trying again at once does not change.
type refused struct{ error }

// NonRetriable keeps azcore from asking again.
func (refused) NonRetriable() {}

// Unwrap is the [client.Problem], or what is wrong with the options.
func (r refused) Unwrap() error { return r.error }
