package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/conversion"
	"gatehouse/internal/hosts"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
)

func (f *face) conversions(h huma.API) {
	const tag = "Conversions"
	view, validate, manage := needs(audit.ConnectionView), needs(audit.ConnectionValidate), needs(audit.ConnectionManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/tenants/{id}/sharepoint", id: "get-sharepoint-hosts", tag: tag, summary: "Where a tenant's SharePoint was found last"}, f.sharePointHosts)
	add(f, h, route{access: validate, method: http.MethodPost, path: "/tenants/{id}/sharepoint", id: "find-sharepoint-hosts", tag: tag, asks: true, summary: "Look where a tenant's SharePoint is",
		long: "Asks Graph where the reader may, else derives the name from the initial domain; asks every admin centre whose it is."}, f.findSharePointHosts)
	add(f, h, route{access: view, method: http.MethodGet, path: "/connections/{id}/notes", id: "get-profile-notes", tag: tag, summary: "Limits, roles and permissions of a profile"}, f.profileNotes)
	add(f, h, route{access: view, method: http.MethodGet, path: "/connections/{id}/owner", id: "get-owner", tag: tag, summary: "Whether an account is a person's own, as found last"}, f.owner)
	add(f, h, route{access: validate, method: http.MethodPost, path: "/connections/{id}/owner", id: "look-at-owner", tag: tag, asks: true, summary: "Look whether an account is a person's own"}, f.lookAtOwner)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/connections/{id}/common", id: "convert-to-common", tag: tag, summary: "Convert a profile to a common one",
		long: "Clears the MFA flag and puts the account's own password in place of what was there, which is kept sealed until the new one was accepted."}, f.toCommon)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/connections/{id}/common/undo", id: "undo-common", tag: tag, summary: "Undo the conversion to a common profile"}, f.undoCommon)

	const base = "/connections/{id}/conversion"
	add(f, h, route{access: view, method: http.MethodGet, path: base, id: "get-conversion", tag: tag, summary: "The conversion of a profile to an app"}, f.getConversion)
	add(f, h, route{access: manage, method: http.MethodPost, path: base, id: "start-conversion", tag: tag, summary: "Begin to convert a profile to an app"}, f.startConversion)
	add(f, h, route{access: manage, method: http.MethodPut, path: base + "/registration", id: "set-registration", tag: tag, summary: "Say which app registration is used"}, f.setRegistration)
	add(f, h, route{access: manage, method: http.MethodPut, path: base + "/credential", id: "set-app-credential", tag: tag, summary: "Say how the app proves itself",
		long: "Makes the app's connection beside the old one."}, f.setAppCredential)
	add(f, h, route{access: manage, method: http.MethodPost, path: base + "/consented", id: "conversion-consented", tag: tag, summary: "Note that the administrator consented"}, f.conversionAct((*conversion.Service).Consented))
	add(f, h, route{access: manage, method: http.MethodPost, path: base + "/package", id: "hand-over-certificate", tag: tag, summary: "Hand the certificate over with its key, once",
		long: "The password is shown once. With an Idempotency-Key the answer is kept, sealed, for a day."}, f.handOver)
	add(f, h, route{access: view, method: http.MethodGet, path: base + "/sheet", id: "get-sheet", tag: tag, summary: "The hand-over sheet", long: "Nothing secret is on it."}, f.getSheet)
	add(f, h, route{access: manage, method: http.MethodPost, path: base + "/look", id: "look-for-use", tag: tag, asks: true, summary: "Look for the consumer's own sign-in as the app"}, f.conversionAct((*conversion.Service).LookForUse))
	add(f, h, route{access: manage, method: http.MethodPost, path: base + "/confirm", id: "confirm-use", tag: tag, summary: "Say that the consumer signs in as the app"}, f.conversionAct((*conversion.Service).Confirm))
	add(f, h, route{access: manage, method: http.MethodPost, path: base + "/retire", id: "retire-profile", tag: tag, summary: "End the conversion: the old profile is parked"}, f.conversionAct((*conversion.Service).Retire))
	add(f, h, route{access: manage, method: http.MethodPost, path: base + "/give-up", id: "give-up-conversion", tag: tag, summary: "End the conversion without changing either connection"}, f.conversionAct((*conversion.Service).GiveUp))
}

func needOf(n validation.Need) client.Need {
	return client.Need{Service: n.Service, Task: n.Task, Least: n.Least, Beside: n.Beside, Roles: n.Roles, Others: n.Others, Application: n.Application, Source: n.Source}
}

func each[A, B any](all []A, to func(A) B) []B {
	out := make([]B, len(all))
	for i, a := range all {
		out[i] = to(a)
	}
	return out
}

// convert gives a conversion for the caller.
func (f *face) convert(ctx context.Context, c conversion.Conversion, err error) (*body[client.Conversion], error) {
	if err != nil {
		return nil, err
	}
	app, err := f.Conversions.App(ctx, c)
	if err != nil {
		return nil, err
	}
	all, err := f.Conversions.Needs(ctx, c)
	if err != nil {
		return nil, err
	}
	out := client.Conversion{
		ID: c.ID, ConnectionID: c.ConnectionID, TenantID: c.TenantID, AppID: c.AppID, State: c.State, ClientID: c.ClientID, Way: c.Way, CreatedAt: c.CreatedAt, EndedAt: c.EndedAt, Needs: each(all, needOf),
		Steps: each(c.Steps(app), func(s conversion.Step) client.ConversionStep { return client.ConversionStep(s) }),
	}
	if c.ClientID != "" {
		if out.ConsentURL, err = f.Conversions.ConsentURL(ctx, c); err != nil {
			return nil, err
		}
	}
	return with(out), nil
}

// conversionAct is an act on the last conversion of a connection.
func (f *face) conversionAct(act func(*conversion.Service, context.Context, string) (conversion.Conversion, error)) func(context.Context, *ByID) (*body[client.Conversion], error) {
	return func(ctx context.Context, in *ByID) (*body[client.Conversion], error) {
		id, err := f.conversionOf(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		c, err := act(f.Conversions, ctx, id)
		return f.convert(ctx, c, err)
	}
}

func (f *face) conversionOf(ctx context.Context, connectionID string) (string, error) {
	c, err := f.Conversions.Last(ctx, connectionID, audit.ConnectionManage)
	return c.ID, err
}

func (f *face) getConversion(ctx context.Context, in *ByID) (*body[client.Conversion], error) {
	c, err := f.Conversions.Last(ctx, in.ID, audit.ConnectionView)
	return f.convert(ctx, c, err)
}

func (f *face) startConversion(ctx context.Context, in *ByID) (*body[client.Conversion], error) {
	c, err := f.Conversions.Start(ctx, in.ID)
	return f.convert(ctx, c, err)
}

type registrationInput struct {
	ByID
	Body client.RegistrationRequest
}

func (f *face) setRegistration(ctx context.Context, in *registrationInput) (*body[client.Conversion], error) {
	id, err := f.conversionOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	c, err := f.Conversions.SetRegistration(ctx, id, in.Body.ClientID)
	return f.convert(ctx, c, err)
}

type appCredentialInput struct {
	ByID
	Body client.AppCredentialRequest
}

func (f *face) setAppCredential(ctx context.Context, in *appCredentialInput) (*body[client.Conversion], error) {
	id, err := f.conversionOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	r := in.Body
	c, err := f.Conversions.SetCredential(ctx, id, conversion.CredentialRequest{Way: r.Way, Public: r.Public, Signing: r.Signing, Secret: secrets.New(r.Secret), NotAfter: r.NotAfter})
	return f.convert(ctx, c, err)
}

func (f *face) handOver(ctx context.Context, in *ByID) (*body[client.Package], error) {
	id, err := f.conversionOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	p, err := f.Conversions.Package(ctx, id)
	if err != nil {
		return nil, err
	}
	return with(client.Package{Name: p.Name, PFX: p.Data, Password: p.Password.Reveal()}), nil
}

func (f *face) getSheet(ctx context.Context, in *ByID) (*body[client.Sheet], error) {
	c, err := f.Conversions.Last(ctx, in.ID, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	s, err := f.Conversions.Sheet(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	return with(client.Sheet{
		Consumer: s.Consumer, Connection: s.Connection, TenantName: s.TenantName, Made: s.Made, Needs: each(s.Needs, needOf), Steps: orEmpty(s.Steps), Warnings: orEmpty(s.Warnings),
		Fields: each(s.Fields, func(f conversion.Field) client.SheetField { return client.SheetField(f) }),
	}), nil
}

type commonInput struct {
	ByID
	Body client.CommonRequest
}

func (f *face) toCommon(ctx context.Context, in *commonInput) (*body[client.Connection], error) {
	return oneConnection(f.Connections.ToCommon(ctx, in.ID, in.Body.Version, secrets.New(in.Body.Password)))
}

func (f *face) undoCommon(ctx context.Context, in *ByID) (*body[client.Connection], error) {
	return oneConnection(f.Connections.UndoConversion(ctx, in.ID))
}

func hostsOf(found *hosts.Found, err error) (*body[client.SharePointHosts], error) {
	if err != nil {
		return nil, err
	}
	out := client.SharePointHosts{Hosts: []client.SharePointHost{}}
	if found != nil {
		out = client.SharePointHosts{At: &found.At, From: found.From, Why: found.Why, Reason: found.Note, Hosts: each(found.Hosts, func(h hosts.Host) client.SharePointHost { return client.SharePointHost(h) })}
	}
	return with(out), nil
}

func (f *face) sharePointHosts(ctx context.Context, in *ByID) (*body[client.SharePointHosts], error) {
	return hostsOf(f.Hosts.Get(ctx, in.ID))
}

func (f *face) findSharePointHosts(ctx context.Context, in *ByID) (*body[client.SharePointHosts], error) {
	found, err := f.Hosts.Find(ctx, in.ID)
	return hostsOf(&found, err)
}

func lookOf(look *validation.Look, err error) (*body[client.OwnerLook], error) {
	if err != nil {
		return nil, err
	}
	out := client.OwnerLook{Signs: []client.OwnerSign{}}
	if look != nil {
		out.At, out.Conclusion = &look.At, look.Conclusion
		out.Signs = each(look.Signs, func(s validation.Sign) client.OwnerSign {
			return client.OwnerSign{Name: s.Name, Says: s.Says, Words: s.Words}
		})
	}
	return with(out), nil
}

func (f *face) owner(ctx context.Context, in *ByID) (*body[client.OwnerLook], error) {
	return lookOf(f.Runs.LastLook(ctx, in.ID))
}

func (f *face) lookAtOwner(ctx context.Context, in *ByID) (*body[client.OwnerLook], error) {
	look, err := f.Runs.LookAtOwner(ctx, in.ID)
	return lookOf(&look, err)
}

func (f *face) profileNotes(ctx context.Context, in *ByID) (*body[client.ProfileNotes], error) {
	c, err := f.Connections.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	place := conversion.ServicePlace(c)
	out := client.ProfileNotes{Limits: each(c.Limits(), func(l connection.Limit) client.ProfileLimit { return client.ProfileLimit(l) }), Roles: []client.RoleNeed{}, Needs: each(validation.Needed(c.Kind == connection.App, place), needOf)}
	if c.Kind == connection.ServiceAccount {
		out.Roles = each(validation.RolesNeeded(place), func(r validation.RoleNeed) client.RoleNeed { return client.RoleNeed(r) })
	}
	return with(out), nil
}
