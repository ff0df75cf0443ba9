package operator

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/secrets"
)

// Cost is what a hash costs; the tests of this package make do with less.
var Cost = cost.String()

func init() { cost = params{memory: 64, time: 1, threads: 1} }

// CheapCost is what it costs in the tests.
const CheapCost = "m=64,t=1,p=1"

func (p params) String() string { return fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.time, p.threads) }

// ParsePHC reads a stored hash and gives it back as it is written.
func ParsePHC(text string) (string, error) {
	h, err := parsePHC(text)
	return h.String(), err
}

// CheckPassword is the policy.
var CheckPassword = checkPassword

// LockTime is how long an account is locked.
var LockTime = lockTime

// AnswerIn sets how long a sign-in that fails takes.
func (s *Service) AnswerIn(d time.Duration) { s.answerTime = d }

// HashWith hashes with other costs than today's: memory in KiB, and passes.
func HashWith(password secrets.Value, memory, passes uint32) string {
	p := params{memory: memory, time: passes, threads: 1}
	salt := []byte("sixteen bytes ok")
	sum, err := newHasher().compute(context.Background(), password, salt, p, hashSize)
	if err != nil {
		return err.Error()
	}
	return phc{p, salt, sum}.String()
}

// Held is how many addresses the limiter remembers.
func (l *Limiter) Held() int { return len(l.buckets) }
