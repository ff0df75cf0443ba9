package validation

import (
	"context"

	"gatehouse/internal/microsoft/sharepoint"
)

// Where the admin centre's address came from, as evidence has it.
const (
	adminGiven   = "given"
	adminGraph   = "graph"
	adminKnown   = "known" // found before
	adminInitial = "initial_domain"
)

// findHosts learns from Graph where the tenant's SharePoint is, with the token
// that is there already, unless that is known or an address was given.
func (r *run) findHosts(ctx context.Context, p *Probe) {
	switch {
	case r.AdminURL != "" || r.Site != "":
		p.Evidence["admin_url_from"] = adminGiven
		return
	case r.HostRecent:
		p.Evidence["admin_url_from"] = adminKnown
		return
	}
	all, err := r.askGraph(ctx)
	switch {
	case err == nil:
		r.Host, r.hosts = all[0].Name, all
		p.Evidence["admin_url_from"] = adminGraph
		if len(all) > 1 {
			centres := []string{}
			for _, h := range all {
				centres = append(centres, h.Location+" "+sharepoint.AdminURL(r.Cloud, h.Name))
			}
			p.Evidence["admin_centres"] = centres
		}
	case r.Host != "":
		p.Evidence["admin_url_from"] = adminKnown
	default:
		p.Evidence["admin_url_from"], p.Evidence["admin_url_unread"] = adminInitial, "Graph did not tell: "+err.Error()
	}
}

func (r *run) askGraph(ctx context.Context) ([]sharepoint.Host, error) {
	token, err := r.tokenFor(ctx, ServiceGraph)
	if err != nil {
		return nil, err
	}
	client, err := r.graph(token.Access)
	if err != nil {
		return nil, err
	}
	return sharepoint.Hosts(ctx, client, r.Cloud)
}
