package federation

import (
	"crypto/rsa"
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/pki"
)

// Config is what the federation servers need.
type Config struct {
	Store *directory.Store
	// Address is the root of the listener of their own: "https://127.0.0.1:8444".
	Address string
	// SignIn reports whether a host is the sign-in service's, to which browsers
	// may be sent back.
	SignIn func(host string) bool
}

// Server plays the federation servers and workload issuers.
type Server struct {
	cfg Config

	once        sync.Once
	key         *rsa.PrivateKey
	certificate *x509.Certificate
	err         error
}

// New gives the federation servers. Address may be set later with
// [Server.Listen], once the listener is there.
func New(cfg Config) *Server { return &Server{cfg: cfg} }

// Listen tells the server the root of its own listener.
func (s *Server) Listen(address string) { s.cfg.Address = address }

// Address is the root of the listener.
func (s *Server) Address() string { return s.cfg.Address }

// prepare reads key and certificate. The key is published with the lab: it
// vouches for nobody outside it.
func (s *Server) prepare() error {
	s.once.Do(func() {
		if s.key, s.err = pki.ClientKey(); s.err != nil {
			return
		}
		now := s.cfg.Store.Now()
		s.certificate, s.err = pki.Client("Gatehouse lab federation signing", now.AddDate(-1, 0, 0), now.AddDate(10, 0, 0))
	})
	return s.err
}

// realm is a federated domain and where its server was reached.
type realm struct {
	domain string
	brand  string
	issuer string
	base   string // root of the server's addresses, without slash at its end
	rest   string // path below it
}

const (
	pathMex     = "/adfs/services/trust/mex"
	pathActive  = "/adfs/services/trust/13/usernamemixed"
	pathPassive = "/adfs/ls"
)

// Addresses gives the addresses of a domain's server for clients that reach
// the lab under its own address; those that follow host names take the
// tenants file's.
func (s *Server) Addresses(domain string, f directory.Federation) directory.Federation {
	base := s.cfg.Address + "/" + url.PathEscape(domain)
	f.MetadataURL, f.ActiveURL, f.PassiveURL = base+pathMex, base+pathActive, base+pathPassive+"/"
	return f
}

// Hosts reports whether a host name is a federation server's or a workload
// issuer's.
func (s *Server) Hosts(host string) bool {
	found := false
	is := func(address string) bool {
		u, err := url.Parse(address)
		return err == nil && strings.EqualFold(u.Hostname(), host)
	}
	s.cfg.Store.Tenants(func(t *directory.Tenant) {
		for _, d := range t.Domains {
			if f := d.Federation; f != nil {
				found = found || is(f.MetadataURL) || is(f.ActiveURL) || is(f.PassiveURL)
			}
		}
		for _, a := range t.Apps {
			for _, c := range a.Federated {
				found = found || is(c.Issuer)
			}
		}
	})
	return found && !s.cfg.SignIn(host)
}

// realmOf finds the domain that a request is for: by host, or by the first part
// of the path on the listener of the server's own.
func (s *Server) realmOf(r *http.Request) (realm, bool) {
	host, path := r.Host, r.URL.Path
	var out realm
	found := false
	s.cfg.Store.Tenants(func(t *directory.Tenant) {
		for _, d := range t.Domains {
			f := d.Federation
			if f == nil || found {
				continue
			}
			u, err := url.Parse(f.MetadataURL)
			if err == nil && strings.EqualFold(u.Host, host) {
				out, found = realm{d.Name, f.Brand, f.Issuer, "https://" + u.Host, path}, true
			} else if rest, below := strings.CutPrefix(path, "/"+d.Name+"/"); below {
				out, found = realm{d.Name, f.Brand, f.Issuer, s.cfg.Address + "/" + url.PathEscape(d.Name), "/" + rest}, true
			}
		}
	})
	return out, found
}

// ServeHTTP answers for every federation server and issuer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.prepare(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if issuer, ok := strings.CutSuffix(r.URL.Path, discoveryPath); ok {
		s.discovery(w, "https://"+r.Host+issuer)
		return
	}
	if strings.HasSuffix(r.URL.Path, keysPath) {
		s.keys(w)
		return
	}
	at, ok := s.realmOf(r)
	if !ok {
		http.Error(w, "No federation server of the lab has this address.", http.StatusNotFound)
		return
	}
	switch path := strings.ToLower(strings.TrimSuffix(at.rest, "/")); {
	case strings.HasSuffix(path, "/mex"):
		s.mex(w, at)
	case strings.HasSuffix(path, "/13/usernamemixed"):
		s.issue(w, r, at)
	case path == pathPassive:
		s.passive(w, r, at)
	default:
		http.Error(w, "The federation server has no such address.", http.StatusNotFound)
	}
}

// Certificate is what the assertions of an issuer are signed with, nil for
// issuers that no domain names.
func (s *Server) Certificate(issuer string) *x509.Certificate {
	if s.prepare() != nil {
		return nil
	}
	found := false
	s.cfg.Store.Tenants(func(t *directory.Tenant) {
		for _, d := range t.Domains {
			found = found || d.Federation != nil && d.Federation.Issuer == issuer
		}
	})
	if !found {
		return nil
	}
	return s.certificate
}

// Verify checks an assertion of one of the federation servers.
func (s *Server) Verify(data []byte, now time.Time) (*Assertion, error) {
	return Verify(data, s.Certificate, now)
}

// vouch signs an assertion for a person of the realm.
func (s *Server) vouch(at realm, u *directory.User, version int) (string, time.Time, error) {
	now := s.cfg.Store.Now().UTC()
	a := &Assertion{Version: version, Issuer: at.issuer, Audience: Audience, UPN: u.UPN, ImmutableID: u.ImmutableID(),
		NotBefore: now, NotOnOrAfter: now.Add(time.Hour), AuthenticatedAt: now}
	text, err := a.sign(s.key, s.certificate)
	return text, a.NotOnOrAfter, err
}

// authenticate checks a person's password. It is the organisation's own: what
// Entra ID thinks of the account does not matter here.
func (s *Server) authenticate(at realm, name, password string) (*directory.User, bool) {
	var u *directory.User
	s.cfg.Store.View(at.domain, func(t *directory.Tenant) {
		if found := t.User(name); found != nil && strings.HasSuffix(strings.ToLower(found.UPN), "@"+strings.ToLower(at.domain)) {
			kept := *found
			u = &kept
		}
	})
	var hash []byte
	if u != nil {
		hash = u.PasswordHash
	}
	return u, directory.CheckPassword(hash, password) && u != nil
}
