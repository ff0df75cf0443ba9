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
	// Roots are the trusted authorities; nil means the system's.
	Roots *x509.CertPool
}

// clouds are the public ones: hosts of entra-sign-in §1.
var clouds = map[string]Cloud{
	"public":    {Name: "public", Login: "https://login.microsoftonline.com", Graph: "https://graph.microsoft.com"},
	"usgov":     {Name: "usgov", Login: "https://login.microsoftonline.us", Graph: "https://graph.microsoft.us"},
	"usgov-dod": {Name: "usgov-dod", Login: "https://login.microsoftonline.us", Graph: "https://dod-graph.microsoft.us"},
	"china":     {Name: "china", Login: "https://login.partner.microsoftonline.cn", Graph: "https://microsoftgraph.chinacloudapi.cn"},
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
		c.Login, c.Graph = f.URL, f.URL
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
