package graphsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is defined as SHA-1 (RFC 7515 §4.1.7)
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// usageSign is the usage of the private half of a SAML signing key.
const usageSign = "Sign"

// maxSigning is the longest life of a signing key made by the directory.
const maxSigning = 3

// addSigning: action addTokenSigningCertificate of service principals. It makes
// three credentials with one customKeyIdentifier: the private half, the public half,
// and the password that opens the private one, which shares its keyId.
func addSigning(r *request, p *directory.Principal) (*answer, error) {
	var name string
	var end *time.Time
	if _, err := r.decode(map[string]any{"displayName": &name, "endDateTime": &end}); err != nil {
		return nil, err
	}
	if err := r.owned(p.ClientID, p.CreatedBy, p.Owners); err != nil {
		return nil, err
	}
	last := r.now.AddDate(maxSigning, 0, 0)
	if end == nil {
		end = &last
	}
	switch {
	case !strings.HasPrefix(name, "CN=") || len(name) > 128:
		return nil, badBody("displayName must begin with CN=.")
	case end.After(last) || !end.After(r.now):
		return nil, badBody("endDateTime must be within %d years from now.", maxSigning)
	case len(p.Certificates)+2 > maxKeys:
		return nil, badBody("The object has %d certificates, which is the most.", maxKeys)
	}
	certificate, err := selfSigned(strings.TrimPrefix(name, "CN="), r.now, *end)
	if err != nil {
		return nil, err
	}
	private := &directory.Certificate{
		KeyID: r.newID("signing", name), Name: name, Certificate: certificate, Usage: usageSign,
		SHA1: sha1.Sum(certificate.Raw), SHA256: sha256.Sum256(certificate.Raw), //nolint:gosec // see the import
	}
	public := *private
	public.KeyID, public.Usage = r.newID("verifying", name), ""
	opens := &directory.Secret{KeyID: private.KeyID, Name: name, Start: r.now, End: certificate.NotAfter, Identifier: identifier(private)}
	r.updates(core("Update service principal", appManagement), item{servicePrincipalType, p})
	p.Certificates = append(slices.Clone(p.Certificates), private, &public)
	p.Secrets = append(slices.Clone(p.Secrets), opens)
	return ok(object("@odata.context", r.context("microsoft.graph.selfSignedCertificate"), "customKeyIdentifier", identifier(private), "displayName", name,
		"startDateTime", when(certificate.NotBefore), "endDateTime", when(certificate.NotAfter), "key", base64.StdEncoding.EncodeToString(certificate.Raw), "keyId", public.KeyID,
		"thumbprint", strings.ToUpper(hex.EncodeToString(private.SHA1[:])), "type", "AsymmetricX509Cert", "usage", "Verify")), nil
}

func selfSigned(name string, now, end time.Time) (*x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.UTC().Truncate(time.Second), NotAfter: end.UTC().Truncate(time.Second), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	return certificate, nil
}

// credentialUse is the last sign-in with one credential of an app: resource type
// appCredentialSignInActivity (beta).
type credentialUse struct {
	app, key, kind, resource string
	last                     *directory.SignIn
}

var credentialUseType = newEntity("appCredentialSignInActivity",
	prop("id", func(_ *request, u credentialUse) any { return directory.NameID("use", u.app, u.key) }),
	prop("appId", func(_ *request, u credentialUse) any { return u.app }),
	prop("keyId", func(_ *request, u credentialUse) any { return u.key }),
	prop("keyType", func(_ *request, u credentialUse) any { return u.kind }),
	prop("keyUsage", func(*request, credentialUse) any { return "verify" }),
	prop("resourceId", func(_ *request, u credentialUse) any { return u.resource }),
	prop("servicePrincipalObjectId", func(_ *request, u credentialUse) any { return u.last.PrincipalID }),
	prop("signInActivity", func(_ *request, u credentialUse) any {
		return object("lastSignInDateTime", when(u.last.Time), "lastSignInRequestId", u.last.ID)
	}).plain(),
)

// listCredentialUses: GET /reports/appCredentialSignInActivities, from the sign-in
// log that the lab keeps.
func listCredentialUses(r *request) (*answer, error) {
	at := map[[2]string]int{}
	var all []credentialUse
	for _, e := range r.tenant.SignIns {
		if e.KeyID == "" || e.Status != 0 {
			continue
		}
		kind := map[string]string{"clientSecret": "clientSecret", "clientAssertion": "certificate"}[e.CredentialType]
		use := credentialUse{e.ClientID, e.KeyID, kind, e.Resource, e}
		if i, known := at[[2]string{e.ClientID, e.KeyID}]; known {
			all[i] = use
			continue
		}
		at[[2]string{e.ClientID, e.KeyID}] = len(all)
		all = append(all, use)
	}
	return r.list(listing{set: "reports/appCredentialSignInActivities", types: []*entity{credentialUseType}, page: 100, most: 999}, items(credentialUseType, all))
}

// rowsOfSigning are signing keys and the use of credentials.
func rowsOfSigning() {
	row("POST", "servicePrincipals/{id}/addTokenSigningCertificate", appsWrite, ofPrincipal(addSigning), "writes")
	row("GET", "reports/appCredentialSignInActivities", logRead, listCredentialUses, "beta", "P1")
}
