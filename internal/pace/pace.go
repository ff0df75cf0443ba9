package pace

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/sqldb"
)

// Config is what a [Governor] needs.
type Config struct {
	// DB is shared with the other replicas; nil for a process by itself.
	DB *sqldb.DB
	// Log hears when a throttled answer could not be noted; nothing is logged
	// if nil.
	Log *slog.Logger
	// Watch is told of each request that was sent: its HTTP status, 0 if no
	// answer came, and how long it took without the wait for its turn. Nobody is
	// told if nil.
	Watch func(service string, status int, took time.Duration)
}

// Governor lets calls to Microsoft pass at their pace. A nil Governor lets all
// pass that are in no transaction.
type Governor struct {
	ledger ledger
	log    *slog.Logger
	watch  func(service string, status int, took time.Duration)

	mu    sync.Mutex
	lines map[string]*line
	gates map[string]*gate

	granted func(slot time.Time) // for tests
}

// New gives a governor. All clients of a process share one.
func New(cfg Config) *Governor {
	g := &Governor{ledger: &memory{}, log: cfg.Log, watch: cfg.Watch, lines: map[string]*line{}, gates: map[string]*gate{}, granted: func(time.Time) {}}
	if cfg.DB != nil {
		g.ledger = table{cfg.DB}
	}
	if g.watch == nil {
		g.watch = func(string, int, time.Duration) {}
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g
}

// ErrInChange refuses a call inside a transaction. It is a mistake in the
// program.
var ErrInChange error = inChange{}

type inChange struct{}

func (inChange) Error() string {
	return "a call to another service was made inside a transaction: make it before or after"
}

// NonRetriable tells azcore that trying again is senseless.
func (inChange) NonRetriable() {}

// Busy refuses a call that would have to wait too long. It was not sent.
type Busy struct {
	Scope      string
	RetryAfter time.Duration
}

func (b *Busy) Error() string {
	return fmt.Sprintf("Microsoft's limit for %s is reached: possible in %s", b.Scope, b.RetryAfter.Round(time.Second))
}

// NonRetriable tells azcore that trying again at once is senseless.
func (*Busy) NonRetriable() {}

type interactiveKey struct{}

// Interactive marks a context in which a person waits for the answer. Such
// calls go before others.
func Interactive(ctx context.Context) context.Context {
	return context.WithValue(ctx, interactiveKey{}, true)
}

func isInteractive(ctx context.Context) bool { return ctx.Value(interactiveKey{}) != nil }

// Do sends a call when it may be sent, and learns from the answer. Each
// repetition of a call goes through it again.
func (g *Governor) Do(ctx context.Context, call Call, send func() (*http.Response, error)) (*http.Response, error) {
	if sqldb.InChange(ctx) {
		return nil, ErrInChange
	}
	if g == nil {
		return send()
	}
	s := call.scope()
	if err := g.wait(ctx, s); err != nil {
		return nil, err
	}
	leave, err := g.enter(ctx, s)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	response, err := send()
	leave()
	if err != nil {
		g.watch(call.Service, 0, time.Since(began))
		return response, err
	}
	g.watch(call.Service, response.StatusCode, time.Since(began))
	g.learn(ctx, s, response)
	return response, nil
}

// patience is how long a call waits for a scope that is blocked: whoever waits
// for the answer is told instead, and a job is put off.
const patience = 10 * time.Second

func (g *Governor) wait(ctx context.Context, s scope) error {
	if s.interval > 0 {
		return g.queue(ctx, s)
	}
	for {
		left, err := g.ledger.blocked(ctx, s)
		if err != nil || left == 0 {
			return err
		}
		if err := affordable(ctx, s, left); err != nil {
			return err
		}
		// Those who waited do not all come back in the same moment.
		if err := pause(ctx, left+spread()); err != nil {
			return err
		}
	}
}

// affordable refuses to wait longer than is sensible or than the context lasts.
func affordable(ctx context.Context, s scope, wait time.Duration) error {
	deadline, ok := ctx.Deadline()
	if wait > patience || ok && time.Until(deadline) < wait {
		return &Busy{Scope: s.name, RetryAfter: wait}
	}
	return nil
}

func spread() time.Duration {
	return time.Duration(rand.Int64N(int64(200 * time.Millisecond))) //nolint:gosec // spreads load, guards nothing
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Limits of what is learned from an answer.
const (
	longestBlock = time.Hour
	// backOff is for a refusal without Retry-After.
	backOff = 2 * time.Second
)

// learn notes a Retry-After for all who call the scope. A 429 without one
// blocks for [backOff]; a 503 without one says nothing about limits.
func (g *Governor) learn(ctx context.Context, s scope, response *http.Response) {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return
	}
	block := min(RetryAfter(response.Header.Get("Retry-After"), time.Now()), longestBlock)
	if block == 0 {
		if response.StatusCode != http.StatusTooManyRequests {
			return
		}
		block = backOff + spread()
	}
	// The answer is in hand: a caller that has gone must not keep it from others.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := g.ledger.block(limited, s, block); err != nil {
		g.log.Warn("pacing calls", "error", err)
	}
}

// RetryAfter reads a Retry-After header, seconds or a date; 0 if there is none
// or it makes no sense.
func RetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(header)); err == nil && seconds >= 0 && seconds <= 86400*365 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
