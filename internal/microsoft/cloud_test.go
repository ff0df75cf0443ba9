package microsoft_test

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/microsoft"
)

func named(t testing.TB, name string) microsoft.Cloud {
	t.Helper()
	c, err := microsoft.FindCloud(name, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Partner Center is known in the public cloud, and a lab is one, under its own
// address and with the same resource.
func TestPartnerCenter(t *testing.T) {
	const root = "https://api.partnercenter.microsoft.com"
	if c := named(t, "public"); c.PartnerCenter != root || c.PartnerCenterResource != root {
		t.Errorf("public: %q, %q", c.PartnerCenter, c.PartnerCenterResource)
	}
	if c := named(t, "usgov"); c.PartnerCenter != "" || c.PartnerCenterResource != "" {
		t.Errorf("usgov: %q, %q", c.PartnerCenter, c.PartnerCenterResource)
	}
	if c := microsoft.At("lab", "https://127.0.0.1:8443", nil); c.PartnerCenter != "https://127.0.0.1:8443" || c.PartnerCenterResource != root {
		t.Errorf("lab: %q, %q", c.PartnerCenter, c.PartnerCenterResource)
	}
}

// Addresses below a SharePoint host are taken apart; no other one is taken for one.
func TestSharePointName(t *testing.T) {
	public, lab := named(t, "public"), microsoft.At("lab", "https://127.0.0.1:8443", nil)
	for _, test := range []struct {
		cloud      microsoft.Cloud
		address    string
		name, path string
		ok         bool
	}{
		{public, "https://contoso.sharepoint.com", "contoso", "", true},
		{public, "https://Contoso.sharepoint.com/sites/finance/", "contoso", "/sites/finance", true},
		{public, "https://contoso-admin.sharepoint.com", "contoso-admin", "", true},
		{named(t, "usgov"), "https://contoso.sharepoint.us/sites/x", "contoso", "/sites/x", true},
		{named(t, "usgov-dod"), "https://contoso.sharepoint-mil.us", "contoso", "", true},
		{named(t, "china"), "https://contoso.sharepoint.cn", "contoso", "", true},
		{lab, "https://127.0.0.1:8443/sharepoint/contoso/sites/x", "contoso", "/sites/x", true},
		{lab, "https://contoso.sharepoint.com/sites/x", "contoso", "/sites/x", true},
		{public, "https://contoso.sharepoint.us", "", "", false},
		{named(t, "china"), "https://contoso.sharepoint.com", "", "", false},
		{public, "http://contoso.sharepoint.com", "", "", false},
		{public, "https://contoso.sharepoint.com.attacker.example", "", "", false},
		{public, "https://contoso.sharepoint.com@attacker.example", "", "", false},
		{public, "https://contoso.sharepoint.com:443@attacker.example", "", "", false},
		{public, "https://contoso.sharepoint.com:8443", "", "", false},
		{public, "https://a.b.sharepoint.com", "", "", false},
		{public, "https://.sharepoint.com", "", "", false},
		{public, "https://contoso.sharepoint.com/sites/../_api", "", "", false},
		{public, "https://contoso.sharepoint.com/%2e%2E/_api", "", "", false},
		{public, "https://contoso.sharepoint.com/sites/%2F%2e%2e", "", "", false},
		{public, "https://contoso.sharepoint.com/sites/%zz", "", "", false},
		{public, "https://contoso.sharepoint.com/sites/Q3%20plan", "contoso", "/sites/Q3%20plan", true},
		{public, "https://contoso.sharepoint.com/sites?x=1", "", "", false},
		{public, "https://contoso.sharepoint.com#x", "", "", false},
		{public, `https://contoso.sharepoint.com\@attacker.example`, "", "", false},
		{microsoft.Cloud{}, "https://contoso.sharepoint.com", "", "", false},
	} {
		if name, path, ok := test.cloud.SharePointName(test.address); name != test.name || path != test.path || ok != test.ok {
			t.Errorf("%s: %q, %q, %t", test.address, name, path, ok)
		}
	}
}

// FuzzSharePointName: whatever is taken for an address of SharePoint leads, put
// together again, to a host below SharePoint's own name and to no other.
func FuzzSharePointName(f *testing.F) {
	for _, seed := range []string{"https://contoso.sharepoint.com/sites/finance", "https://contoso.sharepoint.com:443@attacker.example/x", "https://contoso.sharepoint.com/%2e%2e/x", "https://127.0.0.1:8443/sharepoint/contoso-my/x", "https://contoso.sharepoint-mil.us//attacker.example", "https://contoso.sharepoint.cn/ü"} {
		f.Add(seed)
	}
	clouds := map[string]microsoft.Cloud{".sharepoint.com": named(f, "public"), ".sharepoint.us": named(f, "usgov"), ".sharepoint-mil.us": named(f, "usgov-dod"), ".sharepoint.cn": named(f, "china")}
	f.Fuzz(func(t *testing.T, address string) {
		for suffix, cloud := range clouds {
			name, path, ok := cloud.SharePointName(address)
			if !ok {
				if name != "" || path != "" {
					t.Errorf("%q: %q %q, though it is none", address, name, path)
				}
				continue
			}
			root, resource := cloud.SharePointHost(name)
			for _, built := range []string{root + path + "/_api/web", resource + "/.default"} {
				u, err := url.Parse(built)
				if err != nil {
					continue // the client refuses it
				}
				if u.Scheme != "https" || u.User != nil || u.Host != name+suffix || u.RawQuery != "" || u.Fragment != "" || strings.Contains(u.Path, "/..") {
					t.Errorf("%q leads to %q (host %q)", address, built, u.Host)
				}
			}
		}
	})
}
