package consent

import "strings"

// known are plain words for permissions that software asks for often, without who
// acts. The names are those of Microsoft's permissions references.
var known = map[string]string{
	"openid": "know who signed in", "profile": "see name and user name of who signed in", "email": "see the mail address of who signed in", "offline_access": "stay signed in without asking again each time",
	"User.Read":                "read the profile of who signed in",
	"User.ReadBasic.All":       "read names, mail addresses and photos of everybody in the organisation",
	"User.Read.All":            "read the full profiles of everybody in the organisation",
	"Directory.Read.All":       "read the directory: users, groups, apps and their relations",
	"Directory.ReadWrite.All":  "read and change the directory: users, groups, apps and their relations",
	"Group.Read.All":           "read all groups with their members, conversations and files",
	"Group.ReadWrite.All":      "read, make, change and delete all groups with what they hold",
	"GroupMember.Read.All":     "read who is in which group",
	"Organization.Read.All":    "read the organisation's name, domains and licences",
	"Policy.Read.All":          "read the organisation's policies, Conditional Access among them",
	"AuditLog.Read.All":        "read the sign-in and audit logs",
	"Application.Read.All":     "read all apps and their settings",
	"Reports.Read.All":         "read usage reports",
	"Mail.Read":                "read mail",
	"Mail.ReadWrite":           "read, change and delete mail, but not send it",
	"Mail.Send":                "send mail",
	"Calendars.Read":           "read calendars",
	"Calendars.ReadWrite":      "read, change and delete calendar entries",
	"Contacts.Read":            "read contacts",
	"Files.Read":               "read files of who signed in",
	"Files.Read.All":           "read all files that can be reached",
	"Files.ReadWrite":          "read, change and delete files of who signed in",
	"Files.ReadWrite.All":      "read, change and delete all files that can be reached",
	"Sites.Selected":           "reach only those SharePoint sites that are opened for it one by one",
	"Sites.Read.All":           "read all SharePoint sites",
	"Sites.ReadWrite.All":      "read, change and delete content of all SharePoint sites",
	"Sites.FullControl.All":    "do everything in all SharePoint sites, permissions included",
	"Financials.ReadWrite.All": "read and change Business Central data as far as the person's own rights there go",
	"user_impersonation":       "act as the person who signed in, as far as their own rights go",
	"API.ReadWrite.All":        "read and change Business Central data, as far as its permission sets there go",
	"Automation.ReadWrite.All": "set up companies and apps in Business Central",
	"full_access_as_app":       "open all mailboxes with full access (Exchange Web Services)",
	"Exchange.ManageAsApp":     "administer Exchange Online, as far as its directory role goes",
	"EWS.AccessAsUser.All":     "open the person's mailbox as they themselves (Exchange Web Services)",
}

// Words says in plain words what a permission lets software do, and in whose name.
func Words(p Permission) string {
	words := known[p.Name]
	if words == "" {
		words = guess(p.Name)
	}
	if strings.HasPrefix(p.Name, "offline") || p.Name == "openid" || p.Name == "profile" || p.Name == "email" {
		return upper(words)
	}
	if p.Kind == Application {
		return upper(words) + ", by itself, without anybody signed in, for the whole organisation"
	}
	return upper(words) + ", for a person who is signed in, and never more than that person may"
}

// guess words a permission by the parts of its name (Subject.Operation.Scope), as
// Microsoft forms them.
func guess(name string) string {
	parts := strings.Split(name, ".")
	verbs := map[string]string{"Read": "read", "ReadBasic": "read the basics of", "ReadWrite": "read, change and delete", "Send": "send", "Create": "make", "Manage": "manage", "FullControl": "have full control of", "Invite": "invite", "Export": "export"}
	for i, part := range parts {
		if verb, ok := verbs[part]; ok && i > 0 {
			text := verb + " " + split(strings.Join(parts[:i], " "))
			if rest := parts[i+1:]; len(rest) > 0 && rest[len(rest)-1] == "All" {
				text += " (all of them)"
			}
			return text
		}
	}
	return "use what Microsoft's page describes under " + name
}

// split writes a name such as CallRecords as words.
func split(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
