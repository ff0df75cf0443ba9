package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/lab"
)

// callers is a process with a broker. For each line that it reads, so many callers
// ask for a token at once; it prints the token's digest, or what went wrong, once for
// each different answer.
func callers() {
	ctx := audit.AsSystem(context.Background(), "callers")
	check := func(err error) {
		if err != nil {
			fmt.Println("broken:", err)
			os.Exit(1)
		}
	}
	db, err := sqldb.Open(ctx, os.Getenv("GATEHOUSE_TEST_ADDRESS"))
	check(err)
	shift, err := time.ParseDuration(os.Getenv("GATEHOUSE_TEST_SHIFT"))
	check(err)
	cloud := microsoft.At("lab", os.Getenv("GATEHOUSE_TEST_LAB"), roots(os.Getenv("GATEHOUSE_TEST_CA")))
	app := login.App{ClientID: os.Getenv("GATEHOUSE_TEST_CLIENT"), Secret: secrets.New(os.Getenv("GATEHOUSE_TEST_SECRET"))}
	g, err := stand(ctx, db, os.Getenv("GATEHOUSE_TEST_KEY"), cloud, app, func() time.Time { return time.Now().Add(shift) }, func(c *broker.Config) { c.Claim = claim(os.Getenv("GATEHOUSE_TEST_CLAIM")) })
	check(err)
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var n int
		if _, err := fmt.Sscan(lines.Text(), &n); err != nil {
			continue
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		answers := map[string]int{}
		for range n {
			wg.Go(func() {
				token, err := g.Token(ctx, os.Getenv("GATEHOUSE_TEST_CONNECTION"), "graph", "")
				answer := ""
				switch end := time.Unix(int64(login.ReadClaims(token.Access).Expires), 0); {
				case err != nil:
					answer = "error " + strings.ReplaceAll(err.Error(), "\n", " ")
				case !end.After(time.Now().Add(shift)):
					answer = "expired"
				default:
					answer = "token " + token.Access.Reveal()[len(token.Access.Reveal())-12:]
				}
				mu.Lock()
				defer mu.Unlock()
				answers[answer]++
			})
		}
		wg.Wait()
		for answer, n := range answers {
			fmt.Println("answer", n, answer)
		}
		fmt.Println("done")
	}
}

// claim reads how long claims last; as usual if it is not said.
func claim(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return d
}

// start starts such a process, by the lab's clock.
func (h *house) start(address string, env ...string) *dbtest.Process {
	h.t.Helper()
	p := dbtest.Start(h.t, "callers", append(env, "GATEHOUSE_TEST_ADDRESS="+address, "GATEHOUSE_TEST_SHIFT="+time.Until(h.lab.Now()).String(), "GATEHOUSE_TEST_LAB="+h.lab.URL(), "GATEHOUSE_TEST_CA="+h.lab.Ready().CAFile,
		"GATEHOUSE_TEST_CLIENT="+h.app.ClientID, "GATEHOUSE_TEST_SECRET="+h.app.Secret.Reveal(), "GATEHOUSE_TEST_KEY="+h.keyFile, "GATEHOUSE_TEST_CONNECTION="+h.id)...)
	p.Await(h.t, "ready")
	return p
}

// answers has a process ask, and gives what its callers got.
func answers(t *testing.T, p *dbtest.Process) map[string]int {
	t.Helper()
	all := map[string]int{}
	for line := range p.Lines {
		if line == "done" {
			return all
		}
		var n int
		var kind, text string
		if _, err := fmt.Sscan(line, &kind, &n, &kind, &text); err != nil {
			t.Fatal(line)
		}
		_, rest, _ := strings.Cut(line, " ")
		_, rest, _ = strings.Cut(rest, " ")
		all[rest] += n
	}
	t.Fatal("the process ended")
	return nil
}

// renewals counts the refreshes that the lab has seen.
func (h *house) renewals() (n int) {
	for _, e := range h.lab.Journal() {
		if e.GrantType == "refresh_token" {
			n++
		}
	}
	return n
}

// Story 7: 200 callers in each of two processes find the token ended: the service is
// asked once, and all get the same new token. A refresh token serves once only here,
// which Entra ID does not demand: a second use of one, or one that was not stored,
// would revoke the sign-in.
func TestSingleFlight(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		h := open(t, dbtest.Open(t, address), "quietquay", nil)
		must(t, h.lab.SetSettings(lab.Settings{SingleUse: true}))
		for round := range 2 {
			h.advance(3 * time.Hour)
			a, b := h.start(address), h.start(address)
			before := h.renewals()
			for _, p := range []*dbtest.Process{a, b} {
				if _, err := fmt.Fprintln(p.Stdin, 200); err != nil {
					t.Fatal(err)
				}
			}
			all := answers(t, a)
			for answer, n := range answers(t, b) {
				all[answer] += n
			}
			if len(all) != 1 || h.renewals()-before != 1 {
				t.Errorf("round %d: %d refreshes, answers %v", round, h.renewals()-before, all)
			}
			for answer, n := range all {
				if n != 400 || !strings.HasPrefix(answer, "token ") {
					t.Errorf("%d of 400: %s", n, answer)
				}
			}
			_, _ = a.Stdin.Close(), b.Stdin.Close()
		}
		h.advance(3 * time.Hour)
		h.token()
		if s := h.state(); s.State != broker.Ready {
			t.Errorf("%+v", s)
		}
	})
}

// latency leaves time to be killed in.
var latency = lab.Fault{Service: "login", Grant: "refresh_token", Kind: "latency", Delay: "25ms"}

// A process is killed around its refresh: another one goes on, with the refresh
// token that is there, and gives a good token.
func TestKilled(t *testing.T) {
	rounds := 10
	if os.Getenv("GATEHOUSE_SOAK") != "" {
		rounds = 100
	}
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		// Others wait for the claim of who was killed.
		const short = "600ms"
		h := open(t, dbtest.Open(t, address), "quietquay", func(c *broker.Config) { c.Claim = claim(short) })
		if _, err := h.lab.AddFault(latency); err != nil {
			t.Fatal(err)
		}
		for round := range rounds {
			h.advance(3 * time.Hour)
			p := h.start(address, "GATEHOUSE_TEST_CLAIM="+short)
			before := h.renewals()
			if _, err := fmt.Fprintln(p.Stdin, 5); err != nil {
				t.Fatal(err)
			}
			// From before the request leaves to after the answer was stored.
			<-time.After(time.Duration(round%10) * 6 * time.Millisecond)
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = p.Wait() // killed: the error says so
			h.token()
			if n := h.renewals() - before; n > 2 {
				t.Errorf("round %d: %d refreshes", round, n)
			}
		}
	})
}
