package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/tenant"
)

// maxSnapshot bounds an uploaded snapshot, in bytes.
const maxSnapshot = 32 << 20

func (f *face) tenants(h huma.API) {
	const tag = "Tenants"
	view, manage := needs(audit.TenantView), needs(audit.TenantManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/tenants", id: "list-tenants", tag: tag, summary: "List tenants"}, f.listTenants)
	add(f, h, route{access: needs(audit.TenantCreate), method: http.MethodPost, path: "/tenants", id: "add-tenant", tag: tag, asks: true, summary: "Add a tenant"}, f.addTenant)
	add(f, h, route{access: needs(audit.TenantCreate), method: http.MethodGet, path: "/tenants/detect", id: "detect-tenant", tag: tag, asks: true, summary: "Ask Microsoft about a tenant",
		long: "What Microsoft tells everybody about a domain or tenant. Nothing is stored."}, f.detectTenant)
	add(f, h, route{access: view, method: http.MethodGet, path: "/tenants/{id}", id: "get-tenant", tag: tag, summary: "Get a tenant"}, f.getTenant)
	add(f, h, route{access: manage, method: http.MethodPatch, path: "/tenants/{id}", id: "change-tenant", tag: tag, summary: "Rename, pause or resume a tenant"}, f.changeTenant)
	add(f, h, route{access: view, method: http.MethodGet, path: "/tenants/{id}/removal", id: "preview-removal", tag: tag, summary: "What would go with a tenant"}, f.removal)
	add(f, h, route{access: manage, method: http.MethodDelete, path: "/tenants/{id}", id: "remove-tenant", tag: tag, summary: "Remove a tenant with its connections"}, f.removeTenant)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/tenants/{id}/reader", id: "onboard-reader", tag: tag, summary: "Set up the reader",
		long: "Makes a certificate for an app registration of the tenant that may only read, and tells what is left to do at Microsoft."}, f.onboardReader)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/tenants/{id}/reader/check", id: "check-reader", tag: tag, asks: true, summary: "Sign the reader in and look what it may read"}, f.checkReader)
	add(f, h, route{access: manage, method: http.MethodDelete, path: "/tenants/{id}/reader", id: "remove-reader", tag: tag, summary: "Forget the reader"}, f.removeReader)
	add(f, h, route{access: needs(audit.PostureView), method: http.MethodGet, path: "/tenants/{id}/snapshot", id: "get-snapshot", tag: tag, summary: "The tenant's rules as read last",
		long: "In the form of `gatehouse posture snapshot`."}, f.getSnapshot)
	add(f, h, route{access: needs(audit.PostureRefresh), method: http.MethodPut, path: "/tenants/{id}/snapshot", id: "upload-snapshot", tag: tag, summary: "Store a snapshot",
		long: "In the form of `gatehouse posture snapshot`.", maxBody: maxSnapshot, raw: true}, f.uploadSnapshot)
	h.OpenAPI().Paths[prefix+"/tenants/{id}/snapshot"].Put.RequestBody.Content["application/json"].Schema = &huma.Schema{} // not the bytes that Huma sees in it
	add(f, h, route{access: needs(audit.PostureRefresh), method: http.MethodPost, path: "/tenants/{id}/snapshot/refresh", id: "refresh-snapshot", tag: tag, summary: "Have the tenant's rules read anew"}, f.refreshSnapshot)
}

func tenantOf(t tenant.Tenant) client.Tenant {
	out := client.Tenant{
		ID: t.ID, DirectoryID: t.DirectoryID, Name: t.Name, Domain: t.Domain, Cloud: t.Cloud, Realm: t.Realm, Paused: t.Paused, CreatedAt: t.CreatedAt,
		Switches: []client.Switch{}, SnapshotAt: t.SnapshotAt, SnapshotSource: t.SnapshotSource, Version: t.Version,
	}
	for _, s := range t.Switches {
		permissions := []client.Permission{}
		for _, p := range s.Permissions {
			permissions = append(permissions, client.Permission{Name: p.Name, Words: p.Words})
		}
		out.Switches = append(out.Switches, client.Switch{
			Name: string(s.Name), State: string(s.State), Available: s.Available, Purpose: s.Purpose, Permissions: permissions, WhoConsents: s.WhoConsents,
			Stays: s.Stays, Remove: s.Remove, ConsentedBy: s.ConsentedBy, ConsentedAt: s.ConsentedAt, Reason: s.Reason,
		})
	}
	if r := t.Reader; r != nil {
		out.Reader = &client.Reader{ClientID: r.ClientID, Thumbprint: r.Thumbprint, NotAfter: r.NotAfter, State: r.State, Reason: r.Reason, CheckedAt: r.CheckedAt}
	}
	return out
}

func oneTenant(t tenant.Tenant, err error) (*body[client.Tenant], error) {
	if err != nil {
		return nil, err
	}
	return with(tenantOf(t)), nil
}

type tenantList struct {
	Paging
	Search string   `query:"search" maxLength:"200" doc:"In name and domain"`
	Paused optional `query:"paused" enum:"true,false"`
}

// optional is a yes or no that may be left out.
type optional string

func (o optional) value() *bool {
	if o == "" {
		return nil
	}
	return new(o == "true")
}

func (f *face) listTenants(ctx context.Context, in *tenantList) (*body[client.List[client.Tenant]], error) {
	all, next, err := f.Tenants.List(ctx, tenant.Filter{Search: in.Search, Paused: in.Paused.value()}, tenant.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, tenantOf), nil
}

func (f *face) addTenant(ctx context.Context, in *body[client.TenantRequest]) (*body[client.Tenant], error) {
	return oneTenant(f.Tenants.Add(ctx, tenant.AddRequest{NameOrID: in.Body.Tenant, Name: in.Body.Name}))
}

type detectInput struct {
	Tenant string `query:"tenant" required:"true" maxLength:"253" doc:"A domain or the tenant's id"`
}

func (f *face) detectTenant(ctx context.Context, in *detectInput) (*body[client.Detected], error) {
	d, err := f.Tenants.Detect(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	return with(client.Detected{DirectoryID: d.DirectoryID, Domain: d.Domain, Cloud: d.Cloud, Realm: d.Realm}), nil
}

func (f *face) getTenant(ctx context.Context, in *ByID) (*body[client.Tenant], error) {
	return oneTenant(f.Tenants.Get(ctx, in.ID))
}

type tenantChange struct {
	ByID
	Body client.TenantChange
}

func (f *face) changeTenant(ctx context.Context, in *tenantChange) (*body[client.Tenant], error) {
	if in.Body.Name != nil {
		if err := f.Tenants.Rename(ctx, in.ID, *in.Body.Name); err != nil {
			return nil, err
		}
	}
	if in.Body.Paused != nil {
		if err := f.Tenants.Pause(ctx, in.ID, *in.Body.Paused); err != nil {
			return nil, err
		}
	}
	return oneTenant(f.Tenants.Get(ctx, in.ID))
}

func (f *face) removal(ctx context.Context, in *ByID) (*body[client.Removal], error) {
	r, err := f.Tenants.Removal(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return with(client.Removal{Name: r.Name, Connections: r.Connections, Some: orEmpty(r.Some), Reader: r.Reader, Snapshot: r.Snapshot, Stays: orEmpty(r.Stays)}), nil
}

// orEmpty makes sure that a list is one in JSON.
func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

type confirmed struct {
	ByID
	Confirm string `query:"confirm" required:"true" maxLength:"200" doc:"The tenant's name"`
}

func (f *face) removeTenant(ctx context.Context, in *confirmed) (*empty, error) {
	return nil, f.Tenants.Remove(ctx, in.ID, in.Confirm)
}

type readerInput struct {
	ByID
	Body client.ReaderRequest
}

func (f *face) onboardReader(ctx context.Context, in *readerInput) (*body[client.Onboarding], error) {
	o, err := f.Tenants.OnboardReader(ctx, in.ID, tenant.OnboardRequest{ClientID: in.Body.ClientID})
	if err != nil {
		return nil, err
	}
	return with(client.Onboarding{CertificatePEM: o.CertificatePEM, Thumbprint: o.Thumbprint, ConsentURL: o.ConsentURL, Steps: orEmpty(o.Steps)}), nil
}

func (f *face) checkReader(ctx context.Context, in *ByID) (*body[client.Tenant], error) {
	return oneTenant(f.Tenants.CheckReader(ctx, in.ID))
}

func (f *face) removeReader(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Tenants.RemoveReader(ctx, in.ID)
}

type anyJSON struct {
	Body json.RawMessage
}

func (f *face) getSnapshot(ctx context.Context, in *ByID) (*anyJSON, error) {
	s, err := f.Tenants.Snapshot(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(s)
	return &anyJSON{data}, err
}

type snapshotInput struct {
	ByID
	RawBody []byte `contentType:"application/json"`
}

func (f *face) uploadSnapshot(ctx context.Context, in *snapshotInput) (*empty, error) {
	return nil, f.Tenants.UploadSnapshot(ctx, in.ID, in.RawBody)
}

func (f *face) refreshSnapshot(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Tenants.Refresh(ctx, in.ID)
}
