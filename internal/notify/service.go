package notify

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/egress"
	"gatehouse/internal/jobs"
	"gatehouse/internal/operator"
)

// Service tells.
type Service struct {
	Config
	deliver *jobs.Kind[deliverArgs]
	outside *http.Client
	tests   *operator.Limiter // of all operators together
}

// sending bounds one attempt of either channel.
const sending = 30 * time.Second

// New makes the service and registers its jobs.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Draw == nil {
		c.Draw = rand.Float64 // spreads load, guards nothing
	}
	s := &Service{Config: c, tests: operator.NewLimiter(operator.LimiterConfig{Every: 3 * time.Second, Burst: 20, Now: c.Now})}
	s.outside = egress.New(egress.Config{Allow: c.Outside.Allow, Roots: c.Outside.Roots, Resolver: c.Outside.Resolver, MaxBytes: maxAnswer, Timeout: sending / 2})
	// An answer that sends on is not followed: the address that was entered is
	// the one that is meant, and the only one that gets what is signed for it.
	s.outside.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.deliver = jobs.Register(c.Jobs, jobs.Kind[deliverArgs]{Name: "notice_deliver", Work: s.work, Timeout: 2 * sending, Unique: true})
	return s
}

// HasMail reports whether mail can be sent.
func (s *Service) HasMail() bool { return s.Mail.Server != "" && s.Mail.From != "" }

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func newID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if there is no randomness
