package validation_test

import (
	"net/url"
	"slices"
	"testing"

	"gatehouse/internal/validation"
)

// For each service there is a role that suffices in place of an administrator's,
// with a public source; only the admin centre asks for one.
func TestRolesNeeded(t *testing.T) {
	all := []string{validation.ServiceGraph, validation.ServiceSharePoint, validation.ServiceExchange, validation.ServiceBusinessCentral}
	for _, service := range all {
		needed := validation.RolesNeeded(validation.Place{Services: []string{service}})
		if len(needed) != 1 || needed[0].Suffices != "no directory role" || needed[0].Beside == "" || needed[0].Demanded == "" {
			t.Errorf("%s: %+v", service, needed)
		}
		for _, app := range []bool{true, false} {
			if len(validation.Needed(app, validation.Place{Services: []string{service}})) == 0 {
				t.Errorf("%s asks for nothing (app: %t)", service, app)
			}
		}
		for _, n := range needed {
			if u, err := url.Parse(n.Source); err != nil || u.Host != "learn.microsoft.com" {
				t.Errorf("%s: source %q", service, n.Source)
			}
		}
	}
	with := validation.RolesNeeded(validation.Place{Services: []string{validation.ServiceSharePoint}, AdminURL: "https://contoso-admin.sharepoint.com"})
	if !slices.ContainsFunc(with, func(r validation.RoleNeed) bool { return r.Suffices == "SharePoint Administrator" }) {
		t.Errorf("the admin centre: %+v", with)
	}
}
