package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
)

func (f *face) registrations(h huma.API) {
	const tag = "Registrations"
	view, manage := needs(audit.ConnectionView), needs(audit.SettingsManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/registrations", id: "list-registrations", tag: tag, summary: "List app registrations"}, f.listRegistrations)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/registrations", id: "add-registration", tag: tag, summary: "Make an app registration known"}, f.addRegistration)
	add(f, h, route{access: view, method: http.MethodGet, path: "/registrations/{id}", id: "get-registration", tag: tag, summary: "Get an app registration"}, f.getRegistration)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/registrations/{id}", id: "change-registration", tag: tag, summary: "Change an app registration's details",
		long: "With another client id in the server's cloud everybody signs in again; who signed in to the former one goes on with it until then."}, f.changeRegistration)
	add(f, h, route{access: manage, method: http.MethodDelete, path: "/registrations/{id}", id: "remove-registration", tag: tag, summary: "Forget an app registration with its credentials"}, f.removeRegistration)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/registrations/{id}/look", id: "look-up-registration", tag: tag, summary: "Read redirect addresses and publisher in a tenant's directory", asks: true}, f.lookUpRegistration)
	add(f, h, route{access: view, method: http.MethodGet, path: "/registrations/{id}/connections", id: "list-registration-connections", tag: tag, summary: "List the connections that use an app registration"}, f.registrationConnections)
	add(f, h, route{access: view, method: http.MethodGet, path: "/registrations/{id}/manifests", id: "list-manifests", tag: tag, summary: "List the versions of what an app registration asks for, with their differences"}, f.listManifests)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/registrations/{id}/manifest", id: "set-manifest", tag: tag, summary: "Make a new version of what an app registration asks for"}, f.setManifest)
	f.registrationCredentials(h)
}

func (f *face) registrationCredentials(h huma.API) {
	const tag, at = "Registrations", "/registrations/{id}/credentials"
	view, manage := needs(audit.ConnectionView), needs(audit.SettingsManage)
	add(f, h, route{access: manage, method: http.MethodPost, path: at, id: "add-registration-credential", tag: tag, summary: "Add a credential to an app registration",
		long: "The first one of a client id is in use at once. Any other is checked at the token endpoint before it can be."}, f.addRegistrationCredential)
	add(f, h, route{access: view, method: http.MethodGet, path: at + "/{credential}/certificate", id: "get-registration-certificate", tag: tag, summary: "Get the public half of a certificate"}, f.registrationCertificate)
	add(f, h, route{access: manage, method: http.MethodPost, path: at + "/{credential}/check", id: "check-registration-credential", tag: tag, summary: "Begin to try a credential at the token endpoint",
		long: "It has to be accepted several times in a row, as the endpoint is many machines, which hear of a new credential one by one."}, f.checkRegistrationCredential)
	add(f, h, route{access: manage, method: http.MethodPost, path: at + "/{credential}/switch", id: "switch-registration-credential", tag: tag, summary: "Put a checked credential into use",
		long: "The one that was in use is kept until it is retired."}, f.switchRegistrationCredential)
	add(f, h, route{access: manage, method: http.MethodPost, path: at + "/{credential}/retire", id: "retire-registration-credential", tag: tag, summary: "Forget a credential that is not in use"}, f.retireRegistrationCredential)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/registrations/{id}/undo", id: "undo-registration-switch", tag: tag, summary: "Go back to the credential that was in use before",
		long: "It is tried once first, and put into use if Microsoft still accepts it."}, f.undoRegistrationSwitch)
}

func permissionsOf(all []registration.Permission) []client.ManifestPermission {
	out := make([]client.ManifestPermission, len(all))
	for i, p := range all {
		out[i] = client.ManifestPermission{Resource: p.Resource, ResourceName: p.ResourceName, Name: p.Name, Kind: p.Kind, Why: p.Why, Words: p.Words()}
	}
	return out
}

func permissionsFrom(all []client.ManifestPermission) []registration.Permission {
	out := make([]registration.Permission, len(all))
	for i, p := range all {
		out[i] = registration.Permission{Resource: p.Resource, Name: p.Name, Kind: p.Kind, Why: p.Why}
	}
	return out
}

func manifestOf(m registration.Manifest, d registration.Diff) client.Manifest {
	return client.Manifest{Version: m.Version, Permissions: permissionsOf(m.Permissions), Added: permissionsOf(d.Added), Removed: permissionsOf(d.Removed), Reason: m.Reason, By: m.By, At: m.At}
}

func registrationOf(g registration.Registration) client.Registration {
	out := client.Registration{
		ID: g.ID, Name: g.Name, Kind: string(g.Kind), Purpose: g.Purpose, Cloud: g.Cloud, ClientID: g.ClientID, Clients: []client.RegistrationClient{}, Credentials: []client.RegistrationCredential{}, Redirects: []client.Redirect{},
		Publisher: client.Publisher{State: g.Publisher.State, Name: g.Publisher.Name, Source: g.Publisher.Source, At: g.Publisher.At}, Manifest: manifestOf(g.Manifest, registration.Diff{}),
		Connections: g.Connections, Lacks: g.Lacks(), CreatedBy: g.CreatedBy, CreatedAt: g.CreatedAt, Version: g.Version,
	}
	if g.Seen != nil {
		out.LookedIn, out.LookedAt = g.Seen.TenantID, &g.Seen.At
	}
	for _, c := range g.Clients {
		out.Clients = append(out.Clients, client.RegistrationClient{Cloud: c.Cloud, ClientID: c.ClientID, Since: c.Since, Until: c.Until})
	}
	for _, c := range g.Credentials {
		out.Credentials = append(out.Credentials, registrationCredentialOf(c))
	}
	for _, r := range g.Redirects {
		out.Redirects = append(out.Redirects, client.Redirect{URI: r.URI, Note: r.Note, Needed: r.Needed, State: r.State})
	}
	return out
}

func registrationCredentialOf(c registration.Credential) client.RegistrationCredential {
	out := client.RegistrationCredential{
		ID: c.ID, ClientID: c.ClientID, Kind: string(c.Kind), Origin: c.Origin, Label: c.Label, State: string(c.State), Thumbprint: c.Thumbprint, KeyID: c.KeyID, NotAfter: c.NotAfter, UsedAt: c.UsedAt,
		ActiveAt: c.ActiveAt, ReplacedAt: c.ReplacedAt, RetiredAt: c.RetiredAt, AddedBy: c.AddedBy, AddedAt: c.AddedAt,
	}
	if c.State != registration.Active {
		out.Removal = c.Removal()
	}
	if k := c.Check; k != nil {
		out.Check = &client.CredentialCheck{State: k.State, TenantID: k.TenantID, Successes: k.Successes, Need: k.Need, Reason: k.Reason, BegunAt: k.BegunAt, At: k.At, Switch: k.Switch, Retire: k.Retire}
	}
	return out
}

func oneRegistration(g registration.Registration, err error) (*body[client.Registration], error) {
	if err != nil {
		return nil, err
	}
	return with(registrationOf(g)), nil
}

func oneRegistrationCredential(c registration.Credential, err error) (*body[client.RegistrationCredential], error) {
	if err != nil {
		return nil, err
	}
	return with(registrationCredentialOf(c)), nil
}

func detailsFrom(d client.RegistrationDetails) registration.Details {
	out := registration.Details{Name: d.Name, Purpose: d.Purpose, Clients: d.ClientIDs, Publisher: d.Publisher, PublisherName: d.PublisherName}
	for _, r := range d.Redirects {
		if !r.Needed {
			out.Redirects = append(out.Redirects, registration.Redirect{URI: r.URI, Note: r.Note})
		}
	}
	return out
}

type registrationList struct {
	Paging
	Search string `query:"search" maxLength:"200" doc:"In name and client ids"`
}

func (f *face) listRegistrations(ctx context.Context, in *registrationList) (*body[client.List[client.Registration]], error) {
	all, next, err := f.Registrations.List(ctx, registration.Filter{Search: in.Search}, registration.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, registrationOf), nil
}

func (f *face) addRegistration(ctx context.Context, in *body[client.NewRegistration]) (*body[client.Registration], error) {
	r := in.Body
	return oneRegistration(f.Registrations.Create(ctx, registration.CreateRequest{Details: detailsFrom(r.RegistrationDetails), Kind: registration.Kind(r.Kind), Permissions: permissionsFrom(r.Permissions)}))
}

func (f *face) getRegistration(ctx context.Context, in *ByID) (*body[client.Registration], error) {
	return oneRegistration(f.Registrations.Get(ctx, in.ID))
}

type registrationChange struct {
	ByID
	Body client.RegistrationChange
}

func (f *face) changeRegistration(ctx context.Context, in *registrationChange) (*body[client.Registration], error) {
	return oneRegistration(f.Registrations.Update(ctx, in.ID, registration.UpdateRequest{Details: detailsFrom(in.Body.RegistrationDetails), Version: in.Body.Version}))
}

func (f *face) removeRegistration(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Registrations.Remove(ctx, in.ID)
}

type registrationLook struct {
	ByID
	Body client.LookRequest
}

func (f *face) lookUpRegistration(ctx context.Context, in *registrationLook) (*body[client.Registration], error) {
	return oneRegistration(f.Registrations.Look(ctx, in.ID, in.Body.TenantID))
}

func (f *face) registrationConnections(ctx context.Context, in *ByID) (*body[client.List[client.RegistrationUse]], error) {
	all, err := f.Registrations.Uses(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return list(all, "", func(u registration.Use) client.RegistrationUse { return client.RegistrationUse(u) }), nil
}

func (f *face) listManifests(ctx context.Context, in *ByID) (*body[client.List[client.Manifest]], error) {
	all, err := f.Registrations.Manifests(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := client.List[client.Manifest]{Items: []client.Manifest{}}
	for i, m := range all {
		before := registration.Manifest{}
		if i+1 < len(all) {
			before = all[i+1]
		}
		out.Items = append(out.Items, manifestOf(m, m.Since(before)))
	}
	return with(out), nil
}

type manifestChange struct {
	ByID
	Body client.ManifestRequest
}

func (f *face) setManifest(ctx context.Context, in *manifestChange) (*body[client.Manifest], error) {
	m, d, err := f.Registrations.SetManifest(ctx, in.ID, registration.ManifestRequest{Permissions: permissionsFrom(in.Body.Permissions), Reason: in.Body.Reason, Version: in.Body.Version})
	if err != nil {
		return nil, err
	}
	return with(manifestOf(m, d)), nil
}

type credentialAdded struct {
	ByID
	Body client.NewCredential
}

func (f *face) addRegistrationCredential(ctx context.Context, in *credentialAdded) (*body[client.RegistrationCredential], error) {
	r := in.Body
	return oneRegistrationCredential(f.Registrations.AddCredential(ctx, in.ID, registration.CredentialRequest{
		Kind: r.Kind, Label: r.Label, ClientID: r.ClientID, Secret: secrets.New(r.Secret), NotAfter: r.NotAfter, KeyID: r.KeyID, CertificatePEM: secrets.New(r.CertificatePEM), Generate: r.Generate,
	}))
}

// ByCredential are the parameters of what is about one credential.
type ByCredential struct {
	ByID
	Credential string `path:"credential" maxLength:"64"`
}

func (f *face) registrationCertificate(ctx context.Context, in *ByCredential) (*body[client.CertificateAnswer], error) {
	pem, err := f.Registrations.CertificatePEM(ctx, in.ID, in.Credential)
	if err != nil {
		return nil, err
	}
	return with(client.CertificateAnswer{PEM: pem}), nil
}

type credentialCheck struct {
	ByCredential
	Body client.CheckRequest
}

func (f *face) checkRegistrationCredential(ctx context.Context, in *credentialCheck) (*body[client.RegistrationCredential], error) {
	return oneRegistrationCredential(f.Registrations.Check(ctx, in.ID, in.Credential, registration.CheckRequest{TenantID: in.Body.TenantID, Switch: in.Body.Switch, Retire: in.Body.Retire}))
}

func (f *face) switchRegistrationCredential(ctx context.Context, in *ByCredential) (*body[client.RegistrationCredential], error) {
	return oneRegistrationCredential(f.Registrations.Switch(ctx, in.ID, in.Credential))
}

func (f *face) retireRegistrationCredential(ctx context.Context, in *ByCredential) (*body[client.RegistrationCredential], error) {
	return oneRegistrationCredential(f.Registrations.Retire(ctx, in.ID, in.Credential))
}

func (f *face) undoRegistrationSwitch(ctx context.Context, in *ByID) (*body[client.RegistrationCredential], error) {
	return oneRegistrationCredential(f.Registrations.Undo(ctx, in.ID))
}
