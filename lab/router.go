package lab

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/bcsim"
	"gatehouse/lab/internal/pcsim"
	"gatehouse/lab/internal/spsim"
	"gatehouse/lab/internal/sts"
)

// quiet drops what net/http would log: broken handshakes of clients that do
// not trust the lab are the client's to report.
var quiet = log.New(io.Discard, "", 0)

// Services of the lab.
const (
	loginService           = "login"
	graphService           = "graph"
	sharePointService      = "sharepoint"
	businessCentralService = "business_central"
	partnerCenterService   = "partner_center"
	federationService      = "federation"
)

// clouds are the real clouds whose names the lab answers to on loopback
// (entra-sign-in §1). The first login host is the one that clients are sent to.
var clouds = []sts.Cloud{
	{Instance: "microsoftonline.com", Login: []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}, Cache: "login.windows.net",
		Graph: []string{"graph.microsoft.com"}},
	{Instance: "microsoftonline.com", Login: []string{"login-us.microsoftonline.com"}, Cache: "login-us.microsoftonline.com", Graph: []string{"graph.microsoft.com"}},
	{Instance: "microsoftonline.us", Login: []string{"login.microsoftonline.us", "login.usgovcloudapi.net"}, Cache: "login.microsoftonline.us",
		Graph: []string{"graph.microsoft.us", "dod-graph.microsoft.us"}},
	{Instance: "partner.microsoftonline.cn", Login: []string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"}, Cache: "login.partner.microsoftonline.cn",
		Graph: []string{"microsoftgraph.chinacloudapi.cn"}},
}

func realHosts(of func(sts.Cloud) []string) []string {
	var out []string
	for _, c := range clouds {
		out = append(out, of(c)...)
	}
	return out
}

var (
	loginHosts = realHosts(func(c sts.Cloud) []string { return c.Login })
	graphHosts = realHosts(func(c sts.Cloud) []string { return c.Graph })
)

// hostNames are the names that a lab answers to.
type hostNames struct {
	own  []string // loopback names or the address that it listens on
	real bool     // Microsoft's names as well: on loopback only
	// federated reports names of federation servers and workload issuers; nil:
	// there are none.
	federated func(host string) bool
}

// serverNames decides the names by the address of the listener. A lab that
// others can reach never answers to Microsoft's names.
func serverNames(address string) hostNames {
	if loopback(address) {
		return hostNames{own: []string{"localhost", "127.0.0.1", "::1"}, real: true}
	}
	host, _, _ := net.SplitHostPort(address)
	names := []string{"localhost", "127.0.0.1", "::1"}
	if !slices.Contains(names, host) {
		names = append(names, host)
	}
	return hostNames{own: names}
}

// service gives the service that a host name stands for: "" for the lab's own
// names, which carry all services by path.
func (n hostNames) service(host string) (string, bool) {
	host = strings.ToLower(strings.Trim(host, "[]"))
	switch {
	case slices.Contains(n.own, host):
		return "", true
	case n.real && slices.Contains(loginHosts, host):
		return loginService, true
	case n.real && slices.Contains(graphHosts, host):
		return graphService, true
	case n.real && host == bcsim.Host:
		return businessCentralService, true
	case n.real && host == pcsim.Host:
		return partnerCenterService, true
	case n.real && spsim.IsHost(host):
		return sharePointService, true
	case n.federated != nil && n.federated(host):
		return federationService, true
	}
	return "", false
}

// signIn reports whether browsers reach the sign-in service under a name.
func (n hostNames) signIn(host string) bool {
	return slices.Contains(n.own, strings.Trim(host, "[]")) || n.real && slices.Contains(loginHosts, host)
}

func (n hostNames) certificate() []string {
	if !n.real {
		return n.own
	}
	return slices.Concat(n.own, loginHosts, graphHosts, []string{bcsim.Host, pcsim.Host, "*.sharepoint.com", "*.sharepoint.us", "*.sharepoint-mil.us", "*.sharepoint.cn"})
}

// clouds are the real clouds that the lab answers for.
func (n hostNames) clouds() []sts.Cloud {
	if !n.real {
		return nil
	}
	return clouds
}

// router sends each request to its service: by host under Microsoft's names,
// by path under the lab's own.
type router struct {
	names    hostNames
	services map[string]http.Handler
	now      func() time.Time
}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Clients compare their clock with this header: it tells the lab's time.
	w.Header().Set("Date", rt.now().UTC().Format(http.TimeFormat))
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	service, ok := rt.names.service(host)
	if !ok {
		http.Error(w, fmt.Sprintf("This is the Gatehouse lab; it does not answer to the name %q.", host), http.StatusMisdirectedRequest)
		return
	}
	if service == "" {
		service = serviceOfPath(r.URL.Path)
	}
	rt.services[service].ServeHTTP(w, r)
}

// serviceOfPath tells the services apart on the lab's own address. What is none
// of the others' belongs to the sign-in service, whose paths begin with a tenant.
func serviceOfPath(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch strings.ToLower(first) {
	case "v1.0", "beta":
		return graphService
	case "sharepoint":
		return sharePointService
	case "v2.0", "environments", "admin":
		return businessCentralService
	case "v1":
		return partnerCenterService
	}
	return loginService
}

// forwarder is the lab's HTTP proxy: tools that insist on Microsoft's host
// names reach the lab through it (HTTPS_PROXY). It connects to the lab only.
type forwarder struct {
	names  hostNames
	target string // address of the main listener
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "The lab's proxy only tunnels (CONNECT): use it as HTTPS_PROXY.", http.StatusMethodNotAllowed)
		return
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if _, ok := f.names.service(host); !ok {
		http.Error(w, fmt.Sprintf("The lab's proxy leads only to the lab, which does not serve %q.", host), http.StatusForbidden)
		return
	}
	upstream, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(r.Context(), "tcp", f.target)
	if err != nil {
		http.Error(w, "The lab cannot be reached.", http.StatusBadGateway)
		return
	}
	defer upstream.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "The connection cannot be taken over.", http.StatusInternalServerError)
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(upstream, buffered)
		_ = upstream.(*net.TCPConn).CloseWrite()
		close(done)
	}()
	_, _ = io.Copy(client, upstream)
	_ = client.Close()
	<-done
}
