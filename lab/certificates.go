package lab

import (
	"crypto/tls"
	"strings"
	"sync"
	"time"

	"gatehouse/lab/internal/pki"
)

// certificates gives the server certificate for a name: one for all names that
// are known at start, and one each for federation servers, which come with
// tenants at run time.
type certificates struct {
	authority *pki.Authority
	now       func() time.Time
	main      tls.Certificate
	also      func(host string) bool // nil: no others

	mu   sync.Mutex
	made map[string]*tls.Certificate
}

func newCertificates(authority *pki.Authority, names []string, now func() time.Time) (*certificates, error) {
	main, err := authority.Server(now(), names)
	return &certificates{authority: authority, now: now, main: main, made: map[string]*tls.Certificate{}}, err
}

func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := strings.ToLower(hello.ServerName)
	if host == "" || c.also == nil || !c.also(host) {
		return &c.main, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if made := c.made[host]; made != nil {
		return made, nil
	}
	certificate, err := c.authority.Server(c.now(), []string{host})
	if err != nil {
		return nil, err
	}
	c.made[host] = &certificate
	return &certificate, nil
}
