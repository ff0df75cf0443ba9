package directory_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// TestCircumstances: devices, risk, trust and terms of use of a tenants file,
// and what is wrong with others.
func TestCircumstances(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	parse := func(text string) (*directory.File, error) {
		return directory.Parse(strings.NewReader(`{"tenants":[{"name":"T","domain":"t.onmicrosoft.com",`+text+`}]}`), now)
	}
	file, err := parse(`"inbound_trust":[{"mfa":true},{"tenant":"T.onmicrosoft.com","hybrid_joined":true}],"terms_of_use":[{"displayName":"House rules"}],
		"users":[{"upn":"u@t.onmicrosoft.com","user_risk":"high","sign_in_risk":"low","device":{"client":"Microsoft Azure CLI","isCompliant":true,"extensionAttribute3":"SAW"}}],
		"conditional_access":[{"displayName":"P","state":"enabled","conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]}},"grantControls":{"operator":"OR","builtInControls":[],"termsOfUse":["house rules"]}}]`)
	if err != nil {
		t.Fatal(err)
	}
	store, _, err := directory.New(file, directory.Config{Seed: 1, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	store.View("t.onmicrosoft.com", func(tenant *directory.Tenant) {
		u := tenant.User("u@t.onmicrosoft.com")
		device := u.Device.Attributes
		if u.Risk.Level != "high" || u.Risk.State != "atRisk" || u.SignInRisk != "low" || u.Device.Client != "Microsoft Azure CLI" || device["isCompliant"] != true || device["trustType"] != "AzureAD" || device["extensionAttribute3"] != "SAW" {
			t.Errorf("%+v %+v", u.Risk, u.Device)
		}
		if value, there := device["model"]; !there || value != nil {
			t.Error("an attribute that nobody gave is not known to have no value")
		}
		if trust := tenant.Trusts(tenant.ID); trust.MFA || !trust.HybridJoined {
			t.Errorf("%+v", trust)
		}
		if trust := tenant.Trusts("another"); !trust.MFA || trust.HybridJoined {
			t.Errorf("%+v", trust)
		}
		grant, _ := tenant.ConditionalAccess[0].Members["grantControls"].(map[string]any)
		if ids, _ := grant["termsOfUse"].([]any); len(ids) != 1 || ids[0] != tenant.Agreements[0].ID {
			t.Errorf("%v, want %s", ids, tenant.Agreements[0].ID)
		}
		u.Accept("a")
		u.Accept("a")
		if len(u.Terms) != 1 {
			t.Errorf("%v", u.Terms)
		}
	})
	for text, path := range map[string]string{
		`"inbound_trust":[{"tenant":"nowhere.example"}]`:                                 "tenants[0].inbound_trust",
		`"inbound_trust":[{"mfa":"yes"}]`:                                                "tenants[0].inbound_trust[0].mfa",
		`"users":[{"upn":"u@t.onmicrosoft.com","user_risk":"enormous"}]`:                 "tenants[0].users[0].user_risk",
		`"users":[{"upn":"u@t.onmicrosoft.com","device":{"colour":"red"}}]`:              "tenants[0].users[0].device",
		`"users":[{"upn":"u@t.onmicrosoft.com","device":{"client":"Nobody's app"}}]`:     "tenants[0].users[0].device.client",
		`"users":[{"upn":"u@t.onmicrosoft.com","device":{"trustType":"none whatever"}}]`: "tenants[0].users[0].device.trustType",
		`"terms_of_use":[{"displayName":""}]`:                                            "tenants[0].terms_of_use[0].displayName",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
