// Package token signs and reads the lab's access and id tokens: RS256 with one
// RSA key, as Entra ID does. Claim names and meanings follow the public
// access-token and id-token claims references of the Microsoft identity
// platform.
package token

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Claims are the members of a token that the lab's services decide on. Others
// that only clients look at are added through Extra.
type Claims struct {
	Audience  string   `json:"aud"`
	Issuer    string   `json:"iss"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	Expires   int64    `json:"exp"`
	TenantID  string   `json:"tid"`
	Subject   string   `json:"sub"`
	ObjectID  string   `json:"oid"`
	AppID     string   `json:"appid,omitempty"`    // access tokens, v1.0 form
	AppIDACR  string   `json:"appidacr,omitempty"` // 0 public client, 1 secret, 2 certificate
	IDType    string   `json:"idtyp,omitempty"`    // "app" or "user"
	Scopes    string   `json:"scp,omitempty"`      // delegated, space separated
	Roles     []string `json:"roles,omitempty"`    // application permissions
	WIDs      []string `json:"wids,omitempty"`     // directory role template ids of the user
	AMR       []string `json:"amr,omitempty"`
	UPN       string   `json:"upn,omitempty"`
	Note      string   `json:"aio,omitempty"`  // the service's own, opaque to others
	ACRs      []string `json:"acrs,omitempty"` // authentication contexts that were met
	// Capabilities are those of the client: cp1 handles claims challenges.
	Capabilities []string       `json:"xms_cc,omitempty"`
	Extra        map[string]any `json:"-"`
}

// Signer holds the lab's signing key. The key is made on first use: a lab must
// be ready before RSA key generation, which may take a quarter of a second.
type Signer struct {
	once sync.Once
	made func() (*rsa.PrivateKey, error)
	key  *rsa.PrivateKey
	crt  *crtKey
	err  error
	kid  string
	head string // encoded JOSE header with dot
}

// NewSigner gives a signer whose key comes from made; nil means a fresh key.
func NewSigner(made func() (*rsa.PrivateKey, error)) *Signer {
	if made == nil {
		made = NewKey
	}
	return &Signer{made: made}
}

// Prepare makes the key if there is none yet.
func (s *Signer) Prepare() error {
	s.once.Do(func() {
		if s.key, s.err = s.made(); s.err != nil {
			s.err = fmt.Errorf("making the signing key: %w", s.err)
			return
		}
		if s.crt, s.err = newCRT(s.key); s.err != nil {
			return
		}
		sum := sha256.Sum256(s.key.N.Bytes())
		s.kid = base64.RawURLEncoding.EncodeToString(sum[:20])
		// Entra names the key twice, as x5t and as kid, in v1.0 access tokens.
		header, _ := json.Marshal(map[string]string{"typ": "JWT", "alg": "RS256", "x5t": s.kid, "kid": s.kid})
		s.head = base64.RawURLEncoding.EncodeToString(header) + "."
	})
	return s.err
}

// Sign gives the compact form of the token. One RSA operation; the JWS is put
// together here because a signer object per call costs more than the encoding.
func (s *Signer) Sign(c *Claims) (string, error) {
	if err := s.Prepare(); err != nil {
		return "", err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	if len(c.Extra) > 0 {
		extra, err := json.Marshal(c.Extra)
		if err != nil {
			return "", fmt.Errorf("encoding claims: %w", err)
		}
		payload = append(append(payload[:len(payload)-1], ','), extra[1:]...)
	}
	signed := s.head + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(s.crt.sign(sum[:])), nil
}

// Reasons for which [Signer.Verify] refuses a token.
var (
	ErrMalformed = errors.New("the token cannot be read")
	ErrSignature = errors.New("the token's signature does not match")
	ErrLifetime  = errors.New("the token has expired or is not yet valid")
)

// Verify reads an access token, checks its signature, and its lifetime at now.
func (s *Signer) Verify(compact string, now time.Time) (*Claims, error) {
	if err := s.Prepare(); err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	payload, err := jws.Verify(&s.key.PublicKey)
	if err != nil {
		return nil, ErrSignature
	}
	var c Claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	// Five minutes of clock skew, as Microsoft's own token libraries allow.
	const skew = 5 * time.Minute
	if now.After(time.Unix(c.Expires, 0).Add(skew)) || now.Before(time.Unix(c.NotBefore, 0).Add(-skew)) {
		return nil, ErrLifetime
	}
	return &c, nil
}

// KeySet is the JWKS document.
func (s *Signer) KeySet() (jose.JSONWebKeySet, error) {
	if err := s.Prepare(); err != nil {
		return jose.JSONWebKeySet{}, err
	}
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &s.key.PublicKey, KeyID: s.kid, Use: "sig", Algorithm: "RS256"}}}, nil
}

// Key gives the private key, to be kept across starts.
func (s *Signer) Key() (*rsa.PrivateKey, error) {
	err := s.Prepare()
	return s.key, err
}
