package broker

import "time"

// TrustFor changes [Trust] before anything is asked.
func (s *Service) TrustFor(d time.Duration) { s.memory.trust = d }
