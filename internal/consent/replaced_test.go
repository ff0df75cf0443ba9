package consent_test

import (
	"context"
	"testing"
	"time"

	"gatehouse/internal/consent"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// replace gives the first registration another client id; "" gives back its own.
func (h *house) replace(clientID string) {
	h.t.Helper()
	must(h.t, h.db.Change(h.boss(), func(ctx context.Context, tx *sqldb.Tx) error { return h.Replaced(ctx, tx, link) }))
	h.clientID = clientID
}

// connect is how the switch of a tenant stands.
func (h *house) connectSwitch(tenantID string) tenant.SwitchState {
	h.t.Helper()
	now, err := h.tenants.Get(h.boss(), tenantID)
	must(h.t, err)
	return now.Switch(tenant.Connect).State
}

// due counts the readings that are not planned for later.
func (h *house) due() (n int) {
	h.t.Helper()
	must(h.t, h.db.Read().NewRaw("SELECT count(*) FROM river_job WHERE kind = 'consent_read' AND state = 'available'").Scan(h.t.Context(), &n))
	return n
}

// A new client id takes effect at once: what was granted to the app before counts for
// nothing, the switch is not on by it, and a reading is due now, whatever is planned for
// the day. It is on again once the new app's consent was read back.
func TestReplaced(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at := h.add("Client Creek")
		h.read(at)
		_, token := h.ask(at.ID, link)
		browser := consent.NewBrowser()
		v := h.page(token, browser)
		_, err := h.Answer(t.Context(), h.walk("clientcreek", "carl", v.Address), browser, "192.0.2.1")
		must(t, err)
		if s := h.look(at.ID, link); s.State != consent.Granted || h.connectSwitch(at.ID) != tenant.On {
			t.Fatalf("before: %s, the switch is %s", s.State, h.connectSwitch(at.ID))
		}
		must(t, h.Plan(h.boss(), h.clock().Add(time.Hour)))
		before := h.due()
		h.replace(h.lab.Tenant("makermill").App("Mill Feed").ClientID)
		if s := h.status(at.ID); s.State != consent.Unknown || s.GrantedAt != nil || len(s.Held) != 0 || h.connectSwitch(at.ID) != tenant.Pending {
			t.Errorf("replaced: %+v, the switch is %s", s, h.connectSwitch(at.ID))
		}
		if got := h.due(); got != before+1 {
			t.Errorf("%d readings are due, after %d", got, before)
		}
		if s := h.look(at.ID, link); s.State != consent.Missing || len(h.news) != 0 || h.connectSwitch(at.ID) != tenant.Pending {
			t.Errorf("read: %s, told %v, the switch is %s", s.State, h.news, h.connectSwitch(at.ID))
		}
		h.replace("")
		if s := h.look(at.ID, link); s.State != consent.Granted || h.connectSwitch(at.ID) != tenant.On {
			t.Errorf("as it was: %s, the switch is %s", s.State, h.connectSwitch(at.ID))
		}
		before = h.due()
		must(t, h.db.Change(h.boss(), func(ctx context.Context, tx *sqldb.Tx) error { return h.Reasked(ctx, tx, link) }))
		if got := h.due(); got != before+1 {
			t.Errorf("after a new manifest %d readings are due, after %d", got, before)
		}
		must(t, h.db.Change(h.boss(), func(ctx context.Context, tx *sqldb.Tx) error { return h.Forget(ctx, tx, link) }))
		if got := h.connectSwitch(at.ID); got != tenant.Off {
			t.Errorf("removed, and the switch is %s", got)
		}
	})
}

// A reading that was at work when the app was replaced keeps nothing of what it read.
func TestReplacedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at := h.add("Lone Lake") // no reader: tokens alone
		h.ask(at.ID, link)
		old := h.lab.Tenant("makermill").App("Mill Link").ClientID
		now := ""
		h.fresh = func(_, registrationID, _ string) (login.Token, error) {
			app, err := h.registration(t.Context(), registrationID)
			must(t, err)
			if app.ClientID != old {
				return login.Token{}, consent.ErrNoToken
			}
			if now == "" {
				now = h.lab.Tenant("makermill").App("Mill Feed").ClientID
				h.replace(now)
			}
			return login.Token{Claims: login.Claims{TenantID: at.DirectoryID, Scopes: "User.Read Financials.ReadWrite.All"}}, nil
		}
		if s := h.look(at.ID, link); s.State != consent.Unknown || len(h.granted) != 0 || h.connectSwitch(at.ID) != tenant.Pending {
			t.Errorf("%+v, told granted %v, the switch is %s", s, h.granted, h.connectSwitch(at.ID))
		}
	})
}
