package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/businesscentral"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/microsoft/sharepoint"
	"gatehouse/internal/microsoft/web"
)

// Services that a validation can reach.
const (
	ServiceGraph           = "graph"
	ServiceSharePoint      = "sharepoint"
	ServiceBusinessCentral = "business_central"
	ServiceExchange        = "exchange" // never reached: its probe says so
)

// Place says what of the services is to be reached.
type Place struct {
	Services    []string // graph if empty
	Site        string   // SharePoint: the address of a site; the root site if empty
	AdminURL    string   // SharePoint: the admin centre; not looked at if empty
	Environment string   // Business Central; Production if empty
	Company     string   // Business Central; any if empty
	Initial     string   // the tenant's initial domain, where it is known
	Host        string   // SharePoint: the name of the tenant's hosts, where it was found before
	HostRecent  bool     // it was found so lately that Graph is not asked again
}

func (p Place) services() []string {
	if len(p.Services) == 0 {
		return []string{ServiceGraph}
	}
	return p.Services
}

// primary is the service that the one sign-in is for; the tokens of others are
// had from it.
func (r *run) primary() string {
	all := r.services()
	if slices.Contains(all, ServiceGraph) {
		return ServiceGraph
	}
	for _, name := range all {
		if r.scope(name) != nil {
			return name
		}
	}
	return ServiceGraph
}

// scope asks for everything that was granted on a service; nil where tokens for
// it cannot be asked for. For Exchange only an app's are: the app through which an
// account signs in here is seldom the one that the tool uses there.
func (r *run) scope(service string) []string {
	resource := ""
	switch service {
	case ServiceGraph:
		return r.graphScope()
	case ServiceSharePoint:
		if r.sharePoint() != "" {
			_, resource = r.Cloud.SharePointHost(r.sharePoint())
		}
	case ServiceBusinessCentral:
		resource = r.Cloud.BusinessCentralResource
	case ServiceExchange:
		if r.facts.AppOnly || r.Person != nil {
			resource = r.Cloud.ExchangeResource
		}
	}
	if resource == "" {
		return nil
	}
	return []string{resource + "/.default"}
}

// tokenFor gives a token for a service, without signing in anew.
func (r *run) tokenFor(ctx context.Context, service string) (login.Token, error) {
	if service == r.primary() {
		return r.token, nil
	}
	if token, ok := r.tokens[service]; ok {
		return token, nil
	}
	token, err := r.further(ctx, service)
	if err == nil {
		r.tokens[service] = token
	}
	return token, err
}

// further asks for a token for another service than the first.
func (r *run) further(ctx context.Context, service string) (login.Token, error) {
	if r.Person != nil {
		return r.ask(ctx, service, "")
	}
	return r.token.For(ctx, r.scope(service))
}

// sharePoint is the name of the tenant's SharePoint hosts: that of the given
// addresses, else the first label of the initial domain; "" if neither is known.
func (r *run) sharePoint() string {
	for _, address := range []string{r.Site, r.AdminURL} {
		if name, _, ok := r.Cloud.SharePointName(address); ok {
			return strings.TrimSuffix(strings.TrimSuffix(name, "-admin"), "-my")
		}
	}
	if r.Host != "" {
		return r.Host
	}
	domains := []string{r.Initial, r.Tenant}
	if r.snapshot != nil {
		domains = append(domains, r.snapshot.Domains...)
	}
	for _, d := range domains {
		if name := sharepoint.FromDomain(d); name != "" {
			return name
		}
	}
	return ""
}

// service calls each service itself, as the identity.
func (r *run) service(ctx context.Context) {
	for _, name := range r.services() {
		r.probe(ProbeService, func(p *Probe) {
			if name != ServiceGraph {
				p.Evidence["service"] = name
			}
			var err error
			switch name {
			case ServiceGraph:
				r.graphService(ctx, p)
				return
			case ServiceSharePoint:
				err = r.sharePointService(ctx, p)
			case ServiceBusinessCentral:
				err = r.businessCentralService(ctx, p)
			case ServiceExchange:
				err = r.exchangeService(ctx, p)
			}
			if err != nil {
				r.refuse(name, err)
				p.fail(err, r.facts)
				titled(p, err)
			}
			var e *microsoft.Error
			if errors.As(err, &e) && e.Service == microsoft.ServiceBusinessCentral && businesscentral.Class(e) != "" {
				p.Evidence["class"] = businesscentral.Class(e)
			}
			if e != nil && e.Status == http.StatusNotFound {
				p.State = Fail // whatever stands behind it, what was asked for is not there
			}
		})
	}
}

// titled lets a demand of the service's own be the title, where it is more exact
// than the knowledge base can be.
func titled(p *Probe, err error) {
	var e *microsoft.Error
	if errors.As(err, &e) && e.Code == codeContext {
		p.Diagnosis.Title = strings.ToUpper(e.Message[:1]) + e.Message[1:]
	}
}

// refuse notes that a service did not answer as asked.
func (r *run) refuse(service string, err error) {
	r.refused[service] = err
	if r.serviceErr == nil {
		r.serviceErr = err
	}
}

// client is what reads from SharePoint or Business Central, with a token for it.
func (r *run) client(token login.Token) web.Config {
	return web.Config{Cloud: r.Cloud, Tenant: r.tenant.ID, Access: token.Access, Pace: r.pace, Transport: r.transport}
}

// sharePointService reads the site and, if its address was given, the list of
// sites in the admin centre, which is a host of its own with a token of its own.
func (r *run) sharePointService(ctx context.Context, p *Probe) error {
	r.findHosts(ctx, p)
	name := r.sharePoint()
	if name == "" {
		p.set(NotKnown, "the name of the tenant's SharePoint hosts is not known: give the address of a site")
		return nil
	}
	path := ""
	if r.Site != "" {
		var ok bool
		if name, path, ok = r.Cloud.SharePointName(r.Site); !ok {
			p.set(NotKnown, "the site's address is not below a SharePoint host of this cloud, so no token was sent there: it looks like %s", "https://contoso.sharepoint.com/sites/finance")
			return nil
		}
	}
	if err := r.ownHost(ctx, p, name); err != nil {
		return err
	}
	token, err := r.sharePointToken(ctx, name)
	if err != nil {
		return err
	}
	site, err := r.siteOf(ctx, p, name, path, token)
	if err != nil {
		return err
	}
	p.set(Passed, "")
	p.Evidence["site"], p.Evidence["title"] = site.URL, site.Title
	if r.AdminURL == "" {
		p.Evidence["admin_url"], _ = r.Cloud.SharePointHost(r.sharePoint() + "-admin") // the default, shown and not looked at
		return nil
	}
	admin, _, ok := r.Cloud.SharePointName(r.AdminURL)
	if !ok || !strings.HasSuffix(admin, "-admin") {
		p.set(Warning, "the admin centre's address is not one of this cloud, so it was not looked at: it looks like %s", "https://contoso-admin.sharepoint.com")
		return nil
	}
	if token, err = r.sharePointToken(ctx, admin); err != nil {
		return err
	}
	sites, err := sharepoint.New(r.client(token), admin).Sites(ctx)
	if err != nil {
		return err
	}
	p.Evidence["sites"], p.Evidence["sites_listed"] = sites[:min(len(sites), 20)], len(sites)
	return nil
}

// ownHost refuses a host that says it belongs to another tenant, before any token
// goes there.
func (r *run) ownHost(ctx context.Context, p *Probe, name string) error {
	realm, err := sharepoint.Realm(ctx, r.client(login.Token{}), name)
	if err != nil || realm == "" {
		return err
	}
	p.Evidence["host_tenant"] = realm
	if strings.EqualFold(realm, r.tenant.ID) {
		return nil
	}
	return &microsoft.Error{Service: microsoft.ServiceSharePoint, Op: "asking the SharePoint host for its tenant", Status: http.StatusUnauthorized, Code: "sharepoint_host_of_another_tenant",
		Message: "the host belongs to tenant " + realm + ", so no token was sent to it"}
}

// sharePointToken gives a token for one host: that of the sites is no good at
// another.
func (r *run) sharePointToken(ctx context.Context, name string) (login.Token, error) {
	if name == r.sharePoint() {
		return r.tokenFor(ctx, ServiceSharePoint)
	}
	_, resource := r.Cloud.SharePointHost(name)
	if r.Person != nil {
		return r.askFor(ctx, resource, "")
	}
	return r.token.For(ctx, []string{resource + "/.default"})
}

// usualEnvironment is the name that Business Central gives the first one.
const usualEnvironment = "Production"

// businessCentralService goes in as far as the identity is let: environments,
// companies, one record.
func (r *run) businessCentralService(ctx context.Context, p *Probe) error {
	if r.Cloud.BusinessCentral == "" {
		p.set(NotKnown, "where Business Central is reached in this cloud is not known")
		return nil
	}
	token, err := r.tokenFor(ctx, ServiceBusinessCentral)
	if err != nil {
		return err
	}
	client := businesscentral.New(r.client(token))
	environments, err := client.Environments(ctx)
	if err != nil {
		return err
	}
	wanted, names := r.environment(environments), []string{}
	for _, e := range environments {
		names = append(names, e.Name)
	}
	p.Evidence["environments"], p.Evidence["environment"] = names[:min(len(names), 50)], wanted
	switch {
	case len(names) == 0:
		return notThere("finding the environment", "environment_not_found", "the tenant has no Business Central environment")
	case !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, wanted) }):
		return notThere("finding the environment", "environment_not_found", fmt.Sprintf("the tenant has no environment %q; it has: %s", wanted, strings.Join(names[:min(len(names), 50)], ", ")))
	}
	if err := r.environmentReady(ctx, p, client, token, wanted); err != nil {
		return err
	}
	companies, err := client.Companies(ctx, wanted)
	if err != nil {
		return err
	}
	names = []string{}
	for _, c := range companies {
		names = append(names, c.Name)
	}
	p.Evidence["companies"] = names[:min(len(names), 20)]
	i := slices.IndexFunc(companies, func(c businesscentral.Company) bool {
		return r.Company == "" || strings.EqualFold(c.Name, r.Company) || strings.EqualFold(c.ID, r.Company)
	})
	switch {
	case len(companies) == 0:
		return notThere("finding the company", "company_not_found", "no company is shown to the identity: it has no permission set for any")
	case i < 0:
		return notThere("finding the company", "company_not_found", fmt.Sprintf("no company %q is shown to the identity: it does not exist, or the identity has no permission set for it", r.Company))
	}
	if _, err := client.Customers(ctx, wanted, companies[i].ID, 1); err != nil {
		return err
	}
	p.set(Passed, "")
	p.Evidence["company"] = companies[i].Name
	return nil
}

// environmentReady refuses an environment that is not Active, where the token may
// ask the admin centre for its status.
func (r *run) environmentReady(ctx context.Context, p *Probe, client *businesscentral.Client, token login.Token, wanted string) error {
	if !businesscentral.MayAdminister(token.Claims.Roles, token.Claims.WIDs) {
		return nil
	}
	all, err := client.AdminEnvironments(ctx)
	if err != nil {
		p.Evidence["status_unread"] = err.Error() // allowed or not, it is more than is needed
		return nil
	}
	for _, e := range all {
		if strings.EqualFold(e.Name, wanted) {
			p.Evidence["environment_status"] = e.Status
			return e.Ready()
		}
	}
	return nil
}

// environment is the one that is asked for: the given one, else the usual one,
// else the first for production.
func (r *run) environment(all []businesscentral.Environment) string {
	if r.Environment != "" {
		return r.Environment
	}
	production := func(e businesscentral.Environment) bool { return strings.EqualFold(e.Type, usualEnvironment) }
	named := func(e businesscentral.Environment) bool { return strings.EqualFold(e.Name, usualEnvironment) }
	if i := slices.IndexFunc(all, production); i >= 0 && !slices.ContainsFunc(all, named) {
		return all[i].Name
	}
	return usualEnvironment
}

// notThere is an answer of our own in the form of the service's.
func notThere(op, code, message string) error {
	return &microsoft.Error{Service: microsoft.ServiceBusinessCentral, Op: op, Status: http.StatusNotFound, Code: code, Message: message}
}

// graphService makes one harmless call to Graph.
func (r *run) graphService(ctx context.Context, p *Probe) {
	path := "/v1.0/me?$select=id,userPrincipalName"
	if r.facts.AppOnly {
		path = "/v1.0/organization?$select=id,displayName"
	}
	p.Evidence["called"] = path
	client, err := r.graph(r.token.Access)
	if err == nil {
		var answer json.RawMessage // read as JSON: a page of somebody else's is no answer of Graph's
		err = client.Get(ctx, path, &answer)
	}
	var e *microsoft.Error
	switch {
	case err == nil:
		p.set(Passed, "")
	case r.facts.AppOnly && errors.As(err, &e) && e.Status == http.StatusForbidden && len(r.token.Claims.Roles) > 0:
		// Graph knows the app and holds it to its permissions, which do not
		// include this harmless call.
		p.set(Passed, "Graph accepts the app; reading the organisation is not among its permissions")
		p.Evidence["status"] = e.Status
	default:
		r.refuse(ServiceGraph, err)
		p.fail(err, r.facts)
	}
}
