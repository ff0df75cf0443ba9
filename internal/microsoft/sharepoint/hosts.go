package sharepoint

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/web"
	"gatehouse/internal/secrets"
)

// Host is one of a tenant's SharePoint host names.
type Host struct {
	Name     string `json:"name"`               // without -admin or -my
	Location string `json:"location,omitempty"` // data location; "" of a tenant in one place
}

// NotHere says that an address is not one of an admin centre of a cloud.
type NotHere struct{ Problem, Way string }

// Error says what is wrong with it, and the way out.
func (e *NotHere) Error() string { return "the address " + e.Problem + ": " + e.Way }

// AdminName reads the address of an admin centre, as people paste it from a
// browser, and gives the tenant's name in it. The error is a *[NotHere].
func AdminName(cloud microsoft.Cloud, address string) (string, error) {
	example := cloud.SharePointResource
	if example == "" {
		return "", &NotHere{"cannot be checked, as the SharePoint hosts of this cloud are not known", "leave it empty"}
	}
	example = strings.Replace(example, "{name}", "contoso-admin", 1)
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || !strings.EqualFold(u.Scheme, "https") || u.Host == "" || u.User != nil || u.Opaque != "" || len(address) > 1000 {
		return "", &NotHere{"is no address of an admin centre", "enter it as " + example}
	}
	name, _, ok := cloud.SharePointName("https://" + strings.ToLower(u.Host) + u.EscapedPath())
	switch tenant, admin := strings.CutSuffix(name, "-admin"); {
	case !ok:
		return "", &NotHere{"is not below a SharePoint host of this cloud", "enter it as " + example + "; addresses of your own domain are not admin centres"}
	case !admin && strings.HasSuffix(name, "-my"):
		return "", &NotHere{"is where people keep files of their own", "the admin centre is " + strings.Replace(example, "contoso", strings.TrimSuffix(name, "-my"), 1)}
	case !admin:
		return "", &NotHere{"is where sites are", "the admin centre is " + strings.Replace(example, "contoso", name, 1)}
	case tenant == "":
		return "", &NotHere{"names no tenant", "enter it as " + example}
	default:
		return tenant, nil
	}
}

// AdminURL is the address of the admin centre of a tenant's name, as people know
// it.
func AdminURL(cloud microsoft.Cloud, name string) string {
	_, resource := cloud.SharePointHost(name + "-admin")
	return resource
}

// FromDomain is the name that a tenant's hosts have if it was never renamed: the
// first label of its initial domain; "" if the domain is none of those.
func FromDomain(initial string) string {
	label, rest, _ := strings.Cut(strings.ToLower(initial), ".")
	if !slices.Contains([]string{"onmicrosoft.com", "onmicrosoft.us", "partner.onmschina.cn"}, rest) {
		return ""
	}
	return label
}

// errVanity says that Graph named a host from which nothing can be derived.
var errVanity = errors.New("the root site is on a host of the organisation's own domain, from which no admin centre can be derived: enter its address")

// Hosts asks Graph where a tenant's sites are, the main host first: it knows of
// renames and of further locations. Needs Sites.Read.All. Sources:
// learn.microsoft.com/graph/api/site-get, and multigeo-discovery of SharePoint's
// documents. Where the locations cannot be listed, the main host comes alone.
func Hosts(ctx context.Context, client *graph.Client, cloud microsoft.Cloud) ([]Host, error) {
	var root site
	if err := client.Get(ctx, "/v1.0/sites/root?$select=webUrl,siteCollection", &root); err != nil {
		return nil, err
	}
	main, ok := root.host(cloud)
	if !ok {
		return nil, errVanity
	}
	out := []Host{main}
	all, err := graph.List[site](ctx, client, "/v1.0/sites?$filter="+graph.QueryValue("siteCollection/root ne null")+"&$select=webUrl,siteCollection")
	if err != nil {
		return out, nil //nolint:nilerr // the main host is known all the same
	}
	for _, s := range all[:min(len(all), maxHosts)] {
		switch h, ok := s.host(cloud); {
		case !ok:
		case h.Name == main.Name:
			out[0] = h
		case !slices.ContainsFunc(out, func(o Host) bool { return o.Name == h.Name }):
			out = append(out, h)
		}
	}
	return out, nil
}

// maxHosts is how many hosts of a tenant are looked at.
const maxHosts = 50

// site is what Graph says of a root site.
type site struct {
	WebURL         string `json:"webUrl"`
	SiteCollection struct {
		Hostname         string `json:"hostname"`
		DataLocationCode string `json:"dataLocationCode"`
	} `json:"siteCollection"`
}

func (s site) host(cloud microsoft.Cloud) (Host, bool) {
	address := s.WebURL
	if s.SiteCollection.Hostname != "" {
		address = "https://" + s.SiteCollection.Hostname
	}
	name, _, ok := cloud.SharePointName(strings.ToLower(address))
	location := s.SiteCollection.DataLocationCode
	return Host{strings.TrimSuffix(name, "-my"), location[:min(len(location), 10)]}, ok
}

// Answer is what a host says to somebody without a token.
type Answer struct {
	Tenant string // id of the tenant that it names; "" if it names none
	Moved  string // the name to which it leads since a rename; "" if to none
	None   bool   // there is no such host
	Status int    // of the answer
}

// Ask asks a host, without a token, whose it is (sharepoint §3, §5). The error
// says that it was not reached.
func Ask(ctx context.Context, cfg web.Config, name string) (Answer, error) {
	var out Answer
	cfg.Access, cfg.Service = secrets.Value{}, microsoft.ServiceSharePoint
	cfg.Refusal = func(e *microsoft.Error, response *http.Response) {
		refusal(e, response)
		if to, _, ok := cfg.Cloud.SharePointName(response.Header.Get("Location")); ok && e.Status >= 300 && e.Status < 400 && to != name {
			out.Moved = to
		}
	}
	err := web.New(cfg).Get(ctx, "asking the SharePoint host for its tenant", hostRoot(cfg.Cloud, name)+"/_vti_bin/client.svc", &struct{}{})
	var e *microsoft.Error
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		out.None = true
		return out, nil
	case err != nil && (!errors.As(err, &e) || e.Status == 0):
		return out, err
	case err != nil:
		out.Status, out.Tenant, out.None = e.Status, strings.ToLower(e.Realm), e.Status == http.StatusNotFound
	default:
		out.Status = http.StatusOK
	}
	return out, nil
}
