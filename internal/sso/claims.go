package sso

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// audience is "aud": a text or a list of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// seconds is a time as RFC 7519 has it: seconds since 1970, perhaps with a
// fraction.
type seconds float64

func (s seconds) time() time.Time { return time.Unix(int64(s), 0).UTC() }

// sane bounds times, so that calculating with them cannot overflow.
func (s *seconds) sane() bool { return s == nil || *s > 0 && *s < 1<<40 }

// claims are the members of an id token that are looked at.
type claims struct {
	Issuer     string          `json:"iss"`
	Subject    string          `json:"sub"`
	Audience   audience        `json:"aud"`
	Party      *string         `json:"azp"`
	Expires    *seconds        `json:"exp"`
	NotBefore  *seconds        `json:"nbf"`
	IssuedAt   *seconds        `json:"iat"`
	Nonce      string          `json:"nonce"`
	TenantID   string          `json:"tid"`
	ObjectID   string          `json:"oid"`
	Name       string          `json:"name"`
	Email      string          `json:"email"`
	Username   string          `json:"preferred_username"`
	Groups     *[]string       `json:"groups"`
	HasGroups  json.RawMessage `json:"hasgroups"`
	Elsewhere  map[string]any  `json:"_claim_names"`
	AccessHash string          `json:"at_hash"`
}

// maxGroups bounds the groups that are read of one person.
const maxGroups = 10_000

// readClaims reads the payload of an id token.
func readClaims(payload []byte) (claims, error) {
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return claims{}, fmt.Errorf("reading the id token: %w", err)
	}
	switch {
	case c.Issuer == "" || c.Subject == "" || len(c.Audience) == 0 || c.Expires == nil || c.IssuedAt == nil:
		return claims{}, fmt.Errorf("reading the id token: iss, sub, aud, exp or iat is missing")
	case len(c.Subject) > 255: // OpenID Connect Core §2
		return claims{}, fmt.Errorf("reading the id token: sub is longer than 255 characters")
	case !c.Expires.sane() || !c.NotBefore.sane() || !c.IssuedAt.sane():
		return claims{}, fmt.Errorf("reading the id token: exp, nbf or iat is no time")
	case strings.ContainsRune(c.Subject+c.ObjectID+c.TenantID+c.Name+c.Email+c.Username, 0):
		return claims{}, fmt.Errorf("reading the id token: a null sign is in it")
	case c.Groups != nil && len(*c.Groups) > maxGroups:
		return claims{}, fmt.Errorf("reading the id token: it names more than %d groups", maxGroups)
	}
	return c, nil
}

// overage reports whether the issuer left the groups out because there are too
// many: more than 200 in a token (_claim_names), more than 6 in one that went
// through the browser (hasgroups).
func (c claims) overage() bool {
	_, elsewhere := c.Elsewhere["groups"]
	return elsewhere || string(c.HasGroups) == "true" || string(c.HasGroups) == `"true"`
}
