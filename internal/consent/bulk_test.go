package consent_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/batch"
	"gatehouse/internal/consent"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/microsoft/partner"
	"gatehouse/internal/secrets"
)

// centre is what the lab's Partner Center never is: it answers with a byte order mark,
// as the real one does, names a foreign host for the next page, and is in trouble.
// Everything else is tried against the lab (TestPartnerOnboarding of the console).
type centre struct {
	mu     sync.Mutex
	there  map[string]bool
	bodies []string
	status int // of each consent; 0: as it should be
}

func customerID(n int) string { return fmt.Sprintf("c0c0c0c0-0000-4000-8000-%012d", n) }

func (c *centre) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer of-the-agent" || r.Header.Get("MS-RequestId") == "" || r.Header.Get("MS-CorrelationId") == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	say := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("\xef\xbb\xbf"))
		_ = json.NewEncoder(w).Encode(v)
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v1/customers":
		page, links := []any{}, map[string]any{}
		first := 0
		if r.URL.Query().Get("seekOperation") == "Next" {
			_, _ = fmt.Sscan(r.Header.Get("MS-ContinuationToken"), &first)
		}
		for n := first; n < first+2; n++ {
			page = append(page, map[string]any{"id": customerID(n), "companyProfile": map[string]any{"tenantId": customerID(n), "domain": fmt.Sprintf("c%d.example", n), "companyName": fmt.Sprintf("Customer %d", n)}})
		}
		if first == 0 {
			links["next"] = map[string]any{"uri": "https://evil.example/customers", "headers": []any{map[string]any{"key": "MS-ContinuationToken", "value": "2"}}}
		}
		say(http.StatusOK, map[string]any{"items": page, "links": links})
	case r.Method == http.MethodPost && len(parts) == 4 && parts[3] == "applicationconsents":
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		c.bodies = append(c.bodies, string(body))
		switch {
		case parts[2] == customerID(1):
			say(http.StatusForbidden, map[string]any{"code": 403, "description": "AADSTS90099: not authorised in the customer's tenant"})
		case c.status != 0:
			say(c.status, map[string]any{"error": map[string]any{"code": "busy", "message": "later"}})
		default:
			c.there[parts[2]] = true
			say(http.StatusCreated, map[string]any{})
		}
	default:
		w.WriteHeader(http.StatusTeapot)
	}
}

// A Partner Center that is not as the lab's: marks before its answers, pages that lead
// elsewhere, codes of the sign-in service, outages. What is asked is one API a call.
func TestOnboard(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := &centre{there: map[string]bool{}}
		server := httptest.NewTLSServer(c)
		defer server.Close()
		h.Cloud.PartnerCenter = server.URL
		h.Cloud.Roots = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		signedIn := login.Token{Access: secrets.New("of-the-agent")}
		h.partner = func() (login.Token, error) { return signedIn, nil }
		at := h.add("Partner Pond")
		connection := h.connect(at.ID)
		first, next, err := h.Customers(h.boss(), at.ID, connection, link, "")
		must(t, err)
		second, last, err := h.Customers(h.boss(), at.ID, connection, link, next)
		must(t, err)
		if len(first) != 2 || len(second) != 2 || first[0].ID != customerID(0) || second[0].Name != "Customer 2" || last != "" {
			t.Fatalf("%v %q, %v %q", first, next, second, last)
		}
		ask := func(customers ...consent.Customer) string {
			var asked []consent.CustomerRef
			for _, one := range customers {
				asked = append(asked, consent.CustomerRef{ID: one.ID, Name: one.Name})
			}
			b, err := h.Onboard(h.boss(), consent.OnboardRequest{TenantID: at.ID, ConnectionID: connection, RegistrationID: link, Customers: asked})
			must(t, err)
			h.work(b.ID)
			return h.outcomes(b.ID)
		}
		if got := ask(first...); got != "changed error" {
			t.Errorf("outcomes: %s", got)
		}
		slices.Sort(c.bodies)
		if len(c.bodies) != 3 || !strings.Contains(c.bodies[0], `"scope":"openid, offline_access, User.Read"`) || c.bodies[0] != c.bodies[1] || strings.Contains(c.bodies[0], bcID) || !strings.Contains(c.bodies[2], bcID) {
			t.Errorf("sent: %v", c.bodies)
		}
		page, _, err := h.Customers(h.boss(), at.ID, connection, link, "")
		must(t, err)
		if page[0].State != consent.Onboard || page[1].State != consent.Refused || !strings.Contains(page[1].Note, "AADSTS90099") || !strings.Contains(page[1].Note, "admin agent") {
			t.Errorf("%+v", page)
		}
		c.status = http.StatusServiceUnavailable
		if got := ask(second[0]); got != "error" || len(c.bodies) != 4 {
			t.Errorf("in trouble: %s, %d calls", got, len(c.bodies))
		}
		signedIn.Claims.AppID = "99999999-2222-4333-8444-555555555555"
		if got := ask(second[1]); got != "error" || len(c.bodies) != 4 {
			t.Errorf("by a token of another app: %s, %d calls", got, len(c.bodies))
		}
		if second, _, err = h.Customers(h.boss(), at.ID, connection, link, next); err != nil || !strings.Contains(second[0].Note, "try again later") || !strings.Contains(second[1].Note, "another app") {
			t.Errorf("%+v, %v", second, err)
		}
		for why, bad := range map[string]consent.OnboardRequest{
			"another registration": {RegistrationID: feed, Customers: []consent.CustomerRef{{ID: customerID(0)}}},
			"an id that is none":   {RegistrationID: link, Customers: []consent.CustomerRef{{ID: "../x"}}},
			"nobody":               {RegistrationID: link},
		} {
			bad.TenantID, bad.ConnectionID = at.ID, connection
			if _, err := h.Onboard(h.boss(), bad); err == nil {
				t.Errorf("%s is taken", why)
			}
		}
		if _, err := partner.New(partner.Config{Cloud: microsoft.Cloud{}}); err == nil {
			t.Error("there is a Partner Center in a cloud that has none")
		}
	})
}

// connect puts a connection into a tenant.
func (h *house) connect(tenantID string) string {
	h.t.Helper()
	made, err := h.connections.Create(h.boss(), connectionOf(tenantID))
	must(h.t, err)
	return made.ID
}

// work does the open items of a batch.
func (h *house) work(id string) {
	h.t.Helper()
	h.startQueue()
	for range 3000 {
		b, err := h.batches.Get(h.boss(), id)
		must(h.t, err)
		if b.State != batch.Running {
			return
		}
		<-h.tick.C
	}
	h.t.Fatal("the batch does not end")
}

func (h *house) outcomes(id string) string {
	h.t.Helper()
	var out []string
	must(h.t, h.db.Read().NewRaw("SELECT outcome FROM batch_items WHERE batch_id = ? ORDER BY seq", id).Scan(h.t.Context(), &out))
	return strings.Join(out, " ")
}
