package tenant_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// A tenant is found by domain or id; who checks its passwords is told.
func TestAdd(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := l.Tenant("openharbour")
		added := h.add(l, "openharbour")
		if added.DirectoryID != at.ID || added.Realm != "managed" || added.Cloud != "lab" || added.Name != at.Domain || len(added.Switches) != 4 || added.Reader != nil || added.Without() == "" {
			t.Errorf("%+v", added)
		}
		for _, s := range added.Switches {
			if s.State != tenant.Off || s.Purpose == "" || len(s.Permissions) == 0 || s.WhoConsents == "" || s.Stays == "" || s.Remove == "" || s.Available != (s.Name == tenant.Diagnose || s.Name == tenant.Connect) {
				t.Errorf("switch %+v", s)
			}
		}
		for _, again := range []string{at.Domain, strings.ToUpper(at.ID)} {
			if _, err := h.Add(h.boss(), tenant.AddRequest{NameOrID: again}); !errors.Is(err, tenant.ErrTaken) {
				t.Errorf("again by %s: %v", again, err)
			}
		}
		if d, err := h.Detect(h.boss(), "corp.federaford.example"); err != nil || d.Realm != "federated" || d.DirectoryID != l.Tenant("federaford").ID {
			t.Errorf("federated: %+v, %v", d, err)
		}
		if d, err := h.Detect(h.boss(), l.Tenant("callercove").ID); err != nil || d.Realm != "unknown" || d.Domain != "" {
			t.Errorf("by id: %+v, %v", d, err)
		}
		for _, wrong := range []string{"", "contoso", "a b.example", "../common", "nobody-has-this.example", "11111111-2222-3333-4444-555555555555"} {
			var faults tenant.Faults
			if _, err := h.Detect(h.boss(), wrong); !errors.As(err, &faults) || faults[0].Field != "tenant" {
				t.Errorf("%q: %v", wrong, err)
			}
		}
		// Trouble of the service is no fault of the name.
		if _, err := l.AddFault(lab.Fault{Kind: "status", Status: http.StatusServiceUnavailable, Service: "login", Times: 1}); err != nil {
			t.Fatal(err)
		}
		var faults tenant.Faults
		if _, err := h.Detect(h.boss(), at.Domain); err == nil || errors.As(err, &faults) {
			t.Errorf("with the service in trouble: %v", err)
		}
	})
}

// Two operators of different tenants see and touch each their own.
func TestTenantsApart(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		mine, theirs := h.add(l, "openharbour"), h.add(l, "brokenbay")
		eve := as(t.Context(), "Eve", mine.ID, audit.Engineer)
		if list, _, err := h.List(eve, tenant.Filter{}, tenant.Page{}); err != nil || len(list) != 1 || list[0].ID != mine.ID {
			t.Errorf("list %+v, %v", list, err)
		}
		if list, _, err := h.List(eve, tenant.Filter{Search: "brokenbay"}, tenant.Page{}); err != nil || len(list) != 0 {
			t.Errorf("search %+v, %v", list, err)
		}
		id := theirs.ID
		for name, do := range map[string]func() error{
			"get":     func() error { _, err := h.Get(eve, id); return err },
			"pause":   func() error { return h.Pause(eve, id, true) },
			"rename":  func() error { return h.Rename(eve, id, "x") },
			"removal": func() error { _, err := h.Removal(eve, id); return err },
			"remove":  func() error { return h.Remove(eve, id, theirs.Name) },
			"onboard": func() error {
				_, err := h.OnboardReader(eve, id, tenant.OnboardRequest{ClientID: theirs.DirectoryID})
				return err
			},
			"steps":    func() error { _, err := h.Steps(eve, id); return err },
			"check":    func() error { _, err := h.CheckReader(eve, id); return err },
			"unreader": func() error { return h.RemoveReader(eve, id) },
			"refresh":  func() error { return h.Refresh(eve, id) },
			"upload":   func() error { return h.UploadSnapshot(eve, id, nil) },
			"snapshot": func() error { _, err := h.Snapshot(eve, id); return err },
		} {
			var refused *audit.Refused
			if err := do(); !errors.As(err, &refused) || !refused.Hidden {
				t.Errorf("%s: %v", name, err)
			}
		}
		var refused *audit.Refused
		if _, err := h.Add(eve, tenant.AddRequest{NameOrID: l.Tenant("callercove").Domain}); !errors.As(err, &refused) {
			t.Errorf("adding: %v", err)
		}
		if got, err := h.Get(h.boss(), id); err != nil || got.Paused || got.Name != theirs.Name || got.Reader != nil {
			t.Errorf("the other tenant was touched: %+v, %v", got, err)
		}
	})
}

// The reader: its certificate is made here, what is missing is named, and once
// it works a snapshot is taken with the accounts of the connections.
func TestReader(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		user := l.Tenant("openharbour").User("svc-backup").UPN
		if _, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: "backup", Username: user}, Credential: connection.CredentialRequest{Password: secrets.New("x")}}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.CheckReader(h.boss(), at.ID); !errors.Is(err, tenant.ErrNoReader) {
			t.Errorf("without reader: %v", err)
		}
		if _, err := h.Steps(h.boss(), at.ID); !errors.Is(err, tenant.ErrNoReader) {
			t.Errorf("steps without reader: %v", err)
		}
		if err := h.Refresh(h.boss(), at.ID); !errors.Is(err, tenant.ErrNoReader) {
			t.Errorf("refresh without reader: %v", err)
		}
		onboard := func(app string, uploaded bool) tenant.Tenant {
			t.Helper()
			client := l.Tenant("openharbour").App(app).ClientID
			steps, err := h.OnboardReader(h.boss(), at.ID, tenant.OnboardRequest{ClientID: client})
			if err != nil || len(steps.Steps) < 4 || !strings.Contains(steps.ConsentURL, client) || strings.Contains(steps.CertificatePEM, "PRIVATE") {
				t.Fatalf("%+v, %v", steps, err)
			}
			if got, err := h.Get(h.boss(), at.ID); err != nil || got.Switch(tenant.Diagnose).State != tenant.Pending || got.Reader.Thumbprint != steps.Thumbprint {
				t.Errorf("%+v, %v", got, err)
			}
			if again, err := h.Steps(h.boss(), at.ID); err != nil || !slices.Equal(again.Steps, steps.Steps) || again.CertificatePEM != steps.CertificatePEM {
				t.Errorf("the steps again: %+v, %v", again, err)
			}
			if uploaded {
				upload(t, l, "openharbour", client, steps.CertificatePEM)
			}
			checked, err := h.CheckReader(h.boss(), at.ID)
			if err != nil {
				t.Fatal(err)
			}
			return checked
		}
		if got := onboard("Gatehouse reader", false); got.Reader.State != tenant.ReaderBroken || got.Reader.Reason == "" || got.Switch(tenant.Diagnose).State != tenant.Broken {
			t.Errorf("certificate not uploaded: %+v", got.Reader)
		}
		if got := onboard("Backup app", true); got.Reader.State != tenant.ReaderBroken || !strings.Contains(got.Reader.Reason, "Policy.Read.All") || strings.Contains(got.Reader.Reason, "Organization.Read.All") {
			t.Errorf("permissions missing: %+v", got.Reader)
		}
		got := onboard("Gatehouse reader", true)
		if got.Reader.State != tenant.ReaderWorks || got.Reader.PrincipalID == "" || got.Reader.CheckedAt == nil || got.Switch(tenant.Diagnose).State != tenant.On || got.Switch(tenant.Diagnose).ConsentedBy != "Ada Person" {
			t.Fatalf("%+v", got)
		}
		tick, deadline := time.NewTicker(10*time.Millisecond), time.After(60*time.Second)
		defer tick.Stop()
		for got.SnapshotAt == nil {
			select {
			case <-deadline:
				t.Fatal("no snapshot was taken")
			case <-tick.C:
			}
			got, _ = h.Get(h.boss(), at.ID)
		}
		s, err := h.Snapshot(h.boss(), at.ID)
		if err != nil || s.TenantID != at.DirectoryID || got.SnapshotSource != tenant.FromReader {
			t.Fatalf("%+v, %v", s, err)
		}
		if _, ok := s.Account(user); !ok {
			t.Errorf("the snapshot lacks the account: %+v", s.Accounts)
		}
		if list, _, err := h.List(h.boss(), tenant.Filter{Search: "openharbour.example"}, tenant.Page{}); err != nil || len(list) != 1 {
			t.Errorf("by a domain of the snapshot: %v, %v", list, err)
		}
		if err := h.RemoveReader(h.boss(), at.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := h.Get(h.boss(), at.ID); err != nil || got.Reader != nil || got.SnapshotAt != nil || got.Switch(tenant.Diagnose).State != tenant.Off {
			t.Errorf("removed: %+v, %v", got, err)
		}
		if _, err := h.Snapshot(h.boss(), at.ID); !errors.Is(err, tenant.ErrNoSnapshot) {
			t.Errorf("its snapshot: %v", err)
		}
		var n int
		if err := h.db.Read().NewRaw("SELECT count(*) FROM audit WHERE tenant_id = ? AND action IN ('reader.onboarded', 'reader.checked', 'reader.removed', 'snapshot.stored')", at.ID).Scan(t.Context(), &n); err != nil || n < 8 {
			t.Errorf("%d entries in the audit log, %v", n, err)
		}
	})
}

// Removing shows what goes with the tenant and wants its name.
func TestRemove(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		if _, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: "backup", Username: "a@contoso.example"}, Credential: connection.CredentialRequest{Password: secrets.New("x")}}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.OnboardReader(h.boss(), at.ID, tenant.OnboardRequest{ClientID: l.Tenant("openharbour").App("Gatehouse reader").ClientID}); err != nil {
			t.Fatal(err)
		}
		if err := h.Rename(h.boss(), at.ID, "Harbour"); err != nil {
			t.Fatal(err)
		}
		if r, err := h.Removal(h.boss(), at.ID); err != nil || r.Name != "Harbour" || r.Connections != 1 || len(r.Some) != 1 || !r.Reader || r.Snapshot || len(r.Stays) != 2 {
			t.Errorf("%+v, %v", r, err)
		}
		var faults tenant.Faults
		if err := h.Remove(h.boss(), at.ID, at.Name); !errors.As(err, &faults) || faults[0].Field != "confirm" {
			t.Errorf("with another name: %v", err)
		}
		if err := h.Remove(h.boss(), at.ID, "Harbour"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Get(h.boss(), at.ID); !errors.Is(err, tenant.ErrMissing) {
			t.Errorf("removed: %v", err)
		}
		for _, table := range []string{"tenants", "tenant_domains", "tenant_switches", "readers", "connections"} {
			var n int
			if err := h.db.Read().NewRaw("SELECT count(*) FROM "+table).Scan(t.Context(), &n); err != nil || n != 0 {
				t.Errorf("%s: %d left, %v", table, n, err)
			}
		}
	})
}

// Pages follow each other without gap or repetition.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		for _, name := range []string{"openharbour", "brokenbay", "callercove", "vendorvale", "azurequay"} {
			h.add(l, name)
		}
		var names []string
		for page := (tenant.Page{Limit: 2}); ; {
			list, next, err := h.List(h.boss(), tenant.Filter{}, page)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range list {
				names = append(names, strings.TrimSuffix(at.Name, ".onmicrosoft.com"))
			}
			if page.After = next; next == "" {
				break
			}
		}
		if got := strings.Join(names, " "); got != "azurequay brokenbay callercove openharbour vendorvale" {
			t.Errorf("pages: %s", got)
		}
	})
}
