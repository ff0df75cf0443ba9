package validation

import (
	"context"
	"sync"
	"time"

	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
	"gatehouse/internal/tenant"
)

// Shared is what the validations of many identities of one tenant have in common,
// so that it is asked for once: the tenant's metadata, the reader's sign-in, names
// of apps and the registration report. A nil one shares nothing. It is for
// minutes: the reader's token in it is not renewed.
type Shared struct {
	mu       sync.Mutex
	at       *login.Tenant
	client   *graph.Client
	failed   error // why the reader could not sign in
	names    map[string]string
	identity *tenant.Reading
	opened   bool // identity was asked for, and may be nil
	reading  sync.Once
	report   *posture.Report
}

// notInSweep is why a sweep leaves the sign-in log alone.
const notInSweep = "not read: Microsoft answers five calls for logs in ten seconds, which many connections would use up; validate this one alone to have its sign-in looked up"

// recent is how old rules may be that explain an answer. Of many connections in a
// row, those that come first have just read them.
func (s *Shared) recent() time.Duration {
	if s == nil {
		return recent
	}
	return 2 * time.Minute
}

// reads opens the reader's credential, once.
func (s *Shared) reads(open func() (*tenant.Reading, error)) (*tenant.Reading, error) {
	if s == nil {
		return open()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return s.identity, nil
	}
	identity, err := open()
	if err == nil {
		s.identity, s.opened = identity, true
	}
	return identity, err
}

func (s *Shared) tenant(ctx context.Context, client *login.Client, name string) (login.Tenant, error) {
	if s == nil {
		return client.Tenant(ctx, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != nil {
		return *s.at, nil
	}
	at, err := client.Tenant(ctx, name)
	if err == nil {
		s.at = &at
	}
	return at, err
}

// reader signs the reader in, once: a credential that is refused is not offered
// again for each connection.
func (s *Shared) reader(ctx context.Context, signIn func(context.Context) (*graph.Client, error)) (*graph.Client, error) {
	if s == nil {
		return signIn(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil && s.failed == nil {
		client, err := signIn(ctx)
		if err != nil && ctx.Err() != nil {
			return nil, err // says nothing about the reader
		}
		s.client, s.failed = client, err
	}
	return s.client, s.failed
}

func (s *Shared) name(clientID string, look func() string) string {
	if s == nil {
		return look()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name, known := s.names[clientID]
	if !known {
		if s.names == nil {
			s.names = map[string]string{}
		}
		name = look()
		s.names[clientID] = name
	}
	return name
}

// capable reads the registration report, once.
func (s *Shared) capable(ctx context.Context, client *graph.Client) *posture.Report {
	if s == nil {
		return nil
	}
	s.reading.Do(func() { s.report = posture.LoadReport(ctx, client) })
	return s.report
}
