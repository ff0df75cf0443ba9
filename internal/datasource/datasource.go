package datasource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/businesscentral"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/microsoft/web"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Config is what the service needs; all but Pace, Token and KnownHost must be given.
type Config struct {
	DB          *sqldb.DB
	Audit       *audit.Log
	Connections *connection.Service
	Tenants     *tenant.Service
	Cloud       microsoft.Cloud
	Pace        *pace.Governor // nil lets every call pass
	// Token gives a token of a delegated connection's sign-in. Nil: there is none.
	Token func(ctx context.Context, connectionID, resource, claims string) (login.Token, error)
	// KnownHost gives the name of a tenant's SharePoint hosts, "" if none is known.
	KnownHost func(ctx context.Context, tenantID string) (string, bool, error)
}

// Service looks into data sources.
type Service struct {
	Config
	transport http.RoundTripper
}

// New gives the service.
func New(c Config) *Service { return &Service{c, c.Cloud.Transport()} }

// The errors that callers tell apart.
var (
	// ErrPassword says that a connection lives on a password, which is sent by
	// validations alone.
	ErrPassword = errors.New("the connection signs in with a password, which validations alone send: validate it, or make a connection of a person or an app")
	// ErrElsewhere says that the credential is not here.
	ErrElsewhere = errors.New("the credential is with the consumer alone, so nothing can be read with it here")
	// ErrNobody says that nobody has signed in for the connection yet.
	ErrNobody = errors.New("nobody has signed in for this connection yet: sign in on its page, or send the person a link")
	// ErrService says that the connection is not for the service.
	ErrService = errors.New("the connection is not for this service: add it to its services first")
	// ErrSite says that it is not known where the connection's SharePoint is.
	ErrSite = errors.New("the address of the SharePoint site is not known, or is none of this cloud: enter it in the connection")
	// ErrCloud says that it is not known where Business Central is in this cloud.
	ErrCloud = errors.New("where Business Central is reached in this cloud is not known")
	// ErrApps says that only an app has a set-up in Business Central.
	ErrApps = errors.New("the connection is a person's: Business Central has no set-up for it but licence and permission sets")
)

// source is a connection that was authorised on, with how to get a token.
type source struct {
	connection.Opened
	directory string // id of the tenant's directory
	token     func(ctx context.Context, resource string) (login.Token, error)
}

// open authorises and makes ready.
func (s *Service) open(ctx context.Context, id, service string) (source, error) {
	c, err := s.Connections.Open(ctx, id)
	if err != nil {
		return source{}, err
	}
	at, err := s.Tenants.Directory(ctx, c.TenantID)
	switch {
	case err != nil:
		return source{}, err
	case at.Paused:
		return source{}, tenant.ErrPaused
	case !slices.Contains(c.Services, service):
		return source{}, ErrService
	case service == connection.BusinessCentral && s.Cloud.BusinessCentral == "":
		return source{}, ErrCloud
	case c.Kind == connection.ServiceAccount:
		return source{}, ErrPassword
	}
	out := source{Opened: c, directory: at.DirectoryID}
	if c.Kind == connection.Delegated {
		if c.ObjectID == "" || s.Token == nil {
			return source{}, ErrNobody
		}
		out.token = func(ctx context.Context, resource string) (login.Token, error) { return s.person(ctx, c, resource) }
		return out, nil
	}
	out.token, err = s.app(c, at.DirectoryID)
	return out, err
}

// person gives a token of the connection's person, and of nobody else.
func (s *Service) person(ctx context.Context, c connection.Opened, resource string) (login.Token, error) {
	token, err := s.Token(ctx, c.ID, resource, "")
	if err == nil && token.Claims.Readable() && !strings.EqualFold(token.Claims.ObjectID, c.ObjectID) {
		err = &microsoft.Error{Service: microsoft.ServiceLogin, Op: "asking for a token", Code: "token_of_other_person", Message: "the token is of somebody else than who signed in for this connection"}
	}
	if err != nil {
		return login.Token{}, err
	}
	return token, nil
}

// addresses are how tokens for services are asked for.
func (s *Service) addresses(resource string) string {
	switch resource {
	case connection.Graph:
		return s.Cloud.GraphResource
	case connection.BusinessCentral:
		return s.Cloud.BusinessCentralResource
	}
	return resource
}

func (s *Service) app(c connection.Opened, directory string) (func(context.Context, string) (login.Token, error), error) {
	client := login.New(login.Config{Cloud: s.Cloud, Pace: s.Pace, Transport: s.transport})
	switch {
	case !c.HasCredential:
		return nil, ErrElsewhere
	case c.Credential == connection.Certificate:
		certificate, err := login.ReadCertificate([]byte(c.Secret.Reveal()))
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, resource string) (login.Token, error) {
			return client.Certificate(ctx, directory, c.ClientID, certificate, []string{s.addresses(resource) + "/.default"})
		}, nil
	}
	return func(ctx context.Context, resource string) (login.Token, error) {
		return client.Secret(ctx, directory, c.ClientID, c.Secret, []string{s.addresses(resource) + "/.default"})
	}, nil
}

func (s *Service) web(at source, access secrets.Value) web.Config {
	return web.Config{Cloud: s.Cloud, Tenant: at.directory, Access: access, Pace: s.Pace, Transport: s.transport}
}

func (s *Service) graph(at source, access secrets.Value) (*graph.Client, error) {
	return graph.New(graph.Config{Cloud: s.Cloud, Pace: s.Pace, Tenant: at.directory, Transport: s.transport, Token: func(context.Context) (secrets.Value, error) { return access, nil }})
}

// central is Business Central as a connection, with the token that it uses.
func (s *Service) central(ctx context.Context, id string) (source, *businesscentral.Client, login.Token, error) {
	at, err := s.open(ctx, id, connection.BusinessCentral)
	if err != nil {
		return at, nil, login.Token{}, err
	}
	token, err := at.token(ctx, connection.BusinessCentral)
	if err != nil {
		return at, nil, token, err
	}
	return at, businesscentral.New(s.web(at, token.Access)), token, nil
}

// Environments are those of a tenant that an identity is shown.
type Environments struct {
	All []businesscentral.Environment
	// StatusUnread is why their status is not known; "" where it is.
	StatusUnread string
}

// Environments lists the environments of Business Central that a connection is
// shown, with their status where the admin centre tells it the connection.
func (s *Service) Environments(ctx context.Context, id string) (Environments, error) {
	_, client, token, err := s.central(pace.Interactive(ctx), id)
	if err != nil {
		return Environments{}, err
	}
	return listed(ctx, client, token)
}

func listed(ctx context.Context, client *businesscentral.Client, token login.Token) (Environments, error) {
	all, err := client.Environments(ctx)
	if err != nil {
		return Environments{}, err
	}
	if !businesscentral.MayAdminister(token.Claims.Roles, token.Claims.WIDs) {
		return Environments{all, "the admin centre tells the status to its administrators, and to apps with AdminCenter.ReadWrite.All that it authorised"}, nil
	}
	admin, err := client.AdminEnvironments(ctx)
	if err != nil {
		return Environments{all, err.Error()}, nil //nolint:nilerr // said beside the list: it is more than was asked for
	}
	return Environments{All: businesscentral.Described(all, admin)}, nil
}

// Companies lists the companies of an environment that a connection may open; ""
// is the connection's own environment, else the usual one.
func (s *Service) Companies(ctx context.Context, id, environment string) ([]businesscentral.Company, error) {
	at, client, token, err := s.central(pace.Interactive(ctx), id)
	if err != nil {
		return nil, err
	}
	chosen, err := pick(ctx, client, token, wanted(at.Connection, environment))
	if err != nil {
		return nil, err
	}
	return client.Companies(ctx, chosen.Name)
}

// usual is the name that Business Central gives the first environment.
const usual = "Production"

func wanted(c connection.Connection, environment string) string {
	for _, name := range []string{environment, c.Environment} {
		if name != "" {
			return name
		}
	}
	return usual
}

// pick finds an environment by name, and refuses one that is not Active.
func pick(ctx context.Context, client *businesscentral.Client, token login.Token, name string) (businesscentral.Environment, error) {
	all, err := listed(ctx, client, token)
	if err != nil {
		return businesscentral.Environment{}, err
	}
	i := slices.IndexFunc(all.All, func(e businesscentral.Environment) bool { return strings.EqualFold(e.Name, name) })
	if i < 0 {
		names := make([]string, len(all.All))
		for j, e := range all.All {
			names[j] = e.Name
		}
		return businesscentral.Environment{}, notThere("finding the environment", "environment_not_found", fmt.Sprintf("the tenant shows no environment %q; it shows: %s", name, strings.Join(names[:min(len(names), 50)], ", ")))
	}
	return all.All[i], all.All[i].Ready()
}

// choose finds a company by name or id; "" is the first.
func choose(all []businesscentral.Company, name string) (businesscentral.Company, error) {
	i := slices.IndexFunc(all, func(c businesscentral.Company) bool {
		return name == "" || strings.EqualFold(c.Name, name) || strings.EqualFold(c.ID, name)
	})
	switch {
	case len(all) == 0:
		return businesscentral.Company{}, notThere("finding the company", "company_not_found", "no company is shown to the identity: it has no permission set for any")
	case i < 0:
		return businesscentral.Company{}, notThere("finding the company", "company_not_found", fmt.Sprintf("no company %q is shown to the identity: it does not exist, or the identity has no permission set for it", name))
	}
	return all[i], nil
}

// notThere is an answer of our own in the form of the service's.
func notThere(op, code, message string) error {
	return &microsoft.Error{Service: microsoft.ServiceBusinessCentral, Op: op, Status: http.StatusNotFound, Code: code, Message: message}
}

// Choose settles which company of which environment a connection is for, once the
// connection was shown both.
func (s *Service) Choose(ctx context.Context, id, environment, company string) (connection.Connection, error) {
	c, err := s.Connections.Get(ctx, id)
	if err != nil {
		return connection.Connection{}, err
	}
	if err := s.Audit.Allow(ctx, c.TenantID, audit.ConnectionManage); err != nil {
		return connection.Connection{}, err
	}
	var faults tenant.Faults
	if strings.TrimSpace(environment) == "" {
		faults.Add("environment", "is missing", "choose one of the list")
	}
	if strings.TrimSpace(company) == "" {
		faults.Add("company", "is missing", "choose one of the list")
	}
	if err := faults.Err(); err != nil {
		return connection.Connection{}, err
	}
	_, client, token, err := s.central(pace.Interactive(ctx), id)
	if err != nil {
		return connection.Connection{}, err
	}
	e, err := pick(ctx, client, token, environment)
	if err != nil {
		return connection.Connection{}, err
	}
	all, err := client.Companies(ctx, e.Name)
	if err != nil {
		return connection.Connection{}, err
	}
	chosen, err := choose(all, company)
	if err != nil {
		return connection.Connection{}, err
	}
	profile := connection.Profile{
		Name: c.Name, Description: c.Description, MFA: c.MFA, Username: c.Username, ClientID: c.ClientID, RegistrationID: c.RegistrationID, Services: c.Services, Site: c.Site, AdminURL: c.AdminURL,
		Environment: e.Name, Company: chosen.Name, Consumer: c.Consumer,
	}
	return s.Connections.Update(ctx, id, connection.UpdateRequest{Profile: profile, Version: c.Version})
}
