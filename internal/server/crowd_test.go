package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/server"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
	"gatehouse/lab"
)

// crowd is a vendor whose app is replaced: with customers of which each has people
// with connections here, and others in an app of the vendor that keeps its own tokens.
type crowd struct {
	*testenv.Env
	lab.Crowd
	t            testing.TB
	vendor       string
	next         lab.ReadyApp // the app that takes the place of [lab.CrowdClient]
	registration client.Registration
	campaign     string
	connected    int        // people with connections, of each tenant; the rest have none
	tenants      []string   // ids here, by customer
	connections  [][]string // ids, by customer and person
	app, program *client.Client
}

// ownReply is where the vendor's other app has people come back to.
const ownReply = "http://localhost/reports"

var crowdScopes = []string{"openid", "profile", "offline_access", "User.Read"}

// crowdSoaked says that all of them have signed in once, which takes minutes.
var crowdSoaked bool

// A vendor replaces its app, and a campaign brings all people of all its customers to
// the new one: in each tenant an administrator consents on Microsoft's page, and each
// person signs in there, by their personal link, or in an app of the vendor's own that
// reports it. Until the last one the old app goes on serving who has not moved; with
// the last one the campaign ends by itself. GATEHOUSE_SOAK=1 makes it 400 customers
// with 50 people each, the first time that the test runs.
func TestCrowdSignsInAgain(t *testing.T) {
	size, connected := lab.Crowd{Customers: 8, People: 3}, 2
	if os.Getenv("GATEHOUSE_SOAK") != "" && !crowdSoaked {
		size, connected, crowdSoaked = lab.Crowd{Customers: 400, People: 50}, 40, true
	}
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		c := newCrowd(t, address, size, connected)
		c.before()
		c.replace()
		c.approve()
		half := size.Customers / 2
		c.move(0, half, 0)
		c.halfWay(half)
		c.move(half, size.Customers, 1) // but the very first person of the last tenant
		c.last()
		c.afterwards()
	})
}

func newCrowd(t *testing.T, address string, size lab.Crowd, connected int) *crowd {
	t.Helper()
	size.Delegated = map[string][]string{"graph": crowdScopes}
	l := lab.Start(t, lab.WithTenants(size.Tenants()))
	quiet := func(c *server.Config) { c.Log = slog.New(slog.DiscardHandler) } // of all these requests
	c := &crowd{Env: testenv.Start(t, testenv.Options{Database: address, Lab: l, Change: quiet}), Crowd: size, t: t, vendor: l.Tenant("vendor.onmicrosoft.com").ID, connected: connected, tenants: make([]string, size.Customers), connections: make([][]string, size.Customers)}
	err := l.ChangeApp(c.vendor, lab.CrowdClient, lab.AppChange{RedirectURIs: []string{c.URL + "/signin/callback", c.URL + "/consent/callback", ownReply}})
	if err == nil {
		c.next, err = l.ReplaceApp(c.vendor, lab.CrowdClient)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// phase runs a part of the campaign and says what it took.
func (c *crowd) phase(what string, n int, do func()) {
	c.t.Helper()
	begin, used := time.Now(), processorTime(c.t)
	do()
	took := time.Since(begin)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.t.Logf("%-40s %6d in %7.1fs, %6.0f a second, %5.1f ms of a processor each, %4d MB on the heap", what, n, took.Seconds(), float64(n)/took.Seconds(), (processorTime(c.t)-used).Seconds()*1000/float64(n), m.HeapAlloc>>20)
}

// atOnce is how many customers act at a time.
const atOnce = 4

// each does something for customers, several at a time, until one fails.
func (c *crowd) each(from, to int, do func(ctx context.Context, i int) error) {
	c.t.Helper()
	ctx, cancel := context.WithCancelCause(c.t.Context())
	defer cancel(nil)
	var n atomic.Int64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := from + int(n.Add(1)) - 1; i < to && ctx.Err() == nil; i = from + int(n.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(fmt.Errorf("%s: %w", c.Customer(i), err))
				}
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		c.t.Fatal(err)
	}
}

// before is how it was: everybody has a connection, or an app with tokens of its own,
// and the first person of each customer is signed in to the old app.
func (c *crowd) before() {
	ctx := c.t.Context()
	var err error
	c.registration, err = c.AddRegistration(ctx, client.NewRegistration{Kind: "confidential", RegistrationDetails: c.details(lab.CrowdClient), Permissions: crowdPermissions()})
	if err == nil {
		err = c.prove(ctx, lab.CrowdClient, lab.CrowdSecret)
	}
	if err == nil {
		c.app, err = c.key(ctx, "campaign.report")
	}
	if err == nil {
		c.program, err = c.key(ctx, "connection.use")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.phase("customers with connections", c.Customers*c.connected, func() { c.each(0, c.Customers, c.connect) })
	c.phase("first sign-ins, to the old app", c.Customers, func() {
		c.each(0, c.Customers, func(ctx context.Context, i int) error {
			consent := c.Lab.URL() + "/" + c.Customer(i) + "/v2.0/adminconsent?" + url.Values{"client_id": {lab.CrowdClient}, "redirect_uri": {ownReply}, "scope": {"https://graph.microsoft.com/.default"}, "state": {"s"}}.Encode()
			if _, err := c.Lab.SignIn(consent, lab.Person{UPN: c.Admin(i), Consent: true}); err != nil {
				return err
			}
			link, err := c.NewSignInLink(ctx, c.connections[i][0], client.SignInLinkRequest{Why: "The reports need it."})
			if err != nil {
				return err
			}
			return c.signIn(ctx, c.HTTP(), link.URL, c.Person(i, 0), true)
		})
	})
}

func (c *crowd) details(clientID string) client.RegistrationDetails {
	return client.RegistrationDetails{Name: "Vendor reports", Purpose: "Reports from the customers' tenants.", ClientIDs: map[string]string{"lab": clientID}}
}

func crowdPermissions() (all []client.ManifestPermission) {
	for _, name := range crowdScopes {
		all = append(all, client.ManifestPermission{Resource: "graph", Name: name, Kind: "delegated", Why: "Knows who signed in."})
	}
	return all
}

func (c *crowd) prove(ctx context.Context, clientID, secret string) error {
	_, err := c.AddRegistrationCredential(ctx, c.registration.ID, client.NewCredential{Secret: secret, ClientID: clientID})
	return err
}

// key is a client with an API key for one thing.
func (c *crowd) key(ctx context.Context, permission string) (*client.Client, error) {
	made, err := c.AddKey(ctx, client.KeyRequest{Name: permission, Permissions: []string{permission}, Tenants: []string{client.AllTenants}})
	if err != nil {
		return nil, err
	}
	return c.NewClient(client.WithToken(made.Token)), nil
}

func (c *crowd) connect(ctx context.Context, i int) error {
	added, err := c.AddTenant(ctx, client.TenantRequest{Tenant: c.Customer(i), Name: fmt.Sprintf("Customer %03d", i)})
	if err != nil {
		return err
	}
	c.tenants[i] = added.ID
	for j := range c.connected {
		made, err := c.AddConnection(ctx, client.ConnectionRequest{TenantID: added.ID, Kind: "delegated", Profile: client.Profile{Name: fmt.Sprintf("Reports of person %02d", j), RegistrationID: c.registration.ID, Username: c.Person(i, j), Services: []string{"graph"}}})
		if err != nil {
			return err
		}
		c.connections[i] = append(c.connections[i], made.ID)
	}
	return nil
}

// replace gives the registration the new app, which proposes a campaign; the people
// of the other app are added to it, and it is started.
func (c *crowd) replace() {
	ctx := c.t.Context()
	if err := c.prove(ctx, c.next.ClientID, *c.next.Secret); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.ChangeRegistration(ctx, c.registration.ID, client.RegistrationChange{RegistrationDetails: c.details(c.next.ClientID), Version: c.registration.Version}); err != nil {
		c.t.Fatal(err)
	}
	drafts, _, err := c.Campaigns(ctx, "draft", client.Page{})
	if err != nil || len(drafts) != 1 || drafts[0].Old != lab.CrowdClient || drafts[0].ClientID != c.next.ClientID {
		c.t.Fatalf("%+v %v", drafts, err)
	}
	c.campaign = drafts[0].ID
	var file strings.Builder
	file.WriteString("tenant,username,object_id\n")
	for i := range c.Customers {
		of := c.Lab.Tenant(c.Customer(i))
		for j := c.connected; j < c.People; j++ {
			fmt.Fprintf(&file, "%s,%s,%s\n", c.Customer(i), c.Person(i, j), of.User(c.Person(i, j)).ID)
		}
	}
	c.phase("people of the other app, by file", c.Customers*(c.People-c.connected), func() {
		got, err := c.AddCampaignPeople(ctx, c.campaign, client.CampaignPeople{File: file.String()})
		if err != nil || got.FaultCount > 0 || got.Joining != c.Customers*(c.People-c.connected) {
			c.t.Fatalf("%+v %v", got, err)
		}
	})
	c.phase("the start", 1, func() {
		if _, err := c.StartCampaign(ctx, c.campaign); err != nil {
			c.t.Fatal(err)
		}
	})
	all := c.Customers * c.People
	c.want("running: %d people, %d pending, 0 asked, 0 done, 0 failed, %d on the old app; %d tenants, 0 done, 0 without consent", all, all, c.Customers, c.Customers)
}

func (c *crowd) want(words string, figures ...any) {
	c.t.Helper()
	if got, want := c.progress(), fmt.Sprintf(words, figures...); got != want {
		c.t.Errorf("got  %s\nwant %s", got, want)
	}
}

func (c *crowd) progress() string {
	c.t.Helper()
	k, err := c.Campaign(c.t.Context(), c.campaign)
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("%s: %d people, %d pending, %d asked, %d done, %d failed, %d on the old app; %d tenants, %d done, %d without consent", k.State, k.People, k.Pending, k.Reminded, k.Done, k.Failed, k.OnOld, k.Tenants, k.TenantsDone, k.NoConsent)
}

// approve has the administrator of each customer consent, through the page that was
// made for them. Before that nobody gets in.
func (c *crowd) approve() {
	links, err := c.CampaignSignInLinks(c.t.Context(), c.campaign, c.tenants[0])
	if err == nil {
		err = c.signIn(c.t.Context(), c.HTTP(), links[0].URL, c.Person(0, 0), false)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	pages := make([]string, c.Customers)
	c.phase("links for administrators", c.Customers, func() {
		c.each(0, c.Customers, func(ctx context.Context, i int) error {
			link, err := c.CampaignConsentLink(ctx, c.campaign, c.tenants[i])
			pages[i] = link.URL
			return err
		})
	})
	all := c.Customers * c.People
	c.want("running: %d people, %d pending, %d asked, 0 done, 0 failed, %d on the old app; %d tenants, 0 done, %d without consent", all, all-c.connected, c.connected, c.Customers, c.Customers, c.Customers)
	// That people are signed in to the old app is no consent to the new one.
	if got, err := c.LookAtConsent(c.t.Context(), c.tenants[0], c.registration.ID); err != nil || got.State != "unknown" {
		c.t.Errorf("before anybody consented: %s %v", got.State, err)
	}
	c.phase("consents", c.Customers, func() {
		c.each(0, c.Customers, func(ctx context.Context, i int) error { return c.consent(ctx, i, pages[i]) })
		for !strings.HasSuffix(c.progress(), " 0 without consent") { // which jobs look after
			runtime.Gosched()
		}
	})
	c.want("running: %d people, %d pending, %d asked, 0 done, 0 failed, %d on the old app; %d tenants, 0 done, 0 without consent", all, all-c.connected, c.connected, c.Customers, c.Customers)
}

// move has the people of customers sign in, but for the first left of the last one:
// by the links of the campaign, and in the other app, which reports it.
func (c *crowd) move(from, to, left int) {
	c.phase("people signed in", (to-from)*c.People-left, func() {
		c.each(from, to, func(ctx context.Context, i int) error {
			skip := 0
			if i == c.Customers-1 {
				skip = left
			}
			links, err := c.CampaignSignInLinks(ctx, c.campaign, c.tenants[i])
			if err != nil {
				return err
			}
			if len(links) != c.connected {
				return fmt.Errorf("%d links for %d people", len(links), c.connected)
			}
			browser := c.HTTP()
			for _, link := range links {
				if skip > 0 && link.Username == c.Person(i, 0) {
					continue
				}
				if err := c.signIn(ctx, browser, link.URL, link.Username, true); err != nil {
					return err
				}
			}
			return c.report(ctx, i)
		})
	})
}

// halfWay finds half of the people on the new app, and the others where they were.
func (c *crowd) halfWay(tenants int) {
	rest := (c.Customers - tenants)
	c.want("running: %d people, %d pending, 0 asked, %d done, 0 failed, %d on the old app; %d tenants, %d done, 0 without consent", c.Customers*c.People, rest*c.People, tenants*c.People, rest, c.Customers, tenants)
	c.phase("tokens of the old app, side by side", rest, func() {
		c.each(tenants, c.Customers, func(ctx context.Context, i int) error { return c.serves(ctx, i, 0, lab.CrowdClient) })
	})
}

// last is the last person, whom the old app still serves; with them the campaign ends.
func (c *crowd) last() {
	ctx, i := c.t.Context(), c.Customers-1
	c.want("running: %d people, 0 pending, 1 asked, %d done, 0 failed, 1 on the old app; %d tenants, %d done, 0 without consent", c.Customers*c.People, c.Customers*c.People-1, c.Customers, i)
	if err := c.serves(ctx, i, 0, lab.CrowdClient); err != nil {
		c.t.Error(err)
	}
	link, err := c.CampaignSignInLink(ctx, c.campaign, c.connections[i][0])
	if err == nil {
		err = c.signIn(ctx, c.HTTP(), link.URL, c.Person(i, 0), true)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.want("done: %d people, 0 pending, 0 asked, %d done, 0 failed, 0 on the old app; %d tenants, %d done, 0 without consent", c.Customers*c.People, c.Customers*c.People, c.Customers, c.Customers)
}

// afterwards finds tokens of the new app for everybody, and the log as it was written.
func (c *crowd) afterwards() {
	ctx := c.t.Context()
	c.phase("tokens of the new app", c.Customers*c.connected, func() {
		c.each(0, c.Customers, func(ctx context.Context, i int) error {
			for j := range c.connected {
				if err := c.serves(ctx, i, j, c.next.ClientID); err != nil {
					return err
				}
			}
			return nil
		})
	})
	k, err := c.Campaign(ctx, c.campaign)
	if err != nil || !k.OldCanBeRemoved || k.EndedAt == nil {
		c.t.Errorf("%+v %v", k, err)
	}
	var lines counter
	if err := c.ExportCampaign(ctx, c.campaign, client.CampaignPersonFilter{State: "done"}, "csv", &lines); err != nil || int(lines) != c.Customers*c.People+1 {
		c.t.Errorf("%d lines, %v", lines, err)
	}
	c.phase("verifying the audit log", 1, func() {
		if r, err := c.VerifyAudit(ctx); err != nil || r.Entries == 0 {
			c.t.Errorf("%+v %v", r, err)
		}
	})
}

// counter counts lines.
type counter int

func (n *counter) Write(data []byte) (int, error) {
	*n += counter(strings.Count(string(data), "\n"))
	return len(data), nil
}
