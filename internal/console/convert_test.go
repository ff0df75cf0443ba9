package console_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
	"gatehouse/lab"
)

// profileTenants are a tenant with an old profile, one that was renamed, one with
// satellites, and one whose SharePoint has the name that another had.
const profileTenants = `{"tenants": [
 {"name": "Larch Lane", "domain": "larchlane.onmicrosoft.com", "licences": ["SPE_E3"],
  "users": [{"upn": "svc-vault@larchlane.onmicrosoft.com", "name": "Vault", "licences": ["SPE_E3"], "password": "Larch-lane-1976"}, {"upn": "lena.lark@larchlane.onmicrosoft.com", "name": "Lena Lark", "job_title": "Bookkeeper", "licences": ["SPE_E3"], "methods": [{"type": "phone", "phone": "+44 7700900123"}]}],
  "grants": [{"app": "Microsoft Graph Command Line Tools", "resource": "graph", "scopes": ["openid", "profile", "email", "offline_access", "User.Read"]}],
  "apps": [
   {"name": "Gatehouse reader", "purpose": "reader", "certificate": true, "granted": {"graph": ["Policy.Read.All", "AuditLog.Read.All", "UserAuthenticationMethod.Read.All", "User.Read.All", "GroupMember.Read.All", "RoleManagement.Read.Directory", "Application.Read.All", "Organization.Read.All"]}},
   {"name": "Lab administration", "purpose": "admin", "secret": true, "granted": {"graph": ["Application.ReadWrite.All"]}},
   {"name": "Vault app", "purpose": "service", "granted": {"sharepoint": ["Sites.FullControl.All"], "graph": ["Sites.Read.All"]}}]},
 {"name": "Maple Mall", "domain": "maplemall.onmicrosoft.com", "sharepoint": {"name": "maplegroup", "formerly": ["maplemall"]}},
 {"name": "Oak Office", "domain": "oakoffice.onmicrosoft.com", "sharepoint": {"location": "NAM", "satellites": [{"name": "oakofficeeur", "location": "EUR"}]},
  "apps": [{"name": "Lab administration", "purpose": "admin", "secret": true, "granted": {"graph": ["Application.ReadWrite.All"]}},
   {"name": "Oak files", "certificate": true, "secret": true, "granted": {"sharepoint": ["Sites.FullControl.All"], "graph": ["Sites.Read.All"]}}]}
]}`

func (h *house) profiled() {
	h.everywhere = true
	h.browsable()
	if _, err := h.lab.AddTenants(strings.NewReader(profileTenants)); err != nil {
		h.t.Fatal(err)
	}
}

// oldProfile is a profile with an app password, as it came from elsewhere.
func (h *house) oldProfile(user, name string) connection.Connection {
	h.t.Helper()
	const tenantName = "Larch Lane"
	at := h.add(tenantName)
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{
		TenantID: at.ID, Kind: connection.ServiceAccount, Existing: true,
		Profile: connection.Profile{Name: name, Username: h.at(tenantName).User(user).UPN, MFA: true, Services: []string{connection.SharePoint, connection.Graph},
			Consumer: connection.Consumer{Name: "Backup for Microsoft 365", HoldsCredential: connection.HeldHere, Accepts: []string{"certificate"}}},
		Credential: connection.CredentialRequest{Kind: connection.AppPassword, Password: secrets.New("abcdefghijklmnop")},
	})
	return must(h.t, made, err)
}

// TestConversion walks an old profile to an app, up to the hand-over sheet and
// the old account's end.
func TestConversion(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).profiled)
	cookie := h.administrator()
	old := h.oldProfile("svc-vault", "Vault")
	at, err := h.tenants.Get(h.boss(), old.TenantID)
	h.onboard(must(t, at, err))
	page := "/connections/" + old.ID
	b := h.browse(cookie)
	h.validate(old)

	b.open(page)
	b.sees("Limits of a profile with the MFA flag")
	b.sees("This is message 2 of three")
	b.sees("Global Administrator or SharePoint Administrator")
	b.look(screen{"profile", page})
	b.look(screen{"convert", page + "/convert"})
	b.size(1280, 900)
	b.open(page + "/convert")
	b.press("Begin")
	b.sees("Choose or make the app registration")
	b.look(screen{"conversion-begun", page + "/convert/app"})
	b.size(1280, 900)
	b.open(page + "/convert/app")
	b.fill("client_id", "nonsense")
	b.press("Use this registration")
	b.sees("is no application (client) id")
	client := h.at("Larch Lane").App("Vault app").ClientID
	b.fill("client_id", client)
	b.press("Use this registration")
	b.sees("The app registration is " + client)
	b.press("Store it")
	b.sees("A certificate was made here")
	b.press("The administrator has consented")
	b.sees("Consent was noted by Ada Person")
	c, err := h.conversions.Of(h.boss(), old.ID)
	app := must(t, c, err).AppID
	text, err := h.connections.Certificate(h.boss(), app)
	block, _ := pem.Decode([]byte(must(t, text, err)))
	h.administration("Larch Lane").upload(client, block.Bytes)
	b.press("Validate the app")
	h.eventually("the app was not validated", func() bool {
		now, err := h.connections.Get(h.boss(), app)
		return must(t, now, err).Verdict != ""
	})
	b.open(page + "/convert/app")
	b.sees("The app gets in")
	b.sees("not yet seen from the software")
	b.press("Look into the sign-in log")
	b.sees("entries arrive after minutes")
	b.press("Hand-over sheet")
	b.sees("Nothing on this sheet is secret")
	b.sees(client)
	b.look(screen{"sheet", page + "/convert/sheet"})
	b.size(1280, 900)
	b.open(page + "/convert/app")
	b.press("Take the certificate out, once")
	b.sees("It is shown only now")
	file := evaluate[string](b, `document.querySelector("main a[download]").href`)
	password := evaluate[string](b, `document.getElementById("password").textContent`)
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(file, "data:application/x-pkcs12;base64,"))
	if must(t, data, err); len(data) < 2000 || len(password) < 20 {
		t.Errorf("a file of %d bytes with password of %d letters", len(data), len(password))
	}
	evaluate[struct{}](b, axe(t)+"; ({})")
	b.accessible("handed over", allRules)
	v := h.visitor(cookie)
	again := v.post(page+"/convert/package", nil)
	if again.has(t, "handed over already"); strings.Contains(again.Text, "x-pkcs12") {
		t.Error("the certificate is handed over twice")
	}
	sheet := v.get(page + "/convert/sheet")
	if strings.Contains(sheet.Text, password) || strings.Contains(sheet.Text, "PRIVATE KEY") || strings.Contains(sheet.Text, "x-pkcs12") {
		t.Error("the sheet holds a secret")
	}
	if p := v.post(page+"/convert/app/retire", nil); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("the old profile is retired before its use was seen: %d", p.Status)
	}
	b.open(page + "/convert/app")
	b.press("I saw it work in the software")
	b.sees("Its sign-in was not seen in the log")
	b.look(screen{"conversion-last-step", page + "/convert/app"})
	b.size(1280, 900)
	b.open(page + "/convert/app")
	b.press("Park the old profile and finish")
	b.sees("Done. The old profile is parked.")
	now, err := h.connections.Get(h.boss(), old.ID)
	if !must(t, now, err).Parked {
		t.Error("the old profile is not parked")
	}
	entries, err := h.log.List(h.boss(), audit.Filter{TenantID: old.TenantID, ObjectID: old.ID, Limit: 50})
	for _, action := range []string{"conversion.started", "conversion.certificate_handed_over", "conversion.use_confirmed", "conversion.finished", "connection.retired"} {
		found := false
		for _, e := range must(t, entries, err) {
			found = found || e.Action == action
		}
		if !found {
			t.Errorf("the log has no %s", action)
		}
	}
	v.get("/connections/"+app).has(t, "This app took over from an older profile")
}

// TestConversionOwnKey takes the consumer's own certificate and its signing
// request: no key of it is ever here.
func TestConversionOwnKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).profiled)
	v := h.visitor(h.administrator())
	old := h.oldProfile("svc-vault", "Vault")
	page := "/connections/" + old.ID + "/convert/app"
	v.post(page, nil).has(t, "Choose or make the app registration")
	v.post(page+"/registration", url.Values{"client_id": {h.at("Larch Lane").App("Vault app").ClientID}})
	v.post(page+"/credential", url.Values{"way": {"signing"}}).has(t, "Signing request (PEM) is missing")
	v.post(page+"/credential", url.Values{"way": {"signing"}, "signing": {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}}).has(t, "cannot be used")
	v.post(page+"/credential", url.Values{"way": {"signing"}, "signing": {request(t)}}).has(t, "A certificate was made for the software")
	c, err := h.conversions.Of(h.boss(), old.ID)
	app, err2 := h.connections.Get(h.boss(), must(t, c, err).AppID)
	if must(t, app, err2); app.HasCredential || app.Thumbprint == "" || app.CredentialNotAfter == nil || app.Consumer.HoldsCredential != connection.HeldByConsumer {
		t.Errorf("%+v", app)
	}
	text, err := h.connections.Certificate(h.boss(), app.ID)
	block, _ := pem.Decode([]byte(must(t, text, err)))
	if parsed, err := x509.ParseCertificate(block.Bytes); err != nil || !strings.HasPrefix(parsed.Subject.CommonName, "Gatehouse ") {
		t.Errorf("%v %v", parsed, err)
	}
	if p := v.post("/connections/"+old.ID+"/convert/package", nil); p.Status != http.StatusConflict {
		t.Errorf("a key that is not here is handed over: %d", p.Status)
	}
	v.post(page+"/give-up", nil).has(t, "Given up")
	v.post(page+"/registration", url.Values{"client_id": {app.ClientID}}).has(t, "has ended")
}

// TestCommon converts a profile, undoes it, converts it again, and finds that
// nothing can be undone once the password was accepted.
func TestCommon(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).profiled)
	v := h.visitor(h.administrator())
	old := h.oldProfile("svc-vault", "Vault")
	path := "/connections/" + old.ID
	convert := func(password string) page {
		now, err := h.connections.Get(h.boss(), old.ID)
		return v.post(path+"/convert/common", url.Values{"version": {fmt.Sprint(must(t, now, err).Version)}, "password": {password}})
	}
	v.get(path+"/convert").has(t, "App password → <strong>the account", "Limits that go with the flag: 7")
	convert("").has(t, "Password is missing")
	convert(" blank").has(t, "begins or ends with a blank")
	convert("Larch-lane-1976").has(t, "common one now", "Undo the conversion")
	v.post(path+"/convert/undo", nil).has(t, "everything is as it was")
	if now, err := h.connections.Get(h.boss(), old.ID); !must(t, now, err).MFA || now.Credential != connection.AppPassword {
		t.Errorf("after the undoing: %+v", now)
	}
	opened, err := h.connections.Open(h.boss(), old.ID)
	if must(t, opened, err).Secret.Reveal() != "abcdefghijklmnop" {
		t.Error("the app password did not come back")
	}
	convert("Larch-lane-1976").has(t, "Undo the conversion")
	now, err := h.connections.Get(h.boss(), old.ID)
	h.validate(must(t, now, err))
	if p := v.post(path+"/convert/undo", nil); p.Status != http.StatusConflict || strings.Contains(p.Text, "Undo the conversion") {
		t.Errorf("undone after the password was accepted: %d", p.Status)
	}
	var kept int
	if err := h.db.SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM connections WHERE length(previous_secret) > 0 OR previous <> ''").Scan(&kept); err != nil || kept != 0 {
		t.Errorf("the app password is kept: %d %v", kept, err)
	}
}

// TestAdminCentre finds hosts of renamed tenants and of satellites, and refuses
// another tenant's admin centre with both names.
func TestAdminCentre(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).profiled)
	v := h.visitor(h.administrator())
	app := func(tenantName string) connection.Connection {
		at := h.add(tenantName)
		made, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.App,
			Profile:    connection.Profile{Name: "Files of " + tenantName, ClientID: "11111111-2222-3333-4444-555555555555", Services: []string{connection.SharePoint, connection.Graph}, Consumer: connection.Consumer{HoldsCredential: connection.HeldHere}},
			Credential: connection.CredentialRequest{Generate: true}})
		return must(t, made, err)
	}
	renamed, wide := app("Maple Mall"), app("Oak Office")
	path := "/connections/" + renamed.ID
	v.get(path).has(t, "Nobody has looked yet")
	v.post(path+"/sharepoint", nil).has(t, "maplegroup-<wbr>admin", "name from before the tenant&#39;s rename leads", "This tenant&#39;s", "No reader")
	edit := func(address string) page {
		now, err := h.connections.Get(h.boss(), renamed.ID)
		return v.post(path+"/edit", url.Values{"version": {fmt.Sprint(must(t, now, err).Version)}, "kind": {"app"}, "name": {now.Name}, "client_id": {now.ClientID}, "services": now.Services, "consumer.holds_credential": {connection.HeldHere}, "admin_url": {address}})
	}
	edit("https://oakoffice-admin.sharepoint.com").has(t, "is the admin centre of another tenant, Oak Office ("+h.at("Oak Office").ID+"), and this connection is of Maple Mall ("+h.at("Maple Mall").ID+")")
	edit("https://maplemall-admin.sharepoint.com").has(t, "enter https://maplegroup-admin.sharepoint.com")
	edit("https://nobody-admin.sharepoint.com").has(t, "is of a host that does not exist")
	edit("https://maplegroup.sharepoint.com").has(t, "the admin centre is https://maplegroup-admin.sharepoint.com")
	edit("https://admin.maple.example").has(t, "is not below a SharePoint host of this cloud")
	edit("https://MapleGroup-admin.sharepoint.com/_layouts/15/online/AdminHome.aspx").has(t, "The changes are stored", "Entered", "This tenant&#39;s")
	if now, err := h.connections.Get(h.boss(), renamed.ID); must(t, now, err).AdminURL != "https://maplegroup-admin.sharepoint.com" {
		t.Errorf("stored as %s", now.AdminURL)
	}
	// A host that is silent, or does not say whose it is, is unknown: neither the
	// tenant's nor nobody's.
	for fault, reason := range map[lab.Fault]string{{Service: "sharepoint", Kind: "reset"}: "It was not reached", {Service: "sharepoint", Kind: "status", Status: http.StatusServiceUnavailable}: "It answers 503 and does not say whose it is"} {
		added, err := h.lab.AddFault(fault)
		must(t, added, err)
		silent := v.post("/connections/"+wide.ID+"/sharepoint", nil)
		silent.has(t, reason)
		if found, err := h.sites.Get(h.boss(), wide.TenantID); must(t, found, err) == nil || len(found.Hosts) == 0 || found.Hosts[0].State != "unknown" {
			t.Errorf("%s: %+v", fault.Kind, found)
		}
		h.lab.ClearFaults()
	}
	// The validation of an app that may read sites learns all locations.
	at := h.at("Oak Office").App("Oak files")
	changed, err := h.connections.Update(h.boss(), wide.ID, connection.UpdateRequest{Version: wide.Version, Profile: connection.Profile{Name: "Oak files", ClientID: at.ClientID, Services: wide.Services, Consumer: wide.Consumer}})
	text, err2 := h.connections.Certificate(h.boss(), must(t, changed, err).ID)
	block, _ := pem.Decode([]byte(must(t, text, err2)))
	h.administration("Oak Office").upload(at.ClientID, block.Bytes)
	h.validate(changed)
	v.get("/connections/"+wide.ID).has(t, "as Microsoft Graph names it", "oakofficeeur-admin.sharepoint.com", "EUR")
}

// TestOwner warns of a person's own account with each sign named, and leaves
// unknown what cannot be read.
func TestOwner(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).profiled)
	v := h.visitor(h.administrator())
	person := h.oldProfile("lena.lark", "Lena's")
	path := "/connections/" + person.ID
	v.get(path).has(t, "Unknown: nobody has looked")
	v.post(path+"/owner", nil).has(t, "can only be read with the tenant&#39;s reader")
	at, err := h.tenants.Get(h.boss(), person.TenantID)
	h.onboard(must(t, at, err))
	v.post(path+"/owner", nil).has(t, "own", "Bookkeeper", "phone is registered", "licensed for a mailbox", "devices was not read")
	look, err := h.runs.LastLook(h.boss(), person.ID)
	if must(t, look, err).Conclusion != "likely" {
		t.Errorf("%+v", look)
	}
}

// request is a signing request of a consumer.
func request(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	der, err2 := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "backup.contoso.example"}}, must(t, key, err))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: must(t, der, err2)}))
}

// TestPasswordTyped tells while somebody types what the server says of the same
// password.
func TestPasswordTyped(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).profiled)
	old := h.oldProfile("svc-vault", "Vault")
	b := h.browse(h.administrator())
	b.open("/connections/" + old.ID + "/convert")
	for _, password := range []string{" Larch-lane-1976", "Larch-lane-1976\u00a0", "Short1", "abcdefghijklmnop", "Lärche+1976", "<Larch>-1976", strings.Repeat("aB1-", 65), "Larch-lane-1976"} {
		b.fill("password", password)
		var want []string
		for _, r := range connection.CheckPassword(password) {
			want = append(want, "It "+r.Problem+": "+r.Way+".")
		}
		got := evaluate[[]string](b, `[...document.querySelectorAll("[data-password] li:not([hidden])")].map(e => e.textContent.trim())`)
		if !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%q: told %q, want %q", password, got, want)
		}
	}
}
