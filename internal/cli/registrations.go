package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// registration is an app registration that Gatehouse needs, as it is printed.
type registration struct {
	Name        string             `json:"name"`
	Purpose     string             `json:"purpose"`
	Cloud       string             `json:"cloud"`
	Audience    string             `json:"audience"` // Graph's signInAudience
	RedirectURI string             `json:"redirect_uri"`
	Permissions []neededPermission `json:"permissions"`
	WhoConsents string             `json:"who_consents"`
	ClientID    *string            `json:"client_id"` // null: not made
	Steps       []string           `json:"steps"`     // what is left to do by hand
}

type neededPermission struct {
	API   string `json:"api"`
	Name  string `json:"name"`
	Words string `json:"words"`
}

// The audiences of an app registration.
const (
	anyOrganisation = "AzureADMultipleOrgs"
	thisOneOnly     = "AzureADMyOrg"
)

// graphAppID is Microsoft Graph's own app id, the same in every cloud.
const graphAppID = "00000003-0000-0000-c000-000000000000"

// portals are where app registrations are made by hand (entra-sign-in §1).
var portals = map[string]string{
	"public": "the Microsoft Entra admin centre, https://entra.microsoft.com", "usgov": "https://portal.azure.us", "usgov-dod": "https://portal.azure.us", "china": "https://portal.azure.cn",
}

func newSetupRegistrations(env Env) *cobra.Command {
	var name, cloudName, public, tokenFile string
	var single, asJSON bool
	cmd := &cobra.Command{
		Use: "registrations", Short: "Make the app registrations of this Gatehouse, or print how to", Args: cobra.NoArgs,
		Long: `Gatehouse needs one app registration: the reader, which each tenant that wants
explanations consents to. Registrations are made once in each cloud, in the
tenant of whoever runs Gatehouse.

Without a token the exact steps are printed. With an administrator's token for
Microsoft Graph (--token-file or GATEHOUSE_ADMIN_TOKEN) the registration is made:
the token needs Application.ReadWrite.All, which that of an Application
Administrator's Azure CLI has. It is sent to Graph only, and not kept. Consent
stays a step of a person.

Exit codes: 0 printed or made; 1 Microsoft refused it, or there is one of this
name; 2 wrong usage; 3 could not find out.`,
		Example: `  gatehouse setup registrations --public-url https://gatehouse.example
  az account get-access-token --resource https://graph.microsoft.com --query accessToken --output tsv > admin.token
  gatehouse setup registrations --public-url https://gatehouse.example --token-file admin.token`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := microsoft.FindCloud(cloudName, env.Getenv("GATEHOUSE_LAB"))
			if err != nil {
				return usagef("--cloud: %w", err)
			}
			r, err := plannedReader(cloud, name, public, single)
			if err != nil {
				return err
			}
			token, err := adminToken(env, tokenFile)
			if err != nil {
				return err
			}
			if !token.Empty() {
				if err := r.make(cmd.Context(), cloud, token); err != nil {
					return registrationError(err)
				}
			}
			r.say(cloud)
			if asJSON {
				return writeJSON(env.Stdout, map[string]any{"registrations": []registration{r}})
			}
			return r.write(env)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "Gatehouse reader", "name of the registration, which administrators see when they consent")
	flags.StringVar(&cloudName, "cloud", "public", "public, usgov, usgov-dod, china, lab, or an endpoint file")
	flags.StringVar(&public, "public-url", "https://localhost:8443", "where browsers reach the server: they come back there after consent")
	flags.BoolVar(&single, "single-tenant", false, "only the tenant that it is made in can use it")
	flags.StringVar(&tokenFile, "token-file", "", "file with an administrator's access token for Microsoft Graph (default GATEHOUSE_ADMIN_TOKEN)")
	flags.BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func adminToken(env Env, file string) (secrets.Value, error) {
	if file != "" {
		return secretFile("--token-file", file)
	}
	return secrets.New(strings.TrimSpace(env.Getenv("GATEHOUSE_ADMIN_TOKEN"))), nil
}

// plannedReader is the reader's registration as it should be.
func plannedReader(cloud microsoft.Cloud, name, public string, single bool) (registration, error) {
	at, err := url.Parse(public)
	if err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" || at.Fragment != "" {
		return registration{}, usagef("--public-url: %q is no address of a server: write https://host or https://host:port, without a path", public)
	}
	if name = strings.TrimSpace(name); name == "" || len(name) > 120 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return registration{}, usagef("--name: %q cannot be the name of an app registration: write 1 to 120 characters", name)
	}
	reads := tenant.Reads()
	r := registration{
		Name: name, Purpose: reads.Purpose, Cloud: cloud.Name, Audience: anyOrganisation, RedirectURI: "https://" + at.Host + "/tenants", WhoConsents: reads.WhoConsents, Permissions: []neededPermission{},
	}
	if single {
		r.Audience = thisOneOnly
	}
	for _, p := range reads.Permissions {
		r.Permissions = append(r.Permissions, neededPermission{"Microsoft Graph", p.Name, p.Words})
	}
	return r, nil
}

// errTaken says that a registration of this name is there.
var errTaken = errors.New("there is one of this name already")

func registrationError(err error) error {
	var said *microsoft.Error
	switch {
	case errors.Is(err, errTaken):
		return &exitError{exitNo, err}
	case errors.As(err, &said) && said.Status == 401:
		return &exitError{exitNo, fmt.Errorf("%w\n  the token has ended, or is for another service or cloud: get a new one", err)}
	case errors.As(err, &said) && said.Status == 403:
		return &exitError{exitNo, fmt.Errorf("%w\n  the token does not allow it: it needs Application.ReadWrite.All, and whoever got it the role Application Administrator", err)}
	}
	return &exitError{exitUnknown, err}
}

// make makes the registration in the tenant of the token (graph: create
// application). It never changes one that is there.
func (r *registration) make(ctx context.Context, cloud microsoft.Cloud, token secrets.Value) error {
	c, err := graph.New(graph.Config{Cloud: cloud, Token: func(context.Context) (secrets.Value, error) { return token, nil }})
	if err != nil {
		return err
	}
	type app struct {
		AppID string `json:"appId"`
	}
	same, err := graph.List[app](ctx, c, "/v1.0/applications?$select=appId&$filter="+graph.QueryValue("displayName eq '"+strings.ReplaceAll(r.Name, "'", "''")+"'"))
	if err != nil {
		return fmt.Errorf("looking for an app registration: %w", err)
	}
	if len(same) > 0 {
		return fmt.Errorf("making the app registration %q: %w, with client id %s: use it, or choose another --name", r.Name, errTaken, same[0].AppID)
	}
	access, err := r.access(ctx, c)
	if err != nil {
		return err
	}
	var made app
	err = c.Create(ctx, "/v1.0/applications", map[string]any{
		"displayName": r.Name, "signInAudience": r.Audience, "web": map[string]any{"redirectUris": []string{r.RedirectURI}},
		"requiredResourceAccess": []any{map[string]any{"resourceAppId": graphAppID, "resourceAccess": access}},
	}, &made)
	if err != nil {
		return fmt.Errorf("making the app registration %q: %w", r.Name, err)
	}
	r.ClientID = &made.AppID
	return nil
}

// access finds the ids of the permissions in the tenant's own Microsoft Graph.
func (r *registration) access(ctx context.Context, c *graph.Client) ([]any, error) {
	var api struct {
		Roles []struct {
			ID    string `json:"id"`
			Value string `json:"value"`
		} `json:"appRoles"`
	}
	if err := c.Get(ctx, "/v1.0/servicePrincipals(appId='"+graphAppID+"')?$select=id,appRoles", &api); err != nil {
		return nil, fmt.Errorf("reading which permissions there are: %w", err)
	}
	ids := map[string]string{}
	for _, role := range api.Roles {
		ids[role.Value] = role.ID
	}
	var access []any
	for _, p := range r.Permissions {
		if ids[p.Name] == "" {
			return nil, fmt.Errorf("reading which permissions there are: this cloud has no %s", p.Name)
		}
		access = append(access, map[string]string{"id": ids[p.Name], "type": "Role"})
	}
	return access, nil
}

// say fills in what is left to do.
func (r *registration) say(cloud microsoft.Cloud) {
	portal := portals[cloud.Name]
	if portal == "" {
		portal = "the admin centre of this cloud"
	}
	client := "CLIENT-ID"
	if r.ClientID != nil {
		client = *r.ClientID
	} else {
		accounts := "Multiple Entra ID tenants"
		if r.Audience == thisOneOnly {
			accounts = "Single tenant only"
		}
		names := []string{}
		for _, p := range r.Permissions {
			names = append(names, p.Name)
		}
		r.Steps = append(r.Steps,
			"Open "+portal+": Entra ID > App registrations > New registration. Name: "+r.Name+". Supported account types: "+accounts+". Redirect URI: Web, "+r.RedirectURI+".",
			"API permissions > Add a permission > Microsoft Graph > Application permissions: "+strings.Join(names, ", ")+".",
			"API permissions: remove the delegated User.Read that a new registration begins with.",
			"Overview: copy the application (client) id. It takes CLIENT-ID's place below.")
	}
	r.Steps = append(r.Steps,
		"For each tenant: gatehouse tenant reader onboard TENANT --client-id "+client+" --out reader.pem",
		"Upload reader.pem in "+portal+": Entra ID > App registrations > "+r.Name+" > Certificates & secrets > Certificates > Upload certificate.",
		"Have an administrator of that tenant open the consent address that 'onboard' printed. "+r.WhoConsents,
		"gatehouse tenant reader check TENANT")
}

func (r *registration) write(env Env) error {
	var b strings.Builder
	state := "not made yet"
	if r.ClientID != nil {
		state = "made, client id " + *r.ClientID
	}
	fmt.Fprintf(&b, "%s (cloud %s): %s\n%s\n  accounts      %s\n  redirect URI  Web, %s\n  credentials   none here: each tenant's reader gets a certificate of its own\n  permissions   Microsoft Graph, application:\n",
		r.Name, r.Cloud, state, wrap(r.Purpose, "  ", explainWidth), r.Audience, r.RedirectURI)
	rows := [][]string{}
	for _, p := range r.Permissions {
		rows = append(rows, []string{"    " + p.Name, p.Words})
	}
	if err := columns(&b, rows); err != nil {
		return err
	}
	b.WriteString("\nWhat is left to do:\n")
	for i, s := range r.Steps {
		lead := fmt.Sprintf("%2d. ", i+1)
		b.WriteString(lead + strings.TrimLeft(wrap(s, strings.Repeat(" ", len(lead)), explainWidth), " "))
	}
	if r.ClientID == nil {
		b.WriteString("\nWith an administrator's token Gatehouse does the first four: see 'gatehouse setup registrations --help'.\n")
	}
	_, err := fmt.Fprint(env.Stdout, b.String())
	return err
}
