package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/lab"
)

// The story's tenants are what the lab takes, with everybody and both apps in them.
func TestLedgerStory(t *testing.T) {
	file, err := json.Marshal(map[string]any{"tenants": ledgerFiles()})
	if err != nil {
		t.Fatal(err)
	}
	l := lab.Start(t, lab.WithTenants(string(file)))
	vendor := l.Tenant(ledgerVendor)
	if vendor.App(ledgerOld).ClientID == vendor.App(ledgerNew).ClientID {
		t.Error("the app was not replaced")
	}
	for _, p := range ledgerPeople {
		at := l.Tenant(p.tenant)
		r := ledgerConnection(at, "t", "r", p)
		if !strings.HasPrefix(r.Username, p.user+"@") || r.Kind != "delegated" || r.RegistrationID != "r" {
			t.Errorf("%+v", r)
		}
	}
	if got := ledgerTenants(); len(got) != 3 {
		t.Errorf("%v", got)
	}
}
