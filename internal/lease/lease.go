// Package lease lets replicas agree, through the database, who does alone what
// only one may do, and which replicas are alive.
//
// A [Replica] is a running process. It renews all its leases with one
// statement (a heartbeat), among them the one that says that it lives. A
// [Lease] has an end, which its holder checks before each act ([Lease.Held]);
// nobody else gets it before that end has passed.
//
// Time is the database's where one clock counts: the end of a lease is written
// by the database and compared by it. The holder measures the same span on its
// own clock, from before it asked, and stops a tenth early. So clocks may be
// set as they like: what has to agree is only how fast they run, within a
// tenth. A database whose clock is put forward breaks this; see [Lease.Fence]
// for changes that must not depend on any clock.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// DefaultTTL is how long a lease lasts unless it is renewed. It is also how
// long the work of a replica that was killed waits for another.
const DefaultTTL = 10 * time.Second

// Prefix of the leases that say that a replica lives.
const alive = "replica/"

// Config is what a [Replica] needs.
type Config struct {
	DB *sqldb.DB
	// TTL is [DefaultTTL] if zero. All replicas need the same.
	TTL time.Duration
	// Now is a clock that runs evenly; time.Now if nil.
	Now func() time.Time
	// Log hears of heartbeats that fail; nothing is logged if nil.
	Log *slog.Logger
}

// Replica is this process among those that share the database.
type Replica struct {
	id      string
	db      *sqldb.DB
	ttl     time.Duration
	now     func() time.Time // local
	dbClock func() time.Time // SQLite's
	log     *slog.Logger

	mu    sync.Mutex
	held  map[string]*Lease
	alive *Lease
}

// New makes a replica with a new random id. It is alive once [Replica.Join] has
// been called.
func New(cfg Config) *Replica {
	r := &Replica{id: rand.Text(), db: cfg.DB, ttl: cfg.TTL, now: cfg.Now, dbClock: time.Now, log: cfg.Log, held: map[string]*Lease{}}
	if r.ttl == 0 {
		r.ttl = DefaultTTL
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r
}

// ID names the replica: other rows name it as the one that works on them.
func (r *Replica) ID() string { return r.id }

// ErrHeld says that another has the lease.
var ErrHeld = errors.New("another has the lease")

// Lease is the right to do something alone.
type Lease struct {
	Name string
	// Epoch is larger for each new holder.
	Epoch int64

	replica *Replica
	lost    chan struct{}

	// Guarded by replica.mu.
	deadline time.Time
	over     bool
	timer    *time.Timer
}

// Held gives the time up to which the lease is surely this replica's, and
// whether that is still ahead. It is asked before each act that only the holder
// may do, as one that begins later may overlap with another's.
func (l *Lease) Held() (deadline time.Time, ok bool) {
	l.replica.mu.Lock()
	defer l.replica.mu.Unlock()
	return l.deadline, !l.over && l.replica.now().Before(l.deadline)
}

// Lost is closed once the lease has ended or was released.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Join announces the replica. The first heartbeat is due a third of the TTL
// later: see [Replica.Run].
func (r *Replica) Join(ctx context.Context) error {
	l, err := r.acquire(ctx, alive+r.id)
	if err != nil {
		return fmt.Errorf("announcing this replica: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alive = l
	return nil
}

// Alive gives the lease that says that this replica lives, nil before
// [Replica.Join]. If it is lost, others may have taken over this replica's work.
func (r *Replica) Alive() *Lease {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.alive
}

// Acquire takes a lease that nobody holds; [ErrHeld] if somebody does.
func (r *Replica) Acquire(ctx context.Context, name string) (*Lease, error) {
	l, err := r.acquire(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("taking the lease %s: %w", name, err)
	}
	return l, nil
}

func (r *Replica) acquire(ctx context.Context, name string) (*Lease, error) {
	r.mu.Lock()
	if old := r.held[name]; old != nil {
		if r.now().Before(old.deadline) {
			r.mu.Unlock()
			return nil, ErrHeld // by this replica
		}
		r.end(old)
	}
	r.mu.Unlock()

	asked := r.now()
	l := &Lease{Name: name, replica: r, lost: make(chan struct{})}
	tx, err := r.db.Single(ctx)
	if err != nil {
		return nil, err
	}
	// What this replica lost by its own clock it may take again at once.
	err = tx.NewRaw(`INSERT INTO leases (name, holder, epoch, expires_at) VALUES (?, ?, 1, ?)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = leases.epoch + 1, expires_at = excluded.expires_at
WHERE leases.expires_at <= ? OR leases.holder = excluded.holder
RETURNING epoch`, name, r.id, r.db.Clock(r.dbClock, r.ttl), r.db.Clock(r.dbClock, 0)).Scan(ctx, &l.Epoch)
	if sqldb.Missing(err) {
		return nil, ErrHeld
	}
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[name] = l
	r.extend(l, asked)
	return l, nil
}

// extend is called with mu held.
func (r *Replica) extend(l *Lease, asked time.Time) {
	l.deadline = asked.Add(r.ttl - r.ttl/10)
	left := l.deadline.Sub(r.now())
	if l.timer == nil {
		l.timer = time.AfterFunc(left, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if !r.now().Before(l.deadline) {
				r.end(l)
			}
		})
		return
	}
	l.timer.Reset(left)
}

// end is called with mu held.
func (r *Replica) end(l *Lease) {
	if l.over {
		return
	}
	l.over = true
	l.timer.Stop()
	close(l.lost)
	if r.held[l.Name] == l {
		delete(r.held, l.Name)
	}
}

// Release gives the lease back, so that nobody has to wait for its end.
func (l *Lease) Release(ctx context.Context) error {
	r := l.replica
	r.mu.Lock()
	over := l.over
	r.end(l)
	r.mu.Unlock()
	if over {
		return nil
	}
	tx, err := r.db.Single(ctx)
	if err == nil {
		_, err = tx.NewRaw("UPDATE leases SET expires_at = ? WHERE name = ? AND holder = ? AND epoch = ?",
			r.db.Clock(r.dbClock, 0), l.Name, r.id, l.Epoch).Exec(ctx)
	}
	if err != nil {
		return fmt.Errorf("giving back the lease %s: %w", l.Name, err)
	}
	return nil
}

// Fence makes a change depend on the lease: it fails unless the database says
// that the lease is still this one, and nobody else can take it before the
// change is committed.
func (l *Lease) Fence(ctx context.Context, tx *sqldb.Tx) error {
	r := l.replica
	result, err := tx.NewRaw("UPDATE leases SET epoch = epoch WHERE name = ? AND holder = ? AND epoch = ? AND expires_at > ?",
		l.Name, r.id, l.Epoch, r.db.Clock(r.dbClock, 0)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("checking the lease %s: %w", l.Name, err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("checking the lease %s: %w", l.Name, ErrHeld), err)
	}
	return nil
}

// Living gives the ids of the replicas that are alive, read in a transaction.
func (r *Replica) Living(ctx context.Context, tx bun.IDB) (map[string]bool, error) {
	var names []string
	if err := tx.NewRaw("SELECT name FROM leases WHERE name LIKE ? AND expires_at > ?", alive+"%", r.db.Clock(r.dbClock, 0)).Scan(ctx, &names); err != nil {
		return nil, fmt.Errorf("reading which replicas are alive: %w", err)
	}
	living := map[string]bool{}
	for _, name := range names {
		living[name[len(alive):]] = true
	}
	return living, nil
}
