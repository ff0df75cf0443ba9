package login

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// Claims are members of an access token that serve as evidence. Access tokens
// are the resource's to read; a client that looks at them must cope with
// finding nothing (entra-sign-in §10).
type Claims struct {
	TenantID string   `json:"tid"`
	ObjectID string   `json:"oid"`
	UPN      string   `json:"upn"`
	AppID    string   `json:"appid"`
	AppName  string   `json:"app_displayname"`
	AppACR   string   `json:"appidacr"` // 0 public client, 1 secret, 2 certificate
	IDType   string   `json:"idtyp"`
	Audience string   `json:"aud"`
	Scopes   string   `json:"scp"`
	Roles    []string `json:"roles"`
	WIDs     []string `json:"wids"` // directory role template ids
	AMR      []string `json:"amr"`
	// IPAddress is where the sign-in came from as the service saw it; not in
	// every token.
	IPAddress string `json:"ipaddr"`
	// Expires is when it ends, in seconds since 1970; 0 if it does not say.
	Expires float64 `json:"exp"`
}

// Readable reports whether anything could be read at all.
func (c Claims) Readable() bool { return c.TenantID != "" || c.Audience != "" }

func readClaims(access string) Claims {
	var c Claims
	parts := strings.Split(access, ".")
	if len(parts) != 3 {
		return c
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return Claims{}
	}
	return c
}
