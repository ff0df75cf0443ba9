package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"gatehouse/client"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// filler puts the demo's stories into the server, through its API as anybody
// else would.
type filler struct {
	*client.Client
	lab    *lab.Lab
	server string // address of the server
	out    io.Writer

	mu                sync.Mutex
	tenants, of       int
	validated, ofThem int
	works, stopped    int
	tenantID          map[string]string // by the first part of the domain
	connectionID      map[string]string // by that and the name
	campaignID        string            // of the story of the replaced app
}

// atOnce is how many tenants are filled at a time: they wait for the limits of
// Microsoft's services, each tenant for its own.
const atOnce = 6

func (f *filler) fill(ctx context.Context, stories []demoStory) error {
	f.tenantID, f.connectionID, f.of, f.ofThem = map[string]string{}, map[string]string{}, len(stories)+len(ledgerTenants()), len(ledgerPeople)
	for _, s := range stories {
		f.ofThem += len(s.connections)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	work := make(chan demoStory)
	var workers sync.WaitGroup
	workers.Go(func() {
		if err := f.ledger(ctx); err != nil {
			stop(fmt.Errorf("telling of the replaced app: %w", err))
		}
	})
	for range atOnce {
		workers.Go(func() {
			for s := range work {
				if err := f.story(ctx, s); err != nil {
					stop(fmt.Errorf("filling in %s: %w", s.tenant, err))
				}
			}
		})
	}
	for _, s := range stories {
		work <- s
	}
	close(work)
	workers.Wait()
	return context.Cause(ctx)
}

// join adds a tenant and, if it is to have one, its reader.
func (f *filler) join(ctx context.Context, tenant string, noReader bool) (at lab.ReadyTenant, id, what string, err error) {
	at = f.lab.Tenant(tenant)
	added, err := f.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: at.Name})
	if err != nil || noReader {
		return at, added.ID, "no reader", err
	}
	if err := f.onboard(ctx, at, added.ID); err != nil {
		return at, added.ID, "", fmt.Errorf("setting its reader up: %w", err)
	}
	return at, added.ID, "its reader", nil
}

// story adds a tenant, its reader and its connections, and validates them.
func (f *filler) story(ctx context.Context, s demoStory) error {
	at, id, what, err := f.join(ctx, s.tenant, s.noReader)
	if err != nil {
		return err
	}
	names := make([]string, len(s.connections))
	ids := make([]string, len(s.connections))
	for i, c := range s.connections {
		request, err := c.request(at, id)
		if err != nil {
			return err
		}
		made, err := f.AddConnection(ctx, request)
		if err != nil {
			return fmt.Errorf("adding %q: %w", c.name, err)
		}
		names[i], ids[i] = c.name, made.ID
	}
	f.added(s.tenant, at, id, names, ids, what)
	for i, c := range s.connections {
		v, err := f.Validate(ctx, ids[i])
		if err != nil {
			return fmt.Errorf("validating %q: %w", c.name, err)
		}
		f.ended(at, c.name, v)
	}
	return nil
}

func (f *filler) added(tenant string, at lab.ReadyTenant, id string, names, connections []string, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tenants++
	f.tenantID[tenant] = id
	for i, name := range names {
		f.connectionID[tenant+"/"+name] = connections[i]
	}
	fmt.Fprintf(f.out, "  tenant %2d of %d      %s: %s, %s\n", f.tenants, f.of, at.Name, what, plural(len(connections), "connection"))
}

// idOf gives the id of a tenant that was added.
func (f *filler) idOf(tenant string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tenantID[tenant]
}

func (f *filler) ended(at lab.ReadyTenant, name string, v client.Validation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.validated++
	switch validation.Verdict(v.Verdict) {
	case validation.Works, validation.WorksWithWarnings:
		f.works++
	case validation.Blocked, validation.Failed:
		f.stopped++
	}
	fmt.Fprintf(f.out, "  validation %2d of %d  %s, %s: %s\n", f.validated, f.ofThem, at.Name, name, verdictLine(v))
}

// verdictLine tells a validation in a line, without what only a table needs.
func verdictLine(v client.Validation) string {
	if v.Verdict == "" {
		return "could not find out: " + v.Reason
	}
	line := strings.ToLower(verdictWords[validation.Verdict(v.Verdict)])
	switch {
	case v.Rule != nil:
		line += " by " + ruleText(ruleHere(client.Rule{Kind: v.Rule.Kind, Name: v.Rule.Name}))
	case v.Diagnosis != nil:
		line += ": " + v.Diagnosis.Title
	}
	return line
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// onboard sets a tenant's reader up: here as an operator would, in the lab as an
// administrator of the tenant would.
func (f *filler) onboard(ctx context.Context, at lab.ReadyTenant, id string) error {
	reader := at.App("Gatehouse reader").ClientID
	steps, err := f.OnboardReader(ctx, id, client.ReaderRequest{ClientID: reader})
	if err != nil {
		return err
	}
	if err := uploadInLab(ctx, f.lab, at, reader, steps.CertificatePEM); err != nil {
		return fmt.Errorf("uploading its certificate: %w", err)
	}
	checked, err := f.CheckReader(ctx, id)
	if err == nil && (checked.Reader == nil || checked.Reader.State != "works") {
		err = errors.New("it does not work")
	}
	return err
}

// request is a connection as somebody would enter it.
func (c demoConnection) request(at lab.ReadyTenant, tenantID string) (client.ConnectionRequest, error) {
	r := client.ConnectionRequest{TenantID: tenantID, Kind: "service_account", Profile: client.Profile{
		Name: c.name, Description: c.about, Services: c.services, Site: c.site, Environment: c.environment, Consumer: c.consumer,
	}}
	r.Consumer.HoldsCredential = "gatehouse"
	if c.app != "" {
		return r, c.asApp(&r, at.App(c.app))
	}
	user := at.User(c.user)
	r.Username, r.Credential.Password = user.UPN, *user.Password
	if c.through != "" {
		r.ClientID = at.App(c.through).ClientID
	}
	switch {
	case c.wrong:
		r.Credential.Password = rand.Text()
	case c.old:
		r.MFA, r.Existing, r.Credential = true, true, client.CredentialRequest{Kind: "app_password", Password: *user.AppPassword}
	}
	return r, nil
}

func (c demoConnection) asApp(r *client.ConnectionRequest, app lab.ReadyApp) error {
	r.Kind, r.ClientID = "app", app.ClientID
	switch {
	case c.secret:
		r.Credential.Secret = *app.Secret
	case app.CertificateFile != nil:
		pem, err := os.ReadFile(*app.CertificateFile)
		if err != nil {
			return err
		}
		r.Credential.CertificatePEM = string(pem)
	default:
		r.Credential.Kind, r.Consumer.HoldsCredential = "federated", "consumer"
	}
	return nil
}

// summary says what came out and what to look at.
func (f *filler) summary(o demoOperator) error {
	code, err := o.code()
	if err != nil {
		return err
	}
	fmt.Fprintf(f.out, "\n%s in %s: %d get in, %d are stopped, of %d it is not known.\nLook at:\n\n",
		plural(f.validated, "connection"), plural(f.tenants, "tenant"), f.works, f.stopped, f.validated-f.works-f.stopped)
	for i, s := range demoSights {
		path := "/tenants/" + f.tenantID[s.tenant]
		switch {
		case s.tenant == "":
			path = "/campaigns/" + f.campaignID
		case s.connection != "":
			path = "/connections/" + f.connectionID[s.tenant+"/"+s.connection]
		}
		fmt.Fprintf(f.out, "  %d. %s\n     %s%s%s\n", i+1, s.why, o.server, path, s.path)
	}
	fmt.Fprintf(f.out, `
  sign in   %s, password %s, code %s

Ctrl-C ends it.
`, demoEmail, o.word, code)
	return nil
}
