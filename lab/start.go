package lab

import (
	"strings"
	"testing"
)

// Option changes how [Start] starts a lab.
type Option func(*Config)

// WithTenants uses a tenants file instead of the built-in tenants.
func WithTenants(file string) Option {
	return func(c *Config) { c.Tenants = strings.NewReader(file) }
}

// WithConfig changes any other setting.
func WithConfig(change func(*Config)) Option { return Option(change) }

// Start starts a lab for a test and ends it with the test. The seed is fixed,
// so that ids and passwords stay the same from run to run; what the lab varies
// to keep clients honest, it still varies.
func Start(t testing.TB, options ...Option) *Lab {
	t.Helper()
	cfg := Config{Seed: 1}
	for _, option := range options {
		option(&cfg)
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatalf("starting the lab: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	return l
}

// Tenant finds a tenant of the ready file by domain or by the part before
// .onmicrosoft.com. It panics if there is none: a test names what it knows.
func (l *Lab) Tenant(name string) ReadyTenant {
	for _, t := range l.Ready().Tenants {
		if t.Domain == name || strings.TrimSuffix(t.Domain, ".onmicrosoft.com") == name {
			return t
		}
	}
	panic("lab: no tenant " + name)
}

// User finds a user by user principal name or by the part before the @.
func (t ReadyTenant) User(name string) ReadyUser {
	for _, u := range t.Users {
		if short, _, _ := strings.Cut(u.UPN, "@"); u.UPN == name || short == name {
			return u
		}
	}
	panic("lab: no user " + name + " in " + t.Domain)
}

// App finds an app by name or client id.
func (t ReadyTenant) App(name string) ReadyApp {
	for _, a := range t.Apps {
		if a.Name == name || a.ClientID == name {
			return a
		}
	}
	panic("lab: no app " + name + " in " + t.Domain)
}
