package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// profileFlags are the flags for what a connection says of itself.
func profileFlags(cmd *cobra.Command, p *client.Profile) {
	flags := cmd.Flags()
	flags.StringVar(&p.Description, "description", "", "what it is for")
	flags.BoolVar(&p.MFA, "mfa", false, "the organisation uses MFA")
	flags.StringVar(&p.Username, "username", "", "user name of a service account; of a delegated connection who is to sign in")
	flags.StringVar(&p.RegistrationID, "registration", "", "app registration that the person of a delegated connection signs in to")
	flags.StringVar(&p.ClientID, "client-id", "", "client id of the app; of a service account the app it signs in through")
	flags.StringArrayVar(&p.Services, "service", nil, "service that it reaches: graph, sharepoint, exchange, business_central (repeatable)")
	flags.StringVar(&p.Site, "site", "", "SharePoint site")
	flags.StringVar(&p.AdminURL, "admin-url", "", "SharePoint admin centre, if it is not the default")
	flags.StringVar(&p.Environment, "environment", "", "Business Central environment")
	flags.StringVar(&p.Company, "company", "", "Business Central company")
	flags.StringVar(&p.Consumer.Name, "consumer", "", "name of the software that uses it")
	flags.StringVar(&p.Consumer.HoldsCredential, "held-by", "", "who keeps the credential: gatehouse or consumer")
	flags.StringArrayVar(&p.Consumer.Accepts, "accepts", nil, "what the software can be given: certificate, secret, password, federated (repeatable)")
	flags.StringArrayVar(&p.Consumer.Addresses, "address", nil, "address that the software signs in from (repeatable)")
}

// profileMembers copies what a flag sets.
var profileMembers = map[string]func(to *client.Profile, from client.Profile){
	"name":         func(to *client.Profile, from client.Profile) { to.Name = from.Name },
	"description":  func(to *client.Profile, from client.Profile) { to.Description = from.Description },
	"mfa":          func(to *client.Profile, from client.Profile) { to.MFA = from.MFA },
	"username":     func(to *client.Profile, from client.Profile) { to.Username = from.Username },
	"client-id":    func(to *client.Profile, from client.Profile) { to.ClientID = from.ClientID },
	"registration": func(to *client.Profile, from client.Profile) { to.RegistrationID = from.RegistrationID },
	"service":      func(to *client.Profile, from client.Profile) { to.Services = from.Services },
	"site":         func(to *client.Profile, from client.Profile) { to.Site = from.Site },
	"admin-url":    func(to *client.Profile, from client.Profile) { to.AdminURL = from.AdminURL },
	"environment":  func(to *client.Profile, from client.Profile) { to.Environment = from.Environment },
	"company":      func(to *client.Profile, from client.Profile) { to.Company = from.Company },
	"consumer":     func(to *client.Profile, from client.Profile) { to.Consumer.Name = from.Consumer.Name },
	"held-by": func(to *client.Profile, from client.Profile) {
		to.Consumer.HoldsCredential = from.Consumer.HoldsCredential
	},
	"accepts": func(to *client.Profile, from client.Profile) { to.Consumer.Accepts = from.Consumer.Accepts },
	"address": func(to *client.Profile, from client.Profile) { to.Consumer.Addresses = from.Consumer.Addresses },
}

func newConnectionChange(env Env) *cobra.Command {
	r := &remote{env: env, first: findConnection}
	var typed client.Profile
	var cmd *cobra.Command
	cmd = r.command(cobra.Command{
		Use: "change CONNECTION", Short: "Change what is said of a connection; what no flag names stays", Args: cobra.ExactArgs(1),
		Long: `Change changes what the flags name and leaves the rest. A flag that can be repeated
replaces its whole list. The credential has a command of its own.`,
		Example: "  gatehouse connection change Backup --service graph --service sharepoint --site https://contoso.sharepoint.com/sites/finance",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		at, err := c.Connection(ctx, args[0])
		if err != nil {
			return err
		}
		in := client.ConnectionChange{Version: at.Version, Profile: client.Profile{
			Name: at.Name, Description: at.Description, MFA: at.MFA, Username: at.Username, ClientID: at.ClientID, RegistrationID: at.RegistrationID, Services: at.Services, Site: at.Site, AdminURL: at.AdminURL,
			Environment: at.Environment, Company: at.Company, Consumer: at.Consumer,
		}}
		changed := false
		for flag, set := range profileMembers {
			if cmd.Flags().Changed(flag) {
				set(&in.Profile, typed)
				changed = true
			}
		}
		if !changed {
			return usagef("nothing to change: name it with a flag, such as --description")
		}
		return r.oneConnection(c.ChangeConnection(ctx, args[0], in))
	})
	cmd.Flags().StringVar(&typed.Name, "name", "", "another name")
	profileFlags(cmd, &typed)
	return cmd
}
