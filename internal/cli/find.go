package cli

import (
	"context"
	"fmt"
	"strings"

	"gatehouse/client"
	"gatehouse/internal/tenant"
)

// People name tenants, connections and operators as they know them; the API
// wants ids. An id passes as it is.

// findTenant takes a tenant's name, domain, or id here or at Microsoft.
func findTenant(ctx context.Context, c *client.Client, name string) (string, error) {
	if tenant.GUID(strings.ToLower(name)) {
		return name, nil
	}
	found, err := all(func(p client.Page) ([]client.Tenant, string, error) {
		return c.Tenants(ctx, client.TenantFilter{Search: name}, p)
	})
	if err != nil {
		return "", err
	}
	var ids []string
	for _, t := range found {
		if strings.EqualFold(t.Name, name) || strings.EqualFold(t.Domain, name) {
			ids = append(ids, t.ID)
		}
	}
	return one("tenant", name, ids)
}

// findScope is findTenant for roles, which can be in all tenants.
func findScope(ctx context.Context, c *client.Client, name string) (string, error) {
	if name == client.AllTenants {
		return name, nil
	}
	return findTenant(ctx, c, name)
}

// findConnection takes a connection's name, with its tenant and a slash before
// it where several tenants have one of this name, or its id.
func findConnection(ctx context.Context, c *client.Client, name string) (string, error) {
	if tenant.GUID(strings.ToLower(name)) {
		return name, nil
	}
	ids, err := connectionsNamed(ctx, c, client.ConnectionFilter{Search: name}, name)
	if at, rest, ok := strings.Cut(name, "/"); err == nil && len(ids) == 0 && ok {
		var f client.ConnectionFilter
		if f.TenantID, err = findTenant(ctx, c, at); err != nil {
			return "", err
		}
		f.Search = rest
		ids, err = connectionsNamed(ctx, c, f, rest)
	}
	if err != nil {
		return "", err
	}
	return one("connection", name, ids)
}

func connectionsNamed(ctx context.Context, c *client.Client, f client.ConnectionFilter, name string) (ids []string, err error) {
	found, err := all(func(p client.Page) ([]client.Connection, string, error) { return c.Connections(ctx, f, p) })
	for _, at := range found {
		if strings.EqualFold(at.Name, name) {
			ids = append(ids, at.ID)
		}
	}
	return ids, err
}

// findOperator takes an operator's e-mail address or id.
func findOperator(ctx context.Context, c *client.Client, name string) (string, error) {
	if tenant.GUID(strings.ToLower(name)) {
		return name, nil
	}
	found, err := c.Operators(ctx)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, o := range found {
		if strings.EqualFold(o.Email, name) {
			ids = append(ids, o.ID)
		}
	}
	return one("operator", name, ids)
}

// one demands that a name means one thing.
func one(noun, name string, ids []string) (string, error) {
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", &exitError{exitNo, fmt.Errorf("there is no %s %q, or you may not see it: 'gatehouse %s list' shows what there is", noun, name, noun)}
	}
	way := "give its id"
	if noun == "connection" {
		way = "write TENANT/NAME, or its id"
	}
	return "", usagef("%d %ss are called %q: %s (%s)", len(ids), noun, name, way, strings.Join(ids, ", "))
}
