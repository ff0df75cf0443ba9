package registration

import (
	"strings"
)

// App ids of Microsoft's own APIs, the same in every cloud.
const (
	GraphResource           = "00000003-0000-0000-c000-000000000000"
	SharePointResource      = "00000003-0000-0ff1-ce00-000000000000"
	ExchangeResource        = "00000002-0000-0ff1-ce00-000000000000"
	BusinessCentralResource = "996def3d-b36c-4153-8607-a6fd3c01b89f"
	PartnerCenterResource   = "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd"
)

// Resource is an API that permissions are asked of.
type Resource struct {
	ID      string // app id
	Name    string // as Microsoft's screens show it
	Service string // the name of the service of connections; "" if there is none
}

// Resources are the well-known ones, in the order in which they are offered.
var Resources = []Resource{
	{GraphResource, "Microsoft Graph", "graph"},
	{SharePointResource, "SharePoint", "sharepoint"},
	{ExchangeResource, "Office 365 Exchange Online", "exchange"},
	{BusinessCentralResource, "Dynamics 365 Business Central", "business_central"},
	{PartnerCenterResource, "Microsoft Partner Center", ""},
}

// ResourceOf gives the app id of a service or well-known resource by its name, or
// what was given, in lower case.
func ResourceOf(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, r := range Resources {
		if name == r.Service && name != "" || name == strings.ToLower(r.Name) {
			return r.ID
		}
	}
	return name
}

// resourceName is how Microsoft's screens show a resource; "" if it is not well known.
func resourceName(id string) string {
	for _, r := range Resources {
		if r.ID == id {
			return r.Name
		}
	}
	return ""
}

// words say what permissions let an app do: by resource, kind and name in lower case.
// Names as in the permissions reference of Microsoft Graph, and, of the other APIs, as
// in permissions-by-service §2.
var words = map[string]map[string]map[string]string{
	GraphResource: {
		DelegatedPermission: {
			"openid":                                 "let the person sign in",
			"profile":                                "see the person's name and user name",
			"offline_access":                         "stay signed in, so that nobody has to sign in again every hour",
			"email":                                  "see the person's mail address",
			"user.read":                              "see the profile of the person who signed in",
			"user.read.all":                          "see the full profiles of all people whom the person may see",
			"user.readbasic.all":                     "see name and picture of all people in the organisation",
			"user.readwrite.all":                     "change the profiles of people, as far as the person may",
			"group.read.all":                         "see groups and what is in them, as far as the person may",
			"group.readwrite.all":                    "change groups and what is in them, as far as the person may",
			"groupmember.read.all":                   "see who is in which group",
			"directory.read.all":                     "see everything in the directory that the person may see",
			"directory.accessasuser.all":             "do everything in the directory that the person may do",
			"organization.read.all":                  "see the organisation's name, domains and licences",
			"files.read":                             "read the person's own files",
			"files.read.all":                         "read all files that the person can open",
			"files.readwrite":                        "change the person's own files",
			"files.readwrite.all":                    "change all files that the person can change",
			"sites.read.all":                         "read all sites that the person can open",
			"sites.readwrite.all":                    "change all sites that the person can change",
			"sites.manage.all":                       "make and remove lists in all sites that the person can manage",
			"sites.fullcontrol.all":                  "do everything in all sites that the person may do",
			"sites.selected":                         "reach those sites alone that were opened to the app",
			"mail.read":                              "read the person's mail",
			"mail.readwrite":                         "read and change the person's mail",
			"mail.send":                              "send mail in the person's name",
			"calendars.read":                         "read the person's calendars",
			"calendars.readwrite":                    "change the person's calendars",
			"contacts.read":                          "read the person's contacts",
			"mailboxsettings.read":                   "read the settings of the person's mailbox",
			"tasks.read":                             "read the person's tasks",
			"tasks.readwrite":                        "change the person's tasks",
			"team.readbasic.all":                     "see the teams that the person is in",
			"channel.readbasic.all":                  "see the channels of the person's teams",
			"auditlog.read.all":                      "read the sign-in log, as far as the person may",
			"policy.read.all":                        "read the organisation's policies, as far as the person may",
			"policy.readwrite.conditionalaccess":     "change Conditional Access policies, as far as the person may",
			"application.read.all":                   "see app registrations and apps",
			"application.readwrite.all":              "change app registrations and apps, as far as the person may",
			"rolemanagement.read.directory":          "see which directory roles people hold",
			"userauthenticationmethod.read.all":      "see which second factors people have registered",
			"userauthenticationmethod.readwrite.all": "change people's second factors, as far as the person may",
			"delegatedadminrelationship.read.all":    "see the partner's relationships with customers",
		},
		ApplicationPermission: {
			"user.read.all":                      "see the profiles of all people, without anybody signed in",
			"user.readwrite.all":                 "change the profiles of all people, without anybody signed in",
			"group.read.all":                     "see all groups and what is in them",
			"group.readwrite.all":                "change all groups and what is in them",
			"groupmember.read.all":               "see who is in which group",
			"directory.read.all":                 "see everything in the directory",
			"directory.readwrite.all":            "change most of what is in the directory",
			"organization.read.all":              "see the organisation's name, domains and licences",
			"files.read.all":                     "read all files of everybody",
			"files.readwrite.all":                "change all files of everybody",
			"sites.read.all":                     "read all sites",
			"sites.readwrite.all":                "change all sites",
			"sites.fullcontrol.all":              "do everything in all sites",
			"sites.selected":                     "reach those sites alone that were opened to the app",
			"mail.read":                          "read everybody's mail",
			"mail.readwrite":                     "read and change everybody's mail",
			"mail.send":                          "send mail in anybody's name",
			"calendars.read":                     "read everybody's calendars",
			"mailboxsettings.read":               "read the settings of all mailboxes",
			"auditlog.read.all":                  "read the sign-in log",
			"policy.read.all":                    "read the organisation's policies",
			"policy.readwrite.conditionalaccess": "change Conditional Access policies, without anybody signed in",
			"application.read.all":               "see all app registrations and apps",
			"application.readwrite.ownedby":      "change the app registrations that the app owns",
			"application.readwrite.all":          "change all app registrations and apps",
			"rolemanagement.read.directory":      "see which directory roles are held by whom",
			"userauthenticationmethod.read.all":  "see which second factors people have registered",
			"reports.read.all":                   "read the usage reports",
			"licenseassignment.read.all":         "see which licences are held",
			"domain.read.all":                    "see the organisation's domains and their settings",
			"sharepointtenantsettings.read.all":  "read the settings of SharePoint",
		},
	},
	SharePointResource: {
		DelegatedPermission: {
			"allsites.read":        "read all sites that the person can open",
			"allsites.write":       "change what is in all sites that the person can change",
			"allsites.manage":      "make and remove lists in all sites that the person can manage",
			"allsites.fullcontrol": "do everything in all sites that the person may do",
			"myfiles.read":         "read the person's own files",
			"myfiles.write":        "change the person's own files",
			"sites.search.all":     "search in all sites that the person can open",
			"termstore.read.all":   "read the term store",
			"user.read.all":        "see people's profiles in SharePoint",
		},
		ApplicationPermission: {
			"sites.read.all":          "read all sites",
			"sites.readwrite.all":     "change all sites",
			"sites.fullcontrol.all":   "do everything in all sites",
			"sites.selected":          "reach those sites alone that were opened to the app",
			"termstore.read.all":      "read the term store",
			"termstore.readwrite.all": "change the term store",
			"user.read.all":           "see people's profiles in SharePoint",
		},
	},
	ExchangeResource: {
		DelegatedPermission: {
			"ews.accessasuser.all":  "reach the person's mailbox through Exchange Web Services",
			"imap.accessasuser.all": "reach the person's mailbox through IMAP",
			"pop.accessasuser.all":  "reach the person's mailbox through POP",
			"smtp.send":             "send mail in the person's name through SMTP",
			"exchange.manage":       "manage Exchange, as far as the person may",
			"exchange.managev2":     "manage Exchange through its admin API, as far as the person may",
			"mail.read":             "read the person's mail",
		},
		ApplicationPermission: {
			"exchange.manageasapp":   "manage Exchange, with the role that the app is given in the directory",
			"exchange.manageasappv2": "manage Exchange through its admin API, with the role that the app is given",
			"full_access_as_app":     "reach all mailboxes through Exchange Web Services",
			"imap.accessasapp":       "reach mailboxes through IMAP that were opened to the app",
			"pop.accessasapp":        "reach mailboxes through POP that were opened to the app",
			"smtp.sendasapp":         "send mail through SMTP from mailboxes that were opened to the app",
		},
	},
	BusinessCentralResource: {
		DelegatedPermission: {
			"financials.readwrite.all": "read and change the data in Business Central that the person may",
			"user_impersonation":       "do everything in Business Central that the person may do",
		},
		ApplicationPermission: {
			"api.readwrite.all":         "read and change the data of the environments in which the app is set up",
			"automation.readwrite.all":  "set companies up in the environments in which the app is set up",
			"admincenter.readwrite.all": "manage environments, once it is authorised in the admin centre",
			"app_access":                "reach the environments in which the app is set up",
		},
	},
	PartnerCenterResource: {
		DelegatedPermission: {"user_impersonation": "do in Partner Center what the person may do there"},
	},
}
