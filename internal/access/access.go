// Package access joins the features by which people's sign-ins serve software: app
// registrations, sign-ins, the token broker, consent, campaigns and what reads with
// their tokens. Each knows of the others only what its configuration asks for; here
// one is given to another.
package access

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/broker"
	"gatehouse/internal/campaign"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/datasource"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// Config is what the features stand on; what Letter and the Tell functions do may be
// left out, and KeepAlive is as in [broker.Config].
type Config struct {
	DB            *sqldb.DB
	Audit         *audit.Log
	Keys          *secrets.Keyring // opened with [Columns]
	Jobs          *jobs.Queue      // not yet started
	Live          *live.Hub
	Pace          *pace.Governor
	Cloud         microsoft.Cloud
	Tenants       *tenant.Service
	Registrations *registration.Service
	Connections   *connection.Service
	Runs          *validation.Runs
	Batches       *batch.Service
	PublicURL     string
	Log           *slog.Logger
	KeepAlive     time.Duration
	// KnownHost gives the name of a tenant's SharePoint hosts.
	KnownHost func(ctx context.Context, tenantID string) (string, bool, error)
	// ActingFor makes an operator the actor of what follows, as they are now.
	ActingFor func(ctx context.Context, operatorID, address string, only ...audit.Permission) (context.Context, error)
	// Letter mails somebody who is no operator; nil: there is no mail server.
	Letter func(ctx context.Context, tx *sqldb.Tx, to, name, subject, text string, link secrets.Value, until time.Time) error

	TellTokens    func(ctx context.Context, tx *sqldb.Tx, n broker.News) error
	TellConsents  func(ctx context.Context, tx *sqldb.Tx, n consent.News) error
	TellCampaigns func(ctx context.Context, tx *sqldb.Tx, n campaign.News) error
}

// Columns are the columns of these features that hold sealed secrets.
func Columns() (all []secrets.Column) {
	for _, of := range [][]secrets.Column{registration.Columns, signin.Columns, broker.Columns} {
		all = append(all, of...)
	}
	return all
}

// Access is the features, joined.
type Access struct {
	Tokens    *broker.Service
	SignIns   *signin.Service
	Consents  *consent.Service
	Campaigns *campaign.Service
	Sources   *datasource.Service

	registrations *registration.Service
	connections   *connection.Service
	tenants       *tenant.Service
	login         *login.Client
}

// New makes the features. It tells registrations and validations of them, so that
// nothing may use those before.
func New(c Config) *Access {
	a := &Access{registrations: c.Registrations, connections: c.Connections, tenants: c.Tenants, login: login.New(login.Config{Cloud: c.Cloud, Pace: c.Pace})}
	a.Tokens = broker.New(broker.Config{
		DB: c.DB, Audit: c.Audit, Keys: c.Keys, Live: c.Live, Pace: c.Pace, Cloud: c.Cloud, Tenants: c.Tenants, Connections: c.Connections, Log: c.Log, KeepAlive: c.KeepAlive,
		App: c.Registrations.App, Former: c.Registrations.AppOf, Tell: tellTokens(c),
		Host: func(ctx context.Context, tenantID string) (string, error) {
			name, _, err := c.KnownHost(ctx, tenantID)
			return name, err
		},
	})
	a.SignIns = signin.New(signin.Config{
		DB: c.DB, Audit: c.Audit, Keys: c.Keys, Jobs: c.Jobs, Live: c.Live, Pace: c.Pace, Cloud: c.Cloud, Tenants: c.Tenants, Connections: c.Connections, PublicURL: c.PublicURL, Log: c.Log,
		App: c.Registrations.App, Registration: a.forSignIn, Registrations: a.allForSignIn, ActingFor: c.ActingFor,
		Earned: func(ctx context.Context, tx *sqldb.Tx, g signin.Grant) error {
			return a.Tokens.Keep(ctx, tx, broker.Grant(g))
		},
		Forget: a.Tokens.Forget, Revocable: a.Tokens.Revocable,
		NeedsConsent: func(ctx context.Context, tx *sqldb.Tx, connectionID string, e *microsoft.Error) error {
			return a.Consents.NeedsConsent(ctx, tx, connectionID, e)
		},
		SignedIn: func(ctx context.Context, tx *sqldb.Tx, connectionID, campaignID, username string, err error) error {
			return a.Campaigns.SignedIn(ctx, tx, connectionID, campaignID, username, err)
		},
	})
	partner := a.partnerToken
	if c.Cloud.PartnerCenterResource == "" {
		partner = nil
	}
	a.Consents = consent.New(consent.Config{
		DB: c.DB, Audit: c.Audit, Jobs: c.Jobs, Live: c.Live, Pace: c.Pace, Cloud: c.Cloud, Tenants: c.Tenants, Batches: c.Batches, PublicURL: c.PublicURL,
		Registration: a.forConsent, Registrations: a.allForConsent, Manifest: a.manifest, FreshToken: a.freshToken, PartnerToken: partner, Tell: c.TellConsents,
		Granted: func(ctx context.Context, tx *sqldb.Tx, tenantID, registrationID string) error {
			return a.Campaigns.Granted(ctx, tx, tenantID, registrationID)
		},
	})
	a.Campaigns = campaign.New(campaign.Config{
		DB: c.DB, Audit: c.Audit, Jobs: c.Jobs, Live: c.Live, Registrations: a.allForCampaign, Link: a.signInLink, Consent: a.consentLink, ConsentState: a.consentState, Mail: mail(c), Tell: c.TellCampaigns,
	})
	a.Sources = datasource.New(datasource.Config{DB: c.DB, Audit: c.Audit, Connections: c.Connections, Tenants: c.Tenants, Cloud: c.Cloud, Pace: c.Pace, KnownHost: c.KnownHost, Token: a.Tokens.Serve})
	c.Registrations.Changed, c.Registrations.Consents = a.changed, a.consentsOf
	c.Runs.Token, c.Runs.Needs = a.Tokens.Prove, a.needs
	return a
}

// tellTokens is [broker.Config].Tell: what stopped, or works again, is validated.
func tellTokens(c Config) func(context.Context, *sqldb.Tx, broker.News) error {
	return func(ctx context.Context, tx *sqldb.Tx, n broker.News) error {
		if n.What == "stopped" || n.What == "works" {
			if err := c.Runs.Again(ctx, tx, n.ConnectionID); err != nil {
				return err
			}
		}
		if c.TellTokens == nil {
			return nil
		}
		return c.TellTokens(ctx, tx, n)
	}
}

// mail is [campaign.Config].Mail. A link without an end is an address that is no
// secret, which stands in the text.
func mail(c Config) func(context.Context, *sqldb.Tx, string, string, string, string, secrets.Value, time.Time) error {
	if c.Letter == nil {
		return nil
	}
	return func(ctx context.Context, tx *sqldb.Tx, to, name, subject, text string, link secrets.Value, until time.Time) error {
		if until.IsZero() && !link.Empty() {
			text, link = text+"\n"+link.Reveal(), secrets.Value{}
		}
		return c.Letter(ctx, tx, to, name, subject, text, link, until)
	}
}

// changed is told of changes of registrations.
func (a *Access) changed(ctx context.Context, tx *sqldb.Tx, c registration.Change) error {
	switch c.What {
	case registration.Removed:
		return a.Consents.Forget(ctx, tx, c.RegistrationID)
	case registration.ChangedClientID:
		if err := a.Consents.Replaced(ctx, tx, c.RegistrationID); err != nil {
			return err
		}
	case registration.ChangedManifest:
		if err := a.Consents.Reasked(ctx, tx, c.RegistrationID); err != nil {
			return err
		}
	}
	return a.Campaigns.Changed(ctx, tx, campaign.Change(c))
}

// registered loads registrations for a feature that has authorised on an object of
// its own: whoever opens a link may see what it is for, and nothing of the rest.
func registered(ctx context.Context) context.Context { return audit.AsSystem(ctx, "registrations") }

// all gives every registration, by name.
func (a *Access) all(ctx context.Context) (out []registration.Registration, err error) {
	ctx = registered(ctx)
	for after := ""; ; {
		var part []registration.Registration
		part, after, err = a.registrations.List(ctx, registration.Filter{}, registration.Page{After: after, Limit: 200})
		if out = append(out, part...); err != nil || after == "" {
			return out, err
		}
	}
}

func each[A, B any](all []A, err error, to func(A) B) ([]B, error) {
	out := make([]B, len(all))
	for i, one := range all {
		out[i] = to(one)
	}
	return out, err
}

func signInOf(g registration.Registration) signin.Registration {
	permissions, _ := each(g.Manifest.Permissions, nil, func(p registration.Permission) signin.Permission { return signin.Permission(p) })
	return signin.Registration{ID: g.ID, Name: g.Name, Permissions: permissions}
}

func (a *Access) forSignIn(ctx context.Context, id string) (signin.Registration, error) {
	g, err := a.registrations.Present(ctx, id)
	return signInOf(g), err
}

func (a *Access) allForSignIn(ctx context.Context) ([]signin.Registration, error) {
	list, err := a.all(ctx)
	return each(list, err, signInOf)
}

func consentOf(g registration.Registration) consent.Registration {
	out := consent.Registration{ID: g.ID, Name: g.Name, ClientID: g.ClientID, Publisher: g.Publisher.Name}
	switch g.Publisher.State {
	case registration.PublisherVerified:
		out.Verified = new(true)
	case registration.PublisherUnverified:
		out.Verified = new(false)
	}
	return out
}

func (a *Access) forConsent(ctx context.Context, id string) (consent.Registration, error) {
	g, err := a.registrations.Present(ctx, id)
	if errors.Is(err, registration.ErrMissing) {
		err = consent.ErrMissing
	}
	return consentOf(g), err
}

func (a *Access) allForConsent(ctx context.Context) ([]consent.Registration, error) {
	list, err := a.all(ctx)
	return each(list, err, consentOf)
}

func (a *Access) manifest(ctx context.Context, id string) (consent.Manifest, error) {
	m, err := a.registrations.Manifest(registered(ctx), id)
	if errors.Is(err, registration.ErrMissing) {
		err = consent.ErrMissing
	}
	permissions, err := each(m.Permissions, err, func(p registration.Permission) consent.Permission { return consent.Permission(p) })
	return consent.Manifest{Version: m.Version, Permissions: permissions}, err
}

func (a *Access) allForCampaign(ctx context.Context) ([]campaign.Registration, error) {
	list, err := a.all(ctx)
	return each(list, err, func(g registration.Registration) campaign.Registration {
		return campaign.Registration{ID: g.ID, Name: g.Name, ClientID: g.ClientID}
	})
}

// needs are the delegated permissions that a connection's sign-in has to hold.
func (a *Access) needs(ctx context.Context, id string) ([]validation.Scope, error) {
	m, err := a.registrations.Manifest(registered(ctx), id)
	var out []validation.Scope
	for _, p := range m.Permissions {
		if p.Kind == consent.Delegated {
			out = append(out, validation.Scope{Resource: p.Resource, Name: p.Name, Why: p.Why})
		}
	}
	return out, err
}

func (a *Access) signInLink(ctx context.Context, connectionID, campaignID, person, why string) (secrets.Value, time.Time, error) {
	l, err := a.SignIns.NewLink(ctx, connectionID, signin.LinkOptions{For: person, Why: why, CampaignID: campaignID})
	return l.URL, l.Until, err
}

func (a *Access) consentLink(ctx context.Context, tenantID, registrationID, why string) (secrets.Value, time.Time, error) {
	r, err := a.Consents.Ask(ctx, tenantID, registrationID, consent.AskOptions{Why: why})
	return r.URL, r.Until, err
}

func (a *Access) consentState(ctx context.Context, tenantID, registrationID string) (string, error) {
	status, err := a.Consents.StatusOf(ctx, tenantID, registrationID)
	return string(status.State), err
}

// consentsOf says which tenants consented to a registration, of those that the actor
// may see.
func (a *Access) consentsOf(ctx context.Context, id string) (out []registration.Consent, err error) {
	for after := ""; ; {
		var part []consent.Status
		part, after, err = a.Consents.List(ctx, consent.Filter{RegistrationID: id}, consent.Page{After: after, Limit: 200})
		for _, one := range part {
			k := registration.Consent{TenantID: one.TenantID, TenantName: one.TenantName, State: string(one.State), GrantedAt: one.GrantedAt}
			if !one.At.IsZero() {
				k.At = &one.At
			}
			out = append(out, k)
		}
		if err != nil || after == "" {
			return out, err
		}
	}
}

// freshToken is [consent.Config].FreshToken: as the app itself where it asks for
// permissions of its own, else of a person who is signed in through it.
func (a *Access) freshToken(ctx context.Context, tenantID, registrationID, resource string) (login.Token, error) {
	m, err := a.registrations.Manifest(registered(ctx), registrationID)
	if err != nil {
		return login.Token{}, err
	}
	if len(m.Roles(resource)) > 0 {
		return a.asApp(ctx, tenantID, registrationID, resource)
	}
	g, err := a.registrations.Present(ctx, registrationID)
	if err != nil {
		return login.Token{}, err
	}
	for after := ""; ; {
		var connections []connection.Connection
		if connections, after, err = a.connections.List(registered(ctx), connection.Filter{TenantID: tenantID, Kind: connection.Delegated}, connection.Page{After: after, Limit: 200}); err != nil {
			return login.Token{}, err
		}
		for _, c := range connections {
			if c.RegistrationID != registrationID || c.ObjectID == "" || c.ClientID != g.ClientID {
				continue // a token of the app before says nothing of the consent to this one
			}
			token, err := a.Tokens.Fresh(ctx, c.ID, resource)
			if refused, is := errors.AsType[*broker.Refused](err); is && refused.Err == nil {
				continue // nobody is signed in there
			}
			return token, err
		}
		if after == "" {
			return login.Token{}, consent.ErrNoToken
		}
	}
}

func (a *Access) asApp(ctx context.Context, tenantID, registrationID, resource string) (login.Token, error) {
	app, err := a.registrations.App(ctx, registrationID)
	if err != nil {
		return login.Token{}, err
	}
	if app.Certificate == nil && app.Secret.Empty() {
		return login.Token{}, consent.ErrNoToken
	}
	at, err := a.tenants.Directory(ctx, tenantID)
	if err != nil {
		return login.Token{}, err
	}
	return a.login.Credentials(ctx, app, at.DirectoryID, []string{resource + "/.default"}, "")
}

// partnerToken is [consent.Config].PartnerToken.
func (a *Access) partnerToken(ctx context.Context, connectionID string) (login.Token, error) {
	return a.Tokens.ServeAt(ctx, connectionID, a.login.Cloud().PartnerCenterResource)
}
