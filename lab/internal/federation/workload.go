package federation

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/lab/internal/directory"
)

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/.well-known/jwks"
	keyID         = "gatehouse-lab-workload"
)

// WorkloadToken is what a workload issuer shall say.
type WorkloadToken struct {
	Issuer, Subject, Audience string
	Lifetime                  time.Duration  // 0: ten minutes
	Claims                    map[string]any // further ones
}

// Issuer is the address of a workload issuer that the lab serves itself, with
// discovery document and keys.
func (s *Server) Issuer(name string) string {
	return s.cfg.Address + "/issuers/" + url.PathEscape(name)
}

// Mint signs a token as a workload issuer would. Any https address can be the
// issuer except the sign-in service's, whose tokens only it signs. The audience
// is [directory.TokenExchangeAudience] if it is left out.
func (s *Server) Mint(t WorkloadToken) (string, error) {
	u, err := url.Parse(t.Issuer)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return "", fmt.Errorf("issuer is %q, must be an https address", t.Issuer)
	case s.cfg.SignIn(u.Hostname()) && !s.own(t.Issuer):
		return "", errors.New("issuer is the sign-in service: ask it for the token")
	case t.Subject == "":
		return "", errors.New("subject is missing")
	case t.Lifetime < -24*time.Hour || t.Lifetime > 24*time.Hour:
		return "", errors.New("lifetime must be between -24h and 24h")
	}
	if err := s.prepare(); err != nil {
		return "", err
	}
	if t.Audience == "" {
		t.Audience = directory.TokenExchangeAudience
	}
	if t.Lifetime == 0 {
		t.Lifetime = 10 * time.Minute
	}
	now := s.cfg.Store.Now()
	claims := maps.Clone(t.Claims)
	if claims == nil {
		claims = map[string]any{}
	}
	// A lifetime below zero is for tokens that ended that long ago.
	issued := min(now.Unix(), now.Add(t.Lifetime).Add(-10*time.Minute).Unix())
	if t.Lifetime > 0 {
		issued = now.Unix()
	}
	maps.Copy(claims, map[string]any{"iss": t.Issuer, "sub": t.Subject, "aud": t.Audience, "iat": issued, "nbf": issued, "exp": now.Add(t.Lifetime).Unix(), "jti": directory.RandomID()})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: s.key, KeyID: keyID}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("signing a workload token: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding a workload token: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing a workload token: %w", err)
	}
	return signed.CompactSerialize()
}

// own reports whether an issuer is served below the listener of the server.
func (s *Server) own(issuer string) bool { return strings.HasPrefix(issuer, s.cfg.Address+"/issuers/") }

// WorkloadKey is the key of a workload issuer.
func (s *Server) WorkloadKey() (*rsa.PublicKey, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	return &s.key.PublicKey, nil
}

// discovery is the OpenID document of an issuer.
func (s *Server) discovery(w http.ResponseWriter, issuer string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": issuer + keysPath, "response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}})
}

func (s *Server) keys(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &s.key.PublicKey, KeyID: keyID, Use: "sig", Algorithm: "RS256"}}})
}
