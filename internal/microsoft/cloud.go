package microsoft

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"crypto/tls"
)

// Cloud says where a Microsoft cloud is reached and what its certificates are
// checked against. Only process configuration makes one.
type Cloud struct {
	Name  string
	Login string // root of the sign-in service: "https://login.microsoftonline.com"
	Graph string // root of Microsoft Graph: "https://graph.microsoft.com"
	// GraphResource is the name under which tokens for Graph are asked. It is
	// the same as Graph but for clouds that are reached under another address.
	GraphResource string
	// SharePoint is the root of a SharePoint host, with {name} for its name;
	// SharePointResource is the same as tokens are asked for.
	SharePoint, SharePointResource string
	// BusinessCentral is the root of Business Central online, and the resource
	// of its tokens.
	BusinessCentral, BusinessCentralResource string
	// PartnerCenter is the root of Partner Center's API, and PartnerCenterResource
	// the resource of its tokens; "" where they are not known.
	PartnerCenter, PartnerCenterResource string
	// ExchangeResource is the resource of tokens for Exchange Online; "" where it
	// is not known.
	ExchangeResource string
	// Instance is the name by which tenants' metadata call the cloud; "" where
	// that is not known (entra-sign-in §2.2).
	Instance string
	// Roots are the trusted authorities; nil means the system's.
	Roots *x509.CertPool
}

// clouds are the public ones: hosts of entra-sign-in §1; those of SharePoint of
// sharepoint §1; the resources of Exchange as its own sign-in command has them
// for each environment (Connect-ExchangeOnline).
var clouds = map[string]Cloud{
	"public":    {Name: "public", Login: "https://login.microsoftonline.com", Graph: "https://graph.microsoft.com", SharePoint: "https://{name}.sharepoint.com", BusinessCentral: "https://api.businesscentral.dynamics.com", PartnerCenter: "https://api.partnercenter.microsoft.com", ExchangeResource: "https://outlook.office365.com", Instance: "microsoftonline.com"},
	"usgov":     {Name: "usgov", Login: "https://login.microsoftonline.us", Graph: "https://graph.microsoft.us", SharePoint: "https://{name}.sharepoint.us", ExchangeResource: "https://outlook.office365.us", Instance: "microsoftonline.us"},
	"usgov-dod": {Name: "usgov-dod", Login: "https://login.microsoftonline.us", Graph: "https://dod-graph.microsoft.us", SharePoint: "https://{name}.sharepoint-mil.us", ExchangeResource: "https://webmail.apps.mil", Instance: "microsoftonline.us"},
	"china":     {Name: "china", Login: "https://login.partner.microsoftonline.cn", Graph: "https://microsoftgraph.chinacloudapi.cn", SharePoint: "https://{name}.sharepoint.cn", ExchangeResource: "https://partner.outlook.cn", Instance: "partner.microsoftonline.cn"},
}

// FindCloud gives a cloud by name (public, usgov, usgov-dod, china, lab) or by
// the path of a lab's ready file or an endpoint file. The lab's ready file is
// the one that readyFile names.
func FindCloud(name, readyFile string) (Cloud, error) {
	if name == "lab" {
		if readyFile == "" {
			return Cloud{}, errors.New("cloud lab: GATEHOUSE_LAB is not set; it must name the ready file of a running lab ('gatehouse lab --ready-file FILE')")
		}
		return readCloud("lab", readyFile)
	}
	if c, ok := clouds[name]; ok {
		c.GraphResource = c.Graph
		c.SharePointResource, c.BusinessCentralResource, c.PartnerCenterResource = c.SharePoint, c.BusinessCentral, c.PartnerCenter
		return c, nil
	}
	if !strings.ContainsAny(name, "/.\\") {
		names := make([]string, 0, len(clouds))
		for n := range clouds {
			names = append(names, n)
		}
		sort.Strings(names)
		return Cloud{}, fmt.Errorf("no cloud is called %q: use lab, %s, or the path of a ready or endpoint file", name, strings.Join(names, ", "))
	}
	return readCloud(filepath.Base(name), name)
}

// readCloud reads a ready file ({"url","ca_file",…}) or an endpoint file
// ({"login","graph","graph_resource","ca_file"}).
func readCloud(name, file string) (Cloud, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Cloud{}, fmt.Errorf("reading cloud file: %w", err)
	}
	var f struct {
		URL           string `json:"url"`
		Login         string `json:"login"`
		Graph         string `json:"graph"`
		GraphResource string `json:"graph_resource"`
		CAFile        string `json:"ca_file"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return Cloud{}, fmt.Errorf("reading cloud file %s: %w", file, err)
	}
	c := Cloud{Name: name, Login: f.Login, Graph: f.Graph, GraphResource: f.GraphResource}
	if f.URL != "" {
		c = At(name, f.URL, nil)
	}
	if c.GraphResource == "" {
		c.GraphResource = clouds["public"].Graph
	}
	for member, value := range map[string]string{"login": c.Login, "graph": c.Graph, "graph_resource": c.GraphResource} {
		u, err := url.Parse(value)
		if value == "" || err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
			return Cloud{}, fmt.Errorf("cloud file %s: %s is %q, must be an address such as https://host[:port] (a ready file has it as url)", file, member, value)
		}
	}
	c.Login, c.Graph, c.GraphResource = strings.TrimRight(c.Login, "/"), strings.TrimRight(c.Graph, "/"), strings.TrimRight(c.GraphResource, "/")
	if f.CAFile != "" {
		path := f.CAFile
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file), path)
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return Cloud{}, fmt.Errorf("cloud file %s: reading ca_file: %w", file, err)
		}
		c.Roots = x509.NewCertPool()
		if !c.Roots.AppendCertsFromPEM(pem) {
			return Cloud{}, fmt.Errorf("cloud file %s: ca_file %s holds no certificate", file, path)
		}
	}
	return c, nil
}

// At is a cloud of which all services are reached under one address, and that
// takes the names of the public one's resources.
func At(name, root string, roots *x509.CertPool) Cloud {
	public := clouds["public"]
	return Cloud{
		Name: name, Login: root, Graph: root, GraphResource: public.Graph, Roots: roots, SharePoint: root + "/sharepoint/{name}", SharePointResource: public.SharePoint,
		BusinessCentral: root, BusinessCentralResource: public.BusinessCentral, PartnerCenter: root, PartnerCenterResource: public.PartnerCenter, ExchangeResource: public.ExchangeResource,
	}
}

// nameMark stands for the name in the roots of SharePoint's hosts.
const nameMark = "{name}"

// SharePointHost gives the root of one of a tenant's SharePoint hosts, and the
// resource of its tokens. The name is the tenant's own, with -admin behind it
// for the admin centre and -my for people's storage.
func (c Cloud) SharePointHost(name string) (root, resource string) {
	return strings.Replace(c.SharePoint, nameMark, name, 1), strings.Replace(c.SharePointResource, nameMark, name, 1)
}

// SharePointName takes an address apart that is below a SharePoint host of this
// cloud: the host's name and the path. No token is for any other address.
func (c Cloud) SharePointName(address string) (name, path string, ok bool) {
	for _, pattern := range []string{c.SharePoint, c.SharePointResource} {
		before, after, _ := strings.Cut(pattern, nameMark)
		rest, found := strings.CutPrefix(strings.TrimRight(address, "/"), before)
		if !found || before == "" {
			continue
		}
		end := strings.IndexFunc(rest, func(r rune) bool {
			return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
		if end < 0 {
			end = len(rest)
		}
		path, found = strings.CutPrefix(rest[end:], after)
		if found && end > 0 && plainPath(path) {
			return strings.ToLower(rest[:end]), path, true
		}
	}
	return "", "", false
}

// plainPath reports a path that stays below where it begins, also once it is
// decoded, and has nothing behind it.
func plainPath(path string) bool {
	decoded, err := url.PathUnescape(path)
	return err == nil && (path == "" || path[0] == '/') && !strings.ContainsAny(path, "?#\\") && !strings.ContainsAny(decoded, "\\\x00\r\n") && !strings.Contains(decoded, "/..")
}

// Transport gives an HTTP transport that trusts what the cloud trusts.
func (c Cloud) Transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
	}
}
