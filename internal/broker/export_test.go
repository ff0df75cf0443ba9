package broker

import "time"

// TrustFor changes [Trust] before anything is asked.
func (s *Service) TrustFor(d time.Duration) { s.memory.trust = d }

// Unremembered has the next tokens read from the database, as another replica does.
func (s *Service) Unremembered() { s.memory.drop("", "") }

// Quiet waits for refreshes under way that nobody waits for.
func (s *Service) Quiet() { s.background.Wait() }
