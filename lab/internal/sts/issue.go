package sts

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/lab/internal/token"
)

// accessToken signs an access token and gives the members of a token answer. by
// is how the person signed in.
func (s *Server) accessToken(q *request, c *token.Claims, by proof) (map[string]any, error) {
	lifetime := 3599 * time.Second
	filler := ""
	if s.cfg.Random != nil {
		// Entra's lifetimes are random between 60 and 90 minutes, and its tokens
		// differ in length (entra-sign-in §8): clients may rely on neither.
		n := s.cfg.Random()
		lifetime = time.Hour + time.Duration(n%1800)*time.Second
		filler = fillers[n>>16%uint64(len(fillers))]
	}
	issued, seconds := q.now, int(lifetime/time.Second)
	if told, outdated := q.http.Context().Value(outdatedKey{}).(bool); outdated {
		issued = q.now.Add(-lifetime - time.Hour)
		if told {
			seconds = 0
		}
	}
	if c.Extra == nil {
		c.Extra = map[string]any{}
	}
	c.Extra["uti"] = q.ids.trace[:22]
	if q.claims.capable() {
		c.Capabilities = []string{"cp1"}
	}
	c.Audience, c.Issuer, c.TenantID = q.audience(), "https://sts.windows.net/"+q.tenant+"/", q.tenant
	c.IssuedAt, c.NotBefore, c.Expires = issued.Unix(), issued.Unix(), issued.Add(lifetime).Unix()
	if q.resource.Version == 2 {
		q.secondVersion(c)
	} else {
		c.Extra["ver"], c.Extra["app_displayname"] = "1.0", q.app.Name
		if c.Extra["idp"] == nil {
			c.Extra["idp"] = "https://sts.windows.net/" + q.tenant + "/"
		}
		if c.IDType == "user" {
			c.Extra["acr"] = "1"
		}
	}
	// aio is the service's own note, opaque to everybody else: for an API that
	// may come back on behalf of the user it says how the user signed in.
	if q.resource.App != nil && c.IDType == "user" {
		note, err := json.Marshal(provenance{c.UPN, c.AMR, c.ACRs, filler, by.modes, by.signedIn, by.factorAt, by.external, by.transfer})
		if err != nil {
			return nil, err
		}
		filler = base64.RawURLEncoding.EncodeToString(note)
	}
	c.Note = filler
	if q.resource.Version == 2 {
		c.UPN, c.AMR = "", nil
	}
	signed, err := s.cfg.Tokens.Sign(c)
	if err != nil {
		return nil, err
	}
	if q.v2 {
		return map[string]any{"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": signed}, nil
	}
	// The v1.0 endpoint writes its numbers as strings.
	return map[string]any{
		"token_type": "Bearer", "expires_in": fmt.Sprint(seconds), "ext_expires_in": fmt.Sprint(seconds), "expires_on": unixString(q.now.Add(time.Duration(seconds) * time.Second)),
		"not_before": unixString(issued), "resource": q.form.Get("resource"), "access_token": signed,
	}, nil
}

// outdatedKey marks a request whose access token is to be one of the past.
type outdatedKey struct{}

// Outdated makes a token request earn an access token that has expired already:
// what a cache in front of the service, or a bug in it, would hand out. told
// decides whether expires_in says so.
func Outdated(r *http.Request, told bool) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), outdatedKey{}, told))
}

// secondVersion turns the claims into those of a v2.0 access token: the
// audience is the API's client id, the client is azp, and neither upn nor amr
// is told (entra-sign-in §10).
func (q *request) secondVersion(c *token.Claims) {
	c.Audience, c.Issuer = q.resource.ClientID, q.host+"/"+q.tenant+"/v2.0"
	c.Extra["ver"], c.Extra["azp"], c.Extra["azpacr"] = "2.0", c.AppID, c.AppIDACR
	c.AppID, c.AppIDACR = "", ""
	delete(c.Extra, "unique_name")
	if c.UPN != "" {
		c.Extra["preferred_username"] = c.UPN
	}
}

// provenance is what the service notes in an access token about the sign-in
// behind it.
type provenance struct {
	UPN    string   `json:"upn"`
	AMR    []string `json:"amr"`
	ACRs   []string `json:"acrs,omitempty"`
	Filler string   `json:"filler,omitempty"`

	Modes    []string  `json:"modes,omitempty"`
	SignedIn time.Time `json:"signed_in"`
	FactorAt time.Time `json:"factor_at,omitzero"`
	External bool      `json:"external,omitempty"`
	Transfer string    `json:"transfer,omitempty"`
}

func (p *provenance) proof() proof {
	return proof{p.AMR, p.Modes, p.SignedIn, p.FactorAt, p.External, p.Transfer}
}

// fillers are opaque values of different length for the aio claim.
var fillers = func() []string {
	out := make([]string, 16)
	for i := range out {
		out[i] = base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("opaque", 1+7*i)))
	}
	return out
}()
