package cli

import (
	"encoding/json"
	"fmt"

	"gatehouse/client"
	"gatehouse/lab"
)

// demoStory is a tenant of the lab as the demo connects it.
type demoStory struct {
	tenant      string // the first part of its domain
	noReader    bool   // which answers stay open is part of the story
	connections []demoConnection
}

// demoConnection is an identity of the lab and the software that uses it.
type demoConnection struct {
	name, about string
	user        string // a service account, by the part before the @
	app         string // else an app
	through     string // the app that a service account signs in through
	secret      bool   // the app proves itself with its secret, not its certificate
	wrong       bool   // the password that is entered is not the account's
	old         bool   // a profile with app password and MFA flag, from elsewhere
	services    []string
	site        string // SharePoint
	environment string // Business Central
	consumer    client.Consumer
}

var (
	backupTool = client.Consumer{Name: "Backup for Microsoft 365", Accepts: []string{"certificate", "secret", "password"}, Addresses: []string{"192.0.2.0/28"}}
	reporting  = client.Consumer{Name: "Reporting", Accepts: []string{"certificate", "password"}, Addresses: []string{"198.51.100.20"}}
	admin      = client.Consumer{Name: "Directory administration", Accepts: []string{"password"}, Addresses: []string{"192.0.2.40"}}
	pipeline   = client.Consumer{Name: "Deployment pipeline", Accepts: []string{"certificate", "federated"}}
	ledger     = client.Consumer{Name: "Ledger data source", Accepts: []string{"password", "secret"}}
)

var (
	onGraph      = []string{"graph"}
	onSharePoint = []string{"sharepoint"}
	onLedger     = []string{"business_central"}
)

// demoStories are what the demo connects.
var demoStories = []demoStory{
	{tenant: "openharbour", connections: []demoConnection{
		{name: "Nightly backup", user: "svc-backup", services: onGraph, consumer: backupTool},
		{name: "Usage reports", about: "Holds far more than it needs.", user: "svc-admin", services: onGraph, consumer: reporting},
		{name: "Contact sync", about: "Uses a person's own account.", user: "lena.fischer", services: onGraph, consumer: reporting},
		{name: "Backup by app", about: "The road out: an app with a certificate.", app: "Backup app", services: onGraph, consumer: backupTool},
	}},
	{tenant: "defaultshield", connections: []demoConnection{
		{name: "Connection account", about: "Security Defaults ask for MFA, and exempt nobody.", user: "svc-connection", services: onGraph, consumer: admin},
		{name: "Connection account, not enrolled", user: "svc-unenrolled", services: onGraph, consumer: admin},
		{name: "Plain service account", user: "svc-plain", services: onGraph, consumer: reporting},
	}},
	{tenant: "profilepark", connections: []demoConnection{
		{name: "Old service account profile", about: "From before app passwords ended.", user: "svc-avepoint", old: true, services: []string{"graph", "sharepoint"}, consumer: backupTool},
		{name: "Profile, not enrolled", user: "svc-waiting", services: onGraph, consumer: backupTool},
		{name: "Common profile", user: "svc-common", services: onGraph, consumer: backupTool},
	}},
	{tenant: "azurequay", connections: []demoConnection{
		{name: "Deployments by account", user: "svc-deploy", through: "Microsoft Azure CLI", services: onGraph, consumer: pipeline},
		{name: "Deployments by app", app: "Deployment app", services: onGraph, consumer: pipeline},
	}},
	{tenant: "ledgerlane", connections: []demoConnection{
		{name: "Data source of Anna Bauer", user: "anna.bauer", through: "Ledger Link", services: onGraph, consumer: ledger},
		{name: "Data source of Ben Koch", about: "Administrator approval is needed.", user: "ben.koch", through: "Ledger Link", services: onGraph, consumer: ledger},
		{name: "Reports of Carla Novak", user: "carla.novak", through: "Ledger Reports", services: onGraph, consumer: ledger},
	}},
	{tenant: "callercove"}, // its story, verifying people, has no connection
	{tenant: "federaford", noReader: true, connections: []demoConnection{
		{name: "Federated sync", user: "svc-sync", services: onGraph, consumer: reporting},
		{name: "Cloud archive", user: "svc-cloud", services: onGraph, consumer: backupTool},
	}},
	{tenant: "brokenbay", connections: []demoConnection{
		{name: "Disabled account", user: "svc-disabled", services: onGraph, consumer: backupTool},
		{name: "Locked account", user: "svc-locked", services: onGraph, consumer: backupTool},
		{name: "Expired password", user: "svc-expired", services: onGraph, consumer: backupTool},
		{name: "Mistyped password", about: "Refused once, then parked.", user: "svc-ok", wrong: true, services: onGraph, consumer: backupTool},
		{name: "Expired certificate", app: "Expired certificate app", services: onGraph, consumer: reporting},
		{name: "Ends soon", app: "Expiring app", secret: true, services: onGraph, consumer: reporting},
		{name: "Never consented", app: "Unconsented app", secret: true, services: onGraph, consumer: reporting},
	}},
	{tenant: "policypier", connections: []demoConnection{
		{name: "Nightly export", about: "Gets in from the office's addresses only.", user: "svc-nightly", services: onGraph, consumer: reporting},
		{name: "Till terminal", user: "till.terminal", services: onGraph, consumer: reporting},
		{name: "Contractor's tool", user: "cora.contract", services: onGraph, consumer: reporting},
	}},
	{tenant: "workloadwharf", connections: []demoConnection{
		{name: "Crane sync", about: "The policies for workload identities stop it outside the data centre.", app: "Crane sync", secret: true, services: onGraph, consumer: pipeline},
	}},
	{tenant: "tiertown", connections: []demoConnection{
		{name: "Build pipeline", about: "Holds no secret: tokens of its build system stand in for one.", app: "Tier pipeline", services: onGraph, consumer: pipeline},
	}},
	{tenant: "silostation", connections: []demoConnection{
		{name: "Archive", app: "Archive vault", services: []string{"graph", "sharepoint"}, consumer: backupTool},
		{name: "Records tool", about: "May open single sites, and nobody has opened this one to it.", app: "Records tool", services: onSharePoint, site: "https://silostation.sharepoint.com/sites/finance", consumer: backupTool},
		{name: "Ledger import", app: "Ledger import", secret: true, services: onLedger, environment: "Production", consumer: ledger},
		{name: "Ledger import, sandbox", about: "The app has no card in this environment.", app: "Ledger import", secret: true, services: onLedger, environment: "Sandbox", consumer: ledger},
	}},
}

// What to look at first, when all is filled in. Without a tenant it is the campaign.
var demoSights = []struct{ tenant, connection, path, why string }{
	{"policypier", "Nightly export", "#rules", "a policy says no, named, with every rule that sees this account"},
	{"profilepark", "Old service account profile", "#remedies", "an app password that no longer opens SharePoint, and the road out"},
	{"", "", "", "an app was replaced: who signed in again, who is still to, and who waits for an administrator"},
	{"defaultshield", "", "", "what a tenant consents to, what stays there, how to take it back"},
}

// demoTenants are the lab's own tenants, one for SharePoint and Business Central, and
// those of the story of the replaced app.
func demoTenants() ([]byte, error) {
	var file struct {
		Tenants []json.RawMessage `json:"tenants"`
	}
	if err := json.Unmarshal([]byte(lab.BuiltIn()), &file); err != nil {
		return nil, fmt.Errorf("reading the lab's tenants: %w", err)
	}
	file.Tenants = append(file.Tenants, json.RawMessage(siloStation))
	file.Tenants = append(file.Tenants, ledgerFiles()...)
	return json.Marshal(file)
}

const siloStation = `{"name":"Silo Station","domain":"silostation.onmicrosoft.com","licences":["SPE_E3"],
 "story":"SharePoint and Business Central: apps that are let in, and others that are not although Graph would take them.",
 "apps":[
  {"name":"Gatehouse reader","purpose":"reader","certificate":true,"granted":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All"]}},
  {"name":"Lab administration","purpose":"admin","secret":true,"granted":{"graph":["Application.ReadWrite.All"]}},
  {"name":"Archive vault","purpose":"service","secret":true,"certificate":true,"granted":{"graph":["Organization.Read.All"],"sharepoint":["Sites.FullControl.All"]}},
  {"name":"Records tool","purpose":"service","certificate":true,"granted":{"sharepoint":["Sites.Selected"]}},
  {"name":"Ledger import","purpose":"service","secret":true,"granted":{"business_central":["API.ReadWrite.All"]}}]}`
