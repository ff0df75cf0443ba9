package registration_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
	"gatehouse/lab"
)

// Stories 11, 15 and 16: a secret that ends soon is replaced by a certificate made
// here, while a new credential takes its time to become known; no caller is refused,
// nothing else of the app is touched, and what was is gone back to.
func TestRotate(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, old := h.made()
		if old.State != registration.Active {
			t.Fatalf("the first credential is %s: there was nothing to break", old.State)
		}
		other, _ := h.addPassword("servicePrincipals")
		before := h.credentials()
		must(t, h.lab.SetSettings(lab.Settings{CredentialDelay: 45 * time.Second}))

		c, err := h.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Generate: true, Label: "second"})
		must(t, err)
		if c.State != registration.Added || c.Origin != registration.MadeHere || c.Thumbprint == "" {
			t.Errorf("%+v", c)
		}
		if _, err := h.Switch(h.boss(), g.ID, c.ID); !errors.Is(err, registration.ErrUnchecked) {
			t.Errorf("switching to what was never accepted: %v", err)
		}
		pem, err := h.CertificatePEM(h.boss(), g.ID, c.ID)
		must(t, err)
		if strings.Contains(pem, "PRIVATE") {
			t.Error("the key left")
		}
		if _, err := h.Check(h.boss(), g.ID, c.ID, registration.CheckRequest{Switch: true}); err == nil || !strings.Contains(err.Error(), "tenant_id is missing") {
			t.Errorf("a check without a tenant: %v", err)
		}
		_, err = h.Check(h.boss(), g.ID, c.ID, registration.CheckRequest{TenantID: h.at.ID, Switch: true})
		must(t, err)
		h.upload(pem)
		done, tries, reasons := h.turn(g.ID, c.ID)
		if done.State != registration.Active || done.Check.State != registration.CheckPassed || done.Check.Successes != registration.Successes || tries < registration.Successes+4 {
			t.Errorf("after %d tries: %+v %+v", tries, done, done.Check)
		}
		if len(reasons) != 2 || !strings.Contains(reasons[0], "not known yet") || !strings.Contains(reasons[0], "AADSTS700027") || reasons[1] != "" {
			t.Errorf("reasons: %q", reasons)
		}
		if was := h.credential(g.ID, old.ID); was.State != registration.Checked || was.ReplacedAt == nil {
			t.Errorf("the old one is not kept: %+v", was)
		}
		app, err := h.App(t.Context(), g.ID)
		must(t, err)
		if app.Certificate == nil {
			t.Error("the certificate is not in use")
		}

		// Back to the secret, which is tried first; then forward again.
		back, err := h.Undo(h.boss(), g.ID)
		must(t, err)
		if back.ID != old.ID {
			t.Errorf("undo goes to %s", back.Label)
		}
		if done, tries, _ := h.turn(g.ID, old.ID); done.State != registration.Active || tries != 1 {
			t.Errorf("undo after %d tries: %+v", tries, done)
		}
		if _, err := h.Switch(h.boss(), g.ID, c.ID); err != nil {
			t.Fatal(err)
		}
		h.call(g.ID, "after the switch")

		if _, err := h.Retire(h.boss(), g.ID, c.ID); !errors.Is(err, registration.ErrInUse) {
			t.Errorf("retiring what is in use: %v", err)
		}
		gone, err := h.Retire(h.boss(), g.ID, old.ID)
		must(t, err)
		if text := gone.Removal(); gone.State != registration.Retired || !strings.Contains(text, old.KeyID) || !strings.Contains(text, "no other") {
			t.Errorf("%s: %s", gone.State, text)
		}
		if n := h.sealedLength(old.ID); n != 0 {
			t.Errorf("%d bytes of the retired secret are kept", n)
		}
		h.graph("POST", "applications(appId='"+h.clientID+"')/removePassword", map[string]any{"keyId": old.KeyID})
		h.call(g.ID, "after the removal")
		if _, err := h.Undo(h.boss(), g.ID); !errors.Is(err, registration.ErrNoUndo) {
			t.Errorf("going back to what is retired: %v", err)
		}

		// Only the removed one is gone, only the uploaded one came.
		now := h.credentials()
		if now[other] == "" || now[old.KeyID] != "" || len(now) != len(before) {
			t.Errorf("before %v, now %v", before, now)
		}
		want := []string{"|" + old.ID, old.ID + "|" + c.ID, c.ID + "|" + old.ID, old.ID + "|" + c.ID}
		for i, change := range h.changes {
			if i >= len(want) || change.What != registration.ChangedCredential || change.Old+"|"+change.New != want[i] {
				t.Errorf("change %d: %+v", i, change)
			}
		}
		if len(h.changes) != len(want) {
			t.Errorf("%d changes", len(h.changes))
		}
	})
}

// A check tells apart what may pass and what does not.
func TestCheckRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, _ := h.made()
		add := func(in registration.CredentialRequest) registration.Credential {
			t.Helper()
			c, err := h.AddCredential(h.boss(), g.ID, in)
			must(t, err)
			_, err = h.Check(h.boss(), g.ID, c.ID, registration.CheckRequest{TenantID: h.at.ID, Switch: true, Retire: true})
			must(t, err)
			return c
		}
		step := func(c registration.Credential) (bool, registration.Credential) {
			t.Helper()
			_, ended, err := h.Advance(h.boss(), c.ID)
			must(t, err)
			return ended, h.credential(g.ID, c.ID)
		}

		wrong := add(registration.CredentialRequest{Secret: secrets.New("nobody-knows-this-value"), Label: "wrong"})
		if ended, c := step(wrong); ended || !strings.Contains(c.Check.Reason, "AADSTS7000215") || strings.Contains(c.Check.Reason, "nobody-knows") {
			t.Errorf("ended %v: %+v", ended, c.Check)
		}
		h.begun(wrong.ID, h.lab.Now().Add(-20*time.Minute))
		if ended, c := step(wrong); ended || !strings.Contains(c.Check.Reason, "not its id") {
			t.Errorf("ended %v: %+v", ended, c.Check)
		}
		_, err := h.lab.AddFault(lab.Fault{Kind: "status", Service: "login", Grant: "client_credentials", Status: 503})
		must(t, err)
		if ended, c := step(wrong); ended || !strings.Contains(c.Check.Reason, "no answer") {
			t.Errorf("ended %v: %+v", ended, c.Check)
		}
		h.lab.ClearFaults()
		h.begun(wrong.ID, h.lab.Now().Add(-25*time.Hour))
		if ended, c := step(wrong); !ended || c.Check.State != registration.CheckFailed || c.State != registration.Added {
			t.Errorf("ended %v: %s %+v", ended, c.State, c.Check)
		}
		if _, err := h.Switch(h.boss(), g.ID, wrong.ID); !errors.Is(err, registration.ErrUnchecked) {
			t.Errorf("switching to what failed: %v", err)
		}

		// A tenant in which the app has no service principal.
		elsewhere := h.addTenant("ledgerlane")
		_, value := h.addPassword("applications")
		c, err := h.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Secret: value})
		must(t, err)
		_, err = h.Check(h.boss(), g.ID, c.ID, registration.CheckRequest{TenantID: elsewhere})
		must(t, err)
		if ended, c := step(c); !ended || !strings.Contains(c.Check.Reason, "no service principal in this tenant") {
			t.Errorf("ended %v: %+v", ended, c.Check)
		}
		h.call(g.ID, "after all that")
	})
}

func (h *house) addTenant(name string) string {
	h.t.Helper()
	at, err := h.tenants.Add(h.boss(), tenantNamed(h.lab.Tenant(name).Domain))
	must(h.t, err)
	return at.ID
}

// begun has a check begin at another time.
func (h *house) begun(credentialID string, at time.Time) {
	h.t.Helper()
	h.sql("UPDATE registration_credentials SET check_begun_at = ? WHERE id = ?", at.UTC(), credentialID)
}

// Both client ids are served while people move from one to the other, and none of
// them is without a credential.
func TestReplacedRegistration(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, _ := h.made(graphRead()...)
		c, err := h.connections.Create(h.boss(), delegated(h.at.ID, g.ID))
		must(t, err)
		must(t, h.db.Change(t.Context(), signedIn(h, c.ID, h.clientID)))
		next := "0b000000-0000-4000-8000-000000000001"
		h.changes = nil

		details := registration.Details{Name: g.Name, Purpose: g.Purpose, Clients: map[string]string{"lab": next, "china": "11111111-2222-4333-8444-555555555555"}}
		_, err = h.Update(h.boss(), g.ID, registration.UpdateRequest{Details: details, Version: g.Version})
		if err == nil || !strings.Contains(err.Error(), "without a credential") {
			t.Fatalf("a new client id without a credential: %v", err)
		}
		ready, err := h.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Secret: secrets.New("value-of-the-next-app"), ClientID: next})
		must(t, err)
		if ready.State != registration.Active {
			t.Errorf("%s", ready.State)
		}
		h.call(g.ID, "before the change")
		g, err = h.Update(h.boss(), g.ID, registration.UpdateRequest{Details: details, Version: g.Version})
		must(t, err)
		if app, err := h.App(t.Context(), g.ID); err != nil || app.ClientID != next || app.Secret.Reveal() != "value-of-the-next-app" {
			t.Errorf("the new one: %v %v", app.ClientID, err)
		}
		if app, err := h.AppOf(t.Context(), g.ID, strings.ToUpper(h.clientID)); err != nil || app.ClientID != h.clientID || app.Secret.Empty() {
			t.Errorf("the former one: %v %v", app.ClientID, err)
		}
		if _, err := h.AppOf(t.Context(), g.ID, "11111111-2222-4333-8444-555555555555"); !errors.Is(err, registration.ErrMissing) {
			t.Errorf("another cloud's: %v", err)
		}
		if len(h.changes) != 2 || h.changes[1] != (registration.Change{RegistrationID: g.ID, What: registration.ChangedClientID, Old: h.clientID, New: next}) {
			t.Errorf("%+v", h.changes)
		}
		uses, err := h.Uses(h.boss(), g.ID)
		must(t, err)
		if len(uses) != 1 || !uses[0].Former || uses[0].ClientID != h.clientID {
			t.Errorf("%+v", uses)
		}
		former := ""
		for _, c := range g.Credentials {
			if c.ClientID == h.clientID {
				former = c.ID
			}
		}
		if _, err := h.Retire(h.boss(), g.ID, former); !errors.Is(err, registration.ErrInUse) {
			t.Errorf("retiring while somebody is left on it: %v", err)
		}
		must(t, h.db.Change(t.Context(), signedIn(h, c.ID, next)))
		if _, err := h.Retire(h.boss(), g.ID, former); err != nil {
			t.Errorf("retiring once nobody is: %v", err)
		}
		if err := h.Remove(h.boss(), g.ID); !errors.Is(err, registration.ErrUsed) {
			t.Errorf("removing what is used: %v", err)
		}
		if _, err := h.Create(h.boss(), registration.CreateRequest{Kind: registration.Public, Details: registration.Details{Name: "Another", Clients: map[string]string{"lab": h.clientID}}}); !errors.Is(err, registration.ErrTaken) {
			t.Errorf("a former client id of another: %v", err)
		}
	})
}

// When a credential was used last is noted, to the minute.
func TestUsed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, c := h.made()
		if c.UsedAt != nil {
			t.Fatal("used before it was")
		}
		h.call(g.ID, "first")
		first := h.credential(g.ID, c.ID).UsedAt
		h.lab.Advance(20 * time.Second)
		h.call(g.ID, "soon")
		if again := h.credential(g.ID, c.ID).UsedAt; first == nil || again == nil || !again.Equal(*first) {
			t.Errorf("%v, then %v", first, again)
		}
		h.lab.Advance(2 * time.Minute)
		h.call(g.ID, "later")
		if later := h.credential(g.ID, c.ID).UsedAt; later == nil || !later.After(first.Add(time.Minute)) {
			t.Errorf("%v, then %v", first, later)
		}
	})
}

// A check counts sign-ins in a row; and nothing is put into use that has ended, or
// that was retired.
func TestSwitchRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, _ := h.made()
		step := func(id string) registration.Credential {
			t.Helper()
			_, _, err := h.Advance(h.boss(), id)
			must(t, err)
			return h.credential(g.ID, id)
		}
		checked := func(in registration.CredentialRequest) registration.Credential {
			t.Helper()
			c, err := h.AddCredential(h.boss(), g.ID, in)
			must(t, err)
			_, err = h.Check(h.boss(), g.ID, c.ID, registration.CheckRequest{TenantID: h.at.ID})
			must(t, err)
			return c
		}
		key, value := h.addPassword("applications")
		again := checked(registration.CredentialRequest{Secret: value, Label: "taken away"})
		step(again.ID)
		if c := step(again.ID); c.Check.Successes != 2 {
			t.Fatalf("%+v", c.Check)
		}
		h.graph("POST", "applications(appId='"+h.clientID+"')/removePassword", map[string]any{"keyId": key})
		if c := step(again.ID); c.Check.Successes != 0 || c.Check.State != registration.CheckRunning || !strings.Contains(c.Check.Reason, "AADSTS7000215") {
			t.Errorf("after a refusal: %+v", c.Check)
		}

		_, value = h.addPassword("applications")
		end := h.lab.Now().Add(time.Hour)
		short := checked(registration.CredentialRequest{Secret: value, Label: "short", NotAfter: &end})
		for range registration.Successes {
			step(short.ID)
		}
		if c := h.credential(g.ID, short.ID); c.State != registration.Checked {
			t.Fatalf("%+v", c)
		}
		another, err := h.Create(h.boss(), registration.CreateRequest{Kind: registration.Confidential, Details: registration.Details{Name: "Another", Clients: map[string]string{"lab": "99999999-2222-4333-8444-555555555555"}}, Permissions: registration.SignInPermissions()})
		must(t, err)
		if _, err := h.Switch(h.boss(), another.ID, short.ID); !errors.Is(err, registration.ErrMissing) {
			t.Errorf("a credential of another registration: %v", err)
		}
		if _, err := h.Retire(h.boss(), another.ID, short.ID); !errors.Is(err, registration.ErrMissing) {
			t.Errorf("retiring a credential of another registration: %v", err)
		}
		h.lab.Advance(2 * time.Hour)
		if _, err := h.Switch(h.boss(), g.ID, short.ID); err == nil || !strings.Contains(err.Error(), "has ended") {
			t.Errorf("to what has ended: %v", err)
		}
		_, err = h.Retire(h.boss(), g.ID, short.ID)
		must(t, err)
		if _, err := h.Switch(h.boss(), g.ID, short.ID); !errors.Is(err, registration.ErrRetired) {
			t.Errorf("to what is retired: %v", err)
		}
	})
}
