package lab

import (
	"encoding/json"
	"fmt"
)

// Crowd is a vendor with many customers, for tests of size: one multi-tenant app
// of the vendor, which no customer has consented to yet, and people in each
// customer's tenant.
type Crowd struct {
	Customers, People int // tenants, and people in each besides an administrator
	// ClientID, RedirectURI and Delegated (by API, as in a tenants file) are the
	// app's; empty ones are [CrowdClient], http://localhost and Graph's User.Read.
	ClientID, RedirectURI string
	Delegated             map[string][]string
	// UserConsent is who may consent in the customers' tenants: none unless it is
	// given.
	UserConsent string
}

// What a [Crowd] has in common: the app's client id and secret, and the password
// of everybody.
const (
	CrowdClient   = "c0ffee00-0000-4000-8000-000000000001"
	CrowdSecret   = "Crowd~secret-of-the-vendor-1234567890ab"
	CrowdPassword = "Crowd-2026-password"
)

// Customer is the domain of the customer with a number from 0.
func (Crowd) Customer(i int) string { return fmt.Sprintf("customer%03d.onmicrosoft.com", i) }

// Admin is the Global Administrator of a customer.
func (c Crowd) Admin(i int) string { return "admin@" + c.Customer(i) }

// Person is a person of a customer, both with numbers from 0.
func (c Crowd) Person(i, j int) string { return fmt.Sprintf("person%02d@%s", j, c.Customer(i)) }

// Tenants is the tenants file, with the vendor first.
func (c Crowd) Tenants() string {
	type object = map[string]any
	if c.ClientID == "" {
		c.ClientID = CrowdClient
	}
	if c.RedirectURI == "" {
		c.RedirectURI = "http://localhost"
	}
	if c.Delegated == nil {
		c.Delegated = map[string][]string{"graph": {"User.Read"}}
	}
	if c.UserConsent == "" {
		c.UserConsent = "none"
	}
	tenants := []any{object{"name": "Vendor", "domain": "vendor.onmicrosoft.com", "apps": []any{object{
		"name": "Vendor app", "client_id": c.ClientID, "multi_tenant": true, "secret": object{"value": CrowdSecret}, "redirect_uris": []string{c.RedirectURI}, "delegated_permissions": c.Delegated,
	}}}}
	for i := range c.Customers {
		people := []any{object{"upn": c.Admin(i), "name": "Administrator", "password": CrowdPassword, "roles": []string{"Global Administrator"}}}
		for j := range c.People {
			people = append(people, object{"upn": c.Person(i, j), "name": fmt.Sprintf("Person %02d", j), "password": CrowdPassword})
		}
		tenants = append(tenants, object{"name": fmt.Sprintf("Customer %03d", i), "domain": c.Customer(i), "consent": object{"users": c.UserConsent}, "users": people})
	}
	data, err := json.Marshal(object{"tenants": tenants})
	if err != nil { // strings and numbers only
		panic("lab: " + err.Error())
	}
	return string(data)
}
