package expiry

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// row is a credential that was read in a tenant.
type row struct {
	bun.BaseModel `bun:"table:expiry_items,alias:i"`

	ID           string `bun:"id,pk"`
	TenantID     string
	Kind         Kind
	Holder       Holder
	ObjectID     string
	ClientID     string
	Username     string
	Name         string
	Label        string
	CredentialID string
	Thumbprint   string
	Active       bool
	State        State
	Reason       string
	StartsAt     *time.Time
	NotAfter     *time.Time
	UsedAt       *time.Time
	SeenAt       time.Time
}

// key is a keyCredential or passwordCredential of Graph, without its value. The
// members that tell a SAML signing key are not in the pages' own types.
type key struct {
	KeyID       string     `json:"keyId"`
	DisplayName *string    `json:"displayName"`
	Start       *time.Time `json:"startDateTime"`
	End         *time.Time `json:"endDateTime"`
	Usage       string     `json:"usage"` // Sign or Verify; "" for a secret
	// Identifier is the SHA-1 thumbprint of a certificate: base64 of its bytes, or
	// of its hexadecimal text. Of a secret it joins the password of a signing key
	// to that key.
	Identifier *string `json:"customKeyIdentifier"`
}

// object is an application or service principal with its credentials.
type object struct {
	ID        string  `json:"id"`
	AppID     string  `json:"appId"`
	Name      string  `json:"displayName"`
	Passwords []key   `json:"passwordCredentials"`
	Keys      []key   `json:"keyCredentials"`
	Preferred *string `json:"preferredTokenSigningKeyThumbprint"`
}

// objectSelect are the members of an object for $select. Graph gives
// keyCredentials only to whoever selects them.
const objectSelect = "id,appId,displayName,passwordCredentials,keyCredentials"

// printOf reads a thumbprint as upper-case hexadecimal; "" if it is none.
func printOf(identifier *string) string {
	if identifier == nil {
		return ""
	}
	text := strings.TrimSpace(*identifier)
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
		if len(raw) == 20 {
			return strings.ToUpper(hex.EncodeToString(raw))
		}
		if len(raw) == 40 {
			text = string(raw)
		}
	}
	if _, err := hex.DecodeString(text); err == nil && len(text) == 40 {
		return strings.ToUpper(text)
	}
	return ""
}

// credentials are the rows of an application or service principal.
func (o object) credentials(tenantID string, holder Holder, now time.Time) []row {
	signs := map[string]bool{} // identifiers of SAML keys
	for _, k := range o.Keys {
		if strings.EqualFold(k.Usage, "Sign") && k.Identifier != nil {
			signs[*k.Identifier] = true
		}
	}
	var out []row
	add := func(kind Kind, k key) *row {
		r := row{TenantID: tenantID, Kind: kind, Holder: holder, ObjectID: o.ID, ClientID: strings.ToLower(o.AppID), Name: clip(o.Name), CredentialID: k.KeyID, State: Dated, StartsAt: utc(k.Start), NotAfter: utc(k.End), SeenAt: now}
		if k.DisplayName != nil {
			r.Label = clip(*k.DisplayName)
		}
		if kind != Secret {
			r.Thumbprint = printOf(k.Identifier)
		}
		if k.End == nil {
			r.State, r.Reason = Unknown, "Microsoft Graph gives no end of it"
		}
		out = append(out, r)
		return &out[len(out)-1]
	}
	for _, k := range o.Passwords {
		// The password that opens a signing key is no way to sign in: the key's own
		// row tells of it (servicePrincipal: addTokenSigningCertificate).
		if k.Identifier == nil || !signs[*k.Identifier] {
			add(Secret, k)
		}
	}
	for _, k := range o.Keys {
		sign := strings.EqualFold(k.Usage, "Sign")
		switch {
		case sign:
			r := add(SAMLKey, k)
			r.Active = o.Preferred != nil && r.Thumbprint != "" && strings.EqualFold(strings.TrimSpace(*o.Preferred), r.Thumbprint)
		case k.Identifier != nil && signs[*k.Identifier]:
			// The public half of a signing key.
		default:
			add(Certificate, k)
		}
	}
	return identify(out)
}

// identify gives rows their ids: what they are about, and nothing that changes.
func identify(rows []row) []row {
	for i := range rows {
		r := &rows[i]
		sum := sha256.Sum256([]byte(strings.Join([]string{r.TenantID, string(r.Kind), string(r.Holder), r.ObjectID, r.CredentialID}, "\x00")))
		r.ID = hex.EncodeToString(sum[:16])
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(rows, func(a, b row) bool { return a.ID == b.ID })
}

// clip bounds a name that others gave, and takes out what no database stores.
func clip(name string) string {
	name = strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), "\uFFFD")
	if runes := []rune(name); len(runes) > 256 {
		return string(runes[:256])
	}
	return name
}
