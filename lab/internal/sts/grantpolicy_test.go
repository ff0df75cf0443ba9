package sts_test

import (
	"fmt"
	"slices"
	"testing"

	"gatehouse/lab/internal/directory"
)

// TestCustomConsent: permission grant policies of a tenant's own, condition by
// condition, and classifications of permissions.
func TestCustomConsent(t *testing.T) {
	const readID = "e1fe6dd8-ba31-4d61-89e7-88639da4683d"  // User.Read
	const basicID = "b340eb25-3456-403f-be2f-af7a0d370277" // User.ReadBasic.All
	const mailID = "570282fd-fa5c-430d-a7fd-fc8dc98a9dca"  // Mail.Read
	set := func(pairs ...any) map[string]any {
		out := map[string]any{"permissionType": "delegated", "permissionClassification": "all", "permissions": []any{"all"}, "resourceApplication": "any", "clientApplicationIds": []any{"all"},
			"clientApplicationTenantIds": []any{"all"}, "clientApplicationPublisherIds": []any{"all"}, "clientApplicationsFromVerifiedPublisherOnly": false}
		for pair := range slices.Chunk(pairs, 2) {
			out[pair[0].(string)] = pair[1]
		}
		return out
	}
	list := func(items ...any) []any { return items }
	for name, test := range map[string]struct {
		includes, excludes []any
		client, scope      string
		page               string
	}{
		"everything":                     {list(set()), nil, unverified, "Mail.Read", "consent"},
		"nothing included":               {nil, nil, own, "User.Read", "approval"},
		"app permissions only":           {list(set("permissionType", "application")), nil, own, "User.Read", "approval"},
		"named permissions":              {list(set("permissions", list(readID, basicID))), nil, own, "User.Read User.ReadBasic.All", "consent"},
		"one more than named":            {list(set("permissions", list(readID))), nil, own, "User.Read Mail.Read", "approval"},
		"two sets between them":          {list(set("permissions", list(readID)), set("permissions", list(mailID))), nil, own, "User.Read Mail.Read", "consent"},
		"excluded":                       {list(set()), list(set("permissions", list(mailID))), own, "User.Read Mail.Read", "approval"},
		"others than excluded":           {list(set()), list(set("permissions", list(mailID))), own, "User.Read", "consent"},
		"another API":                    {list(set("resourceApplication", directory.SharePointID)), nil, own, "User.Read", "approval"},
		"this API":                       {list(set("resourceApplication", directory.GraphID)), nil, own, "User.Read", "consent"},
		"named apps":                     {list(set("clientApplicationIds", list(unverified))), nil, unverified, "Mail.Read", "consent"},
		"another app":                    {list(set("clientApplicationIds", list(unverified))), nil, own, "Mail.Read", "approval"},
		"apps of named tenants":          {list(set("clientApplicationTenantIds", list("0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"))), nil, own, "Mail.Read", "consent"},
		"an app of another":              {list(set("clientApplicationTenantIds", list("0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"))), nil, verified, "Mail.Read", "approval"},
		"verified publishers":            {list(set("clientApplicationsFromVerifiedPublisherOnly", true)), nil, verified, "Mail.Read", "consent"},
		"an unverified one":              {list(set("clientApplicationsFromVerifiedPublisherOnly", true)), nil, unverified, "Mail.Read", "approval"},
		"a named publisher":              {list(set("clientApplicationPublisherIds", list((&directory.App{Name: "Verified", Verified: true}).PublisherID()))), nil, verified, "Mail.Read", "consent"},
		"another publisher":              {list(set("clientApplicationPublisherIds", list("42"))), nil, verified, "Mail.Read", "approval"},
		"an app without publisher":       {list(set("clientApplicationPublisherIds", list("42"))), nil, unverified, "Mail.Read", "approval"},
		"low permissions":                {list(set("permissionClassification", "low")), nil, unverified, "User.ReadBasic.All", "consent"},
		"medium ones":                    {list(set("permissionClassification", "low")), nil, unverified, "Mail.Read", "approval"},
		"unclassified ones":              {list(set("permissionClassification", "medium")), nil, unverified, "User.Read", "approval"},
		"what only administrators grant": {list(set()), nil, own, "User.Read.All", "approval"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, shop(`{"users":"none"}`))
			c.tenant(t, func(tenant *directory.Tenant) {
				graph := tenant.Principal(directory.GraphID).ID
				tenant.GrantPolicies = []*directory.Object{{ID: "house", Members: map[string]any{"includes": test.includes, "excludes": test.excludes}}}
				tenant.CustomConsent = []string{"ManagePermissionGrantsForOwnedResource.house", "ManagePermissionGrantsForSelf.House"}
				tenant.Classifications = []*directory.Classification{{Principal: graph, PermissionID: basicID, Name: "User.ReadBasic.All", Class: "low"}, {Principal: graph, PermissionID: mailID, Name: "Mail.Read", Class: "medium"}}
			})
			c.browser(t).get(ask("client_id", test.client, "scope", test.scope)).signIn("plain@t.onmicrosoft.com").want(test.page)
		})
	}
	// The choice "low permissions" follows the classification.
	for _, classified := range []bool{false, true} {
		c := start(t, shop(`{"users":"low_risk"}`))
		c.tenant(t, func(tenant *directory.Tenant) {
			if classified {
				tenant.Classifications = []*directory.Classification{{Principal: tenant.Principal(directory.GraphID).ID, PermissionID: basicID, Name: "User.ReadBasic.All", Class: "low"}}
			}
		})
		for scope, allowed := range map[string]bool{"User.Read": !classified, "User.ReadBasic.All": classified} {
			page := map[bool]string{true: "consent", false: "approval"}[allowed]
			t.Run(fmt.Sprint("low ", scope, classified), func(t *testing.T) {
				c.browser(t).get(ask("client_id", verified, "scope", scope)).signIn("plain@t.onmicrosoft.com").want(page)
			})
		}
	}
}

// TestApprovalRequest: what a person asks for reaches the directory.
func TestApprovalRequest(t *testing.T) {
	c := start(t, shop(`{"users":"none","admin_requests":true}`))
	c.browser(t).get(ask("client_id", own, "scope", "User.Read")).signIn("plain@t.onmicrosoft.com").want("approval").fill("action", "request", "reason", "for work")
	c.tenant(t, func(tenant *directory.Tenant) {
		if len(tenant.ApprovalRequests) != 1 || tenant.ApprovalRequests[0].Reason != "for work" || tenant.ApprovalRequests[0].ClientID != own || tenant.ApprovalRequests[0].Scopes[directory.GraphID] == nil {
			t.Errorf("%+v", tenant.ApprovalRequests)
		}
	})
}

// TestConsentIsLogged: a consent on the pages stands in the audit log.
func TestConsentIsLogged(t *testing.T) {
	c := start(t, shop(`{"users":"all"}`))
	c.browser(t).get(ask("client_id", verified, "scope", "User.Read")).signIn("plain@t.onmicrosoft.com").want("consent").fill("action", "accept").want("left")
	c.tenant(t, func(tenant *directory.Tenant) {
		var seen []string
		for _, a := range tenant.Audits {
			seen = append(seen, a.Activity)
		}
		if !slices.Contains(seen, "Consent to application") || !slices.Contains(seen, "Add service principal") {
			t.Errorf("%v", seen)
		}
	})
}
