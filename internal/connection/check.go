package connection

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// maxSecret bounds a password or client secret, in bytes. Entra's passwords
// have 256 characters at most.
const maxSecret = 1024

// maxPublic bounds the text of a certificate or signing request, in bytes.
const maxPublic = 32 << 10

// certificateLife is how long a certificate made here is valid.
const certificateLife = 2 * 365 * 24 * time.Hour

// credential is a credential ready to be kept.
type credential struct {
	kind                    CredentialKind
	secret                  secrets.Value
	certificate, thumbprint string
	notAfter                *time.Time
}

// prepare checks profile and credential together and makes what is to be kept.
func (s *Service) prepare(kind Kind, p Profile, in CredentialRequest, existing bool) (credential, error) {
	var f faults
	f.profile(kind, p)
	c := credential{kind: in.kind(kind)}
	f.credential(kind, p, in, c.kind, existing)
	if err := f.Err(); err != nil {
		return c, err
	}
	var made login.Made
	var err error
	switch {
	case in.Generate:
		made, err = login.MakeCertificate("Gatehouse "+p.Name, s.Now(), certificateLife)
	case !in.CertificatePEM.Empty():
		if made, err = login.SplitCertificate(in.CertificatePEM); err != nil {
			return c, tenant.Fault("certificate", "cannot be used ("+err.Error()+")", "upload one PEM file with certificate and unencrypted private key, or let Gatehouse make one")
		}
	case in.Public != "":
		if made, err = login.ReadPublic(in.Public, s.Now()); err != nil {
			return c, tenant.Fault("public", "cannot be used: "+err.Error(), "paste the certificate that the software shows, without its key")
		}
	case in.Signing != "":
		if made, err = login.Certify(in.Signing, "Gatehouse "+p.Name, s.Now(), certificateLife); err != nil {
			return c, tenant.Fault("signing", "cannot be used: "+err.Error(), "paste the request that the software made (PKCS #10, RSA)")
		}
	case c.kind == Secret:
		c.secret, c.notAfter = in.Secret, in.NotAfter
	default:
		c.secret = in.Password
	}
	if made.Certificate != "" {
		c.secret, c.certificate, c.thumbprint, c.notAfter = made.Key, made.Certificate, made.Thumbprint, &made.NotAfter
	}
	return c, err
}

// kind is the kind of credential that a request holds.
func (in CredentialRequest) kind(kind Kind) CredentialKind {
	switch {
	case in.Kind != "":
		return in.Kind
	case in.Generate || !in.CertificatePEM.Empty() || in.Public+in.Signing != "":
		return Certificate
	case !in.Secret.Empty():
		return Secret
	case kind == App:
		return Certificate
	case kind == Delegated:
		return SignIn
	}
	return Password
}

var appPasswordShape = regexp.MustCompile(`^[a-z]{16}$`)

// faults are the faults of a connection.
type faults struct{ Faults }

func (f *faults) credential(kind Kind, p Profile, in CredentialRequest, as CredentialKind, existing bool) {
	given := 0
	for _, set := range []bool{!in.Password.Empty(), !in.Secret.Empty(), !in.CertificatePEM.Empty(), in.Generate} {
		if set {
			given++
		}
	}
	if in.Public != "" && in.Signing != "" || in.Public+in.Signing != "" && (given > 0 || as != Certificate || p.Consumer.HoldsCredential != HeldByConsumer) {
		f.Add("credential", "is given in more than one form", "with a certificate of the consumer's own, nothing else is kept here")
		return
	}
	if len(in.Public)+len(in.Signing) > maxPublic {
		f.Add("credential", "is too long", "paste one certificate or request")
		return
	}
	if kind == Delegated {
		if given > 0 || as != SignIn || in.Public+in.Signing != "" {
			f.Add("credential", "does not fit a delegated connection", "leave it out: the person signs in once the connection is made")
		}
		return
	}
	if given > 1 {
		f.Add("credential", "is given in more than one form", "give one password, secret or certificate")
		return
	}
	switch {
	case kind == ServiceAccount && as != Password && as != AppPassword:
		f.Add("credential", "does not fit a service account", "give a password, or make a connection of kind app")
	case kind == App && (as == Password || as == AppPassword):
		f.Add("credential", "does not fit an app", "give a certificate or client secret, or let Gatehouse make a certificate")
	case as == AppPassword && !existing:
		f.Add("credential", "is an app password, which a new profile cannot have: app passwords no longer open SharePoint, and no modern sign-in", "use an app with a certificate; for a profile that is in use elsewhere already say that it exists")
	}
	f.fits(in, as)
	f.sharePoint(as, p, existing)
	f.password(in.Password.Reveal(), as)
	f.secret(in.Secret.Reveal())
	f.holder(as, p, given == 1)
}

// fits demands that the given form is of the kind.
func (f *faults) fits(in CredentialRequest, as CredentialKind) {
	wrong := false
	switch as {
	case Password, AppPassword:
		wrong = !in.Secret.Empty() || !in.CertificatePEM.Empty() || in.Generate
	case Secret:
		wrong = !in.Password.Empty() || !in.CertificatePEM.Empty() || in.Generate
	case Certificate:
		wrong = !in.Password.Empty() || !in.Secret.Empty()
	case Federated:
		wrong = !in.Password.Empty() || !in.Secret.Empty() || !in.CertificatePEM.Empty() || in.Generate
	default:
		f.Add("credential", fmt.Sprintf("is %.40q", as), "use password, app_password, secret, certificate or federated")
	}
	if wrong {
		f.Add("credential", "is of another kind than what was given", "give what belongs to "+string(as))
	}
}

// sharePoint demands a certificate where an app is to open SharePoint: tokens that
// were made with a secret are issued, and refused there with 401 (sharepoint §2). A
// profile that is in use elsewhere already is taken as it is, and warned about.
func (f *faults) sharePoint(as CredentialKind, p Profile, existing bool) {
	if as == Secret && slices.Contains(p.Services, SharePoint) && !existing {
		f.Add("credential", "is a client secret, with which SharePoint lets no app in: it answers 401 although a token is issued", "give a certificate, or let Gatehouse make one; without SharePoint among the services a secret will do")
	}
}

// holder demands a credential where Gatehouse is to hold it.
func (f *faults) holder(as CredentialKind, p Profile, have bool) {
	switch {
	case as == SignIn:
	case as == Federated && p.Consumer.HoldsCredential != HeldByConsumer:
		f.Add("consumer.holds_credential", "is gatehouse, but a federated credential has no secret that could be kept here", "say that the consumer holds it")
	case as != Federated && p.Consumer.HoldsCredential == HeldHere && !have:
		f.Add("credential", "is missing", "enter it, or say that the consumer alone holds it")
	}
}

func (f *faults) profile(kind Kind, p Profile) {
	if kind != ServiceAccount && kind != App && kind != Delegated {
		f.Add("kind", fmt.Sprintf("is %.40q", kind), "use delegated, service_account or app")
	}
	if p.Name == "" {
		f.Add("name", "is missing", "enter a name")
	}
	f.Text("name", p.Name, 200)
	f.Text("environment", p.Environment, 100)
	f.Text("company", p.Company, 200)
	if len(p.Description) > 4000 || strings.ContainsAny(p.Description, "\x00") {
		f.Add("description", "is too long", "shorten it to 4000 bytes")
	}
	f.identity(kind, p)
	for _, service := range p.Services {
		if !slices.Contains([]string{Graph, SharePoint, BusinessCentral, Exchange}, service) {
			f.Add("services", fmt.Sprintf("names %.40q", service), "use graph, sharepoint, exchange, business_central")
		}
	}
	f.address("site", p.Site)
	f.address("admin_url", p.AdminURL)
	f.consumer(p.Consumer)
}

func (f *faults) identity(kind Kind, p Profile) {
	switch name, domain, ok := strings.Cut(p.Username, "@"); {
	case kind == App && p.Username != "":
		f.Add("username", "does not belong to an app", "leave it empty, or make a connection of kind service_account")
	case (kind == ServiceAccount || kind == Delegated && p.Username != "") && (!ok || name == "" || domain == "" || strings.ContainsAny(p.Username, " \t\r\n\x00") || len(p.Username) > 320):
		f.Add("username", "is no user name", "enter it as name@domain")
	}
	switch {
	case kind == Delegated && p.ClientID != "":
		f.Add("client_id", "does not belong to a delegated connection", "leave it out: it is that of the app registration")
	case kind == Delegated && p.RegistrationID == "":
		f.Add("registration_id", "is missing", "choose the app registration that the person signs in through")
	case kind != Delegated && p.RegistrationID != "":
		f.Add("registration_id", "belongs to delegated connections alone", "leave it out, or make a connection of kind delegated")
	case (kind == App || kind == ServiceAccount && p.ClientID != "") && !tenant.GUID(p.ClientID):
		f.Add("client_id", "is no application (client) id", "copy it from the app registration's overview; it looks like 11111111-2222-3333-4444-555555555555")
	}
}

// address demands an https address of a host in the cloud of Microsoft or, as
// the operator may have set another cloud, of any: the validation itself sends
// tokens to none but the tenant's own.
func (f *faults) address(field, value string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(value) > 1000 {
		f.Add(field, "is no address", "enter it as https://contoso.sharepoint.com/sites/finance, without query")
	}
}

func (f *faults) consumer(c Consumer) {
	f.Text("consumer.name", c.Name, 200)
	if c.HoldsCredential != HeldHere && c.HoldsCredential != HeldByConsumer {
		f.Add("consumer.holds_credential", fmt.Sprintf("is %.40q", c.HoldsCredential), "use gatehouse or consumer")
	}
	for _, a := range c.Accepts {
		if !slices.Contains([]string{string(Password), string(Secret), string(Certificate), string(Federated)}, a) {
			f.Add("consumer.accepts", fmt.Sprintf("names %.40q", a), "use password, secret, certificate, federated")
		}
	}
	if len(c.Addresses) > 200 {
		f.Add("consumer.addresses", "has more than 200 entries", "sum addresses up in ranges")
	}
	for _, a := range c.Addresses {
		_, err := netip.ParsePrefix(a)
		if _, alone := netip.ParseAddr(a); err != nil && alone != nil {
			f.Add("consumer.addresses", fmt.Sprintf("has %.60q", a), "use addresses such as 192.0.2.7 or ranges such as 192.0.2.0/24")
		}
	}
}

// profileWarnings are what there is to say of a profile before any validation,
// the most important first (four-stories §2).
func (c Connection) profileWarnings() []string {
	var out []string
	if c.Credential == AppPassword {
		out = append(out, "An app password no longer opens SharePoint (since May 2026), and never opened a modern sign-in: move to an app with a certificate.")
	}
	if c.Kind == ServiceAccount && c.MFA {
		out = append(out, "The profile has the MFA flag, which brings limits with it: convert it to a common profile, or to an app with a certificate.")
	}
	if c.Kind == ServiceAccount && c.Credential == Password {
		out = append(out, "Signing in with a password that software sends is a way that Microsoft is closing: plan the move to an app with a certificate.")
	}
	if c.Credential == Secret && slices.Contains(c.Services, SharePoint) {
		out = append(out, "SharePoint accepts no app that proves itself with a client secret: use a certificate.")
	}
	if c.Credential == Secret && slices.Contains(c.Services, Exchange) {
		out = append(out, "Exchange Online PowerShell accepts no app that proves itself with a client secret: use a certificate.")
	}
	return out
}
