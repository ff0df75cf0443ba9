package directory

import "strings"

// Role is a built-in directory role.
type Role struct {
	ID   string // template id
	Name string
	// SecurityDefaults: Security Defaults demand MFA of its holders at every
	// sign-in (graph-mfa-posture §8).
	SecurityDefaults bool
}

// Roles are the built-in directory roles that the lab knows.
var Roles = []Role{
	{"62e90394-69f5-4237-9190-012177145e10", "Global Administrator", true},
	{"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", "Application Administrator", true},
	{"c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator", true},
	{"b0f54661-2d74-4c50-afa3-1ec803f12efe", "Billing Administrator", true},
	{"158c047a-c907-4556-b7ef-446551a6b5f7", "Cloud Application Administrator", true},
	{"b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", "Conditional Access Administrator", true},
	{"29232cdf-9323-42fd-ade2-1d097af3e4de", "Exchange Administrator", true},
	{"729827e3-9c14-49f7-bb1b-9608f156bbb8", "Helpdesk Administrator", true},
	{"966707d0-3269-4727-9be2-8c3a10f19b9d", "Password Administrator", true},
	{"7be44c8a-adaf-4e2a-84d6-ab2649e08a13", "Privileged Authentication Administrator", true},
	{"e8611ab8-c189-46e8-94e1-60213ab1f814", "Privileged Role Administrator", true},
	{"194ae4cb-b126-40b2-bd5b-6091b380977d", "Security Administrator", true},
	{"f28a1f50-f6e7-4571-818b-6a12f2af6b6c", "SharePoint Administrator", true},
	{"69091246-20e8-4a56-aa4d-066075b2a7a8", "Teams Administrator", true},
	{"fe930be7-5e62-47db-91af-98c3a49a38b1", "User Administrator", true},
	{"0526716b-113d-4c15-b2c8-68e3c22b9f80", "Authentication Policy Administrator", true},
	{"45d8d3c5-c802-45c6-b32a-1d70b5e1e86e", "Identity Governance Administrator", true},
	{"f2ef992c-3afb-46b9-b7cf-a126ee74c451", "Global Reader", false},
	{"5d6b6bb7-de71-4623-b4af-96380a352509", "Security Reader", false},
	{"4a5d8f65-41da-4de4-8968-e035b65339cf", "Reports Reader", false},
	{"3a2c62db-5318-420d-8d74-23affee5d9d5", "Intune Administrator", false},
	{"8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2", "Hybrid Identity Administrator", false},
	{"4d6ac14f-3453-41d0-bef9-a3e0c569773a", "License Administrator", false},
	{"fdd7a751-b60b-444a-984c-02652fe8fa1c", "Groups Administrator", false},
	{"88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "Directory Readers", false},
	{"9360feb5-f418-4baa-8175-e2a00bac4301", "Directory Writers", false},
	{"d29b2b05-8046-44ba-8758-1e26182fcf32", "Directory Synchronization Accounts", false},
	{"44367163-eba1-44c3-98af-f5787879f96a", "Dynamics 365 Administrator", false},
	{"963797fb-eb3b-4cde-8ce3-5878b3f32a3f", "Dynamics 365 Business Central Administrator", false},
	{"11648597-926c-4cf3-9c36-bcebb0ba8dcc", "Power Platform Administrator", false},
	{"f023fd81-a637-4b56-95fd-791ac0226033", "Service Support Administrator", false},
	{"10dae51f-b6af-4016-8d66-8c2a99b929b3", "Guest User", false},
	{"2af84b1e-32c8-42b7-82bc-daa82404023b", "Restricted Guest User", false},
	{"a0b1b346-4d3e-4e8b-98f8-753987be4970", "User", false},
}

// RoleByName finds a role by display name or template id.
func RoleByName(name string) (Role, bool) {
	for _, r := range Roles {
		if strings.EqualFold(r.Name, name) || strings.EqualFold(r.ID, name) {
			return r, true
		}
	}
	return Role{}, false
}

// SKU is a licence product.
type SKU struct {
	PartNumber string
	ID         string
	Plans      []Plan
}

// Plan is a service plan of a licence.
type Plan struct {
	ID, Name string
	Service  string // as assignedPlans of users and organisations name it
}

// Service plans that decisions rest on (graph-mfa-posture §9) and a few others.
var (
	PlanP1         = Plan{"41781fb2-bc02-4b7c-bd55-b576c07bb09d", "AAD_PREMIUM", "AADPremiumService"}
	PlanP2         = Plan{"eec0eb4f-6444-4f95-aba0-50c24d67f998", "AAD_PREMIUM_P2", "AADPremiumService"}
	planSharePoint = Plan{"5dbe027f-2339-4123-9542-606e4d348a72", "SHAREPOINTENTERPRISE", "SharePoint"}
	planExchange   = Plan{"efb87545-963c-4e0d-99df-69c6916d9eb0", "EXCHANGE_S_ENTERPRISE", "exchange"}
)

// SKUs are the licences that tenants files may name.
var SKUs = []SKU{
	{"AAD_PREMIUM", "078d2b04-f1bd-4111-bbd4-b4b1b354cef4", []Plan{PlanP1}},
	{"AAD_PREMIUM_P2", "84a661c4-e949-4bd2-a560-ed7766fcaf2b", []Plan{PlanP1, PlanP2}},
	{"SPB", "cbdc14ab-d96c-4c30-b9f4-6ada7cdc1d46", []Plan{PlanP1, planSharePoint, planExchange}},
	{"SPE_E3", "05e9a617-0261-4cee-bb44-138d3ef5d965", []Plan{PlanP1, planSharePoint, planExchange}},
	{"SPE_E5", "06ebc4ee-1bb5-47dd-8120-11324bc54e06", []Plan{PlanP1, PlanP2, planSharePoint, planExchange}},
	{"ENTERPRISEPACK", "6fd2c87f-b296-42f0-b197-1e91e994b900", []Plan{planSharePoint, planExchange}},
	{"O365_BUSINESS_ESSENTIALS", "3b555118-da6a-4418-894f-7df1e2096870", []Plan{planSharePoint, planExchange}},
}

// SKUByPartNumber finds a licence.
func SKUByPartNumber(name string) (SKU, bool) {
	for _, s := range SKUs {
		if strings.EqualFold(s.PartNumber, name) {
			return s, true
		}
	}
	return SKU{}, false
}
