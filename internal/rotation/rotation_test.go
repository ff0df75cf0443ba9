package rotation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/rotation"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// User story 15: a fresh certificate is not accepted for a while. It is used only
// after so many sign-ins in a row, and no caller sees an error.
func TestStory15FreshCertificate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		for _, delay := range []time.Duration{0, 15 * time.Second, 60 * time.Second} {
			must(t, h.lab.SetSettings(lab.Settings{CredentialDelay: delay}))
			begun, err := h.Begin(h.boss(), rotation.Target{TenantID: h.at.ID})
			must(t, err)
			before := h.lab.Now()
			refused := 0
			ended, states := h.turn(h.Service, begun.ID, func(r rotation.Rotation) {
				h.call(string(r.State))
				used, err := h.tenants.ReaderCertificate(h.boss(), h.at.ID)
				must(t, err)
				switch r.State {
				case rotation.Planned, rotation.Adding, rotation.Proving:
					if used.Thumbprint != begun.OldThumbprint {
						t.Errorf("while %s the new one is used", r.State)
					}
				default:
					if used.Thumbprint != begun.NewThumbprint || r.Successes != rotation.Successes || h.lab.Now().Sub(before) < delay {
						t.Errorf("%s after %s, with %d successes, used is %s", r.State, h.lab.Now().Sub(before), r.Successes, used.Thumbprint)
					}
				}
				if r.State == rotation.Proving && r.Reason != "" {
					refused++
				}
			})
			if words(states) != "[planned,adding,proving,switched,removing,done]" || ended.Reason != "" || (delay > 0) != (refused > 0) {
				t.Errorf("delay %s: %s, refused %d times, %q", delay, words(states), refused, ended.Reason)
			}
			left := h.credentials(h.clientID)
			if left[begun.OldKeyID] != "" || left[ended.OldKeyID] != "" || left[ended.NewKeyID] == "" {
				t.Errorf("delay %s: there are %v, old %s, new %s", delay, left, ended.OldKeyID, ended.NewKeyID)
			}
			h.call("at the end")
		}
	})
}

// A refusal among the sign-ins begins the count anew.
func TestCountBeginsAnew(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		begun, err := h.Begin(h.boss(), rotation.Target{TenantID: h.at.ID})
		must(t, err)
		broken, anew := false, false
		ended, _ := h.turn(h.Service, begun.ID, func(r rotation.Rotation) {
			if r.State == rotation.Proving && r.Successes == rotation.Successes-1 && !broken {
				broken = true
				h.fault(lab.Fault{Service: "login", Client: h.clientID, Kind: "status", Status: 401, Times: 1})
			}
			if r.Reason != "" {
				anew = r.State == rotation.Proving && r.Successes == 0
			}
		})
		if !broken || !anew || ended.State != rotation.Done {
			t.Errorf("%+v", ended)
		}
	})
}

// User story 16: an app with secrets and certificates on application and service
// principal. The rotation lists what it owns, touches that alone, and undo restores.
func TestStory16OnlyOwnCredentials(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		for _, set := range []string{"applications", "servicePrincipals"} {
			h.graph("POST", set+"(appId='"+h.clientID+"')/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": "of " + set}})
		}
		before := h.credentials(h.clientID)
		begun, err := h.Begin(h.boss(), rotation.Target{TenantID: h.at.ID})
		must(t, err)
		ended, _ := h.turn(h.Service, begun.ID, nil)
		if ended.State != rotation.Done || ended.Holder != "application" || before[ended.OldKeyID] != "applications/keyCredentials" {
			t.Fatalf("it owns %s on %s: %+v", ended.OldKeyID, ended.Holder, ended)
		}
		holders := map[string]int{}
		for _, o := range ended.Others {
			holders[o.Holder+" "+o.Kind]++
			if before[o.KeyID] == "" || o.KeyID == ended.OldKeyID {
				t.Errorf("it lists %+v", o)
			}
		}
		if len(ended.Others) != len(before)-1 || holders["application secret"] == 0 || holders["service_principal secret"] == 0 {
			t.Errorf("left alone are %v of %v", ended.Others, before)
		}
		after := h.credentials(h.clientID)
		for id, where := range before {
			if id != ended.OldKeyID && after[id] != where {
				t.Errorf("%s of %s is gone", id, where)
			}
		}
		if after[ended.OldKeyID] != "" || after[ended.NewKeyID] != "applications/keyCredentials" || len(after) != len(before) {
			t.Errorf("afterwards: %v", after)
		}

		undone, err := h.Undo(h.boss(), ended.ID)
		must(t, err)
		back, _ := h.turn(h.Service, undone.ID, func(r rotation.Rotation) { h.call("undoing, " + string(r.State)) })
		held, err := h.tenants.ReaderCertificate(h.boss(), h.at.ID)
		must(t, err)
		if back.State != rotation.Done || back.Undoes != ended.ID || held.Thumbprint != begun.OldThumbprint {
			t.Errorf("undone: %+v, used is %s", back, held.Thumbprint)
		}
		restored := h.credentials(h.clientID)
		if restored[back.NewKeyID] == "" || restored[ended.NewKeyID] != "" || len(restored) != len(before) {
			t.Errorf("restored: %v", restored)
		}
		for id, where := range before {
			if id != ended.OldKeyID && restored[id] != where {
				t.Errorf("%s of %s did not survive the undo", id, where)
			}
		}
	})
}

// Taken back before the new one is used, its key goes and the old one stays.
func TestUndoBeforeUse(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		before := h.credentials(h.clientID)
		begun, err := h.Begin(h.boss(), rotation.Target{TenantID: h.at.ID})
		must(t, err)
		if _, err := h.Begin(h.boss(), rotation.Target{TenantID: h.at.ID}); !errors.Is(err, rotation.ErrOpen) {
			t.Errorf("a second one: %v", err)
		}
		for range 3 { // located, added, tried once
			_, _, err := h.Advance(h.boss(), begun.ID)
			must(t, err)
		}
		r, err := h.Undo(h.boss(), begun.ID)
		must(t, err)
		if r.State != rotation.Withdrawing || r.NewKeyID == "" {
			t.Errorf("%+v", r)
		}
		ended, _ := h.turn(h.Service, begun.ID, nil)
		after := h.credentials(h.clientID)
		if ended.State != rotation.Undone || len(after) != len(before) || after[ended.OldKeyID] == "" {
			t.Errorf("%+v leaves %v", ended, after)
		}
		h.call("after the undo")
		if _, err := h.Undo(h.boss(), begun.ID); !errors.Is(err, rotation.ErrTooLate) {
			t.Errorf("undone twice: %v", err)
		}
	})
}

// Killed at each request, before it is sent or after it was answered, a rotation
// goes on in another process and ends as if nothing had been: one new key, the old
// one gone, nothing else touched, and no caller refused.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		others := len(h.credentials(h.clientID)) - 1
		writes := 0
		for after := int64(0); ; after++ {
			died, at, proving := h.dies(after, false, others)
			if proving {
				after += 3 // the second sign-in in a row is like the fourth
			}
			if !died {
				break
			}
			if strings.HasSuffix(at, "Key") { // for what only reads, it is all the same
				writes++
				h.dies(after, true, others)
			}
		}
		if writes != 2 {
			t.Errorf("it died at %d writes", writes)
		}
	})
}

// dies rotates with a process that dies after so many requests, and another that
// goes on; it reports whether and at which request it died.
func (h *house) dies(after int64, answered bool, others int) (died bool, at string, proving bool) {
	h.t.Helper()
	begun, err := h.Begin(h.boss(), rotation.Target{TenantID: h.at.ID})
	must(h.t, err)
	mortal := &dying{next: h.cloud.Transport(), answer: answered}
	mortal.left.Store(after)
	died = h.killed(h.again(mortal), begun.ID)
	if died {
		h.call("killed")
		r, err := h.Get(h.boss(), begun.ID)
		must(h.t, err)
		proving = r.State == rotation.Proving
	}
	ended, _ := h.turn(h.again(nil), begun.ID, nil)
	left := h.credentials(h.clientID)
	if ended.State != rotation.Done || ended.Reason != "" || len(left) != others+1 || left[ended.NewKeyID] == "" {
		h.t.Fatalf("killed at request %d (answered: %t): %s %q, left are %v", after, answered, ended.State, ended.Reason, left)
	}
	h.call("ended")
	return died, mortal.last, proving
}

// killed takes steps until the service dies, and reports whether it did.
func (h *house) killed(s *rotation.Service, id string) bool {
	h.t.Helper()
	for range 200 {
		wait, ended, err := s.Advance(h.boss(), id)
		if ended {
			return false
		}
		if err != nil {
			if !errors.Is(err, errKilled) {
				h.t.Fatalf("it died of %v", err)
			}
			return true
		}
		r, err := s.Get(h.boss(), id)
		must(h.t, err)
		if r.State == rotation.Proving && r.Successes == 0 && r.Reason != "" || r.State == rotation.Switched && r.Reason != "" {
			return true // its sign-in died, which counts as no answer
		}
		h.pass(wait)
	}
	h.t.Fatal("it neither ends nor dies")
	return false
}

// Where the certificate is on neither object, a person is guided, and nothing
// changes.
func TestGuided(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		begun, err := h.Begin(h.boss(), rotation.Target{TenantID: h.at.ID})
		must(t, err)
		h.fault(lab.Fault{Service: "graph", Path: "/v1.0/*", Kind: "status", Status: 403, Times: 1})
		ended, _ := h.turn(h.Service, begun.ID, nil)
		if ended.State != rotation.Guided || ended.Reason == "" || ended.Undoable {
			t.Errorf("%+v", ended)
		}
		h.call("guided")
	})
}

// The same for the certificate of a connection.
func TestConnection(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		c, err := h.connections.Create(h.boss(), connection.CreateRequest{
			TenantID: h.at.ID, Kind: connection.App, Profile: connection.Profile{Name: "Reports", ClientID: h.clientID, Services: []string{"graph"}}, Credential: connection.CredentialRequest{Generate: true},
		})
		must(t, err)
		pem, err := h.connections.Certificate(h.boss(), c.ID)
		must(t, err)
		h.upload(h.clientID, pem)
		begun, err := h.Begin(h.boss(), rotation.Target{ConnectionID: c.ID})
		must(t, err)
		ended, _ := h.turn(h.Service, begun.ID, nil)
		now, err := h.connections.Get(h.boss(), c.ID)
		must(t, err)
		if ended.State != rotation.Done || ended.Name != "Reports" || now.Thumbprint != begun.NewThumbprint || !now.CredentialNotAfter.Equal(begun.NewNotAfter) {
			t.Errorf("%+v of %+v", ended, now)
		}
		h.call("the reader of the same app")
		latest, err := h.Latest(h.boss(), rotation.Target{TenantID: h.at.ID, ConnectionID: c.ID})
		must(t, err)
		if latest == nil || latest.ID != begun.ID {
			t.Errorf("the latest is %+v", latest)
		}
	})
}

// Who may not manage consents may neither begin nor undo; who may not see the
// tenant learns nothing.
func TestRights(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		as := func(tenantID string, role audit.Role) context.Context {
			return audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "eve", Name: "Eve", Roles: map[string]audit.Role{tenantID: role}})
		}
		begun, err := h.Begin(h.boss(), rotation.Target{TenantID: h.at.ID})
		must(t, err)
		var refused *audit.Refused
		for _, ctx := range []context.Context{as(h.at.ID, audit.Technician), as("elsewhere", audit.Administrator)} {
			if _, err := h.Begin(ctx, rotation.Target{TenantID: h.at.ID}); !errors.As(err, &refused) {
				t.Errorf("beginning: %v", err)
			}
			if _, err := h.Undo(ctx, begun.ID); !errors.As(err, &refused) {
				t.Errorf("undoing: %v", err)
			}
		}
		if _, err := h.Get(as("elsewhere", audit.Administrator), begun.ID); !errors.As(err, &refused) || !refused.Hidden {
			t.Errorf("reading: %v", err)
		}
		if all, _, err := h.List(as("elsewhere", audit.Administrator), rotation.Filter{}, rotation.Page{}); err != nil || len(all) != 0 {
			t.Errorf("listing: %v %v", all, err)
		}
		all, _, err := h.List(as(h.at.ID, audit.Viewer), rotation.Filter{TenantID: h.at.ID}, rotation.Page{})
		must(t, err)
		if !slices.ContainsFunc(all, func(r rotation.Rotation) bool { return r.ID == begun.ID }) {
			t.Errorf("listed are %v", all)
		}
	})
}

// Who administers another tenant neither begins, sees nor undoes the rotation of a
// connection of this one, whichever tenant is named with it.
func TestTenantsApart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		other, err := h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: h.lab.Tenant("ledgerlane").Domain})
		must(t, err)
		c, err := h.connections.Create(h.boss(), connection.CreateRequest{
			TenantID: h.at.ID, Kind: connection.App, Profile: connection.Profile{Name: "Reports", ClientID: h.clientID, Services: []string{"graph"}}, Credential: connection.CredentialRequest{Generate: true},
		})
		must(t, err)
		begun, err := h.Begin(h.boss(), rotation.Target{ConnectionID: c.ID})
		must(t, err)
		stranger := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "eve", Name: "Eve", Roles: map[string]audit.Role{other.ID: audit.Administrator}})
		for name, do := range map[string]func() error{
			"begin": func() error { _, err := h.Begin(stranger, rotation.Target{ConnectionID: c.ID}); return err },
			"begin as one's own": func() error {
				_, err := h.Begin(stranger, rotation.Target{TenantID: other.ID, ConnectionID: c.ID})
				return err
			},
			"begin of the reader": func() error { _, err := h.Begin(stranger, rotation.Target{TenantID: h.at.ID}); return err },
			"get":                 func() error { _, err := h.Get(stranger, begun.ID); return err },
			"undo":                func() error { _, err := h.Undo(stranger, begun.ID); return err },
			"latest": func() error {
				_, err := h.Latest(stranger, rotation.Target{TenantID: h.at.ID, ConnectionID: c.ID})
				return err
			},
		} {
			var refused *audit.Refused
			if err := do(); !errors.As(err, &refused) || !refused.Hidden {
				t.Errorf("%s: %v", name, err)
			}
		}
		if r, err := h.Latest(stranger, rotation.Target{TenantID: other.ID, ConnectionID: c.ID}); err != nil || r != nil {
			t.Errorf("the latest under one's own tenant: %+v %v", r, err)
		}
		if all, _, err := h.List(stranger, rotation.Filter{ConnectionID: c.ID}, rotation.Page{}); err != nil || len(all) != 0 {
			t.Errorf("listed: %+v %v", all, err)
		}
		if now, err := h.Get(h.boss(), begun.ID); err != nil || now.State != rotation.Planned || now.TenantID != h.at.ID {
			t.Errorf("afterwards: %+v %v", now, err)
		}
	})
}
