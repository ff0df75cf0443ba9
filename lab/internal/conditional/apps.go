package conditional

import "gatehouse/lab/internal/directory"

// Groups of apps that policies can name, and the word for an app whose groups
// are not known.
const (
	office365     = "Office365"
	adminPortals  = "MicrosoftAdminPortals"
	suitesUnknown = "unknown"
)

// App ids that only Conditional Access has to know.
const (
	teamsID         = "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe"
	skypeID         = "00000004-0000-0ff1-ce00-000000000000"
	formsID         = "c9a559d2-7aab-4f13-a6ed-e7e9c52aec87"
	toDoID          = "22098786-6e16-43cc-a27d-191a01a1e3b5"
	powerAppsID     = "475226c6-020e-4fb2-8a90-7a972cbfc1d4"
	powerAutomateID = "7df0a125-d3be-4c96-aa54-591f83ff541c"
)

// Suites are the groups of the apps that the lab knows. The documents name the
// services in a group, seldom their ids. The portals of Azure, Entra and Intune
// also go with the Azure management API ("Conditional Access: Target resources").
var Suites = map[string]string{
	directory.SharePointID:                 office365,
	directory.ExchangeID:                   office365,
	teamsID:                                office365,
	skypeID:                                office365,
	formsID:                                office365,
	toDoID:                                 office365,
	"00000005-0000-0ff1-ce00-000000000000": office365, // Viva Engage
	"00000006-0000-0ff1-ce00-000000000000": office365, // portal
	"09abbdfd-ed23-44ee-a2d9-a627aa1c90f3": office365, // Planner
	"905fcf26-4eb7-48a0-9ff0-8dcc7194b5ba": office365, // Sway
	"2634dd23-5e5a-431c-81ca-11710d9079f4": office365, // Stream
	"95de633a-083e-42f5-b444-a4295d8e9314": office365, // Whiteboard
	"2d4d3d8e-2be3-4bef-9f87-7875a61c29de": office365, // OneNote
	"67e3df25-268a-4324-a550-0de1c7f97287": office365, // Office for the web
	powerAppsID:                            suitesUnknown,
	powerAutomateID:                        suitesUnknown,
	"00000009-0000-0000-c000-000000000000": suitesUnknown, // Power BI
	directory.AzurePortalID:                adminPortals + "," + directory.AzureManagementID,
	"497effe9-df71-4043-a8bb-14cf78c4b63b": adminPortals, // Exchange admin centre
	"618dd325-23f6-4b6f-8380-4df78026e39b": adminPortals, // Microsoft 365 admin centre
	"80ccca67-54bd-44ab-8625-4b79c4dc7775": adminPortals, // Defender and Purview
}

// EarlyBound are the service dependencies that hold before the calling app gets
// its token ("Conditional Access service dependencies"), as far as ids are known.
var EarlyBound = map[string][]string{
	teamsID:         {directory.ExchangeID, directory.SharePointID, skypeID},
	formsID:         {directory.ExchangeID, directory.SharePointID},
	skypeID:         {directory.ExchangeID},
	toDoID:          {directory.ExchangeID},
	powerAppsID:     {directory.AzureManagementID, directory.DirectoryID, directory.SharePointID, directory.ExchangeID},
	powerAutomateID: {powerAppsID},
}

// BehindScopes says whose policies a scope of Microsoft Graph brings; Graph
// itself cannot be targeted ("Conditional Access: Target resources").
var BehindScopes = map[string]string{
	"mail":           directory.ExchangeID,
	"channelmessage": teamsID,
}

// baselineScopes are those that a policy for all resources with exclusions
// treats in a way of its own ("Conditional Access: enforcement for policies with
// resource exclusions"); true: OpenID Connect's own.
var baselineScopes = map[string]bool{
	"email": true, "offline_access": true, "openid": true, "profile": true,
	"user.read": false, "user.read.all": false, "user.readbasic.all": false, "people.read": false, "people.read.all": false,
	"groupmember.read.all": false, "member.read.hidden": false,
}
