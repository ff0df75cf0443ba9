package operator_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/sso"
	"gatehouse/internal/sso/ssotest"
)

const callback = "https://gatehouse.contoso.example/sign-in/sso/callback"

// directory is a house whose operators sign in through a strict provider, which
// has the house's clock.
type directory struct {
	*house
	issuer *ssotest.Provider
	web    *http.Client
}

func newDirectory(t *testing.T, db *sqldb.DB) *directory {
	d := &directory{issuer: ssotest.Start(t, callback)}
	d.house = newHouse(t, db, func(c *operator.Config) {
		p, err := sso.New(sso.Config{Issuer: d.issuer.URL, ClientID: ssotest.ClientID, Secret: secrets.New(ssotest.Secret), Name: "Contoso", Redirect: callback, Roots: d.issuer.Roots, Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		c.SSO = p
	})
	d.issuer.Twist(ssotest.Twist{Claims: func(c map[string]any) { c["iat"], c["exp"] = d.now().Unix(), d.now().Add(time.Minute).Unix() }})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.issuer.Roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	d.web = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return d
}

// goThere takes a browser to the issuer and gives what it comes back with.
func (d *directory) goThere(link *operator.Session) (secrets.Value, sso.Answer) {
	d.t.Helper()
	d.pass(10 * time.Second)
	address, token, err := d.BeginSSO(d.t.Context(), link, "/", here)
	response, err2 := d.web.Get(must(d.house, address, err)) //nolint:bodyclose // in the next line
	must(d.house, response, err2).Body.Close()
	back, err := response.Location()
	q := must(d.house, back, err).Query()
	return token, sso.Answer{Code: q.Get("code"), State: q.Get("state"), Issuer: q.Get("iss")}
}

func (d *directory) signOn() (operator.Issued, error) {
	d.t.Helper()
	token, answer := d.goThere(nil)
	issued, _, err := d.FinishSSO(d.t.Context(), token, answer, here)
	return issued, err
}

func (d *directory) assign(kind, object string, tenant string, role audit.Role) operator.Assignment {
	d.t.Helper()
	a, err := d.Assign(d.system(), operator.Assignment{Kind: kind, ObjectID: object, TenantID: tenant}, role)
	return must(d.house, a, err)
}

func reason(err error) sso.Reason {
	if refusal, ok := errors.AsType[*sso.Refusal](err); ok {
		return refusal.Reason
	}
	return sso.Reason("another error")
}

// What the directory gives ends by itself: a session after an hour, a key's
// rights three days after the last sign-in. Nothing in the session prolongs it.
func TestDirectoryRightsEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDirectory(t, db)
		d.assign(operator.GroupKind, "engineers", "t1", audit.Engineer)
		d.issuer.Is(ssotest.Person{Subject: "s1", Email: "eva@contoso.example", Name: "Eva", Groups: []string{"engineers", "others"}})
		issued, err := d.signOn()
		if must(d.house, issued, err); issued.Session.Method != operator.SSO || issued.Session.Stage != operator.StageSignedIn {
			t.Fatalf("%+v", issued.Session)
		}
		as := d.as(issued)
		if !audit.May(as, "t1", audit.ConnectionManage) || audit.May(as, "t2", audit.TenantView) {
			t.Error("the roles are not those of the group")
		}
		_, key := d.key(as, operator.KeyRequest{Name: "x", Permissions: []audit.Permission{audit.ConnectionView}, Tenants: []string{"t1"}})
		if _, err := d.BeginTOTPEnrolment(t.Context(), issued.Session); !errors.Is(err, operator.ErrNotLocal) {
			t.Errorf("enrolling a factor: %v", err)
		}
		if err := d.ChangePassword(t.Context(), issued.Session, secrets.Value{}, secrets.New(goodPassword), here); !errors.Is(err, operator.ErrNotLocal) {
			t.Errorf("setting a password: %v", err)
		}
		if _, _, err := d.BeginSSO(t.Context(), issued.Session, "/", here); !errors.Is(err, operator.ErrNotLocal) {
			t.Errorf("linking: %v", err)
		}
		d.pass(30 * time.Minute)
		d.as(issued) // uses it
		d.pass(29 * time.Minute)
		d.as(issued)
		d.pass(2 * time.Minute)
		if _, _, err := d.Authenticate(t.Context(), issued.Token, here); !errors.Is(err, operator.ErrSession) {
			t.Errorf("after an hour: %v", err)
		}
		if now := d.by(key); !audit.May(now, "t1", audit.ConnectionView) {
			t.Error("the key ended with the session")
		}
		d.pass(71 * time.Hour)
		if now := d.by(key); audit.May(now, "t1", audit.ConnectionView) {
			t.Error("three days after the last sign-in the key still can")
		}
		if _, err := d.signOn(); err != nil {
			t.Fatal(err)
		}
		if now := d.by(key); !audit.May(now, "t1", audit.ConnectionView) {
			t.Error("after another sign-in the key cannot")
		}
		// Out of the group, and the next sign-in shows it: the key has nothing left.
		d.issuer.Is(ssotest.Person{Subject: "s1", Email: "eva@contoso.example", Name: "Eva", Groups: []string{"others"}})
		if _, err := d.signOn(); reason(err) != sso.NoAccess {
			t.Errorf("out of the group: %v", err)
		}
		if now := d.by(key); audit.May(now, "t1", audit.ConnectionView) {
			t.Error("whoever left the group has a key that still can")
		}
	})
}

// The same person is the same operator, whatever they are called; another person
// with the same address is not.
func TestDirectoryIdentity(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDirectory(t, db)
		d.assign(operator.GroupKind, "all", "t1", audit.Viewer)
		d.issuer.Is(ssotest.Person{Subject: "s1", Email: "Eva@Contoso.example", Name: "Eva", Groups: []string{"all"}})
		first, err := d.signOn()
		must(d.house, first, err)
		d.issuer.Is(ssotest.Person{Subject: "s1", Email: "eva.new@contoso.example", Name: "Eva New", Groups: []string{"all"}})
		second, err := d.signOn()
		if must(d.house, second, err); first.Session.OperatorID != second.Session.OperatorID {
			t.Error("a person who changed their name is another operator")
		}
		d.issuer.Is(ssotest.Person{Subject: "s2", Email: "eva@contoso.example", Name: "Eva", Groups: []string{"all"}})
		if _, err := d.signOn(); reason(err) != sso.AddressUsed {
			t.Errorf("another person with the address: %v", err)
		}
		d.issuer.Is(ssotest.Person{Subject: "s3", Email: "no address", Groups: []string{"all"}})
		third, err := d.signOn()
		if o := must(d.house, third, err).Session.Operator; o.Email == "no address" || o.Name == "" {
			t.Errorf("without an address: %+v", o)
		}
		if n := len(d.find("eva@contoso.example").Accounts); n != 1 {
			t.Errorf("%d directory accounts", n)
		}
		// Whose link it is follows the session that began it, and only a fresh one
		// begins.
		ada := d.administrator()
		d.issuer.Is(ssotest.Person{Subject: "s4", Email: "other@contoso.example", Name: "Ada"})
		token, answer := d.goThere(ada.Session)
		if issued, _, err := d.FinishSSO(t.Context(), token, answer, here); err != nil || issued.Session != nil {
			t.Fatalf("linking: %v", err)
		}
		entered, err := d.signOn()
		if must(d.house, entered, err); entered.Session.OperatorID != ada.Session.OperatorID {
			t.Error("the linked account is another operator")
		}
		d.pass(time.Hour)
		if _, _, err := d.BeginSSO(t.Context(), ada.Session, "/", here); !errors.Is(err, operator.ErrStale) {
			t.Errorf("linking an hour after signing in: %v", err)
		}
	})
}

// A sign-in that was begun is answered within ten minutes, and by the sweep it is
// forgotten.
func TestDirectoryFlowLapses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDirectory(t, db)
		d.assign(operator.PersonKind, "s1", "t1", audit.Viewer)
		d.issuer.Is(ssotest.Person{Subject: "s1", Email: "eva@contoso.example", Name: "Eva"})
		token, answer := d.goThere(nil)
		d.pass(10 * time.Minute)
		if _, _, err := d.FinishSSO(t.Context(), token, answer, here); reason(err) != sso.Lapsed {
			t.Errorf("after ten minutes: %v", err)
		}
		d.pass(time.Hour)
		if err := d.Sweep(d.system()); err != nil {
			t.Fatal(err)
		}
		if n, err := db.Read().NewSelect().TableExpr("sso_flows").Count(t.Context()); err != nil || n != 0 {
			t.Errorf("%d sign-ins are kept, %v", n, err)
		}
	})
}

// Assignments are the matter of each tenant's own administrators.
func TestAssignments(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		d := newDirectory(t, db)
		d.administrator()
		own := d.as(d.member("eve@contoso.example", map[string]audit.Role{"t1": audit.Administrator}))
		a, err := d.Assign(own, operator.Assignment{Kind: operator.GroupKind, ObjectID: "g", TenantID: "t1"}, audit.Viewer)
		must(d.house, a, err)
		if _, err := d.Assign(own, operator.Assignment{Kind: operator.GroupKind, ObjectID: "g", TenantID: "t1"}, audit.Engineer); !errors.Is(err, operator.ErrAssigned) {
			t.Errorf("twice: %v", err)
		}
		var refused *audit.Refused
		for _, tenant := range []string{"t2", audit.AllTenants} {
			if _, err := d.Assign(own, operator.Assignment{Kind: operator.GroupKind, ObjectID: "g", TenantID: tenant}, audit.Viewer); !errors.As(err, &refused) {
				t.Errorf("a role in %q: %v", tenant, err)
			}
		}
		other := d.assign(operator.GroupKind, "g", "t2", audit.Viewer)
		if all, err := d.Assignments(own); err != nil || len(all) != 1 || all[0].ID != a.ID {
			t.Errorf("the list: %+v %v", all, err)
		}
		if err := d.Unassign(own, other.ID); !errors.As(err, &refused) || !refused.Hidden {
			t.Errorf("another tenant's: %v", err)
		}
		if err := d.Unassign(own, a.ID); err != nil {
			t.Errorf("one's own: %v", err)
		}
		for _, wrong := range []operator.Assignment{
			{Kind: "robot", ObjectID: "g", TenantID: "t1"}, {Kind: operator.GroupKind, TenantID: "t1"}, {Kind: operator.GroupKind, ObjectID: "g", TenantID: "t1", Directory: "https://other.example"},
			{Kind: operator.GroupKind, ObjectID: "g\n", Name: "a\nb", TenantID: "t1"},
		} {
			if _, err := d.Assign(own, wrong, audit.Viewer); err == nil {
				t.Errorf("%+v is taken", wrong)
			}
		}
		if _, err := d.Assign(own, operator.Assignment{Kind: operator.GroupKind, ObjectID: "g", TenantID: "t1"}, 9); err == nil {
			t.Error("a role that there is not")
		}
	})
}
