package sharepoint_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/sharepoint"
)

func clouds(t testing.TB) map[string]microsoft.Cloud {
	out := map[string]microsoft.Cloud{"lab": microsoft.At("lab", "https://127.0.0.1:8443", nil)}
	for _, name := range []string{"public", "usgov", "china"} {
		c, err := microsoft.FindCloud(name, "")
		if err != nil {
			t.Fatal(err)
		}
		out[name] = c
	}
	return out
}

// Addresses are taken as people paste them, and only of the cloud's own hosts.
func TestAdminName(t *testing.T) {
	all := clouds(t)
	for _, test := range []struct{ cloud, address, name, says string }{
		{"public", "https://contoso-admin.sharepoint.com", "contoso", ""},
		{"public", " https://Contoso-Admin.SharePoint.com/_layouts/15/online/AdminHome.aspx", "contoso", ""},
		{"public", "https://con-my-admin.sharepoint.com/", "con-my", ""},
		{"usgov", "https://contoso-admin.sharepoint.us", "contoso", ""},
		{"china", "https://contoso-admin.sharepoint.cn", "contoso", ""},
		{"lab", "https://contoso-admin.sharepoint.com", "contoso", ""},
		{"lab", "https://127.0.0.1:8443/sharepoint/contoso-admin", "contoso", ""},
		{"public", "https://contoso-admin.sharepoint.us", "", "not below a SharePoint host of this cloud"},
		{"public", "https://contoso.sharepoint.com", "", "is where sites are"},
		{"public", "https://contoso-my.sharepoint.com", "", "files of their own"},
		{"public", "https://-admin.sharepoint.com", "", "names no tenant"},
		{"public", "http://contoso-admin.sharepoint.com", "", "no address"},
		{"public", "contoso-admin.sharepoint.com", "", "no address"},
		{"public", "https://contoso-admin.sharepoint.com@evil.example", "", "no address"},
		{"public", "https://contoso-admin.sharepoint.com.evil.example", "", "not below"},
		{"public", "https://evil.example/https://contoso-admin.sharepoint.com", "", "not below"},
		{"public", "https://contoso-admin.sharepoint.com:8443", "", "not below"},
		{"public", "https://a.contoso-admin.sharepoint.com", "", "not below"},
	} {
		name, err := sharepoint.AdminName(all[test.cloud], test.address)
		var wrong *sharepoint.NotHere
		if name != test.name || (test.says == "") != (err == nil) || err != nil && (!errors.As(err, &wrong) || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s %q: %q %v", test.cloud, test.address, name, err)
		}
	}
	for domain, want := range map[string]string{"contoso.onmicrosoft.com": "contoso", "Contoso.onmicrosoft.us": "contoso", "contoso.example": "", "contoso.mail.onmicrosoft.com": "", "": ""} {
		if got := sharepoint.FromDomain(domain); got != want {
			t.Errorf("%q: %q", domain, got)
		}
	}
}

// Whatever is typed, what comes out is an admin centre of the cloud, and the same
// when it is read again.
func FuzzAdminName(f *testing.F) {
	all := clouds(f)
	for _, s := range []string{"https://contoso-admin.sharepoint.com", "https://contoso-admin.sharepoint.com/%2e%2e/x", "https://x@contoso-admin.sharepoint.com", "https://contoso-admin.sharepoint.com\\@evil.example", "https://[::1]/-admin", "HTTPS://A-ADMIN.sharepoint.com?x#y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		name, err := sharepoint.AdminName(all["public"], address)
		if err != nil {
			return
		}
		at := sharepoint.AdminURL(all["public"], name)
		u, err := url.Parse(at)
		if err != nil || u.Scheme != "https" || u.Port() != "" || u.User != nil || u.Path != "" || strings.Count(u.Host, ".") != 2 || !strings.HasSuffix(u.Host, "-admin.sharepoint.com") {
			t.Fatalf("%q becomes %q", address, at)
		}
		if again, err := sharepoint.AdminName(all["public"], at); err != nil || again != name {
			t.Fatalf("%q: %q is read as %q, %v", address, at, again, err)
		}
	})
}
