package cli

import (
	"encoding/json"

	"gatehouse/client"
	"gatehouse/lab"
)

// The story of the data source: its vendor replaced the app registration. The old
// app still works for who signed in with it; the new one has consent in one tenant,
// waits for an administrator in another, and in a third a policy asks for MFA that
// one person has no method for.
const (
	ledgerVendor = "ridgereports"
	ledgerOld    = "Ledger Link"
	ledgerNew    = "Ledger Link 2"
)

// ledgerPerson is somebody whose data source the story follows.
type ledgerPerson struct {
	tenant, user string
	old          bool   // signs in through the old app before the change
	again        bool   // signs in through the new one after it
	stands       string // what the story shows of them
}

var ledgerPeople = []ledgerPerson{
	{tenant: "cobaltcrafts", user: "ella.moss", old: true, again: true, stands: "signed in through both apps: done"},
	{tenant: "cobaltcrafts", user: "jon.reed", old: true, stands: "works by the old app, and is still to sign in again"},
	{tenant: "maplemills", user: "iris.vale", old: true, stands: "the new app needs an administrator's approval"},
	{tenant: "signalstreet", user: "hugo.stern", old: true, stands: "blocked: a policy asks for MFA, and nothing is registered"},
}

// ledgerTenants are those of the tenants of the story that customers have.
func ledgerTenants() []string {
	var out []string
	for _, p := range ledgerPeople {
		if len(out) == 0 || out[len(out)-1] != p.tenant {
			out = append(out, p.tenant)
		}
	}
	return out
}

// ledgerConnection is a person's data source as somebody would enter it.
func ledgerConnection(at lab.ReadyTenant, tenantID, registrationID string, p ledgerPerson) client.ConnectionRequest {
	return client.ConnectionRequest{TenantID: tenantID, Kind: "delegated", Profile: client.Profile{
		Name: "Data source of " + p.user, Description: "The story of the replaced app: " + p.stands + ".", Username: at.User(p.user).UPN, RegistrationID: registrationID,
		Services: []string{"business_central", "graph"}, Environment: "Production", Consumer: client.Consumer{Name: "Ledger data source", HoldsCredential: "gatehouse"},
	}}
}

// ledgerFiles are the tenants of the story for the lab.
func ledgerFiles() []json.RawMessage {
	return []json.RawMessage{json.RawMessage(ridgeReports), json.RawMessage(cobaltCrafts), json.RawMessage(mapleMills), json.RawMessage(signalStreet)}
}

const (
	ledgerApps = `{"name":"Ledger Link","purpose":"delegated","from":"ridgereports.onmicrosoft.com"},{"name":"Ledger Link 2","purpose":"delegated","from":"ridgereports.onmicrosoft.com"}`

	ledgerCaretakers = `{"name":"Gatehouse reader","purpose":"reader","certificate":true,"granted":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All"]}},
  {"name":"Lab administration","purpose":"admin","secret":true,"granted":{"graph":["Application.Read.All","Application.ReadWrite.All","Policy.Read.All","Policy.ReadWrite.ConditionalAccess"]}}`

	ledgerOldGrants = `{"app":"Ledger Link","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Ledger Link","resource":"business_central","scopes":["Financials.ReadWrite.All"]}`
	ledgerNewGrants = `{"app":"Ledger Link 2","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Ledger Link 2","resource":"business_central","scopes":["Financials.ReadWrite.All"]}`

	ridgeReports = `{"name":"Ridge Reports","domain":"ridgereports.onmicrosoft.com","story":"The vendor of a data source, which replaced its app registration.",
 "apps":[
  {"name":"Ledger Link","purpose":"delegated","secret":true,"multi_tenant":true,"redirect_uris":["http://localhost"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"],"business_central":["Financials.ReadWrite.All"]}},
  {"name":"Ledger Link 2","purpose":"delegated","secret":true,"multi_tenant":true,"verified_publisher":true,"redirect_uris":["http://localhost"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"],"business_central":["Financials.ReadWrite.All"]}}]}`

	cobaltCrafts = `{"name":"Cobalt Crafts","domain":"cobaltcrafts.onmicrosoft.com","licences":["SPE_E3"],"story":"Its administrator consented to the new app.",
 "users":[{"upn":"ella.moss@cobaltcrafts.onmicrosoft.com","name":"Ella Moss","licences":["SPE_E3"],"methods":[{"type":"oath"}]},{"upn":"jon.reed@cobaltcrafts.onmicrosoft.com","name":"Jon Reed","licences":["SPE_E3"],"methods":[{"type":"oath"}]}],
 "apps":[` + ledgerCaretakers + `,` + ledgerApps + `],"grants":[` + ledgerOldGrants + `,` + ledgerNewGrants + `]}`

	mapleMills = `{"name":"Maple Mills","domain":"maplemills.onmicrosoft.com","licences":["SPE_E3"],"consent":{"users":"none"},"story":"Nobody has consented to the new app yet, and people may not for themselves.",
 "users":[{"upn":"iris.vale@maplemills.onmicrosoft.com","name":"Iris Vale","licences":["SPE_E3"],"methods":[{"type":"oath"}]},{"upn":"admin@maplemills.onmicrosoft.com","name":"Tenant administrator","roles":["Global Administrator"],"methods":[{"type":"oath"}]}],
 "apps":[` + ledgerCaretakers + `,{"name":"Ledger Link","purpose":"delegated","from":"ridgereports.onmicrosoft.com"}],"grants":[` + ledgerOldGrants + `]}`

	signalStreet = `{"name":"Signal Street","domain":"signalstreet.onmicrosoft.com","licences":["SPE_E3","AAD_PREMIUM"],"story":"A policy asks for MFA since the change; one person has no method.",
 "users":[{"upn":"hugo.stern@signalstreet.onmicrosoft.com","name":"Hugo Stern","licences":["SPE_E3"]}],
 "apps":[` + ledgerCaretakers + `,` + ledgerApps + `],"grants":[` + ledgerOldGrants + `,` + ledgerNewGrants + `]}`

	ledgerPolicy = `{"displayName":"CA010 MFA for everybody","state":"enabled","conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]}},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`
)
