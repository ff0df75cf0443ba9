package validation_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// troubles are the ways in which an answer goes wrong. None of them says anything
// about an identity.
var troubles = func() map[string]lab.Fault {
	long := "120" // longer than any client waits
	all := map[string]lab.Fault{
		"reset": {Kind: "reset"}, "cut off": {Kind: "cut"}, "half JSON": {Kind: "malformed"}, "somebody's page": {Kind: "html"},
		"429": {Kind: "status", Status: http.StatusTooManyRequests, RetryAfter: &long}, "503": {Kind: "status", Status: http.StatusServiceUnavailable, RetryAfter: &long},
		"500": {Kind: "status", Status: http.StatusInternalServerError}, "504": {Kind: "status", Status: http.StatusGatewayTimeout},
	}
	return all
}()

// place is a request on the way of a validation.
type place struct {
	name, service, path, method, grant string
	// harmless: the verdict does not depend on it.
	harmless bool
}

var accountPlaces = []place{
	{name: "tenant", service: "login", path: "/*/v2.0/.well-known/openid-configuration"},
	{name: "realm", service: "login", path: "/common/UserRealm/*"},
	{name: "token", service: "login", grant: "password"},
	{name: "Graph", service: "graph", path: "/v1.0/me"},
	{name: "SharePoint's token", service: "login", grant: "refresh_token"},
	{name: "SharePoint", service: "sharepoint", path: "/sharepoint/contoso/**"},
	{name: "reader's token", service: "login", grant: "client_credentials", harmless: true},
	{name: "policies", service: "graph", path: "/v1.0/identity/conditionalAccess/policies", harmless: true},
	{name: "Security Defaults", service: "graph", path: "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", harmless: true},
	{name: "the account", service: "graph", path: "/v1.0/users/**", harmless: true},
	{name: "its second factors", service: "graph", path: "/beta/users/**", harmless: true},
}

var appPlaces = []place{
	{name: "tenant", service: "login", path: "/*/v2.0/.well-known/openid-configuration"},
	{name: "token", service: "login", grant: "client_credentials"},
	{name: "environments", service: "business_central", path: "/environments/*"},
	{name: "companies and data", service: "business_central", path: "/v2.0/**"},
	{name: "service principal", service: "graph", path: "/v1.0/servicePrincipals*", harmless: true},
}

// Whatever goes wrong wherever on the way: the verdict is unknown, or, where the
// answer does not decide, what it would be without the trouble; never that a rule
// or a credential is to blame.
func TestTroubles(t *testing.T) {
	t.Parallel()
	l := lab.Start(t, lab.WithTenants(needsTenant))
	for name, fault := range troubles {
		for who, places := range map[string][]place{"account": accountPlaces, "app": appPlaces} {
			for _, at := range places {
				if at.waits(name) {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, %s", who, at.name, name), func(t *testing.T) { trouble(t, l, at, fault, troubled(t, l, who == "account")) })
			}
		}
	}
}

// waits reports troubles that Graph's client waits out for seconds before it gives
// up, the same wherever they are: one place stands for all.
func (at place) waits(name string) bool {
	return at.service == "graph" && (name == "reset" || name == "504" || (name == "500" || name == "cut off") && at.name != "Graph")
}

// An answer that does not come is given up when the time is over.
func TestTroublesLate(t *testing.T) {
	t.Parallel()
	for _, at := range append(accountPlaces[:6:6], appPlaces[2], appPlaces[3]) {
		account := at.service != "business_central"
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			l := lab.Start(t, lab.WithTenants(needsTenant))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			at.at(t, l, lab.Fault{Kind: "latency", Delay: "10m"})
			got := validation.Service{}.Run(ctx, troubled(t, l, account))
			if got.Verdict != validation.Unknown || got.Diagnosis == nil || got.Rule != nil {
				t.Errorf("%s", show(got))
			}
		})
	}
}

// Trouble that passes while the client waits a moment is nobody's trouble.
func TestTroublesPass(t *testing.T) {
	t.Parallel()
	l := lab.Start(t, lab.WithTenants(needsTenant))
	soon := "1"
	if _, err := l.AddFault(lab.Fault{Kind: "status", Status: http.StatusServiceUnavailable, RetryAfter: &soon, Service: "graph", Path: "/v1.0/me", Times: 1}); err != nil {
		t.Fatal(err)
	}
	if got := check(t, troubled(t, l, true)); got.Verdict != validation.Works {
		t.Errorf("%s", show(got))
	}
}

// troubled is an identity that works, asked for two services.
func troubled(t *testing.T, l *lab.Lab, account bool) validation.Request {
	t.Helper()
	at := l.Tenant("contoso")
	reader := at.App("Gatehouse reader")
	r := validation.Request{Cloud: cloudOf(l), Tenant: at.Domain, Reader: &validation.Reader{ClientID: reader.ClientID, Credential: validation.Credential{Certificate: certificate(t, reader)}}}
	if account {
		u := at.User("svc-files")
		r.Username, r.ClientID, r.Password = u.UPN, at.App("Files tool").ClientID, secrets.New(*u.Password)
		r.Services = []string{validation.ServiceGraph, validation.ServiceSharePoint}
		return r
	}
	a := at.App("Ledger")
	r.ClientID, r.Certificate, r.Services = a.ClientID, certificate(t, a), []string{validation.ServiceBusinessCentral}
	return r
}

// at puts a fault in force at the place.
func (at place) at(t *testing.T, l *lab.Lab, f lab.Fault) {
	t.Helper()
	f.Service, f.Path, f.Method, f.Grant = at.service, at.path, at.method, at.grant
	if _, err := l.AddFault(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.ClearFaults)
}

func trouble(t *testing.T, l *lab.Lab, at place, f lab.Fault, r validation.Request) {
	t.Helper()
	at.at(t, l, f)
	before := len(l.Journal())
	got := check(t, r)
	tried, met := 0, false
	for _, e := range l.Journal()[before:] {
		met = met || e.Fault != ""
		if e.GrantType == "password" {
			tried++
		}
	}
	switch {
	case !met:
		t.Errorf("nothing came by the place: %s", show(got))
	case tried > 1:
		t.Errorf("the password was sent %d times", tried)
	case at.harmless && got.Verdict != validation.Works && got.Verdict != validation.WorksWithWarnings:
		t.Errorf("verdict %s, though the identity gets in\n%s", got.Verdict, show(got))
	case !at.harmless && (got.Verdict != validation.Unknown || got.Diagnosis == nil):
		t.Errorf("verdict %s\n%s", got.Verdict, show(got))
	}
	if got.Rule != nil {
		t.Errorf("rule %+v is to blame", got.Rule)
	}
}

// No trouble leaves a job that does not end, or sends a password twice.
func TestTroublesOfJobs(t *testing.T) {
	eachWith(t, parts{unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "contoso")
		u := l.Tenant("contoso").User("svc-files")
		c := h.account(at.ID, u.UPN, *u.Password)
		if run := h.validate(c.ID); run.State != validation.Done {
			t.Fatalf("%+v", run)
		}
		for name, fault := range troubles {
			fault.Service, fault.Grant = "login", "password"
			if _, err := l.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			sent := passwords(l, u.UPN)
			run := h.validate(c.ID)
			if n := passwords(l, u.UPN) - sent; n != 1 || run.State != validation.Done || run.Result.Verdict != validation.Unknown {
				t.Fatalf("%s: sent %d times, %+v", name, n, run)
			}
			l.ClearFaults()
			// What cannot be told from a refusal counts once, after a try that worked.
			got, err := h.connections.Get(h.boss(), c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got.Parked {
				t.Errorf("%s: parked after a password that worked before", name)
			}
			if run := h.validate(c.ID); run.Result.Verdict != validation.Works && run.Result.Verdict != validation.WorksWithWarnings {
				t.Errorf("%s, over: %s", name, show(*run.Result))
			}
		}
		if got, err := h.connections.Get(h.boss(), c.ID); err != nil || got.Verdict == string(validation.Failed) {
			t.Errorf("%+v, %v", got, err)
		}
	}, lab.WithTenants(needsTenant))
}
