package graphsim

import (
	"crypto/sha1" //nolint:gosec // x5t is defined as SHA-1 (RFC 7515 §4.1.7)
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/lab/internal/directory"
)

// sentKey is a keyCredential as callers send it.
type sentKey struct {
	ID   string  `json:"keyId"`
	Key  *[]byte `json:"key"`
	Name *string `json:"displayName"`
	Type string  `json:"type"`
	Use  string  `json:"usage"`

	CustomKeyIdentifier any `json:"customKeyIdentifier"`
	Start               any `json:"startDateTime"`
	End                 any `json:"endDateTime"`
}

const maxKeys = 60

// newKey makes a certificate of what was sent.
func (r *request) newKey(k sentKey, at string) (*directory.Certificate, error) {
	if k.Key == nil {
		return nil, badBody("%s has no key.", at)
	}
	certificate, err := parseCertificate(*k.Key)
	if err != nil || k.Type != "" && k.Type != "AsymmetricX509Cert" {
		return nil, badBody("%s holds no X.509 certificate.", at)
	}
	c := &directory.Certificate{
		KeyID: r.newID("certificate", at), Name: certificate.Subject.String(), Certificate: certificate, Usable: r.usable(),
		SHA1: sha1.Sum(certificate.Raw), SHA256: sha256.Sum256(certificate.Raw), //nolint:gosec // see the import
	}
	if k.ID != "" && isGUID(k.ID) {
		c.KeyID = strings.ToLower(k.ID)
	}
	if k.Name != nil {
		c.Name = clip(*k.Name)
	}
	return c, nil
}

// replaceKeys gives the certificates that a PATCH of keyCredentials leaves:
// those that are sent back without their key stay.
func (r *request) replaceKeys(sent []sentKey, have []*directory.Certificate) ([]*directory.Certificate, error) {
	if len(sent) > maxKeys {
		return nil, badBody("keyCredentials has more than %d entries.", maxKeys)
	}
	list := []*directory.Certificate{}
	for i, k := range sent {
		at := slices.IndexFunc(have, func(c *directory.Certificate) bool { return k.ID != "" && strings.EqualFold(c.KeyID, k.ID) })
		switch {
		case k.Key != nil:
			c, err := r.newKey(k, "keyCredentials["+itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		case at < 0:
			return nil, badBody("keyCredentials[%d] has neither a key nor the keyId of a certificate that is there.", i)
		default:
			list = append(list, have[at])
		}
	}
	return list, nil
}

// keyring is where an object keeps its certificates.
type keyring struct {
	it           item
	id           string // object id: issuer of the proof
	certificates *[]*directory.Certificate
	activity     activity
}

func appKeys(r *request) (*keyring, error) {
	a, err := r.appByKey(r.vars[0])
	switch {
	case err != nil:
		return nil, err
	case a.Public:
		return nil, badBody("A public client has no credentials.")
	}
	return &keyring{item{applicationType, a}, a.ID, &a.Certificates, core("Update application – Certificates and secrets management ", appManagement)}, r.rolls(a.ClientID, "", a.Owners)
}

func principalKeys(r *request) (*keyring, error) {
	p, err := r.principalByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	return &keyring{item{servicePrincipalType, p}, p.ID, &p.Certificates, core("Update service principal", appManagement)}, r.rolls(p.ClientID, p.CreatedBy, p.Owners)
}

// proofAudience is Azure AD Graph, for which a proof of possession is made out
// ("Generate proof of possession tokens for rolling keys").
const proofAudience = "00000002-0000-0000-c000-000000000000"

// proven checks a proof: a JWT of ten minutes at most that one of the object's
// valid certificates signed.
func (k *keyring) proven(compact string, now time.Time) error {
	jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS256, jose.PS256})
	if err != nil {
		return badBody("proof is no signed JWT.")
	}
	for _, c := range *k.certificates {
		payload, err := jws.Verify(c.Certificate.PublicKey)
		if err != nil || now.Before(c.Certificate.NotBefore) || now.After(c.Certificate.NotAfter) {
			continue
		}
		var claims struct {
			Audience  string `json:"aud"`
			Issuer    string `json:"iss"`
			NotBefore int64  `json:"nbf"`
			Expires   int64  `json:"exp"`
		}
		const life = 10 * 60
		if err := json.Unmarshal(payload, &claims); err == nil && claims.Audience == proofAudience && strings.EqualFold(claims.Issuer, k.id) &&
			claims.Expires > now.Unix() && claims.Expires-claims.NotBefore <= life && claims.NotBefore <= now.Unix() {
			return nil
		}
	}
	return refuse(http.StatusForbidden, "Authentication_MissingOrMalformed", "proof must be signed by a valid certificate of the object, with aud %s, iss the object's id, and ten minutes of life at most.", proofAudience)
}

// addKey: actions addKey of applications and service principals. Who has no
// certificate yet writes keyCredentials instead.
func addKey(find func(*request) (*keyring, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		var sent sentKey
		var proof string
		var password any
		ring, err := find(r)
		if err != nil {
			return nil, err
		}
		if _, err := r.decode(map[string]any{"keyCredential": &sent, "proof": &proof, "passwordCredential": &password}); err != nil {
			return nil, err
		}
		if err := ring.proven(proof, r.now); err != nil {
			return nil, err
		}
		if len(*ring.certificates) >= maxKeys {
			return nil, badBody("The object has %d certificates, which is the most.", maxKeys)
		}
		c, err := r.newKey(sent, "keyCredential")
		if err != nil {
			return nil, err
		}
		r.updates(ring.activity, ring.it)
		*ring.certificates = append(slices.Clone(*ring.certificates), c)
		return ok(extend(shownKey(c), "@odata.context", r.context("microsoft.graph.keyCredential"))), nil
	}
}

// removeKey: actions removeKey. The proof must not come from the key that goes.
func removeKey(find func(*request) (*keyring, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		var key, proof string
		ring, err := find(r)
		if err != nil {
			return nil, err
		}
		if _, err := r.decode(map[string]any{"keyId": &key, "proof": &proof}); err != nil {
			return nil, err
		}
		if err := ring.proven(proof, r.now); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(*ring.certificates, func(c *directory.Certificate) bool { return strings.EqualFold(c.KeyID, key) })
		if i < 0 {
			return nil, badBody("No key credential has the keyId '%s'.", clip(key))
		}
		r.updates(ring.activity, ring.it)
		*ring.certificates = slices.Delete(slices.Clone(*ring.certificates), i, i+1)
		return noContent(), nil
	}
}
