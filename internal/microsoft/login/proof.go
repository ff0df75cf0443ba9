package login

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // as below
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/secrets"
)

// proofAudience is for whom a proof of possession is made out: Azure AD Graph, also
// where Microsoft Graph is asked ("Generate proof of possession tokens for rolling
// keys"). It is the same in every cloud.
const proofAudience = "00000002-0000-0000-c000-000000000000"

// proofLife is the longest life that a proof may have.
const proofLife = 10 * time.Minute

// Proof proves, for Graph's addKey and removeKey, that the key of a certificate is
// at hand: a token that it signed itself. The object is the id of the application
// or service principal to which the certificate belongs. It is a secret while it
// lives.
func (c Certificate) Proof(objectID string, now time.Time) (secrets.Value, error) {
	key, ok := c.key.(*rsa.PrivateKey)
	if !ok {
		return secrets.Value{}, errors.New("proving possession of a certificate: its key is no RSA key")
	}
	print := sha1.Sum(c.Leaf.Raw) //nolint:gosec // names the certificate, as in Microsoft's own example
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": thumbprint(c.Leaf.Raw), "x5t": base64.RawURLEncoding.EncodeToString(print[:])})
	if err != nil {
		return secrets.Value{}, fmt.Errorf("proving possession of a certificate: %w", err)
	}
	// It begins a little before now, for a service whose clock is behind.
	begins := now.Add(-time.Minute)
	payload, err := json.Marshal(map[string]any{"aud": proofAudience, "iss": objectID, "nbf": begins.Unix(), "exp": begins.Add(proofLife).Unix()})
	if err != nil {
		return secrets.Value{}, fmt.Errorf("proving possession of a certificate: %w", err)
	}
	// Padding would make it malformed.
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return secrets.Value{}, fmt.Errorf("proving possession of a certificate: %w", err)
	}
	return secrets.New(text + "." + base64.RawURLEncoding.EncodeToString(signature)), nil
}
