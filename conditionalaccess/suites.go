package conditionalaccess

import "strings"

// A suite is a group of applications that policies can name as one.
type suite uint8

const (
	office365 suite = 1 << iota
	adminPortals
	// uncertain marks an application whose membership no document at hand settles.
	uncertain
	guessed // marks what was assumed of such an application
)

// suiteGuesses is the number of applications that are uncertain.
const suiteGuesses = 3

// suiteNames are the words in policies.
var suiteNames = map[string]suite{"office365": office365, "microsoftadminportals": adminPortals}

const (
	appExchange   = "00000002-0000-0ff1-ce00-000000000000"
	appSharePoint = "00000003-0000-0ff1-ce00-000000000000"
	appTeams      = "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe"
	appSkype      = "00000004-0000-0ff1-ce00-000000000000"
	appGraph      = "00000003-0000-0000-c000-000000000000"
	appDirectory  = "00000002-0000-0000-c000-000000000000" // Windows Azure Active Directory
	appManagement = "797f4846-ba00-4fd7-ba43-dac1f8f63013" // Windows Azure Service Management API
	appPortal     = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c" // Azure portal, Entra and Intune admin centres
	appForms      = "c9a559d2-7aab-4f13-a6ed-e7e9c52aec87"
	appToDo       = "22098786-6e16-43cc-a27d-191a01a1e3b5"
	appPowerApps  = "475226c6-020e-4fb2-8a90-7a972cbfc1d4"
	appAutomate   = "7df0a125-d3be-4c96-aa54-591f83ff541c"
)

// suiteOf gives the suites of applications. Microsoft publishes the names of
// the members of Office 365 but not their ids; an application that is not
// listed is treated as no member.
var suiteOf = map[string]suite{
	appExchange:                            office365,
	appSharePoint:                          office365,
	appTeams:                               office365,
	appSkype:                               office365,
	appForms:                               office365,
	appToDo:                                office365,
	"00000005-0000-0ff1-ce00-000000000000": office365, // Viva Engage
	"00000006-0000-0ff1-ce00-000000000000": office365, // Office portal
	"09abbdfd-ed23-44ee-a2d9-a627aa1c90f3": office365, // Planner
	"905fcf26-4eb7-48a0-9ff0-8dcc7194b5ba": office365, // Sway
	"2634dd23-5e5a-431c-81ca-11710d9079f4": office365, // Stream
	"95de633a-083e-42f5-b444-a4295d8e9314": office365, // Whiteboard
	"2d4d3d8e-2be3-4bef-9f87-7875a61c29de": office365, // OneNote
	"67e3df25-268a-4324-a550-0de1c7f97287": office365, // Office on the web
	appPowerApps:                           uncertain,
	appAutomate:                            uncertain,
	"00000009-0000-0000-c000-000000000000": uncertain, // Power BI
	appPortal:                              adminPortals,
	"497effe9-df71-4043-a8bb-14cf78c4b63b": adminPortals, // Exchange
	"618dd325-23f6-4b6f-8380-4df78026e39b": adminPortals, // Microsoft 365
	"80ccca67-54bd-44ab-8625-4b79c4dc7775": adminPortals, // Defender and Purview
}

// earlyBound are the services whose policies must be met before a client of
// the service named gets its token (conditional-access-evaluation §6).
var earlyBound = map[string][]string{
	appTeams:     {appExchange, appSharePoint, appSkype},
	appForms:     {appExchange, appSharePoint},
	appToDo:      {appExchange},
	appSkype:     {appExchange},
	appPowerApps: {appManagement, appDirectory, appSharePoint, appExchange},
	appAutomate:  {appPowerApps},
}

// graphServices are the services behind Microsoft Graph's scopes, by the first
// part of a scope (conditional-access-evaluation §1).
var graphServices = map[string]string{
	"mail": appExchange, "mailboxsettings": appExchange, "calendars": appExchange, "contacts": appExchange,
	"files": appSharePoint, "sites": appSharePoint, "notes": appSharePoint,
	"channel": appTeams, "channelmessage": appTeams, "chat": appTeams, "chatmessage": appTeams, "team": appTeams,
	"tasks": appToDo,
}

// oidcScopes only identify the user; directoryScopes read the directory
// besides. Requests for nothing else get a treatment of their own
// (conditional-access-evaluation §2.2).
var (
	oidcScopes      = []string{"openid", "profile", "email", "offline_access"}
	directoryScopes = []string{
		"User.Read", "User.Read.All", "User.ReadBasic.All", "People.Read", "People.Read.All",
		"GroupMember.Read.All", "Member.Read.Hidden",
	}
)

// A scopeClass says what kind of scopes a request is for.
type scopeClass uint8

const (
	anyScopes      scopeClass = iota // something else than the following, or not said
	baselineScopes                   // nothing but OIDC and directory scopes
	onlyOIDC
	scopeClasses = 3
)

// classifyScopes gives the class. A scope may carry its resource in front.
func classifyScopes(scopes []string) scopeClass {
	class := onlyOIDC
	if len(scopes) == 0 {
		return anyScopes
	}
	for _, s := range scopes {
		s = s[strings.LastIndexByte(s, '/')+1:]
		switch {
		case containsFold(oidcScopes, s):
		case containsFold(directoryScopes, s):
			class = baselineScopes
		default:
			return anyScopes
		}
	}
	return class
}
