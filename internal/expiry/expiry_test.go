package expiry_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/expiry"
	"gatehouse/internal/jobs"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/rotation"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

const day = 24 * time.Hour

// byKey finds items by the key id of their credential.
func byKey(items []expiry.Item) map[string]expiry.Item {
	out := map[string]expiry.Item{}
	for _, i := range items {
		out[i.CredentialID] = i
	}
	return out
}

// User story 14: secrets, certificates and SAML signing keys, on the application
// and on the service principal. What Graph names and the forecast does not, fails.
func TestStory14NothingIsMissed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at := h.onboard()
		app := h.register("Portal")
		h.connect(at.ID, "Portal", app, connection.CredentialRequest{Kind: connection.Secret})
		for i, set := range []string{"applications", "servicePrincipals"} {
			h.secret(set, app, time.Duration(20+i)*day)
			made, err := login.MakeCertificate("of "+set, h.lab.Now(), time.Duration(40+i)*day)
			must(t, err)
			h.upload(set, app, made.Certificate)
		}
		saml := h.graph("POST", of("servicePrincipals", app)+"/addTokenSigningCertificate", map[string]any{"displayName": "CN=portal", "endDateTime": h.lab.Now().Add(80 * day).UTC().Format(time.RFC3339)})
		h.graph("PATCH", of("servicePrincipals", app), map[string]any{"preferredTokenSigningKeyThumbprint": saml["thumbprint"]})
		must(t, h.ReadNow(h.boss(), at.ID))

		listed := byKey(h.all(h.boss(), expiry.Filter{}))
		seen := map[expiry.Kind]map[expiry.Holder]int{}
		for holder, set := range map[expiry.Holder]string{expiry.Application: "applications", expiry.ServicePrincipal: "servicePrincipals"} {
			o := h.graph("GET", of(set, app)+"?$select=keyCredentials,passwordCredentials", nil)
			for _, list := range []string{"keyCredentials", "passwordCredentials"} {
				for _, v := range o[list].([]any) {
					c := v.(map[string]any)
					if c["customKeyIdentifier"] == saml["customKeyIdentifier"] && c["usage"] != "Sign" {
						continue // the public half of the signing key, and what opens the private one
					}
					i, there := listed[c["keyId"].(string)]
					end, err := time.Parse(time.RFC3339, c["endDateTime"].(string))
					must(t, err)
					if !there || i.Holder != holder || i.NotAfter == nil || !i.NotAfter.Equal(end) || i.SeenAt == nil {
						t.Errorf("%s of the %s is missed: %v, %+v", list, holder, c, i)
					}
					if seen[i.Kind] == nil {
						seen[i.Kind] = map[expiry.Holder]int{}
					}
					seen[i.Kind][i.Holder]++
					if i.Kind == expiry.SAMLKey && !i.Active {
						t.Errorf("the key that signs is not said to: %+v", i)
					}
					delete(listed, i.CredentialID)
				}
			}
		}
		for _, want := range []struct {
			expiry.Kind
			expiry.Holder
		}{{expiry.Secret, expiry.Application}, {expiry.Secret, expiry.ServicePrincipal}, {expiry.Certificate, expiry.Application}, {expiry.Certificate, expiry.ServicePrincipal}, {expiry.SAMLKey, expiry.ServicePrincipal}} {
			if seen[want.Kind][want.Holder] != 1 {
				t.Errorf("of %s on %s there are %d", want.Kind, want.Holder, seen[want.Kind][want.Holder])
			}
		}
		for _, i := range listed {
			if i.ClientID == app && i.Kind != expiry.Reader {
				t.Errorf("there is no such credential: %+v", i)
			}
		}
	})
}

// Of other apps the list tells when it is asked to; of a tenant without a reader
// nothing is known, and it is not said that all is well.
func TestOthersAndUnknown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at := h.onboard()
		app := h.register("Nobody's")
		key := h.secret("applications", app, 10*day)
		must(t, h.ReadNow(h.boss(), at.ID))
		if _, listed := byKey(h.all(h.boss(), expiry.Filter{}))[key]; listed {
			t.Error("a credential that nothing here uses is listed unasked")
		}
		if i := byKey(h.all(h.boss(), expiry.Filter{All: true}))[key]; i.Used || i.Name != "Nobody's" {
			t.Errorf("all: %+v", i)
		}

		bare := h.add("ledgerlane")
		c := h.connect(bare.ID, "Held elsewhere", "11111111-2222-3333-4444-555555555555", connection.CredentialRequest{Kind: connection.Secret})
		for _, reason := range []string{"the tenant has not been read yet", "unknown (no reader)"} {
			unknown := h.all(h.boss(), expiry.Filter{TenantID: bare.ID, Within: "unknown"})
			if len(unknown) != 1 || unknown[0].ConnectionID != c.ID || unknown[0].State != expiry.Unknown || unknown[0].Reason != reason || unknown[0].NotAfter != nil {
				t.Errorf("unknown: %+v", unknown)
			}
			must(t, h.ReadNow(h.boss(), bare.ID))
		}
		readings, poor, err := h.Readings(h.boss(), "", 10)
		must(t, err)
		if poor != 1 || readings[0].TenantID != bare.ID || readings[0].Reason != "unknown (no reader)" || readings[0].At != nil || readings[1].At == nil {
			t.Errorf("readings: %d, %+v", poor, readings)
		}
	})
}

// Levels are told once each, the nearest of those that were passed unheard.
func TestLevelsAreToldOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at := h.onboard()
		h.told()
		app := h.register("Portal")
		h.connect(at.ID, "Portal", app, connection.CredentialRequest{Kind: connection.Secret})
		key := h.secret("applications", app, 100*day)
		ended := h.secret("applications", app, time.Minute)
		must(t, h.ReadNow(h.boss(), at.ID))
		for _, step := range []struct {
			ahead time.Duration
			want  expiry.Level
		}{{0, ""}, {11 * day, expiry.In90}, {12 * day, ""}, {71 * day, expiry.In30}, {94 * day, expiry.In7}, {100*day + time.Hour, expiry.Past}, {101 * day, ""}} {
			h.ahead(step.ahead)
			must(t, h.TellNow(h.boss()))
			var levels []expiry.Level
			for _, n := range h.told() {
				if n.CredentialID == key {
					levels = append(levels, n.Level)
				}
				if n.CredentialID == key && (n.Actor == "" || len(n.Steps) == 0 || len(n.Uses) != 1 || n.Level != n.Item.Level(n.At)) {
					t.Errorf("told is %+v", n)
				}
				if n.CredentialID == ended && step.ahead > 7*day {
					t.Errorf("of what ended long ago is told: %+v", n)
				}
			}
			if step.want == "" && len(levels) != 0 || step.want != "" && !slices.Equal(levels, []expiry.Level{step.want}) {
				t.Errorf("%s ahead are told %v, want %q", step.ahead, levels, step.want)
			}
		}
		late := h.secret("applications", app, 105*day) // found when four days are left
		must(t, h.ReadNow(h.boss(), at.ID))
		must(t, h.TellNow(h.boss()))
		var levels []expiry.Level
		for _, n := range h.told() {
			if n.CredentialID == late {
				levels = append(levels, n.Level)
			}
		}
		if !slices.Equal(levels, []expiry.Level{expiry.In7}) {
			t.Errorf("of what is found late are told %v", levels)
		}
	})
}

// User story 13: the view lists every connection and the software behind it that
// uses a credential, in every tenant that it opens, with the last use.
func TestStory13WhereUsed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at, other := h.onboard(), h.add("ledgerlane")
		app := h.register("Portal")
		key := h.secret("applications", app, 20*day)
		local := h.secret("servicePrincipals", app, 20*day)
		one := h.connect(at.ID, "Nightly", app, connection.CredentialRequest{Kind: connection.Secret})
		h.connect(other.ID, "Elsewhere", app, connection.CredentialRequest{Kind: connection.Secret})
		certified := h.connect(at.ID, "By certificate", app, connection.CredentialRequest{Generate: true})
		pem, err := h.connections.Certificate(h.boss(), certified.ID)
		must(t, err)
		h.upload("applications", app, pem)
		validated := h.lab.Now().UTC().Truncate(time.Microsecond)
		must(t, h.db.Change(h.boss(), func(ctx context.Context, tx *sqldb.Tx) error {
			return h.connections.Settle(ctx, tx, one.ID, connection.Settled{Verdict: "works", At: validated})
		}))
		must(t, h.ReadNow(h.boss(), at.ID))

		listed := byKey(h.all(h.boss(), expiry.Filter{}))
		names := func(i expiry.Item) (all []string) {
			for _, u := range i.Uses {
				all = append(all, u.Name+" for "+u.Consumer)
			}
			slices.Sort(all)
			return all
		}
		if got := names(listed[key]); !slices.Equal(got, []string{"Elsewhere for Tool of Elsewhere", "Nightly for Tool of Nightly"}) {
			t.Errorf("the application's secret is used by %v", got)
		}
		if got := names(listed[local]); !slices.Equal(got, []string{"Nightly for Tool of Nightly"}) {
			t.Errorf("the service principal's secret, which opens one tenant, is used by %v", got)
		}
		for _, u := range listed[key].Uses {
			if (u.ID == one.ID) != (u.UsedAt != nil && u.UsedAt.Equal(validated) && u.Verdict == "works") {
				t.Errorf("last use: %+v", u)
			}
		}
		if u := listed[key].Uses[0]; u.Certain || listed[key].UsedAt != nil {
			t.Errorf("which of an app's secrets is used nobody can tell: %+v", listed[key])
		}
		var certificate *expiry.Item
		for _, i := range listed {
			if i.Kind == expiry.Certificate && i.Thumbprint == certified.Thumbprint {
				if certificate != nil {
					t.Errorf("it is listed twice: %+v", i)
				}
				certificate = &i
			}
		}
		if certificate == nil || len(certificate.Uses) != 1 || certificate.Uses[0].ID != certified.ID || !certificate.Uses[0].Certain || certificate.Holder != expiry.Application {
			t.Errorf("the certificate: %+v", certificate)
		}

		// A sign-in with the secret is seen in Microsoft's report.
		must(t, signIn(h, app))
		must(t, h.ReadNow(h.boss(), at.ID))
		used := 0
		for _, i := range h.all(h.boss(), expiry.Filter{}) {
			if i.ClientID == app && i.UsedAt != nil {
				used++
				if i.UsedAt.Before(validated) || i.Kind != expiry.Secret || i.CredentialID == key || i.CredentialID == local {
					t.Errorf("used is %+v", i)
				}
			}
		}
		if used != 1 {
			t.Errorf("a last use is known of %d", used)
		}

		// Who may not see a tenant hears nothing of its connections.
		item, err := h.Get(as(t.Context(), at.ID, audit.Viewer), listed[key].ID)
		must(t, err)
		if got := names(item); !slices.Equal(got, []string{"Nightly for Tool of Nightly"}) {
			t.Errorf("whoever sees one tenant is told of %v", got)
		}
	})
}

// signIn signs an app in with a fresh secret.
func signIn(h *house, app string) error {
	made := h.graph("POST", of("applications", app)+"/addPassword", map[string]any{})
	in := login.New(login.Config{Cloud: h.cloudOf()})
	_, err := in.Secret(h.t.Context(), h.lab.Tenant(harbour).ID, app, secrets.New(made["secretText"].(string)), []string{"https://graph.microsoft.com/.default"})
	return err
}

// Lists and single credentials keep to the tenants of whoever asks, in SQL.
func TestRights(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at, other := h.onboard(), h.add("ledgerlane")
		must(t, h.ReadNow(h.boss(), at.ID))
		all := h.all(h.boss(), expiry.Filter{All: true})
		if len(all) < 2 {
			t.Fatalf("there are only %d", len(all))
		}
		foreign := as(t.Context(), other.ID, audit.Administrator)
		if seen := h.all(foreign, expiry.Filter{All: true}); len(seen) != 0 {
			t.Errorf("a stranger sees %v", seen)
		}
		if items, n, err := h.Strip(foreign, time.Now().Add(9999*day), 5); err != nil || len(items) != 0 || n != 0 {
			t.Errorf("a stranger's strip: %v %d %v", items, n, err)
		}
		if readings, _, err := h.Readings(foreign, "", 5); err != nil || len(readings) != 1 || readings[0].TenantID != other.ID {
			t.Errorf("a stranger's readings: %v %v", readings, err)
		}
		if text, err := h.CalendarText(foreign, ""); err != nil || strings.Contains(text, "VEVENT") {
			t.Errorf("a stranger's calendar: %v %v", text, err)
		}
		var refused *audit.Refused
		for _, i := range all {
			if _, err := h.Get(foreign, i.ID); !errors.As(err, &refused) || !refused.Hidden {
				t.Errorf("a stranger reads %s: %v", i.ID, err)
			}
			if again, err := h.Get(as(t.Context(), at.ID, audit.Viewer), i.ID); err != nil || again.ID != i.ID {
				t.Errorf("reading %s: %v", i.ID, err)
			}
		}
		if err := h.Refresh(as(t.Context(), at.ID, audit.Viewer), at.ID); !errors.As(err, &refused) {
			t.Errorf("a viewer has it read: %v", err)
		}
		must(t, h.Refresh(as(t.Context(), at.ID, audit.Technician), at.ID))
		items, n, err := h.Strip(as(t.Context(), at.ID, audit.Viewer), h.clock().Add(9999*day), 1)
		must(t, err)
		if len(items) != 1 || n < 2 {
			t.Errorf("the strip: %v of %d", items, n)
		}
		if _, err := h.Get(h.boss(), "nothing"); !errors.Is(err, expiry.ErrMissing) {
			t.Errorf("nothing: %v", err)
		}
	})
}

// Filters narrow the list to what they say.
func TestFilters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at := h.onboard()
		app := h.register("Portal")
		h.connect(at.ID, "Portal", app, connection.CredentialRequest{Kind: connection.Secret})
		keys := map[string]string{}
		for within, ends := range map[string]time.Duration{"7": 5 * day, "30": 25 * day, "90": 85 * day, "": 200 * day, "past": time.Second} {
			keys[within] = h.secret("applications", app, ends)
		}
		must(t, h.ReadNow(h.boss(), at.ID))
		h.ahead(time.Minute)
		for within, want := range map[string][]string{"7": {"7"}, "30": {"7", "30"}, "90": {"7", "30", "90"}, "past": {"past"}, "": {"7", "30", "90", "", "past"}, "never": nil} {
			listed := byKey(h.all(h.boss(), expiry.Filter{Within: within, Kind: expiry.Secret, Search: "of app"}))
			for name, key := range keys {
				if _, there := listed[key]; there != slices.Contains(want, name) {
					t.Errorf("within %q lists %q: %t", within, name, there)
				}
			}
		}
		ends := h.all(h.boss(), expiry.Filter{All: true})
		if !slices.IsSortedFunc(ends, func(a, b expiry.Item) int {
			switch {
			case a.NotAfter == nil && b.NotAfter == nil:
				return 0
			case a.NotAfter == nil:
				return 1
			case b.NotAfter == nil:
				return -1
			}
			return a.NotAfter.Compare(*b.NotAfter)
		}) {
			t.Error("the list is not ordered by the ends")
		}
		var fault *expiry.FieldError
		if _, _, err := h.List(h.boss(), expiry.Filter{Within: "8"}, expiry.Page{}); !errors.As(err, &fault) || fault.Field != "within" {
			t.Errorf("within 8: %v", err)
		}
		if _, _, err := h.List(h.boss(), expiry.Filter{}, expiry.Page{After: "x"}); err == nil {
			t.Error("a cursor that is none is taken")
		}
	})
}

// What came and went among the application permissions is noted, with the two
// readings between which it did.
func TestConsentDrift(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at := h.onboard()
		must(t, h.ReadNow(h.boss(), at.ID))
		if changes, err := h.ConsentChanges(h.boss(), at.ID, 10); err != nil || len(changes) != 0 {
			t.Errorf("the first reading changes nothing: %v %v", changes, err)
		}
		grants := of("servicePrincipals", h.reader) + "/appRoleAssignments"
		api := h.graph("GET", of("servicePrincipals", "00000003-0000-0000-c000-000000000000")+"?$select=id,appRoles", nil)
		roles := map[string]string{}
		for _, r := range api["appRoles"].([]any) {
			roles[r.(map[string]any)["value"].(string)] = r.(map[string]any)["id"].(string)
		}
		for _, g := range h.graph("GET", grants, nil)["value"].([]any) {
			if one := g.(map[string]any); one["appRoleId"] == roles["Domain.Read.All"] {
				h.graph("DELETE", grants+"/"+one["id"].(string), nil)
			}
		}
		h.graph("POST", grants, map[string]any{"principalId": h.graph("GET", of("servicePrincipals", h.reader)+"?$select=id", nil)["id"], "resourceId": api["id"], "appRoleId": roles["User.ReadWrite.All"]})
		for range 2 {
			must(t, h.ReadNow(h.boss(), at.ID))
			changes, err := h.ConsentChanges(h.boss(), at.ID, 10)
			must(t, err)
			var got []string
			for _, c := range changes {
				got = append(got, c.Change+" "+c.Permission)
				if c.ClientID != strings.ToLower(h.reader) || !c.Since.Before(c.SeenAt) || c.Resource == "" {
					t.Errorf("%+v", c)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, []string{"added User.ReadWrite.All", "removed Domain.Read.All"}) {
				t.Errorf("it is noted: %v", got)
			}
		}
		var refused *audit.Refused
		if _, err := h.ConsentChanges(as(t.Context(), "elsewhere", audit.Administrator), at.ID, 10); !errors.As(err, &refused) {
			t.Errorf("a stranger: %v", err)
		}
	})
}

// The reader's certificate is replaced by itself, 30 days before its end, once.
func TestReaderRenewsItself(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		h.ahead(-(730*day - 31*day)) // the certificate was made long ago
		at := h.onboard()
		h.ahead(0)
		latest := func() *rotation.Rotation {
			r, err := h.rotations.Latest(h.boss(), rotation.Target{TenantID: at.ID})
			must(t, err)
			return r
		}
		must(t, h.ReadNow(h.boss(), at.ID))
		if r := latest(); r != nil {
			t.Errorf("31 days before: %+v", r)
		}
		h.ahead(2 * day)
		for range 2 { // the second time it is under way
			must(t, h.ReadNow(h.boss(), at.ID))
			if r := latest(); r == nil || r.State != rotation.Planned || r.StartedBy != "expiry_refresh" {
				t.Errorf("29 days before: %+v", r)
			}
		}
	})
}

// The days of the tenants are spread over the day, and paused ones are left out.
func TestPlan(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at, paused := h.onboard(), h.add("ledgerlane")
		must(t, h.tenants.Pause(h.boss(), paused.ID, true))
		due := h.clock().UTC().Truncate(day)
		for range 2 { // twice the same: unique
			must(t, h.PlanNow(h.boss(), jobs.Tick{Due: due}))
		}
		all, _, err := h.queue.List(h.boss(), jobs.Filter{AllTenants: true, Kinds: []string{"expiry_refresh"}}, "", 10)
		must(t, err)
		if len(all) != 1 || all[0].Tenant != at.ID || all[0].Due.Before(due) || !all[0].Due.Before(due.Add(22*time.Hour)) {
			t.Errorf("planned are %+v", all)
		}
		must(t, h.ReadNow(h.boss(), paused.ID))
		if readings, _, err := h.Readings(h.boss(), paused.ID, 1); err != nil || readings[0].At != nil {
			t.Errorf("a paused tenant was read: %+v %v", readings, err)
		}
	})
}
