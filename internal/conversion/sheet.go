package conversion

import (
	"context"
	"slices"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/validation"
)

// Sheet is what is handed to whoever looks after the consumer. Nothing secret is
// on it.
type Sheet struct {
	Consumer   string
	Connection string
	TenantName string
	Made       time.Time
	Fields     []Field
	Needs      []validation.Need
	Steps      []string
	Warnings   []string
}

// Field is one thing to paste.
type Field struct {
	Label string
	Value string
	Where string // what consumers call it, and what it is for
}

// ServicePlace is the part of a connection that services look at.
func ServicePlace(c connection.Connection) validation.Place {
	return validation.Place{Services: c.Services, Site: c.Site, AdminURL: c.AdminURL, Environment: c.Environment, Company: c.Company}
}

// Needs is what the app is to be granted, the least for each task.
func (s *Service) Needs(ctx context.Context, c Conversion) ([]validation.Need, error) {
	old, err := s.Connections.Get(ctx, c.ConnectionID)
	return validation.Needed(true, ServicePlace(old)), err
}

// Sheet writes the sheet; [ErrOrder] before the app's credential is there.
func (s *Service) Sheet(ctx context.Context, id string) (Sheet, error) {
	c, err := s.Get(ctx, id)
	if err != nil {
		return Sheet{}, err
	}
	if c.AppID == "" {
		return Sheet{}, ErrOrder
	}
	app, err := s.Connections.Get(ctx, c.AppID)
	if err != nil {
		return Sheet{}, err
	}
	at, err := s.Tenants.Directory(ctx, c.TenantID)
	if err != nil {
		return Sheet{}, err
	}
	out := Sheet{Consumer: app.Consumer.Name, Connection: app.Name, TenantName: app.TenantName, Made: s.time(), Needs: validation.Needed(true, ServicePlace(app))}
	put := func(label, value, where string) {
		if value != "" {
			out.Fields = append(out.Fields, Field{label, value, where})
		}
	}
	put("Directory (tenant) id", at.DirectoryID, "Also called tenant id, directory id or Azure AD id.")
	put("Initial domain", at.Initial, "Where the software asks for a domain or organisation in place of the id; Exchange Online PowerShell calls it Organization.")
	put("Application (client) id", c.ClientID, "Also called app id or client id.")
	put("Sign-in address", s.Cloud.Login+"/"+at.DirectoryID, "Also called authority or instance; only where the software asks for it.")
	if app.Credential == connection.Certificate {
		put("Certificate thumbprint", app.Thumbprint, "SHA-1, as the Entra admin centre shows it.")
	}
	if app.CredentialNotAfter != nil {
		put("Valid until", app.CredentialNotAfter.Format(time.DateOnly), "Note it: the software stops on that day unless a new one was put in before.")
	}
	put("SharePoint site", app.Site, "")
	put("SharePoint admin centre", app.AdminURL, "")
	put("Business Central environment", app.Environment, "")
	put("Business Central company", app.Company, "")
	out.Steps, out.Warnings = handOver(c, app), warnings(c, app)
	return out, nil
}

// handOver is what to do in the consumer.
func handOver(c Conversion, app connection.Connection) []string {
	name := app.Consumer.Name
	if name == "" {
		name = "the software"
	}
	steps := []string{"In " + name + ", open the settings of the Microsoft 365 connection or profile. Choose the way to sign in that it calls app, app-only, service principal, modern authentication or certificate; not user name and password."}
	switch c.Way {
	case MadeHere:
		steps = append(steps, "Import the PFX file that you were given, with its password; both come separately from this sheet. Where the software reads certificates of Windows, import the file into Local Computer > Personal, not exportable, let the software's own account read the key, and enter the thumbprint.",
			"Delete the PFX file afterwards.")
	case Own, Signing:
		steps = append(steps, "The key is in the software already. If it asks for the certificate, give it the public half (a .pem or .cer file); it pairs it with its key.")
	default:
		steps = append(steps, "Enter the client secret, which you are given separately from this sheet. Copy it without blanks.")
	}
	return append(steps, "Paste the values of this sheet into the fields of the same name.", "Run the software's own test or one small job, and tell whoever gave you this sheet. Do not delete the old profile in the software before that.")
}

// warnings are what does not fit.
func warnings(c Conversion, app connection.Connection) []string {
	var out []string
	accepts := app.Consumer.Accepts
	kind := map[string]string{MadeHere: "certificate", Own: "certificate", Signing: "certificate", Secret: "secret"}[c.Way]
	if len(accepts) > 0 && !slices.Contains(accepts, kind) {
		out = append(out, "The software is said not to take a "+kind+". Ask its vendor for a release that does.")
	}
	for _, n := range validation.Needed(true, ServicePlace(app)) {
		if len(n.Roles) > 0 {
			out = append(out, "Beside "+n.Least+" the app needs one of the directory roles "+joined(n.Roles)+", assigned to its service principal.")
		}
	}
	return out
}

func joined(all []string) string {
	out := ""
	for i, s := range all {
		switch {
		case i > 0 && i == len(all)-1:
			out += " or "
		case i > 0:
			out += ", "
		}
		out += s
	}
	return out
}
