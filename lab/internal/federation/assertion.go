package federation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Names of SAML and XML Signature.
const (
	saml1 = "urn:oasis:names:tc:SAML:1.0:assertion"
	saml2 = "urn:oasis:names:tc:SAML:2.0:assertion"

	signatureSpace = "http://www.w3.org/2000/09/xmldsig#"
	exclusiveC14N  = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped      = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	rsaSHA256      = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	digestSHA256   = "http://www.w3.org/2001/04/xmlenc#sha256"

	claimUPN         = "http://schemas.xmlsoap.org/claims/UPN"
	claimImmutableID = "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID"

	// Audience is what Entra ID is called in federations: user realm and
	// metadata name it (entra-sign-in §7).
	Audience = "urn:federation:MicrosoftOnline"
)

// Assertion is what a federation server says about a person.
type Assertion struct {
	Version                 int // 1 for SAML 1.1, 2 for SAML 2.0
	Issuer, Audience        string
	UPN, ImmutableID        string
	NotBefore, NotOnOrAfter time.Time
	AuthenticatedAt         time.Time
}

// Why an assertion is refused.
var (
	ErrSignature = errors.New("the signature of the assertion does not match")
	ErrIssuer    = errors.New("the issuer of the assertion is no federation server of this cloud")
	ErrLifetime  = errors.New("the assertion is not within its valid time range")
)

// sign gives the XML of an assertion with its signature inside.
func (a *Assertion) sign(key *rsa.PrivateKey, certificate *x509.Certificate) (string, error) {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	id := "_" + hex.EncodeToString(b)
	text := a.version1(id)
	if a.Version == 2 {
		text = a.version2(id)
	}
	root, err := parse([]byte(strings.Replace(text, "{signature}", "", 1)))
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(root.canonical(nil)))
	signedInfo := `<ds:SignedInfo xmlns:ds="` + signatureSpace + `"><ds:CanonicalizationMethod Algorithm="` + exclusiveC14N + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + rsaSHA256 + `"></ds:SignatureMethod><ds:Reference URI="#` + id + `"><ds:Transforms><ds:Transform Algorithm="` + enveloped + `"></ds:Transform>` +
		`<ds:Transform Algorithm="` + exclusiveC14N + `"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="` + digestSHA256 + `"></ds:DigestMethod>` +
		`<ds:DigestValue>` + base64.StdEncoding.EncodeToString(digest[:]) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	hashed := sha256.Sum256([]byte(signedInfo)) // written in canonical form
	value, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, hashed[:])
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	signature := `<ds:Signature xmlns:ds="` + signatureSpace + `">` + signedInfo + `<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(value) + `</ds:SignatureValue>` +
		`<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(certificate.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>`
	return strings.Replace(text, "{signature}", signature, 1), nil
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(strings.ReplaceAll(s, "{signature}", ""))) // into memory
	return b.String()
}

func (a *Assertion) version1(id string) string {
	subject := `<saml:Subject><saml:NameIdentifier Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">` + escape(a.ImmutableID) + `</saml:NameIdentifier>` +
		`<saml:SubjectConfirmation><saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</saml:ConfirmationMethod></saml:SubjectConfirmation></saml:Subject>`
	attributeOf := func(claim, value string) string {
		i := strings.LastIndexByte(claim, '/')
		return `<saml:Attribute AttributeName="` + claim[i+1:] + `" AttributeNamespace="` + claim[:i] + `"><saml:AttributeValue>` + escape(value) + `</saml:AttributeValue></saml:Attribute>`
	}
	return `<saml:Assertion xmlns:saml="` + saml1 + `" MajorVersion="1" MinorVersion="1" AssertionID="` + id + `" Issuer="` + escape(a.Issuer) + `" IssueInstant="` + instant(a.AuthenticatedAt) + `">` +
		`<saml:Conditions NotBefore="` + instant(a.NotBefore) + `" NotOnOrAfter="` + instant(a.NotOnOrAfter) + `"><saml:AudienceRestrictionCondition><saml:Audience>` + escape(a.Audience) +
		`</saml:Audience></saml:AudienceRestrictionCondition></saml:Conditions><saml:AttributeStatement>` + subject + attributeOf(claimUPN, a.UPN) + attributeOf(claimImmutableID, a.ImmutableID) +
		`</saml:AttributeStatement><saml:AuthenticationStatement AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password" AuthenticationInstant="` + instant(a.AuthenticatedAt) + `">` + subject +
		`</saml:AuthenticationStatement>{signature}</saml:Assertion>`
}

func (a *Assertion) version2(id string) string {
	attributeOf := func(claim, value string) string {
		return `<saml:Attribute Name="` + claim + `"><saml:AttributeValue>` + escape(value) + `</saml:AttributeValue></saml:Attribute>`
	}
	return `<saml:Assertion xmlns:saml="` + saml2 + `" ID="` + id + `" IssueInstant="` + instant(a.AuthenticatedAt) + `" Version="2.0"><saml:Issuer>` + escape(a.Issuer) + `</saml:Issuer>{signature}` +
		`<saml:Subject><saml:NameID>` + escape(a.ImmutableID) + `</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Conditions NotBefore="` + instant(a.NotBefore) + `" NotOnOrAfter="` + instant(a.NotOnOrAfter) + `"><saml:AudienceRestriction><saml:Audience>` + escape(a.Audience) +
		`</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AttributeStatement>` + attributeOf(claimUPN, a.UPN) + attributeOf(claimImmutableID, a.ImmutableID) +
		`</saml:AttributeStatement><saml:AuthnStatement AuthnInstant="` + instant(a.AuthenticatedAt) + `"><saml:AuthnContext><saml:AuthnContextClassRef>` +
		`urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement></saml:Assertion>`
}

// Verify reads an assertion, or a WS-Trust answer with one inside, and checks
// its signature against the certificate of its issuer and its times against
// now. Errors are ErrXML, ErrIssuer, ErrSignature and ErrLifetime.
func Verify(data []byte, certificate func(issuer string) *x509.Certificate, now time.Time) (*Assertion, error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"RequestSecurityTokenResponseCollection", "RequestSecurityTokenResponse", "RequestedSecurityToken"} {
		if root.local == name && len(root.elements()) > 0 {
			next := root.elements()[0]
			for _, child := range root.elements() {
				if child.local == "RequestSecurityTokenResponse" || child.local == "RequestedSecurityToken" || child.local == "Assertion" {
					next = child
				}
			}
			root = next
		}
	}
	a := &Assertion{}
	id := ""
	switch {
	case root.is(saml1, "Assertion"):
		a.Version, a.Issuer, id = 1, root.attr("Issuer"), root.attr("AssertionID")
	case root.is(saml2, "Assertion"):
		a.Version, a.Issuer, id = 2, root.find("Issuer").value(), root.attr("ID")
	default:
		return nil, fmt.Errorf("%w: it is no SAML assertion", ErrXML)
	}
	trusted := certificate(a.Issuer)
	if trusted == nil {
		return nil, ErrIssuer
	}
	if !signedBy(root, id, trusted) {
		return nil, ErrSignature
	}
	if err := a.read(root); err != nil {
		return nil, err
	}
	const skew = 5 * time.Minute
	if now.Before(a.NotBefore.Add(-skew)) || !now.Before(a.NotOnOrAfter.Add(skew)) {
		return nil, ErrLifetime
	}
	return a, nil
}

// signedBy reports whether the element carries one signature, over the whole of
// itself and nothing else, by the certificate. Other algorithms than those that
// are written here are not accepted.
func signedBy(root *element, id string, certificate *x509.Certificate) bool {
	var signature *element
	for _, child := range root.elements() {
		if !child.is(signatureSpace, "Signature") {
			continue
		}
		if signature != nil {
			return false
		}
		signature = child
	}
	info, reference := signature.find("SignedInfo"), signature.find("SignedInfo", "Reference")
	if info == nil || reference == nil || id == "" || reference.attr("URI") != "#"+id || count(info, "Reference") != 1 {
		return false
	}
	transforms := reference.find("Transforms").elements()
	for _, algorithm := range [][2]string{
		{info.find("CanonicalizationMethod").attr("Algorithm"), exclusiveC14N}, {info.find("SignatureMethod").attr("Algorithm"), rsaSHA256},
		{reference.find("DigestMethod").attr("Algorithm"), digestSHA256},
	} {
		if algorithm[0] != algorithm[1] {
			return false
		}
	}
	if len(transforms) != 2 || transforms[0].attr("Algorithm") != enveloped || transforms[1].attr("Algorithm") != exclusiveC14N || len(transforms[0].elements())+len(transforms[1].elements()) > 0 {
		return false
	}
	digest := sha256.Sum256([]byte(root.canonical(signature)))
	claimed, err := base64.StdEncoding.DecodeString(reference.find("DigestValue").value())
	if err != nil || subtle.ConstantTimeCompare(digest[:], claimed) != 1 {
		return false
	}
	value, err := base64.StdEncoding.DecodeString(signature.find("SignatureValue").value())
	if err != nil {
		return false
	}
	public, ok := certificate.PublicKey.(*rsa.PublicKey)
	hashed := sha256.Sum256([]byte(info.canonical(nil)))
	return ok && rsa.VerifyPKCS1v15(public, crypto.SHA256, hashed[:], value) == nil
}

func count(e *element, local string) int {
	n := 0
	for _, child := range e.elements() {
		if child.local == local {
			n++
		}
	}
	return n
}

// read takes what the assertion says.
func (a *Assertion) read(root *element) error {
	conditions := root.find("Conditions")
	var err error
	if a.NotBefore, err = time.Parse(time.RFC3339, conditions.attr("NotBefore")); err != nil {
		return fmt.Errorf("%w: it does not say from when it holds", ErrXML)
	}
	if a.NotOnOrAfter, err = time.Parse(time.RFC3339, conditions.attr("NotOnOrAfter")); err != nil {
		return fmt.Errorf("%w: it does not say until when it holds", ErrXML)
	}
	a.Audience = conditions.find("AudienceRestrictionCondition", "Audience").value() + conditions.find("AudienceRestriction", "Audience").value()
	a.AuthenticatedAt, _ = time.Parse(time.RFC3339, root.attr("IssueInstant")) // zero where it is missing
	for _, attribute := range root.find("AttributeStatement").elements() {
		name := attribute.attr("Name")
		if a.Version == 1 {
			name = strings.TrimSuffix(attribute.attr("AttributeNamespace"), "/") + "/" + attribute.attr("AttributeName")
		}
		switch value := attribute.find("AttributeValue").value(); name {
		case claimUPN:
			a.UPN = value
		case claimImmutableID:
			a.ImmutableID = value
		}
	}
	return nil
}
