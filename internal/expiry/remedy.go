package expiry

// The people who act on what ends.
const (
	ActorGatehouse = "gatehouse"
	ActorOperator  = "operator"
	ActorAppOwner  = "app_owner"
	ActorAdmin     = "tenant_admin"
)

// Remedy says what to do about a credential before it ends, and who does it. The
// steps are those of the Microsoft Entra admin centre.
func Remedy(i Item) (steps []string, actor string) {
	app := "the app registration " + i.Name + " (client id " + i.ClientID + ")"
	switch {
	case i.RegistrationID != "":
		return registered(i), ActorOperator
	case i.Kind == Reader:
		return []string{
			"Gatehouse replaces this certificate by itself, beginning 30 days before its end: the tenant's page says how far it is.",
			"If it cannot, the page says why: make a new certificate for the reader there and have it uploaded to the registration.",
		}, ActorGatehouse
	case i.Kind == Password && i.State == Unknown:
		return []string{
			"Ask the tenant's administrator when the password of " + i.Username + " ends, or have the reader's registration hold Domain.Read.All as well.",
			"Better: move the connection to an app with a certificate, which no password policy ends.",
		}, ActorAdmin
	case i.Kind == Password:
		return []string{
			"Change the password of " + i.Username + " at https://myaccount.microsoft.com before that day, at a time when the software may stop.",
			"Enter the new one in each connection below, and in the software if it has a copy of its own.",
			"Better: move the connection to an app with a certificate, which no password policy ends.",
		}, ActorOperator
	case i.Kind == SAMLKey && !i.Active:
		return []string{"This key does not sign at present, as far as Microsoft Graph tells. Remove it in the Entra admin centre: Entra ID > Enterprise apps > " + i.Name + " > Single sign-on > SAML Certificates."}, ActorAdmin
	case i.Kind == SAMLKey:
		return []string{
			"Entra admin centre: Entra ID > Enterprise apps > " + i.Name + " > Single sign-on > SAML Certificates > Edit > New certificate.",
			"Give the new certificate to whoever runs the app first, then make it active: from then on nobody signs in to an app that does not know it.",
		}, ActorAppOwner
	case i.Kind == Certificate && i.Used:
		return []string{
			"If it is kept in Gatehouse, open the connection below and let Gatehouse replace it: the new one is used only once Microsoft accepts it.",
			"Otherwise: Entra admin centre: Entra ID > App registrations > " + i.Name + " > Certificates & secrets > Upload certificate; put it into use everywhere below, then remove the old one.",
		}, ActorOperator
	case i.Holder == ServicePrincipal:
		return []string{
			"This credential lies on the service principal of " + i.Name + ", which the admin centre does not show among the registration's own. Add a new one before the end: Graph, servicePrincipals/" + i.ObjectID + "/addPassword, or PowerShell Add-MgServicePrincipalPassword.",
			"Put it into use everywhere below, then remove the one with key id " + i.CredentialID + ", and no other.",
		}, ActorAdmin
	case i.Kind == Certificate:
		return []string{"Have the owner of " + app + " upload a new certificate, put it into use, and then remove the one with key id " + i.CredentialID + ", and no other."}, ActorAppOwner
	default:
		return []string{
			"Entra admin centre: Entra ID > App registrations > " + i.Name + " > Certificates & secrets > New client secret. Both are accepted until the old one is removed.",
			"Put the new one into use everywhere below; it can take some minutes until Microsoft accepts it everywhere. Then remove the one with key id " + i.CredentialID + ", and no other.",
			"Better: a certificate, which cannot be read out of a configuration file, and which Gatehouse can replace by itself.",
		}, ActorAppOwner
	}
}

// registered says what to do about a credential of an app registration that is kept
// here.
func registered(i Item) []string {
	if !i.Active {
		return []string{"It is not in use. Retire it in Gatehouse (Registrations > " + i.Name + "), then remove it at Microsoft, and no other."}
	}
	return []string{
		"In Gatehouse open Registrations > " + i.Name + " > Add a credential, and let it make a certificate: its key never leaves.",
		"Upload the certificate to the app registration with the client id " + i.ClientID + ": Entra admin centre, Entra ID > App registrations > Certificates & secrets.",
		"Check it, with \"Then put it into use\": callers get the present one until Microsoft has accepted the new one several times in a row. On the command line: gatehouse registration rotate.",
		"Retire the old one, and remove it at Microsoft: the page says which one.",
	}
}
