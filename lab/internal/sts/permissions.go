package sts

import (
	"slices"
	"strings"
)

// permission is one line of a consent page.
type permission struct {
	Plain, Name, Resource string
	App                   bool // held by the app itself
}

// inPlainWords says what common permissions allow. Others are put together
// from the parts of their names.
var inPlainWords = map[string]string{
	"openid": "Sign you in", "profile": "See your name and user name", "email": "See your e-mail address", "offline_access": "Keep the access you give it until you take it back",
	"User.Read": "Sign you in and read your own profile", "User.ReadBasic.All": "See names and addresses of everybody in the organisation",
	"User.Read.All": "Read the full profiles of all users", "User.ReadWrite.All": "Read and change the full profiles of all users", "User.ReadWrite": "Read and change your own profile",
	"Directory.Read.All": "Read everything in the directory", "Directory.ReadWrite.All": "Read and change everything in the directory",
	"Directory.AccessAsUser.All": "Do in the directory whatever you may do yourself", "Policy.Read.All": "Read the organisation's security policies",
	"AuditLog.Read.All": "Read sign-in and audit logs", "Mail.Read": "Read your mail", "Files.Read": "Read your files", "Sites.Read.All": "Read every SharePoint site that you can reach",
	"user_impersonation": "Do there whatever you may do yourself", "Financials.ReadWrite.All": "Read and change company data in your name",
	"UserAuthenticationMethod.Read": "See how you confirm sign-ins", "UserAuthenticationMethod.ReadWrite": "See and change how you confirm sign-ins",
	"UserAuthenticationMethod.Read.All": "See how everybody confirms sign-ins", "UserAuthenticationMethod.ReadWrite.All": "See and change how everybody confirms sign-ins",
	"Application.Read.All": "See all apps of the organisation", "Application.ReadWrite.All": "Create, change and remove apps of the organisation",
	"RoleManagement.Read.Directory": "See who holds which administrator role", "RoleManagement.ReadWrite.Directory": "Give and take administrator roles",
	"DelegatedPermissionGrant.ReadWrite.All": "Give apps permissions in people's name", "AppRoleAssignment.ReadWrite.All": "Give apps permissions of their own",
	"User.EnableDisableAccount.All": "Enable and disable everybody's account", "User.RevokeSessions.All": "Sign everybody out", "User.DeleteRestore.All": "Delete and restore users",
	"Sites.Selected": "Use the SharePoint sites that it is given", "Application.ReadWrite.OwnedBy": "Create apps, and change the ones it owns", "Exchange.Manage": "Administer Exchange in your name",
	"Group.Create": "Create groups", "SMTP.SendAsApp": "Send mail as anybody", "IMAP.AccessAsApp": "Read and change every mailbox", "Mail.Send": "Send mail in your name",
	"SMTP.Send": "Send mail in your name", "EWS.AccessAsUser.All": "Use your whole mailbox", "IMAP.AccessAsUser.All": "Read and change your mailbox",
	"AllSites.Read": "Read every SharePoint site that you can reach", "AllSites.Write": "Change content of every SharePoint site that you can reach",
	"AllSites.Manage": "Manage every SharePoint site that you can reach", "AllSites.FullControl": "Do anything in every SharePoint site that you can reach",
	"Sites.FullControl.All": "Do anything in every SharePoint site", "Exchange.ManageAsApp": "Administer Exchange", "full_access_as_app": "Read and change every mailbox",
}

// ownWords says what permissions of an app's own allow, where that differs
// from the same name held in a person's name.
var ownWords = map[string]string{
	"Mail.Read": "Read every mailbox", "Mail.ReadWrite": "Read and change every mailbox", "Mail.Send": "Send mail as anybody", "Files.Read": "Read everybody's files",
	"Sites.Read.All": "Read every SharePoint site", "Exchange.Manage": "Administer Exchange", "user_impersonation": "Act as anybody",
}

// describe lists a plan's permissions, the app's own last.
func describe(p *consentPlan) []permission {
	var out []permission
	for i, list := range [][]granting{p.scopes, p.roles} {
		for _, g := range list {
			for _, value := range g.values {
				line := permission{Plain: plainWords(value), Name: value, Resource: g.resource.Name, App: i == 1}
				if own := ownWords[value]; line.App && own != "" {
					line.Plain = own
				}
				if !slices.Contains(out, line) {
					out = append(out, line)
				}
			}
		}
	}
	return out
}

// nouns are what the first parts of permission names stand for.
var nouns = map[string]string{
	"Agreement": "terms of use", "AuthenticationContext": "authentication contexts", "DelegatedPermissionGrant": "permissions that apps were given in people's name",
	"Exchange": "Exchange settings", "Group": "groups", "GroupMember": "members of groups", "LicenseAssignment": "licences", "Organization": "details of the organisation",
	"User-PasswordProfile": "users' passwords", "User-Phone": "users' phone numbers", "API": "company data", "AdminCenter": "environments", "Application": "apps",
	"Automation": "settings by automation", "TermStore": "terms of the term store", "SharePointTenantSettings": "SharePoint settings", "User": "users",
}

func plainWords(value string) string {
	if text := inPlainWords[value]; text != "" {
		return text
	}
	parts := strings.Split(value, ".")
	if len(parts) < 2 {
		return "Use " + value
	}
	verb := map[string]string{"Read": "Read", "ReadBasic": "See the basics of", "ReadWrite": "Read and change", "Write": "Change", "Manage": "Manage", "FullControl": "Control", "Send": "Send", "AccessAsUser": "Use"}[parts[1]]
	if verb == "" {
		return "Use " + value
	}
	noun := nouns[parts[0]]
	if noun == "" {
		noun = spaced(parts[0])
	}
	switch {
	case len(parts) == 2:
		return verb + " your " + noun
	case parts[2] == "All":
		return verb + " all " + noun
	case parts[0] == "Policy":
		return verb + " the policy on " + spaced(parts[2])
	}
	return verb + " " + noun + ", " + spaced(parts[2])
}

// spaced takes the words of a name apart: GroupMember is "group member".
func spaced(name string) string {
	var b strings.Builder
	for i, c := range name {
		if i > 0 && c >= 'A' && c <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z' {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return strings.ToLower(strings.ReplaceAll(b.String(), "-", " "))
}
