package server_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/config"
	"gatehouse/internal/notify"
	"gatehouse/internal/notify/notifytest"
	"gatehouse/internal/secrets"
	"gatehouse/internal/server"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

const plantedMail = "planted mail password"

// telling is a server with a mail server and a receiver of webhooks.
func telling(t *testing.T, address string) (*testenv.Env, *notifytest.MailServer, *notifytest.Receiver) {
	t.Helper()
	mail, hooks := notifytest.Mail(t, notifytest.Behaviour{Password: plantedMail}), notifytest.Receive(t, "127.0.0.1")
	return testenv.Start(t, testenv.Options{Database: address, Change: func(c *server.Config) {
		c.Mail = config.Mail{Server: mail.Address, From: "Gatehouse <gatehouse@contoso.example>", Username: "gate", Password: secrets.New(plantedMail)}
		c.EgressAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.OutsideRoots = notifytest.Roots(t)
	}}), mail, hooks
}

// publish tells of something, as a feature does.
func publish(t *testing.T, e *testenv.Env, events ...notify.Event) {
	t.Helper()
	db := dbtest.Open(t, e.Database)
	if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, event := range events {
			if err := e.Server.Notices().Publish(ctx, tx, event); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// arrive waits for so many of something.
func arrive(t *testing.T, of <-chan struct{}, n int) {
	t.Helper()
	for range n {
		select {
		case <-of:
		case <-time.After(60 * time.Second):
			t.Fatal("it did not arrive")
		}
	}
}

// What was given to the server as a secret is in no mail, no webhook, and no
// notice that is kept. Only an invitation holds its link.
func TestPlantedInNotices(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e, mail, hooks := telling(t, address)
		ctx := t.Context()
		tenant, err := e.AddTenant(ctx, client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Open Harbour"})
		if err != nil {
			t.Fatal(err)
		}
		hook, err := e.AddWebhook(ctx, client.WebhookRequest{Name: "Receiver", URL: hooks.URL + "/in?key=planted-webhook-key", Kinds: []string{"incident.opened", "connection.parked"}})
		if err != nil {
			t.Fatal(err)
		}
		other, err := e.AddWebhook(ctx, client.WebhookRequest{Name: "Nowhere", URL: "https://127.0.0.1:1/in?key=planted-webhook-key", Kinds: []string{"incident.opened"}})
		if err != nil {
			t.Fatal(err)
		}
		planted := map[string]string{
			"the operator's password": testenv.Password, "the session": e.Token(), "the mail server's password": plantedMail, "a key in an address": "planted-webhook-key",
			"a webhook's secret": strings.TrimPrefix(hook.Secret, "whsec_"), "another webhook's secret": strings.TrimPrefix(other.Secret, "whsec_"), "a value": "planted value",
		}
		invitation := secrets.New(e.URL + "/setup/planted-invitation-token")
		db := dbtest.Open(t, e.Database)
		if err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return e.Server.Notices().Invite(ctx, tx, "new@contoso.example", "New Person", invitation, time.Now().Add(time.Hour))
		}); err != nil {
			t.Fatal(err)
		}
		publish(t, e, notify.Event{Kind: notify.IncidentOpened, TenantID: tenant.ID, Key: "planted", Title: "Visible harbour", Text: "Text", Path: "/connections", Data: map[string]any{"held": secrets.New("planted value")}})
		arrive(t, mail.Arrived(), 2)
		arrive(t, hooks.Arrived(), 1)
		if err := hooks.Hooks()[0].Verify(hook.Secret, time.Now()); err != nil {
			t.Error(err)
		}
		if _, err := e.TestMail(ctx); err != nil {
			t.Fatal(err)
		}
		letters := ""
		links := 0
		for _, l := range mail.Letters() {
			if l.User != "gate" || !l.Secure {
				t.Errorf("%v came without signing in or TLS", l)
			}
			if strings.Contains(l.To, "new@contoso.example") {
				links += strings.Count(l.Text, invitation.Reveal())
				continue
			}
			letters += l.Raw + l.Text + l.HTML
		}
		if links != 1 {
			t.Errorf("the invitation holds its link %d times", links)
		}
		planted["an invitation"] = "planted-invitation-token"
		notices, _, err := e.Notices(ctx, client.NoticeFilter{}, client.Page{})
		if err != nil || len(notices) < 3 {
			t.Fatal(len(notices), err)
		}
		pages := ""
		for _, n := range notices {
			whole, err := e.Notice(ctx, n.ID)
			if err != nil {
				t.Fatal(err)
			}
			pages += fmt.Sprintf("%+v", whole)
		}
		webhooks := ""
		for _, h := range hooks.Hooks() {
			h.Header.Del("webhook-signature") // compared as a whole above
			webhooks += fmt.Sprintf("%v %s", h.Header, h.Body)
		}
		rows := content(t, e)
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		for place, text := range map[string]string{"mails": letters, "webhooks": webhooks, "notices": pages, "the database": rows, "the log": e.Log()} {
			if mark := "Visible harbour"; place != "the log" && !strings.Contains(text, mark) {
				t.Errorf("%s: %q is not found either", place, mark)
			}
			for what, secret := range planted {
				for _, shape := range shapes(secret) {
					if i := strings.Index(text, shape); i >= 0 {
						t.Errorf("%s show %s: …%q", place, what, text[max(0, i-100):i])
					}
				}
			}
		}
		if key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hook.Secret, "whsec_")); err != nil || strings.Contains(rows, string(key)) {
			t.Errorf("the bytes of a secret are in the database (%v)", err)
		}
	})
}

var mailedLink = regexp.MustCompile(`https://\S+/setup/\S+`)

// Of a parked account who chose both kinds is mailed once, by the incident; who chose
// the one alone hears of that; a webhook gets each kind that it chose.
func TestParkedToldOnce(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e, mail, hooks := telling(t, address)
		ctx := t.Context()
		tenant, err := e.AddTenant(ctx, client.TenantRequest{Tenant: e.Lab.Tenant("openharbour").Domain, Name: "Open Harbour"})
		if err != nil {
			t.Fatal(err)
		}
		for email, kinds := range map[string][]string{"both@contoso.example": {"incident.opened", "connection.parked"}, "parked@contoso.example": {"connection.parked"}, "incident@contoso.example": {"incident.opened"}, "none@contoso.example": {}} {
			if _, err := e.Invite(ctx, client.InviteRequest{Email: email, Name: "Eve Person", Roles: map[string]string{tenant.ID: "engineer"}}); err != nil {
				t.Fatal(err)
			}
			arrive(t, mail.Arrived(), 1)
			letters := mail.Letters()
			if _, err := e.SetUp(mailedLink.FindString(letters[len(letters)-1].Text), "").ChooseNotices(ctx, client.NoticeWishRequest{Kinds: kinds}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.AddWebhook(ctx, client.WebhookRequest{Name: "Receiver", URL: hooks.URL + "/in", Kinds: []string{"incident.opened", "connection.parked"}}); err != nil {
			t.Fatal(err)
		}
		c, err := e.AddConnection(ctx, client.ConnectionRequest{
			TenantID: tenant.ID, Kind: "service_account", Profile: client.Profile{Name: "Nightly backup", Username: e.Lab.Tenant("openharbour").User("svc-backup").UPN, Services: []string{"graph"}}, Credential: client.CredentialRequest{Password: "not the password"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Validate(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		arrive(t, hooks.Arrived(), 2)
		told := map[string][]string{}
		for _, kind := range []string{"connection.parked", "incident.opened"} {
			all, _, err := e.Notices(ctx, client.NoticeFilter{Kind: kind}, client.Page{})
			if err != nil || len(all) != 1 {
				t.Fatalf("%s: %+v %v", kind, all, err)
			}
			for _, d := range all[0].Deliveries {
				told[d.Address] = append(told[d.Address], kind)
			}
		}
		hook := strings.TrimSuffix(strings.TrimPrefix(hooks.URL, "https://"), "/")
		for who, want := range map[string]string{"both@contoso.example": "[incident.opened]", "parked@contoso.example": "[connection.parked]", "incident@contoso.example": "[incident.opened]", "none@contoso.example": "[]", "https://" + hook: "[connection.parked incident.opened]"} {
			if got := fmt.Sprint(told[who]); got != want {
				t.Errorf("%s is told of %s, want %s (of %v)", who, got, want, told)
			}
		}
	})
}

// The doctor tells of a mail server that answers, and of one that does not.
func TestDoctorMail(t *testing.T) {
	e, mail, _ := telling(t, dbtest.SQLite(t))
	state := func() client.Finding {
		t.Helper()
		all, err := e.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.Name == "mail" {
				return f
			}
		}
		t.Fatal("mail is not looked after")
		return client.Finding{}
	}
	if f := state(); f.State != "passed" || !strings.Contains(f.Detail, mail.Address) {
		t.Errorf("%+v", f)
	}
	mail.Set(notifytest.Behaviour{Password: "another"})
	if f := state(); f.State != "failed" || f.Way == "" || strings.Contains(fmt.Sprint(f), plantedMail) {
		t.Errorf("%+v", f)
	}
}
