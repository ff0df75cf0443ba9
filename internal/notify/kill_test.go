package notify_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/notify"
	"gatehouse/internal/notify/notifytest"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// process is a service whose queue works, as in a server.
func process(address, keyFile, rootFile string) (*notify.Service, *sqldb.DB) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	db, err := sqldb.Open(ctx, address)
	fail(err)
	r := lease.New(lease.Config{DB: db, TTL: time.Second})
	log := audit.New(audit.Config{DB: db})
	keys, err := secrets.OpenKeyring(audit.AsSystem(ctx, "start"), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(keyFile), Audit: log, Columns: append(slices.Clone(operator.Columns), notify.Columns...)})
	fail(err)
	operators, err := operator.New(operator.Config{DB: db, Keyring: keys, Audit: log, Origin: console})
	fail(err)
	q, err := jobs.New(jobs.Config{DB: db, Replica: r, Log: slog.New(slog.DiscardHandler)})
	fail(err)
	pem, err := os.ReadFile(rootFile) //nolint:gosec // a file of the test
	fail(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s := notify.New(notify.Config{DB: db, Audit: log, Keys: keys, Jobs: q, Live: live.New(live.Config{DB: db}), Operators: operators, PublicURL: console, Outside: notify.Outside{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Roots: roots}})
	if os.Getenv("GATEHOUSE_TEST_WORK") != "" {
		fail(r.Join(ctx))
		go func() { fail(r.Run(ctx)) }()
		fail(q.Start(ctx))
	}
	return s, db
}

func senderProcess() {
	process(os.Getenv("GATEHOUSE_TEST_ADDRESS"), os.Getenv("GATEHOUSE_TEST_KEY"), os.Getenv("GATEHOUSE_TEST_ROOT"))
	fmt.Println("ready")
	select {} // until it is killed
}

// A server that is killed after it has sent a notice and before it has noted
// that sends it once more under the same id: at least once, and the receiver can
// tell.
func TestKilledBetweenSendingAndNoting(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		key, root := filepath.Join(t.TempDir(), "master.key"), notifytest.RootFile(t)
		s, db := process(address, key, root)
		defer db.Close()
		ctx := audit.AsSystem(t.Context(), "test")
		receiver := notifytest.Receive(t, "127.0.0.1")
		held := make(chan struct{})
		receiver.Answer(func(http.ResponseWriter, *http.Request) { <-held })
		_, secret, err := s.AddWebhook(ctx, notify.WebhookRequest{Name: "Receiver", URL: secrets.New(receiver.URL), Kinds: []string{notify.IncidentOpened}, Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.Publish(ctx, tx, opened("")) }); err != nil {
			t.Fatal(err)
		}
		env := []string{"GATEHOUSE_TEST_WORK=1", "GATEHOUSE_TEST_ADDRESS=" + address, "GATEHOUSE_TEST_KEY=" + key, "GATEHOUSE_TEST_ROOT=" + root}
		first := dbtest.Start(t, "sender", env...)
		<-receiver.Arrived()
		if err := first.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = first.Wait() // killed
		receiver.Answer(nil)
		close(held)
		dbtest.Start(t, "sender", env...)
		<-receiver.Arrived()

		hooks := receiver.Hooks()
		if len(hooks) != 2 || hooks[0].ID != hooks[1].ID || hooks[1].Verify(secret.Reveal(), time.Now()) != nil {
			t.Fatalf("%+v", hooks)
		}
		// The second process notes it.
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			n, err := s.Get(ctx, hooks[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			if d := n.Deliveries[0]; d.State == notify.Delivered {
				if len(d.Attempts) != 2 || d.Attempts[0].Outcome != notify.Unknown || d.Attempts[1].Outcome != notify.Taken {
					t.Errorf("%+v", d)
				}
				return
			}
			select {
			case <-tick.C:
			case <-t.Context().Done():
				t.Fatal("it was never noted")
			}
		}
	})
}
