package graphsim

import (
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// TestOwnKeys: an app needs no permission to roll its own keys, and has none for
// another's, whatever it owns.
func TestOwnKeys(t *testing.T) {
	w := newWorld(t)
	without := func(client string) caller {
		return func(c *token.Claims) { app()(c); c.AppID, c.ObjectID = w.ids["client "+client], w.ids[client] }
	}
	w.store.Update(harbour, func(d *directory.Tenant) {
		for _, a := range d.Apps {
			a.Owners = append(a.Owners, w.ids["Portal"])
		}
	})
	for _, set := range []string{"applications", "servicePrincipals"} {
		vars, body := prepareKey(w, &route{pattern: set + "/{id}/addKey", segments: []string{set}})
		path := "/v1.0/" + set + "/" + vars[0] + "/addKey"
		w.must(403, without("Portal"), "POST", path, body)
		w.must(200, without("Reader"), "POST", path, body)
		w.must(403, without("Reader"), "POST", "/v1.0/"+set+"/"+vars[0]+"/addPassword", `{}`) // that is not among them
	}
}

// TestSigningCertificate: three credentials come of a signing key, joined by their
// identifier; the registration shows none of them.
func TestSigningCertificate(t *testing.T) {
	w := newWorld(t)
	path := "/v1.0/servicePrincipals/" + w.ids["Reader"]
	for _, bad := range []string{`{"displayName": "harbour"}`, `{"displayName": "CN=harbour", "endDateTime": "2031-01-01T00:00:00Z"}`, `{"displayName": "CN=harbour", "endDateTime": "2020-01-01T00:00:00Z"}`} {
		w.must(400, everything, "POST", path+"/addTokenSigningCertificate", bad)
	}
	made := w.must(200, everything, "POST", path+"/addTokenSigningCertificate", `{"displayName": "CN=harbour", "endDateTime": "2027-03-01T00:00:00Z"}`)
	w.must(204, everything, "PATCH", path, `{"preferredTokenSigningKeyThumbprint": "`+made.body["thumbprint"].(string)+`"}`)
	r := w.must(200, everything, "GET", path+"?$select=keyCredentials,passwordCredentials,preferredTokenSigningKeyThumbprint", "")
	if r.body["preferredTokenSigningKeyThumbprint"] != made.body["thumbprint"] {
		t.Errorf("preferred: %s", r.text)
	}
	usages, private := map[string]string{}, ""
	for _, v := range r.body["keyCredentials"].([]any) {
		k := v.(map[string]any)
		if k["customKeyIdentifier"] == made.body["customKeyIdentifier"] {
			usages[k["usage"].(string)] = k["type"].(string)
			if k["usage"] == "Sign" {
				private = k["keyId"].(string)
			}
			if k["endDateTime"] != "2027-03-01T00:00:00Z" || k["key"] != nil {
				t.Errorf("key: %v", k)
			}
		}
	}
	if usages["Sign"] != "X509CertAndPassword" || usages["Verify"] != "AsymmetricX509Cert" {
		t.Errorf("keys: %v", usages)
	}
	opens := 0
	for _, v := range r.body["passwordCredentials"].([]any) {
		if p := v.(map[string]any); p["customKeyIdentifier"] == made.body["customKeyIdentifier"] && p["keyId"] == private {
			opens++
		}
	}
	if opens != 1 {
		t.Errorf("%d passwords open the key", opens)
	}
	if app := w.must(200, everything, "GET", "/v1.0/applications/"+w.ids["app Reader"]+"?$select=keyCredentials", ""); strings.Contains(app.text, made.body["keyId"].(string)) {
		t.Errorf("the registration shows it: %s", app.text)
	}
}

// TestCredentialUses: the report names the last sign-in with each credential, and
// no refused one.
func TestCredentialUses(t *testing.T) {
	w := newWorld(t)
	w.store.Update(harbour, func(d *directory.Tenant) {
		for i, status := range []int{0, 0, 7000222} {
			d.Log(&directory.SignIn{ID: directory.NameID("sign-in", string(rune('a'+i))), Time: testNow.Add(time.Duration(i) * time.Minute), ClientID: w.ids["client Reader"], PrincipalID: w.ids["Reader"],
				KeyID: "11111111-0000-4000-8000-000000000001", CredentialType: "clientSecret", Status: status})
		}
	})
	w.must(400, everything, "GET", "/v1.0/reports/appCredentialSignInActivities", "") // beta alone has it
	r := w.must(200, everything, "GET", "/beta/reports/appCredentialSignInActivities", "")
	if len(r.value()) != 1 || at(r.value()[0], "keyId") != "11111111-0000-4000-8000-000000000001" || at(r.value()[0], "signInActivity", "lastSignInDateTime") != testNow.Add(time.Minute).Format(time.RFC3339) {
		t.Errorf("uses: %s", r.text)
	}
}
